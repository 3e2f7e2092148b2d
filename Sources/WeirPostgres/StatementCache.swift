import WeirRecord

/// The statements that one connection has prepared, by shape. The least recently used one is
/// forgotten when there are too many; the server is told to forget it too.
struct StatementCache {
    struct Entry {
        let name: String
        let statement: WriteStatement
        var isPrepared: Bool
        var lastUse: UInt64
    }

    /// A table with 64 shapes in use takes 64 of these for each operation.
    static let countMax = 512

    private var entries: [WriteStatement.Shape: Entry] = [:]
    private var useCount: UInt64 = 0
    private var nameCount = 0

    /// The statement for `shape`, made if need be, and the name of one to be deallocated for it.
    mutating func entry(
        _ shape: WriteStatement.Shape, _ table: TableSchema
    ) -> (entry: Entry, evicted: String?) {
        useCount += 1
        if var known = entries[shape] {
            known.lastUse = useCount
            entries[shape] = known
            return (known, nil)
        }
        var evicted: String?
        if entries.count >= Self.countMax,
            let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse })
        {
            entries[oldest.key] = nil
            if oldest.value.isPrepared { evicted = oldest.value.name }
        }
        nameCount += 1
        let entry = Entry(
            name: "weir_\(nameCount)", statement: WriteStatement(shape, table: table),
            isPrepared: false,
            lastUse: useCount)
        entries[shape] = entry
        return (entry, evicted)
    }

    mutating func markPrepared(_ shape: WriteStatement.Shape) {
        entries[shape]?.isPrepared = true
    }

    /// The server may have forgotten them, or they may be wrong: all are prepared anew, by new
    /// names.
    mutating func removeAll() {
        entries = [:]
    }
}
