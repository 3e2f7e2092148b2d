/// Tables that somebody else has locked: an attempt waited there for as long as it may, and nothing
/// has committed there since. Their records are kept out of other records' batches.
struct TableLocks: Sendable {
    private struct Lock {
        let table: TableID
        var until: Timestamp
    }

    /// A lock that nobody has met for so long is not believed in any more.
    private static let spell = Nanoseconds.seconds(60)

    private var locks: [Lock] = []

    var isEmpty: Bool { locks.isEmpty }

    mutating func met(_ table: TableID, now: Timestamp) {
        locks.removeAll { $0.table == table || $0.until <= now }
        locks.append(Lock(table: table, until: now + Self.spell))
    }

    mutating func committed(_ table: TableID) {
        guard !locks.isEmpty else { return }
        locks.removeAll { $0.table == table }
    }

    func isLocked(_ table: TableID, now: Timestamp) -> Bool {
        locks.contains { $0.table == table && $0.until > now }
    }
}
