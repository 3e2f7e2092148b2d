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
    struct Figures: Equatable {
        var maxConnections: Int
        var reserved: Int
        var inUse: Int
        var roleLimit: Int
        var roleInUse: Int
        var databaseLimit: Int
        var databaseInUse: Int
    }

    init(_ figures: Figures) {
        let server = figures.maxConnections - figures.reserved - figures.inUse
        let role = figures.roleLimit < 0 ? Int.max : figures.roleLimit - figures.roleInUse
        let database =
            figures.databaseLimit < 0 ? Int.max : figures.databaseLimit - figures.databaseInUse
        let free = max(0, min(server, role, database))
        connections = max(1, min(Self.derivedMax, free / 2))
        func limit(_ name: String, _ limit: Int, _ inUse: Int) -> String {
            limit < 0
                ? "\(name) unlimited"
                : "\(name) \(limit) limit - \(inUse) in use = \(limit - inUse)"
        }
        derivation =
            "\(connections) = at least 1, at most \(Self.derivedMax), half of \(free) free; "
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
        let numbers = (rows.first ?? []).compactMap { $0.flatMap(Int.init) }
        guard numbers.count == 7 else {
            throw ConnectFailure("the server's connection limits cannot be read")
        }
        return ConnectionBudget(
            Figures(
                maxConnections: numbers[0], reserved: numbers[1], inUse: numbers[2],
                roleLimit: numbers[3],
                roleInUse: numbers[4], databaseLimit: numbers[5], databaseInUse: numbers[6]))
    }

    /// The connection that asks does not count as in use.
    private static let sql = """
        SELECT pg_catalog.current_setting('max_connections')::int,
               pg_catalog.current_setting('superuser_reserved_connections')::int
                 + COALESCE(pg_catalog.current_setting('reserved_connections', true), '0')::int,
               (SELECT count(*) FROM pg_catalog.pg_stat_activity
                WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()),
               r.rolconnlimit,
               (SELECT count(*) FROM pg_catalog.pg_stat_activity
                WHERE usename = current_user AND pid <> pg_catalog.pg_backend_pid()),
               d.datconnlimit,
               (SELECT count(*) FROM pg_catalog.pg_stat_activity
                WHERE datname = d.datname AND pid <> pg_catalog.pg_backend_pid()
                  AND backend_type = 'client backend')
        FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
        WHERE r.rolname = current_user AND d.datname = pg_catalog.current_database()
        """
}
