package import Weir
import WeirCore
package import WeirRecord

/// A connection through which a database is looked at, not written: as the gateway connects, or
/// asked for less. It blocks its caller, and is used from one thread at a time.
package final class Inspection {
    /// What the server or the connection said to a question.
    package struct Failure: Error, Equatable {
        /// Empty when the connection is gone.
        package let sqlstate: String
        package let reason: String
    }

    private let session: Session
    private let patience: Nanoseconds

    /// - Parameter patience: for connecting, and then for each question.
    package init(_ conninfo: Conninfo, patience: Duration) throws(ConnectFailure) {
        self.patience = Nanoseconds(patience)
        session = try Session.connect(conninfo, by: SystemTime().now + self.patience)
    }

    /// The rows of the last of these statements, as text.
    @discardableResult
    package func query(_ sql: String) throws(Failure) -> [[String?]] {
        do {
            return try session.query(sql, by: SystemTime().now + patience)
        } catch {
            switch error {
            case .server(let error):
                throw Failure(sqlstate: error.sqlstate, reason: error.message)
            case .lost(let reason):
                throw Failure(sqlstate: "", reason: reason)
            }
        }
    }

    /// The tables as the gateway sees them.
    package func catalog(of tables: [TableName]) throws(ConnectFailure) -> Catalog {
        try CatalogQuery(tables: tables).run(on: session, by: SystemTime().now + patience)
    }

    /// The backend's process ID, as whoever took the connection announced it. A pooler announces
    /// one of its own making.
    package var announcedPID: Int32 { session.backendPID }

    /// Where the connection leads, as libpq resolved it: for those who take no connection string.
    package var destination:
        (host: String, port: String, database: String, user: String, password: String)
    {
        session.destination
    }
}
