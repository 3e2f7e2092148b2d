package import WeirCore
package import WeirRecord

/// A batch as a writer gets it.
package struct WriteBatch: Sendable {
    /// Names this attempt, in answers (`bat_…`) and in the database.
    package let id: UUID7
    package let number: BatchNumber
    package let attempt: Int
    package let work: BatchWork
    /// In admission order.
    package let records: [Record]
    /// Members of each atomic group, as ranges of `records`.
    package let groups: [Range<Int>]
    /// One record per statement, so that a failure names its record.
    package let isIsolated: Bool
    /// The message of each record that carries one, by position; empty when none does.
    package let messages: [MessageKey?]
    /// What is to be resolved.
    package let unresolved: Unresolved?
    /// Why the records become dead letters.
    package let refusal: DatabaseError?

    package init(
        id: UUID7, number: BatchNumber, attempt: Int, work: BatchWork = .write, records: [Record],
        groups: [Range<Int>] = [], isIsolated: Bool = false, messages: [MessageKey?] = [],
        unresolved: Unresolved? = nil, refusal: DatabaseError? = nil
    ) {
        self.id = id
        self.number = number
        self.attempt = attempt
        self.work = work
        self.records = records
        self.groups = groups
        self.isIsolated = isIsolated
        self.messages = messages
        self.unresolved = unresolved
        self.refusal = refusal
    }
}

/// An attempt whose COMMIT was sent and not answered.
package struct Unresolved: Sendable {
    /// The attempt's.
    package var id: UUID7
    /// By position: what its records are told if it turns out to have committed.
    package var results: [RowResult]
    /// How often message IDs had been forgotten when its marker was written: two times later there
    /// is no trace of it.
    package var generation: Int64

    package init(id: UUID7, results: [RowResult], generation: Int64 = 0) {
        self.id = id
        self.results = results
        self.generation = generation
    }
}

/// What a committed write did to its row.
package enum RowEffect: Int, CaseIterable, Sendable {
    case inserted
    case updated
    case deleted
    /// The row exists and the record names nothing to change.
    case unchanged
    /// The row existed and the record said to leave it then.
    case ignored
    /// No row has the record's key.
    case notFound
    /// The message ID committed before; nothing was applied now.
    case replayed
    /// The message ID committed before with another payload; nothing was applied now.
    case messageIDReused
    /// The record can never be applied, and stands with the dead letters.
    case deadLettered

    /// Whether a caller may be told it; the others are told as failures.
    package var isTold: Bool { self != .notFound && self != .messageIDReused }

    /// As it stands in an answer's `result`.
    package var name: String {
        switch self {
        case .inserted: "inserted"
        case .updated: "updated"
        case .deleted: "deleted"
        case .unchanged: "unchanged"
        case .ignored: "ignored"
        case .notFound: "not_found"
        case .replayed: "replayed"
        case .messageIDReused: "rejected"
        case .deadLettered: "dead_lettered"
        }
    }
}

/// What the database says of one record of a committed batch. Nearly always it says no more than
/// the effect, and there is one for each record of a batch: the rest is in an object of its own.
package struct RowResult: Sendable {
    package var effect: RowEffect
    private var details: Details?

    private final class Details: Sendable {
        let key: [UInt8]?
        let row: [UInt8]?
        let first: FirstResult?
        let deadLetter: Int64?

        init(key: [UInt8]?, row: [UInt8]?, first: FirstResult?, deadLetter: Int64?) {
            self.key = key
            self.row = row
            self.first = first
            self.deadLetter = deadLetter
        }
    }

    package init(
        _ effect: RowEffect, key: [UInt8]? = nil, row: [UInt8]? = nil, first: FirstResult? = nil,
        deadLetter: Int64? = nil
    ) {
        self.effect = effect
        guard key != nil || row != nil || first != nil || deadLetter != nil else { return }
        details = Details(key: key, row: row, first: first, deadLetter: deadLetter)
    }

    /// The key that the database made, as a JSON object.
    package var key: [UInt8]? { details?.key }
    /// The row after the write, as a JSON object, if the caller asked for it.
    package var row: [UInt8]? { details?.row }
    /// For `replayed`: what the message was told when it committed.
    package var first: FirstResult? { details?.first }
    /// For `deadLettered`, and for a repetition of one: the dead letter's number.
    package var deadLetter: Int64? { details?.deadLetter }
}

/// What a message came to when it committed.
package struct FirstResult: Sendable, Equatable {
    package var effect: RowEffect
    /// The attempt that committed it; its time stands in it.
    package var batchID: UUID7
    /// The key that the database made, as a JSON object.
    package var key: [UInt8]?
    package var deadLetter: Int64?

    package init(
        effect: RowEffect, batchID: UUID7, key: [UInt8]? = nil, deadLetter: Int64? = nil
    ) {
        self.effect = effect
        self.batchID = batchID
        self.key = key
        self.deadLetter = deadLetter
    }
}

/// An error of the database, without what might carry row data beyond the record's own.
package struct DatabaseError: Error, Equatable, Sendable {
    package var code: ProblemCode
    package var sqlstate: String
    /// PostgreSQL's primary message. It may quote a value of the record that failed: for its
    /// caller, not for logs.
    package var message: String
    package var constraint: String?
    package var column: String?
    package var table: String?

    package init(
        code: ProblemCode, sqlstate: String, message: String, constraint: String? = nil,
        column: String? = nil, table: String? = nil
    ) {
        self.code = code
        self.sqlstate = sqlstate
        self.message = message
        self.constraint = constraint
        self.column = column
        self.table = table
    }
}

/// How an attempt ended.
package struct BatchReport: Sendable {
    package var outcome: BatchOutcome
    /// By position, when the outcome is `committed`.
    package var results: [RowResult] = []
    package var error: DatabaseError?
    /// With the outcome `unknown`: what is to be found out, unless nobody can. With `committed`:
    /// what would have to be, should the connection turn out to lead to a server that has been
    /// replaced.
    package var unresolved: Unresolved?
    /// The position of the record that the error seems to speak of: a guess, to be tried alone
    /// first, never to be judged by.
    package var suspect: Int?
    /// Whether the writer can take another batch at once.
    package var isConnected = true
    package var statementCount = 0
    /// From the first byte sent to the last one read.
    package var databaseTime = Nanoseconds.zero

    package init(_ outcome: BatchOutcome) {
        self.outcome = outcome
    }

    /// Of an inquiry: what became of the attempt that it asked about, if that is certain. A writer
    /// that lost its connection on the way can only say that it committed.
    var finding: Finding? {
        switch outcome {
        case .committed: .committed
        case .transient where isConnected: .lost
        case .unknown where isConnected && unresolved == nil: .forgotten
        default: nil
        }
    }
}
