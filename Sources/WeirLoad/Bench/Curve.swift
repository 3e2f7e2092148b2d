import WeirCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Throughput by number of connections at one batch size, from visits that were made at different
/// times, and how certain it is.
///
/// `BlockModel` gives the effect of each number of connections on log X, leaving out what slowed
/// whole blocks of visits. The effects are then made unimodal, rising to a peak and falling after
/// it, by pooling what is out of order: a plateau becomes one value, where the largest of several
/// equal and noisy ones would be too large.
package struct Curve: Sendable {
    /// The numbers of connections, ascending.
    package let connections: [Int]
    /// Rows a second at each, unimodal.
    package let rates: [Double]
    /// As many visits as there were to each.
    package let visitCounts: [Int]
    /// Of each replicate the logarithms of its rates, unimodal.
    package let replicates: [[Double]]
    /// Standard deviation between visits to one cell, relative, beyond the noise within them.
    package let noiseBetween: Double

    /// - Parameter visits: to cells of one batch size, each with a block.
    /// - Returns: `nil` while nothing was committed.
    package init?(_ visits: [Visit], replicates count: Int, seed: UInt64) {
        let visits = visits.filter { $0.block != nil && $0.rate > 0 }
        let connections = Set(visits.map(\.cell.connections)).sorted()
        guard !connections.isEmpty else { return nil }
        let values = visits.map { log($0.rate) }
        let operation = BlockModel(visits, connections, values)
        let effects = operation.effects(values)
        let blocks = visits.map(\.blocks)
        var random = SplitMix64(seed: seed)

        // What of the visits' noise is not seen within them.
        var within = 0.0
        for block in blocks {
            var squares = 0.0
            for _ in 0..<Self.noiseDraws {
                let drawn = log(max(block.resampledMean(&random), block.mean * 1e-3) / block.mean)
                squares += drawn * drawn
            }
            within += squares / Double(Self.noiseDraws)
        }
        within /= Double(visits.count)
        let freedom = operation.freedom
        let total = operation.variance ?? within * 2
        let between = max(0, total - within)

        let weights = connections.map { number in
            Double(visits.count { $0.cell.connections == number })
        }
        let fit = Unimodal.reduced(effects, weights: weights, variance: total)
        var drawn: [[Double]] = []
        drawn.reserveCapacity(count)
        for _ in 0..<count {
            // The variance between visits is itself known from so few of them: chi-squared draws
            // give the replicates Student's tails.
            var scale = between
            if freedom > 0 {
                var squares = 0.0
                for _ in 0..<freedom {
                    let normal = random.nextNormal()
                    squares += normal * normal
                }
                scale = between * Double(freedom) / max(squares, 0.05)
            }
            let deviation = scale.squareRoot()
            let noise = blocks.map { block in
                log(max(block.resampledMean(&random), block.mean * 1e-3) / block.mean)
                    + deviation * random.nextNormal()
            }
            let shifts = operation.effects(noise)
            drawn.append(
                Unimodal.reduced(
                    zip(effects, shifts).map { $0 + $1 }, weights: weights, variance: total))
        }
        self.connections = connections
        rates = fit.map { exp($0) }
        visitCounts = weights.map { Int($0) }
        replicates = drawn
        noiseBetween = between.squareRoot()
    }

    private static let noiseDraws = 60

    /// Rates relative to the best.
    package var shares: [Double] {
        let best = rates.max() ?? 1
        return rates.map { $0 / best }
    }

    package func interval(at index: Int) -> Interval {
        Interval(rates[index], of: replicates.map { exp($0[index]) })
    }

    /// The lower bounds, each with 95 % on its side, of the rates relative to the best.
    package var lowerShares: [Double] { sharesQuantile(0.05) }

    func sharesQuantile(_ share: Double) -> [Double] {
        guard !replicates.isEmpty else { return shares }
        let tops = replicates.map { $0.max() ?? 0 }
        return connections.indices.map { index in
            quantile(zip(replicates, tops).map { exp($0[index] - $1) }.sorted(), share)
        }
    }

    /// In how many of the replicates each number of connections is the least that reaches this
    /// share of the best; adds up to 1.
    package func knees(share: Double) -> [Double] {
        var counts = Array(repeating: 0.0, count: connections.count)
        let bound = log(share)
        for replicate in replicates {
            let top = replicate.max() ?? 0
            guard let place = replicate.firstIndex(where: { $0 - top >= bound }) else { continue }
            counts[place] += 1 / Double(replicates.count)
        }
        return counts
    }

    /// The position that is most often the best where this one does not reach the share of it.
    func rival(of place: Int, share: Double) -> Int? {
        var counts = Array(repeating: 0, count: connections.count)
        for replicate in replicates {
            // Of a pool of equal values the one that was visited least: it may be the highest.
            let top = replicate.max() ?? 0
            guard replicate[place] - top < log(share) else { continue }
            let tops = replicate.indices.filter { replicate[$0] > top - 1e-12 }
            if let least = tops.min(by: { visitCounts[$0] < visitCounts[$1] }) {
                counts[least] += 1
            }
        }
        return counts.indices.filter { $0 != place && counts[$0] > 0 }
            .max { counts[$0] < counts[$1] }
    }

    /// The position of the least number of connections that reaches this share of the best.
    package func knee(share: Double) -> Int {
        shares.firstIndex { $0 >= share } ?? 0
    }
}
