package import Weir
package import WeirCore
package import WeirRecord

/// What an error of the server means for the batch that met it.
package enum ErrorClass: Equatable, Sendable {
    /// One record is at fault.
    case record(ProblemCode)
    /// The same batch may succeed later.
    case transient(TransientReason)
    /// The table cannot be written at present, by anybody's record.
    case table
    /// The server or the connection is in no state to be used.
    case stop

    package init(_ error: ServerError) {
        self = SQLStateRule.all.first { $0.applies(to: error) }?.meaning ?? .stop
    }
}

/// One row of the policy. The first one that applies counts.
package struct SQLStateRule: Sendable {
    /// What has to be true of the error besides its SQLSTATE.
    package enum Condition: String, Sendable {
        case none = ""
        /// Only PostgreSQL itself names a table and no constraint: no partition takes the row.
        /// Where it names neither, a trigger raised it.
        case namesTableOnly = "names a table and no constraint"
        case planChanged = "cached plan must not change result type"
    }

    /// A whole SQLSTATE, or the two characters of its class.
    package let state: String
    package let condition: Condition
    package let meaning: ErrorClass

    private init(_ state: String, _ meaning: ErrorClass, if condition: Condition = .none) {
        self.state = state
        self.condition = condition
        self.meaning = meaning
    }

    func applies(to error: ServerError) -> Bool {
        guard error.sqlstate.hasPrefix(state) else { return false }
        return switch condition {
        case .none: true
        case .namesTableOnly: error.constraint == nil && error.table != nil
        case .planChanged: error.message.contains(condition.rawValue)
        }
    }

    /// The whole policy. docs/ERRORS.md has the same table, and a test compares the two.
    package static let all: [SQLStateRule] = [
        .init("08", .transient(.connectionLost)),
        .init("0A000", .transient(.other), if: .planChanged),
        .init("0A", .table),
        .init("0L", .table),
        .init("21000", .record(.invalidValue)),
        .init("22", .record(.invalidValue)),
        .init("23502", .record(.notNullViolation)),
        .init("23001", .record(.foreignKeyViolation)),
        .init("23503", .record(.foreignKeyViolation)),
        .init("23505", .record(.uniqueViolation)),
        .init("23514", .table, if: .namesTableOnly),
        .init("23514", .record(.checkViolation)),
        .init("23P01", .record(.exclusionViolation)),
        .init("23", .record(.checkViolation)),
        .init("25006", .transient(.connectionLost)),
        .init("25P03", .transient(.connectionLost)),
        // Somebody made the session forget its statements, BEGIN and COMMIT among them: another
        // connection prepares them all.
        .init("26000", .transient(.connectionLost)),
        .init("27", .record(.triggerException)),
        .init("28", .table),
        .init("2F", .record(.triggerException)),
        .init("38", .record(.triggerException)),
        .init("3D", .table),
        .init("3F", .table),
        .init("40P01", .transient(.deadlock)),
        .init("40", .transient(.serialization)),
        .init("42", .table),
        .init("44", .record(.checkViolation)),
        .init("53", .transient(.resources)),
        .init("54", .record(.invalidValue)),
        .init("55006", .transient(.lockTimeout)),
        .init("55P03", .transient(.lockTimeout)),
        // "Not in prerequisite state": a view that cannot be written, a key that is deferrable.
        .init("55", .table),
        .init("57014", .transient(.statementTimeout)),
        .init("57", .transient(.connectionLost)),
        .init("P0", .record(.triggerException)),
        // 25P02 comes after another error of the same transaction, and that one counts. Where it is
        // the first, the session is out of step; so it is with all that is not named here.
        .init("", .stop),
    ]
}

extension DatabaseError {
    package init(_ error: ServerError) {
        let code: ProblemCode
        switch ErrorClass(error) {
        case .record(let problem): code = problem
        case .transient: code = .retriesExhausted
        case .table: code = .tablePaused
        case .stop: code = .databaseUnavailable
        }
        self.init(
            code: code, sqlstate: error.sqlstate, message: error.message,
            constraint: error.constraint,
            column: error.column, table: error.table)
    }
}
