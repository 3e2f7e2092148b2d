/// The Universal Scalability Law, as a diagnosis of why a curve bends:
/// `X(N) = λN / (1 + σ(N-1) + κN(N-1))` (N. Gunther, "A General Theory of Computational Scalability
/// Based on Rational Functions", 2008). It cannot represent a rise to a hard ceiling, so its peak
/// is no recommendation, and is never told.
package struct Scalability: Sendable, Equatable {
    /// Of one connection alone, per second.
    package var lambda: Double
    /// Contention: the share that only one can do at a time.
    package var sigma: Double
    /// Coherency: what each pair of connections costs each other.
    package var kappa: Double

    /// Least squares of relative errors with σ, κ ≥ 0.
    ///
    /// N/X is linear in 1/λ, σ/λ and κ/λ. Of three coefficients that may not be negative, the
    /// best are those of the best of the eight subsets with nothing negative: tried one by one, the
    /// result is exact and needs no starting point.
    ///
    /// - Returns: `nil` with fewer than four points: three coefficients would fit any three.
    package init?(_ points: [(connections: Int, rate: Double)]) {
        guard points.count >= 4, points.allSatisfy({ $0.rate > 0 }) else { return nil }
        let rows = points.map { point -> [Double] in
            let n = Double(point.connections)
            let weight = point.rate / n
            return [weight, (n - 1) * weight, n * (n - 1) * weight]
        }
        var best: (error: Double, coefficients: [Double])?
        for subset in 1..<8 {
            let chosen = (0..<3).filter { subset >> $0 & 1 == 1 }
            let design = rows.map { row in chosen.map { row[$0] } }
            guard
                let found = LeastSquares.solve(
                    design, Array(repeating: 1, count: rows.count)),
                found.allSatisfy({ $0 >= 0 })
            else { continue }
            var coefficients = [0.0, 0.0, 0.0]
            for (place, value) in zip(chosen, found) { coefficients[place] = value }
            let error = rows.reduce(0.0) { sum, row in
                let rest = 1 - zip(row, coefficients).reduce(0) { $0 + $1.0 * $1.1 }
                return sum + rest * rest
            }
            if error < best?.error ?? .infinity { best = (error, coefficients) }
        }
        guard let coefficients = best?.coefficients, coefficients[0] > 0 else { return nil }
        lambda = 1 / coefficients[0]
        sigma = coefficients[1] / coefficients[0]
        kappa = coefficients[2] / coefficients[0]
    }

    package init(lambda: Double, sigma: Double, kappa: Double) {
        self.lambda = lambda
        self.sigma = sigma
        self.kappa = kappa
    }

    package func rate(connections: Int) -> Double {
        let n = Double(connections)
        return lambda * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))
    }
}
