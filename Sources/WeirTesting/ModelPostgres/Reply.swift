/// What the model server says to a client, one message at a time.
package enum Reply: Equatable, Sendable {
    case complete(CommandTag, rows: [[Int]] = [], hasWarning: Bool = false)
    case failure(ServerFailure)
    /// The answer to a sync.
    case ready(TransactionStatus)
    /// The connection ended; nothing follows.
    case closed
}

/// As ReadyForQuery tells it.
package enum TransactionStatus: String, Sendable {
    case idle = "I"
    case open = "T"
    case failed = "E"
}

/// PostgreSQL's command tags.
package enum CommandTag: Equatable, Sendable, CustomStringConvertible {
    case begin, commit, rollback
    case insert(Int)
    case update(Int)
    case delete(Int)
    case select(Int)
    case lockTable, alterTable, truncateTable, setConstraints

    package var description: String {
        switch self {
        case .begin: "BEGIN"
        case .commit: "COMMIT"
        case .rollback: "ROLLBACK"
        case .insert(let count): "INSERT 0 \(count)"
        case .update(let count): "UPDATE \(count)"
        case .delete(let count): "DELETE \(count)"
        case .select(let count): "SELECT \(count)"
        case .lockTable: "LOCK TABLE"
        case .alterTable: "ALTER TABLE"
        case .truncateTable: "TRUNCATE TABLE"
        case .setConstraints: "SET CONSTRAINTS"
        }
    }
}

/// An error of the model server.
package struct ServerFailure: Error, Equatable, Sendable {
    package var sqlstate: String
    package var constraint: String?
    /// With 42P01: what does not exist.
    package var relation: String?
    /// FATAL: the session is over.
    package var isFatal: Bool

    package init(
        _ sqlstate: String, constraint: String? = nil, relation: String? = nil,
        isFatal: Bool = false
    ) {
        self.sqlstate = sqlstate
        self.constraint = constraint
        self.relation = relation
        self.isFatal = isFatal
    }
}

/// Which server this is, as a gateway asks for it when it connects.
package struct ServerIdentity: Equatable, Sendable {
    package var system: Int
    package var timeline: Int
    /// Position in the write-ahead log.
    package var position: Int

    package init(system: Int, timeline: Int, position: Int) {
        self.system = system
        self.timeline = timeline
        self.position = position
    }
}
