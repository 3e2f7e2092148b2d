import WeirTesting

/// What one model server's committed transactions come to, kept up to date as they commit, and what
/// of it must not be: the oracles that need no answer of a gateway. Messages are known by number.
struct Truth {
    struct Place: Comparable {
        /// The transaction's place among those that committed, and the row's in it.
        let transaction: Int
        let row: Int

        static func < (left: Place, right: Place) -> Bool {
            left.transaction != right.transaction
                ? left.transaction < right.transaction : left.row < right.row
        }
    }

    struct Entry {
        let attempt: Int
        let outcome: Int
        let transaction: Int
    }

    /// By attempt: the transaction that has its marker, and -1 for a fence.
    private(set) var markers: [Int: Int] = [:]
    /// By message: where its row was written, in the tables that are only added to.
    private(set) var rows: [Int: Place] = [:]
    /// By message ID: its entry, which stays here when the server forgets it.
    private(set) var entries: [Int: Entry] = [:]
    /// By message: its dead letter, by transaction.
    private(set) var letters: [Int: Int] = [:]
    /// By message: the transaction that wrote it to the table with a primary key.
    private(set) var changes: [Int: Int] = [:]
    /// Entries that were forgotten and written again may be seen twice.
    private(set) var rotations = 0
    private(set) var readCount = 0
    private var isPrimary = true
    private(set) var failure: String?

    /// Reads transactions that have committed since.
    ///
    /// - Parameters:
    ///   - isPrimary: false where another server has taken over since. Of a message without an ID
    ///     that one is asked, and the gateways that are still here cannot know what it said: what
    ///     they write once more is lost with all that the old server still commits.
    ///   - about: the message with this number.
    mutating func catchUp(
        with server: ModelServer, isPrimary: Bool, _ about: (Int) -> Message?
    ) {
        self.isPrimary = isPrimary
        let committed = server.committed
        while readCount < committed.count {
            read(server.rows(writtenBy: committed[readCount]), readCount, about)
            readCount += 1
        }
    }

    private mutating func read(
        _ written: [ModelServer.WrittenRow], _ number: Int,
        _ about: (Int) -> Message?
    ) {
        var applied: [Int] = []
        var entered: [(id: Int, outcome: Int)] = []
        var kept: [Int] = []
        var hasMarker = false
        for (index, row) in written.enumerated() where !row.isGone {
            let values = row.values
            switch row.table {
            case Half.a.attempts, Half.b.attempts:
                hasMarker = hasMarker || values[1] == 0
                if values[1] == 0, markers[values[0]] == -1 {
                    fail("UNKNOWN: attempt \(values[0]) committed behind its fence")
                }
                if markers[values[0]] == nil { markers[values[0]] = values[1] == 0 ? number : -1 }
            case Half.a.messages, Half.b.messages:
                if entries[values[0]] != nil {
                    fail("TWICE: message ID \(values[0]) is entered twice")
                }
                entered.append((values[0], values[Relation.entryOutcome]))
                entries[values[0]] = Entry(
                    attempt: values[Relation.entryAttempt],
                    outcome: values[Relation.entryOutcome], transaction: number)
            case .generation: rotations += 1
            case .deadLetters: kept.append(values[0])
            default:
                guard let table = WorldTable(row.table) else { continue }
                let message = values[table.messageColumn]
                guard let sent = about(message) else {
                    fail("GHOST: nobody sent message \(message)")
                    continue
                }
                if sent.isBad { fail("ABORTED: message \(message) is bad and is in \(table)") }
                if table.isAppendOnly && sent.row != values {
                    fail("GHOST: message \(message) has other values in \(table)")
                }
                applied.append(message)
                if table.isAppendOnly {
                    if rows[message] != nil && (isPrimary || sent.id != nil) {
                        fail("TWICE: message \(message) is in \(table)")
                    }
                    rows[message] = Place(transaction: number, row: index)
                } else {
                    changes[message] = number
                }
            }
        }
        for message in applied {
            if letters[message] != nil { fail("DEAD: message \(message) is kept and applied") }
            guard let id = about(message)?.id else { continue }
            if !entered.contains(where: { $0.id == id && $0.outcome != RowOutcome.deadLetter }) {
                fail("ATOMIC: message \(message) has a row and no entry of its transaction")
            }
        }
        if !(applied.isEmpty && kept.isEmpty && entered.isEmpty) && !hasMarker {
            fail("ATOMIC: a batch has no marker")
        }
        keep(kept, entered, number, about)
    }

    private mutating func keep(
        _ kept: [Int], _ entered: [(id: Int, outcome: Int)], _ number: Int,
        _ about: (Int) -> Message?
    ) {
        for message in kept {
            if letters[message] != nil { fail("DEAD: message \(message) is kept twice") }
            if rows[message] != nil { fail("DEAD: message \(message) is applied and kept") }
            if about(message)?.isBad != true {
                fail("DEAD: message \(message) is kept and is not bad")
            }
            letters[message] = number
            guard let id = about(message)?.id else { continue }
            if !entered.contains(where: { $0.id == id && $0.outcome == RowOutcome.deadLetter }) {
                fail("ATOMIC: message \(message) is kept and has no entry of its transaction")
            }
        }
        for (id, outcome) in entered where outcome == RowOutcome.deadLetter {
            if !kept.contains(where: { about($0)?.id == id }) {
                fail("ATOMIC: message ID \(id) has the entry of a dead letter and none is there")
            }
        }
    }

    private mutating func fail(_ text: String) {
        if failure == nil { failure = text }
    }
}

enum RowOutcome {
    static let deadLetter = 100
}
