/// What the core knows of one record: enough to decide when it goes and with whom, nothing of what
/// it says.
package struct Entry: Sendable, Equatable {
    package var table: TableID
    /// A hash of the ordering key. Records with equal hashes take effect in admission order and are
    /// never in two batches at once; `nil` promises no order (a row whose key the database will
    /// make).
    package var orderHash: UInt64?
    /// A hash of a second ordering key, for which the same holds.
    package var orderKeyHash: UInt64?
    /// Bytes that the record holds while it waits.
    package var byteCount: Int
    /// When its caller stops waiting.
    package var deadline: Timestamp
    package var message: MessageKey?
    /// Runs in a transaction of its own (a dry run, which is rolled back).
    package var isExclusive: Bool
    /// The database keeps what it refuses as dead letters.
    package var keepsDeadLetters: Bool
    /// Once the database has refused a record, later ones of its keys that are held already are
    /// refused too.
    package var isStrict: Bool

    package init(
        table: TableID, orderHash: UInt64?, orderKeyHash: UInt64? = nil, byteCount: Int,
        deadline: Timestamp, message: MessageKey? = nil, isExclusive: Bool = false,
        keepsDeadLetters: Bool = false, isStrict: Bool = false
    ) {
        self.table = table
        self.orderHash = orderHash
        self.orderKeyHash = orderKeyHash
        self.byteCount = byteCount
        self.deadline = deadline
        self.message = message
        self.isExclusive = isExclusive
        self.keepsDeadLetters = keepsDeadLetters
        self.isStrict = isStrict
    }
}

/// The ordering keys of a pack's records, in one list.
struct PackKeys: Sendable {
    let hashes: [UInt64]
    /// Where those of each record end; empty when each record has one, or when it is not known
    /// whose they are.
    let ends: [Int32]

    /// Of the record at `index`, two at most; `nil` when that is not known.
    func keys(of index: Int, in count: Int) -> (UInt64?, UInt64?)? {
        if hashes.isEmpty { return (nil, nil) }
        if ends.isEmpty { return hashes.count == count ? (hashes[index], nil) : nil }
        let start = index == 0 ? 0 : Int(ends[index - 1])
        let end = Int(ends[index])
        return (start < end ? hashes[start] : nil, start + 1 < end ? hashes[start + 1] : nil)
    }
}

/// Why a record was not written. None of these is the record's own fault.
package enum Refusal: Equatable, Sendable {
    /// The queue is at a bound. `retryAfter` is how long the queue needs to empty at its present
    /// pace.
    case overloaded(retryAfter: Nanoseconds)
    case databaseUnavailable(retryAfter: Nanoseconds)
    case tablePaused(retryAfter: Nanoseconds)
    case draining
    /// The caller's deadline came while the record was certainly not in a transaction.
    case deadlineExceeded
    /// Transient failures outlasted every attempt; the last one certainly rolled back.
    case retriesExhausted
    /// Sent, and whether it committed is not known.
    case outcomeUnknown
    /// The database refused an earlier record of the same key, whose table is strict about order.
    case orderBlocked
    /// The same message ID is in flight with another payload.
    case messageIDReused
    /// More members than one batch may hold, or more bytes than the queue.
    case groupTooLarge
}

/// What `submit` did with a record.
package enum Admission: Equatable, Sendable {
    case queued(Ticket)
    /// The same message is in flight already; this ticket gets the same answer.
    case joined(Ticket, to: Ticket)
    case refused(Refusal)

    package var ticket: Ticket? {
        switch self {
        case .queued(let ticket), .joined(let ticket, _): ticket
        case .refused: nil
        }
    }

    /// Whose answer a repetition gets.
    package var original: Ticket? {
        if case .joined(_, let original) = self { original } else { nil }
    }
}
