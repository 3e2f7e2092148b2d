package import WeirCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Draws the mean of a series again, as if it had been measured again: the moving-block bootstrap,
/// which keeps what neighbouring values have in common (H. Künsch, Annals of Statistics 17, 1989).
package struct MovingBlocks: Sendable {
    private let sums: [Double]
    private let length: Int
    package let mean: Double

    /// - Parameter length: of a block, in values; at least as long as they depend on each other.
    package init(_ values: [Double], length: Int) {
        var sums = [0.0]
        sums.reserveCapacity(values.count + 1)
        for value in values { sums.append(sums[sums.count - 1] + value) }
        self.sums = sums
        self.length = max(1, min(length, values.count / 2))
        mean = values.isEmpty ? 0 : sums[values.count] / Double(values.count)
    }

    private var count: Int { sums.count - 1 }

    package func resampledMean(_ random: inout SplitMix64) -> Double {
        guard count > 1 else { return mean }
        var (sum, drawn) = (0.0, 0)
        while drawn < count {
            let take = min(length, count - drawn)
            let start = Int(random.next(upperBound: UInt64(count - take + 1)))
            sum += sums[start + take] - sums[start]
            drawn += take
        }
        return sum / Double(count)
    }
}

extension SplitMix64 {
    /// From the standard normal distribution, by G. Box and M. Muller's transform (1958).
    package mutating func nextNormal() -> Double {
        let radius = (-2 * log(1 - nextFraction())).squareRoot()
        return radius * cos(2 * .pi * nextFraction())
    }
}

/// The value below which this share of the values lies, between neighbours by their distance
/// (R. Hyndman, Y. Fan, "Sample quantiles in statistical packages", 1996, definition 7).
///
/// - Parameter sorted: ascending; may not be empty.
package func quantile(_ sorted: [Double], _ share: Double) -> Double {
    precondition(!sorted.isEmpty, "nothing has no quantile")
    let place = share * Double(sorted.count - 1)
    let low = Int(place)
    guard low + 1 < sorted.count else { return sorted[sorted.count - 1] }
    return sorted[low] + (sorted[low + 1] - sorted[low]) * (place - Double(low))
}

/// An estimate and the central 95 % of its bootstrap distribution.
package struct Interval: Sendable, Equatable {
    package var value: Double
    package var low: Double
    package var high: Double

    package init(_ value: Double, low: Double, high: Double) {
        self.value = value
        self.low = low
        self.high = high
    }

    init(_ value: Double, of replicates: [Double]) {
        let sorted = replicates.sorted()
        self.value = value
        low = sorted.isEmpty ? value : min(value, quantile(sorted, 0.025))
        high = sorted.isEmpty ? value : max(value, quantile(sorted, 0.975))
    }
}
