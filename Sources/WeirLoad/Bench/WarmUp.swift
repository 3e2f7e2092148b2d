/// Where a series has settled.
package enum WarmUp {
    /// How many of the leading values are to be discarded: MSER-5, the truncation that minimises
    /// the standard error of what is left, on means of five (K. P. White, "An effective truncation
    /// heuristic for bias reduction in simulation output", Simulation 69, 1997; with batches of
    /// five: K. P. White, M. Cobb, S. Spratt, WSC 2000). Never more than half, and none unless that
    /// halves the error: of few values some always look better than all.
    package static func cut(_ values: [Double], batch: Int = 5) -> Int {
        let means = stride(from: 0, to: values.count - values.count % batch, by: batch).map {
            values[$0..<($0 + batch)].reduce(0, +) / Double(batch)
        }
        guard means.count >= 4 else { return 0 }
        var (best, bestError, wholeError) = (0, Double.infinity, Double.infinity)
        for first in 0...(means.count / 2) {
            let rest = means[first...]
            let count = Double(rest.count)
            let mean = rest.reduce(0, +) / count
            let squares = rest.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
            let error = squares / (count * count)
            if first == 0 { wholeError = error }
            if error < bestError { (best, bestError) = (first, error) }
        }
        return bestError < wholeError / 2 ? best * batch : 0
    }
}
