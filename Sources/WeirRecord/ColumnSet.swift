/// A set of a table's columns: which ones a record names. Up to 64 columns it is one word.
package struct ColumnSet: Hashable, Sendable {
    private var low: UInt64 = 0
    private var high: [UInt64] = []

    package init() {}

    package var isEmpty: Bool { low == 0 && high.allSatisfy { $0 == 0 } }

    package func contains(_ column: Int) -> Bool {
        if column < 64 { return low & (1 << UInt64(column)) != 0 }
        let word = column / 64 - 1
        return word < high.count && high[word] & (1 << UInt64(column % 64)) != 0
    }

    package func isSubset(of other: ColumnSet) -> Bool {
        guard low & ~other.low == 0 else { return false }
        for (index, word) in high.enumerated() {
            let theirs = index < other.high.count ? other.high[index] : 0
            if word & ~theirs != 0 { return false }
        }
        return true
    }

    /// False when the column was in the set already.
    package mutating func insert(_ column: Int) -> Bool {
        if contains(column) { return false }
        if column < 64 {
            low |= 1 << UInt64(column)
        } else {
            let word = column / 64 - 1
            while high.count <= word { high.append(0) }
            high[word] |= 1 << UInt64(column % 64)
        }
        return true
    }
}
