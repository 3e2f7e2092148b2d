package import WeirCore
package import WeirRecord

/// A batch as a writer gets it.
package struct WriteBatch: Sendable {
    package let number: BatchNumber
    package let attempt: Int
    /// In admission order.
    package let records: [Record]
    /// Members of each atomic group, as ranges of `records`.
    package let groups: [Range<Int>]
    /// One record per statement, so that a failure names its record.
    package let isIsolated: Bool

    package init(
        number: BatchNumber, attempt: Int, records: [Record], groups: [Range<Int>] = [],
        isIsolated: Bool = false
    ) {
        self.number = number
        self.attempt = attempt
        self.records = records
        self.groups = groups
        self.isIsolated = isIsolated
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

    /// As it stands in an answer's `result`.
    package var name: String {
        switch self {
        case .inserted: "inserted"
        case .updated: "updated"
        case .deleted: "deleted"
        case .unchanged: "unchanged"
        case .ignored: "ignored"
        case .notFound: "not_found"
        }
    }
}

/// What the database says of one record of a committed batch.
package struct RowResult: Sendable {
    package var effect: RowEffect
    /// The key that the database made, as a JSON object.
    package var key: [UInt8]?
    /// The row after the write, as a JSON object, if the caller asked for it.
    package var row: [UInt8]?

    package init(_ effect: RowEffect, key: [UInt8]? = nil, row: [UInt8]? = nil) {
        self.effect = effect
        self.key = key
        self.row = row
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
    /// Whether the writer can take another batch at once.
    package var isConnected = true
    package var statementCount = 0
    /// From the first byte sent to the last one read.
    package var databaseTime = Nanoseconds.zero

    package init(_ outcome: BatchOutcome) {
        self.outcome = outcome
    }
}
