/// Every way in which the gateway says no. The raw value is the `code` of a problem document and
/// the last part of its `type`; both are part of the published contract.
package enum ProblemCode: String, CaseIterable, Sendable {
    case invalidJSON = "invalid-json"
    case invalidRequest = "invalid-request"
    case invalidMessageID = "invalid-message-id"
    case invalidPreference = "invalid-preference"
    case forbiddenTable = "forbidden-table"
    case unknownTable = "unknown-table"
    case recordNotFound = "record-not-found"
    case notFound = "not-found"
    case methodNotAllowed = "method-not-allowed"
    case requestTimeout = "request-timeout"
    case bodyTooLarge = "body-too-large"
    case uriTooLong = "uri-too-long"
    case unsupportedMediaType = "unsupported-media-type"
    case headersTooLarge = "headers-too-large"
    case uniqueViolation = "unique-violation"
    case foreignKeyViolation = "foreign-key-violation"
    case exclusionViolation = "exclusion-violation"
    case checkViolation = "check-violation"
    case notNullViolation = "not-null-violation"
    case invalidValue = "invalid-value"
    case unknownColumn = "unknown-column"
    case missingKey = "missing-key"
    case messageIDReused = "message-id-reused"
    case triggerException = "trigger-exception"
    case deadLettered = "dead-lettered"
    case rolledBack = "rolled-back"
    case overloaded = "overloaded"
    case databaseUnavailable = "database-unavailable"
    case retriesExhausted = "retries-exhausted"
    case draining = "draining"
    case tablePaused = "table-paused"
    case orderBlocked = "order-blocked"
    case deadlineExceeded = "deadline-exceeded"
    case outcomeUnknown = "outcome-unknown"

    /// The HTTP status of a request, or of an item, that failed this way.
    package var status: Int {
        switch self {
        case .invalidJSON, .invalidRequest, .invalidMessageID, .invalidPreference: 400
        case .forbiddenTable: 403
        case .unknownTable, .recordNotFound, .notFound: 404
        case .methodNotAllowed: 405
        case .requestTimeout: 408
        case .uniqueViolation, .foreignKeyViolation, .exclusionViolation: 409
        case .bodyTooLarge: 413
        case .uriTooLong: 414
        case .unsupportedMediaType: 415
        case .checkViolation, .notNullViolation, .invalidValue, .unknownColumn, .missingKey,
            .messageIDReused, .triggerException, .deadLettered:
            422
        case .rolledBack: 424
        case .headersTooLarge: 431
        case .overloaded, .databaseUnavailable, .retriesExhausted, .draining, .tablePaused,
            .orderBlocked:
            503
        case .deadlineExceeded, .outcomeUnknown: 504
        }
    }

    /// Whether sending the same request again may succeed.
    package var isRetryable: Bool { status >= 503 }

    /// Whether a newer definition of the table might have accepted the same record.
    package var dependsOnDefinition: Bool {
        switch self {
        case .unknownColumn, .invalidValue, .notNullViolation, .missingKey: true
        default: false
        }
    }

    /// Whether a record that is refused with it now may have been accepted before, when the table
    /// or its settings were others.
    package var mayFollowCommit: Bool { dependsOnDefinition || self == .forbiddenTable }

    package var title: String {
        switch self {
        case .invalidJSON: "The body is not valid JSON"
        case .invalidRequest: "The request is malformed"
        case .invalidMessageID: "The message ID is malformed"
        case .invalidPreference: "A preference is malformed"
        case .forbiddenTable: "This operation is not exposed on this table"
        case .unknownTable: "No such table is exposed"
        case .recordNotFound: "No row has this key"
        case .notFound: "Nothing is here"
        case .methodNotAllowed: "This method is not allowed here"
        case .requestTimeout: "The request took too long to arrive"
        case .bodyTooLarge: "The body, or a record in it, is too large"
        case .uriTooLong: "The request target is too long"
        case .unsupportedMediaType: "This content type is not supported"
        case .headersTooLarge: "The header fields are too large"
        case .uniqueViolation: "Unique constraint violated"
        case .foreignKeyViolation: "Foreign key constraint violated"
        case .exclusionViolation: "Exclusion constraint violated"
        case .checkViolation: "Check constraint violated"
        case .notNullViolation: "A required value is missing"
        case .invalidValue: "A value does not fit its column"
        case .unknownColumn: "No such column"
        case .missingKey: "The record's key is missing"
        case .messageIDReused: "This message ID was used with another payload"
        case .triggerException: "A trigger refused the record"
        case .deadLettered: "The record is kept with the dead letters"
        case .rolledBack: "Another member of the group failed"
        case .overloaded: "The gateway holds as much as it may"
        case .databaseUnavailable: "The database cannot be reached"
        case .retriesExhausted: "The write failed on every attempt"
        case .draining: "The gateway is shutting down"
        case .tablePaused: "The table cannot be written at present"
        case .orderBlocked: "An earlier record of the same key was refused"
        case .deadlineExceeded: "The deadline passed before the record was written"
        case .outcomeUnknown: "Whether the record was written is not known"
        }
    }
}

/// What is wrong with a record or a request, found before any transaction. Its text names what,
/// where and why; it never carries a value, because texts end up in logs.
package struct Defect: Error, Equatable, Sendable {
    package var code: ProblemCode
    package var detail: String
    package var column: String?
    /// What PostgreSQL would have said.
    package var sqlstate: String?
    /// The table, as callers name it, once it is known.
    package var table: String?

    package init(
        _ code: ProblemCode, _ detail: String, column: String? = nil, sqlstate: String? = nil,
        table: String? = nil
    ) {
        self.table = table
        self.code = code
        self.detail = detail
        self.column = column
        self.sqlstate = sqlstate
    }
}
