import Weir
import WeirCore
import WeirRecord

/// What an error of the server means for the batch that met it. This table is the whole policy; the
/// same one stands in docs/ERRORS.md.
enum ErrorClass: Equatable {
    /// One record is at fault.
    case record(ProblemCode)
    /// The same batch may succeed later.
    case transient(TransientReason)
    /// The table cannot be written at present, by anybody's record.
    case table
    /// The server or the connection is in no state to be used.
    case stop

    init(_ error: ServerError) {
        let state = error.sqlstate
        if let exact = Self.exact[state] {
            self = exact
        } else if state == "23514" {
            // With a table's name alone it is "no partition of relation found for row": the
            // table's. With neither, a trigger raised it.
            let isPartition = error.constraint == nil && error.table != nil
            self = isPartition ? .table : .record(.checkViolation)
        } else if state == "0A000" {
            let isPlanChange = error.message.contains("cached plan must not change result type")
            self = isPlanChange ? .transient(.other) : .table
        } else {
            self = Self.byPrefix[String(state.prefix(2))] ?? .stop
        }
    }

    private static let exact: [String: ErrorClass] = [
        "23502": .record(.notNullViolation),
        "23503": .record(.foreignKeyViolation),
        "23505": .record(.uniqueViolation),
        "23P01": .record(.exclusionViolation),
        "44000": .record(.checkViolation),
        "21000": .record(.invalidValue),
        // Permission and name errors are class 42 too; these few speak of a value.
        "42846": .table,
        "40001": .transient(.serialization),
        "40P01": .transient(.deadlock),
        "55P03": .transient(.lockTimeout),
        "55006": .transient(.lockTimeout),
        "57014": .transient(.statementTimeout),
        // Somebody made the session forget its statements, BEGIN and COMMIT among them: another
        // connection prepares them all.
        "26000": .transient(.connectionLost),
        "25006": .transient(.connectionLost),
        "25P03": .transient(.connectionLost),
    ]

    private static let byPrefix: [String: ErrorClass] = [
        "08": .transient(.connectionLost),
        "0L": .table,
        "22": .record(.invalidValue),
        "28": .table,
        "3D": .table,
        "3F": .table,
        "40": .transient(.serialization),
        "42": .table,
        "53": .transient(.resources),
        "54": .record(.invalidValue),
        // "Not in prerequisite state": a view that cannot be written, a key that is deferrable.
        "55": .table,
        "57": .transient(.connectionLost),
        "P0": .record(.triggerException),
    ]
}

extension DatabaseError {
    init(_ error: ServerError) {
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
