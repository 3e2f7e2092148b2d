package import WeirCore
package import WeirRecord

/// What a caller is told of one record.
package enum Fate: Sendable {
    /// A transaction that contains the record's effect has committed.
    case stored(RowResult, BatchReceipt)
    case failed(Failure)
}

/// The batch that a record was written in, as its caller may know it.
package final class BatchReceipt: Sendable {
    package let id: UUID7
    package let recordCount: Int
    package let assignedAt: Timestamp
    package let finishedAt: Timestamp
    package let databaseTime: Nanoseconds
    /// What the database had said of records that became dead letters in this batch.
    package let refusal: DatabaseError?

    package init(
        id: UUID7, recordCount: Int, assignedAt: Timestamp, finishedAt: Timestamp,
        databaseTime: Nanoseconds, refusal: DatabaseError? = nil
    ) {
        self.id = id
        self.recordCount = recordCount
        self.assignedAt = assignedAt
        self.finishedAt = finishedAt
        self.databaseTime = databaseTime
        self.refusal = refusal
    }
}

/// Why a record was not stored, or why that is not known.
package struct Failure: Error, Equatable, Sendable {
    package var code: ProblemCode
    package var detail: String
    package var sqlstate: String?
    package var constraint: String?
    package var column: String?
    package var table: String?
    package var retryAfter: Nanoseconds?
    /// Of a record that stands with the dead letters.
    package var deadLetter: DeadLetterNote?

    /// What the caller of a dead letter is told of it.
    package struct DeadLetterNote: Equatable, Sendable {
        /// `nil` where it is not known.
        package var number: Int64?
        /// Why the database refused the record, where that is known: a repetition is told no more
        /// than that it was refused.
        package var cause: ProblemCode?
        /// This message ID was told so before.
        package var isRepetition = false

        package init(number: Int64?, cause: ProblemCode?, isRepetition: Bool = false) {
            self.number = number
            self.cause = cause
            self.isRepetition = isRepetition
        }
    }

    package init(
        _ code: ProblemCode, _ detail: String, sqlstate: String? = nil, constraint: String? = nil,
        column: String? = nil, table: String? = nil, retryAfter: Nanoseconds? = nil
    ) {
        self.code = code
        self.detail = detail
        self.sqlstate = sqlstate
        self.constraint = constraint
        self.column = column
        self.table = table
        self.retryAfter = retryAfter
    }

    package init(_ defect: Defect, table: String? = nil) {
        self.init(
            defect.code, defect.detail, sqlstate: defect.sqlstate, column: defect.column,
            table: table ?? defect.table)
    }

    /// A record met no row with its key.
    init(rowMissingFor record: Record) {
        let table = record.table.publicName
        guard let column = record.lackedColumn?.name else {
            self.init(.recordNotFound, "no row has this key", table: table)
            return
        }
        self.init(
            .notNullViolation,
            "no row has this key, and a new one needs column \"\(column)\", which has no default",
            sqlstate: "23502", column: column, table: table)
    }

    /// A record that became a dead letter, now or when its message ID was first sent.
    ///
    /// - Parameter refusal: what the database said of it, where that is known.
    package init(deadLetter result: RowResult, _ refusal: DatabaseError?, table: String) {
        let number = result.deadLetter ?? result.first?.deadLetter
        var detail = "the record was refused, and is kept"
        if let number { detail += " as dead letter \(number)" }
        if let refusal { detail += ": \(refusal.message)" }
        self.init(
            .deadLettered, detail, sqlstate: refusal?.sqlstate, constraint: refusal?.constraint,
            column: refusal?.column, table: table)
        deadLetter = DeadLetterNote(
            number: number, cause: refusal?.code, isRepetition: result.first != nil)
    }

    /// - Parameter table: the record's, as callers name it; PostgreSQL may name a partition.
    package init(_ error: DatabaseError, table: String) {
        self.init(
            error.code, error.message, sqlstate: error.sqlstate, constraint: error.constraint,
            column: error.column, table: table)
    }

    package init(_ refusal: Refusal, table: String) {
        switch refusal {
        case .overloaded(let wait):
            self.init(
                .overloaded, "the queue is full; nothing was written", table: table,
                retryAfter: wait)
        case .databaseUnavailable(let wait):
            self.init(
                .databaseUnavailable, "no connection to the database; nothing was written",
                table: table,
                retryAfter: wait)
        case .tablePaused(let wait):
            self.init(
                .tablePaused,
                "table \(table) is missing, has changed, may not be written by this role, "
                    + "or refuses too many records; "
                    + "nothing was written",
                table: table, retryAfter: wait)
        case .draining:
            self.init(
                .draining, "this instance is shutting down; nothing was written", table: table,
                retryAfter: .seconds(1))
        case .deadlineExceeded:
            self.init(
                .deadlineExceeded, "the record waited too long; it was not written", table: table)
        case .retriesExhausted:
            self.init(
                .retriesExhausted, "every attempt was rolled back; nothing was written",
                table: table,
                retryAfter: .seconds(1))
        case .outcomeUnknown:
            self.init(
                .outcomeUnknown, "the record was sent, and whether it committed is not known",
                table: table)
        case .orderBlocked:
            self.init(
                .orderBlocked, "an earlier record of the same key was refused; nothing was written",
                table: table, retryAfter: .seconds(1))
        case .messageIDReused:
            self.init(
                .messageIDReused, "this message ID was sent before with another payload",
                table: table)
        case .groupTooLarge:
            self.init(
                .invalidRequest, "a group has more members than a batch may hold", table: table)
        }
    }
}
