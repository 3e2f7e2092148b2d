/// The numbers that a benchmark tells apart: neighbours differ by about a quarter, which is about
/// what a minute of measuring can see.
package enum Ladder {
    static let connectionsMax = 256
    private static let connections = [
        1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256,
    ]
    private static let rows = [
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000,
    ]

    /// Every number of connections that can be recommended, the ceiling itself among them.
    package static func connections(upTo most: Int) -> [Int] {
        connections.filter { $0 < most } + [most]
    }

    /// Where the sweep looks first: powers of two and the ceiling.
    static func coarse(upTo most: Int) -> [Int] {
        connections.filter { $0 < most && $0 & ($0 - 1) == 0 } + [most]
    }

    /// The numbers strictly between two others.
    static func between(_ low: Int, _ high: Int, upTo most: Int) -> [Int] {
        connections(upTo: most).filter { $0 > low && $0 < high }
    }

    /// How many steps two numbers of connections are apart.
    package static func steps(from: Int, to: Int, upTo most: Int) -> Int {
        let (low, high) = (min(from, to), max(from, to))
        return low == high ? 0 : between(low, high, upTo: most).count + 1
    }

    /// The least round number of rows that is not below this.
    package static func roundedUp(rows wanted: Double) -> Int {
        rows.first { Double($0) >= wanted * 0.999 } ?? rows[rows.count - 1]
    }

    /// The greatest round number of rows that is not above this; 1 where there is none.
    package static func roundedDown(rows wanted: Double) -> Int {
        rows.last { Double($0) <= wanted * 1.001 } ?? 1
    }

    /// How many steps of 1, 2, 5 two numbers of rows are apart.
    package static func rowSteps(from: Int, to: Int) -> Int {
        let (low, high) = (min(from, to), max(from, to))
        return rows.count { $0 > low && $0 <= high }
    }
}
