import WeirRecord

/// The statements that one connection has prepared, by shape. The least recently used one is
/// forgotten when there are too many; the server is told to forget it too. Only what one batch
/// needs may be more.
struct StatementCache {
    final class Entry {
        let name: String
        let singleName: String
        let statement: WriteStatement
        /// The server has said that it knows the statement.
        var isPrepared = false
        /// The same for the statement's form for one record.
        var isSinglePrepared = false
        /// A record of this shape has been alone before: the next one is likely to be.
        var hasBeenAlone = false
        var lastUse: UInt64

        init(name: String, statement: WriteStatement, lastUse: UInt64) {
            self.name = name
            singleName = name + "_single"
            self.statement = statement
            self.lastUse = lastUse
        }
    }

    /// A table with 64 shapes in use takes 64 of these for each operation.
    static let countMax = 512

    /// Memory for the values of a statement for one record.
    let values = ParameterList()

    private var entries: [WriteStatement.Shape: Entry] = [:]
    /// Names that the server still knows and nobody will use.
    private var orphans: [String] = []
    /// Of the entries, how many have their form for one record at the server.
    private var singleCount = 0
    private var useCount: UInt64 = 0
    /// What was used since belongs to the batch under way, which may need it again.
    private var batchStart: UInt64 = 0
    private var nameCount = 0
    /// Versions of tables that the server takes no COPY for.
    private var withoutCopy: Set<Int> = []

    /// A batch begins: until the next one does, what it uses is kept, however much that is.
    mutating func beginBatch() { batchStart = useCount }

    /// The statement for `shape`, made if need be.
    mutating func entry(_ shape: WriteStatement.Shape, _ table: TableSchema) -> Entry {
        useCount += 1
        if let known = entries[shape] {
            known.lastUse = useCount
            return known
        }
        while entries.count + singleCount >= Self.countMax,
            let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse }),
            oldest.value.lastUse <= batchStart
        {
            forget(oldest.key)
        }
        nameCount += 1
        let entry = Entry(
            name: "weir_\(nameCount)", statement: WriteStatement(shape, table: table),
            lastUse: useCount)
        entries[shape] = entry
        return entry
    }

    mutating func markPrepared(_ shape: WriteStatement.Shape) {
        entries[shape]?.isPrepared = true
    }

    mutating func markSinglePrepared(_ shape: WriteStatement.Shape) {
        guard entries[shape]?.isSinglePrepared == false else { return }
        entries[shape]?.isSinglePrepared = true
        singleCount += 1
    }

    mutating func markAlone(_ shape: WriteStatement.Shape) {
        entries[shape]?.hasBeenAlone = true
    }

    /// The statement may be wrong by now: it is prepared anew when it is used again.
    mutating func forget(_ shape: WriteStatement.Shape) {
        guard let entry = entries.removeValue(forKey: shape) else { return }
        if entry.isPrepared { orphans.append(entry.name) }
        if entry.isSinglePrepared {
            orphans.append(entry.singleName)
            singleCount -= 1
        }
    }

    /// The name of a statement that the server should forget.
    mutating func popOrphan() -> String? { orphans.popLast() }

    func takesCopy(_ table: TableSchema) -> Bool { !withoutCopy.contains(table.version) }

    /// Row-level security, say: docs/decisions/0005-unnest-and-copy.md.
    mutating func giveUpCopy(_ table: TableSchema) { withoutCopy.insert(table.version) }

    /// The connection is another one: nothing is prepared on it.
    mutating func removeAll() {
        withoutCopy = []
        entries = [:]
        singleCount = 0
        orphans = []
    }
}
