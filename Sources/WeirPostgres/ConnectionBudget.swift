package import Weir
import WeirCore

/// How many connections the gateway may open, and the sum that says so.
package struct ConnectionBudget: Sendable, Equatable {
    package let connections: Int
    /// One line for the log.
    package let derivation: String

    /// More than this only pays where a benchmark of the database has shown it: few busy
    /// connections beat many half-idle ones.
    package static let derivedMax = 8

    /// What the server says of itself: limits are -1 where there is none.
    package struct Figures: Equatable, Sendable {
        package var maxConnections: Int
        package var reserved: Int
        package var inUse: Int
        package var roleLimit: Int
        package var roleInUse: Int
        package var databaseLimit: Int
        package var databaseInUse: Int

        /// From the one row that `ConnectionBudget.sql` gives; `nil` if it is another one's.
        package init?(_ row: [String?]) {
            let numbers = row.compactMap { $0.flatMap(Int.init) }
            guard numbers.count == 7 else { return nil }
            maxConnections = numbers[0]
            reserved = numbers[1]
            inUse = numbers[2]
            roleLimit = numbers[3]
            roleInUse = numbers[4]
            databaseLimit = numbers[5]
            databaseInUse = numbers[6]
        }

        /// Connections that the server as a whole, the role and the database still have.
        package var serverFree: Int { maxConnections - reserved - inUse }
        package var roleFree: Int { roleLimit < 0 ? .max : roleLimit - roleInUse }
        package var databaseFree: Int { databaseLimit < 0 ? .max : databaseLimit - databaseInUse }
        package var free: Int { max(0, min(serverFree, roleFree, databaseFree)) }
    }

    /// - Parameter most: more are not derived, however many are free.
    package init(_ figures: Figures, most: Int = ConnectionBudget.derivedMax) {
        let server = figures.serverFree
        let free = figures.free
        connections = max(1, min(most, free / 2))
        func limit(_ name: String, _ limit: Int, _ inUse: Int) -> String {
            limit < 0
                ? "\(name) unlimited"
                : "\(name) \(limit) limit - \(inUse) in use = \(limit - inUse)"
        }
        derivation =
            "\(connections) = at least 1, at most \(most), half of \(free) free; "
            + "free = least of: "
            + "server \(figures.maxConnections) max_connections - \(figures.reserved) reserved - "
            + "\(figures.inUse) in use = \(server), "
            + limit("role", figures.roleLimit, figures.roleInUse) + ", "
            + limit("database", figures.databaseLimit, figures.databaseInUse)
    }

    package init(configured connections: Int) {
        self.connections = connections
        derivation = "\(connections), as configured"
    }

    /// Asks the server, over a connection that is closed again before the pool opens.
    package static func derive(
        _ configuration: PostgresWriter.Configuration
    ) throws(ConnectFailure) -> ConnectionBudget {
        let deadline = SystemTime().now + Nanoseconds(configuration.connectTimeout)
        let session = try Session.connect(configuration.conninfo, by: deadline)
        let rows: [[String?]]
        do {
            rows = try session.query(sql, by: deadline)
        } catch {
            throw ConnectFailure("the server's connection limits cannot be read")
        }
        guard let figures = rows.first.flatMap(Figures.init) else {
            throw ConnectFailure("the server's connection limits cannot be read")
        }
        return ConnectionBudget(figures)
    }

    /// The connection that asks does not count as in use. Of other roles' sessions a plain role
    /// sees who and where, but not `backend_type`; only clients have both a role and a database.
    package static let sql = """
        SELECT pg_catalog.current_setting('max_connections')::int,
               pg_catalog.current_setting('superuser_reserved_connections')::int
                 + COALESCE(pg_catalog.current_setting('reserved_connections', true), '0')::int,
               (SELECT count(*) FROM pg_catalog.pg_stat_activity
                WHERE COALESCE(backend_type, 'client backend') = 'client backend'
                  AND usesysid IS NOT NULL AND datid IS NOT NULL
                  AND pid <> pg_catalog.pg_backend_pid()),
               r.rolconnlimit,
               (SELECT count(*) FROM pg_catalog.pg_stat_activity
                WHERE usename = current_user AND pid <> pg_catalog.pg_backend_pid()),
               d.datconnlimit,
               (SELECT count(*) FROM pg_catalog.pg_stat_activity
                WHERE datname = d.datname AND pid <> pg_catalog.pg_backend_pid()
                  AND COALESCE(backend_type, 'client backend') = 'client backend'
                  AND usesysid IS NOT NULL)
        FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
        WHERE r.rolname = current_user AND d.datname = pg_catalog.current_database()
        """
}
