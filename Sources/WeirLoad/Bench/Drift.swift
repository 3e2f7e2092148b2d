import WeirCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Whether the database stayed what it was: one cell, visited at the beginning, in the middle and
/// at the end.
package struct Drift: Sendable {
    /// The fastest visit relative to the slowest, less one.
    package let change: Double
    /// Whether that is more than a tenth, and with 95 % certainty more than half of one; or more
    /// than anybody would call noise.
    package let isUnstable: Bool

    static let changeMax = 0.1
    /// No noise excuses more than that.
    static let changeMost = 0.3

    /// - Parameter noise: standard deviation between visits to one cell, relative.
    package init(_ anchors: [Visit], noise: Double, seed: UInt64) {
        let anchors = anchors.filter { $0.rate > 0 }
        guard let low = anchors.min(by: { $0.rate < $1.rate }),
            let high = anchors.max(by: { $0.rate < $1.rate }), anchors.count > 1
        else {
            (change, isUnstable) = (0, false)
            return
        }
        var random = SplitMix64(seed: seed)
        var variance = 2 * noise * noise
        for visit in [low, high] {
            let blocks = visit.blocks
            var squares = 0.0
            for _ in 0..<100 {
                let drawn = log(max(blocks.resampledMean(&random), 1e-9) / blocks.mean)
                squares += drawn * drawn
            }
            // At least that of as many batches that do not depend on each other.
            let deviation = visit.batchMean > 0 ? visit.batchDeviation / visit.batchMean : 0
            let least = deviation * deviation / Double(max(visit.commits, 1))
            variance += max(squares / 100, least)
        }
        change = high.rate / low.rate - 1
        // 2.13: one-sided 95 % for the largest of three differences (Bonferroni: 1.67 % each).
        isUnstable =
            change > Self.changeMost
            || change > Self.changeMax
                && log(high.rate / low.rate)
                    > log(1 + Self.changeMax / 2) + 2.13 * variance.squareRoot()
    }
}
