import WeirCore

/// What a batch costs: a fixed part and a part for each row, `S = F + m·rows`.
package struct CostModel: Sendable, Equatable {
    /// Of a batch, in seconds.
    package var fixed: Double
    /// Of a row, in seconds.
    package var perRow: Double

    package init(fixed: Double, perRow: Double) {
        self.fixed = fixed
        self.perRow = perRow
    }

    /// Least squares of relative errors: batches from 1 to thousands of rows count alike, where
    /// plain least squares would see the largest only. Neither part is negative.
    ///
    /// - Returns: `nil` without two different sizes.
    package init?(_ points: [(rows: Double, seconds: Double)]) {
        // Σ ((S - F - m·rows)/S)²: with u = 1/S and v = rows/S, 1 = F·u + m·v.
        var (uu, uv, vv, u, v) = (0.0, 0.0, 0.0, 0.0, 0.0)
        for point in points where point.seconds > 0 {
            let (one, rows) = (1 / point.seconds, point.rows / point.seconds)
            uu += one * one
            uv += one * rows
            vv += rows * rows
            u += one
            v += rows
        }
        let determinant = uu * vv - uv * uv
        guard determinant > uu * vv * 1e-9 else { return nil }
        fixed = (u * vv - v * uv) / determinant
        perRow = (v * uu - u * uv) / determinant
        if fixed < 0 { (fixed, perRow) = (0, v / vv) }
        if perRow < 0 { (fixed, perRow) = (u / uu, 0) }
    }

    package func seconds(rows: Double) -> Double { fixed + perRow * rows }

    /// How many rows make the fixed part this share of the batch: 9·F/m for a tenth.
    package func rows(whereFixedIs share: Double) -> Double {
        perRow > 0 ? (1 / share - 1) * fixed / perRow : .infinity
    }

    /// The most rows with which a batch takes no longer than this.
    package func rows(within seconds: Double) -> Double {
        guard perRow > 0 else { return seconds >= fixed ? .infinity : 0 }
        return max(0, (seconds - fixed) / perRow)
    }

    /// The greatest relative error of the points.
    package func worstError(_ points: [(rows: Double, seconds: Double)]) -> Double {
        points.map { abs(seconds(rows: $0.rows) / $0.seconds - 1) }.max() ?? 0
    }

    /// The models of resampled commits: neighbours on a connection go together, since they share
    /// what slowed them.
    static func resampled(
        _ log: CommitLog, from start: Int64, count: Int, _ random: inout SplitMix64
    ) -> [CostModel] {
        let blocks = log.connections.flatMap { commits -> [ArraySlice<Commit>] in
            let settled = commits.drop { $0.ended <= start }
            return stride(from: settled.startIndex, to: settled.endIndex, by: blockLength).map {
                settled[$0..<min($0 + blockLength, settled.endIndex)]
            }
        }
        guard !blocks.isEmpty else { return [] }
        return (0..<count).compactMap { _ in
            var points: [(rows: Double, seconds: Double)] = []
            for _ in blocks.indices {
                let block = blocks[Int(random.next(upperBound: UInt64(blocks.count)))]
                for commit in block { points.append((Double(commit.rows), commit.seconds)) }
            }
            return CostModel(points)
        }
    }

    private static let blockLength = 10
}
