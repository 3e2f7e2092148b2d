#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Tells what the number of connections does to the throughput from what the time of a visit does.
///
/// log X = (effect of the number of connections) + (effect of the block of visits that were made
/// together) + noise. What slows a whole block leaves differences inside it alone. Blocks are
/// random effects: where they differ little, visits of different blocks are compared as well
/// (F. Yates, "The recovery of inter-block information in balanced incomplete block designs",
/// Annals of Eugenics 10, 1940). How much they differ is estimated by restricted maximum likelihood
/// (H. Patterson, R. Thompson, Biometrika 58, 1971), from a few ratios of the two variances.
struct BlockModel {
    /// For each visit what one unit of its value adds to each effect. The map is linear, and the
    /// same for the measurement and every replicate.
    private let rows: [[Double]]
    private let effectCount: Int
    /// Of the noise of a visit; `nil` where nothing is left to estimate it from.
    let variance: Double?
    /// Degrees of freedom of that.
    let freedom: Int

    private static let ratios = [0, 0.1, 0.3, 1, 3, 10, 100]

    init(_ visits: [Visit], _ connections: [Int], _ values: [Double]) {
        let places = visits.map { visit in
            connections.firstIndex(of: visit.cell.connections) ?? 0
        }
        let names = Set(visits.compactMap(\.block)).sorted()
        let blocks = visits.map { visit in names.firstIndex { $0 == visit.block } ?? 0 }
        let count = connections.count
        var best: (likelihood: Double, fit: Fit)?
        for ratio in Self.ratios {
            guard let fit = Fit(places, blocks, count, ratio: ratio, values) else { continue }
            if fit.likelihood > best?.likelihood ?? -.infinity { best = (fit.likelihood, fit) }
        }
        effectCount = count
        freedom = visits.count - count
        rows = best?.fit.rows ?? visits.map { _ in Array(repeating: 0, count: count) }
        variance = freedom > 0 ? best?.fit.variance : nil
    }

    func effects(_ values: [Double]) -> [Double] {
        var effects = Array(repeating: 0.0, count: effectCount)
        for (row, value) in zip(rows, values) {
            for place in 0..<effectCount { effects[place] += row[place] * value }
        }
        return effects
    }

    /// Generalised least squares for one ratio of the variances, V = 1 + ratio·(same block).
    private struct Fit {
        var rows: [[Double]] = []
        var variance = 0.0
        var likelihood = -Double.infinity

        init?(
            _ places: [Int], _ blocks: [Int], _ count: Int, ratio: Double, _ values: [Double]
        ) {
            let blockCount = (blocks.max() ?? 0) + 1
            var sizes = Array(repeating: 0.0, count: blockCount)
            for block in blocks { sizes[block] += 1 }
            // V⁻¹ of a block of n is 1 - ratio/(1 + ratio·n) in every place.
            let pulls = sizes.map { ratio / (1 + ratio * $0) }
            var inside = Array(repeating: Array(repeating: 0.0, count: count), count: blockCount)
            for (place, block) in zip(places, blocks) { inside[block][place] += 1 }
            var matrix = Array(repeating: Array(repeating: 0.0, count: count), count: count)
            for place in places { matrix[place][place] += 1 }
            for block in 0..<blockCount {
                for i in 0..<count where inside[block][i] > 0 {
                    for j in 0..<count {
                        matrix[i][j] -= pulls[block] * inside[block][i] * inside[block][j]
                    }
                }
            }
            guard let (inverse, determinant) = LeastSquares.inverse(matrix) else { return nil }
            for (place, block) in zip(places, blocks) {
                var right = inside[block].map { -pulls[block] * $0 }
                right[place] += 1
                rows.append(inverse.map { row in zip(row, right).reduce(0) { $0 + $1.0 * $1.1 } })
            }
            var effects = Array(repeating: 0.0, count: count)
            for (row, value) in zip(rows, values) {
                for place in 0..<count { effects[place] += row[place] * value }
            }
            var squares = 0.0
            var sums = Array(repeating: 0.0, count: blockCount)
            for index in values.indices {
                let rest = values[index] - effects[places[index]]
                squares += rest * rest
                sums[blocks[index]] += rest
            }
            for block in 0..<blockCount { squares -= pulls[block] * sums[block] * sums[block] }
            let freedom = values.count - count
            guard freedom > 0 else {
                likelihood = -ratio
                return
            }
            variance = max(squares, 0) / Double(freedom)
            likelihood =
                -0.5
                * (Double(freedom) * log(max(variance, 1e-12))
                    + sizes.reduce(0) { $0 + log(1 + ratio * $1) } + log(max(determinant, 1e-12)))
        }
    }
}
