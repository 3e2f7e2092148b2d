import Synchronization
import Testing
import Weir
import WeirPostgres

/// A database of its own on the suite's server, since schema `weir` is one per database.
struct MigrationScene: Sendable {
    private static let count = Atomic<Int>(0)

    let name: String
    private let base: String

    init() async throws {
        let database = try #require(Database.current, "the suite has no private server")
        name = "m\(Self.count.wrappingAdd(1, ordering: .relaxed).newValue)"
        base = database.server.conninfo
        try await database.execute("CREATE DATABASE \(name)")
    }

    func text(user: String = "weir") -> String {
        base.replacing("dbname=postgres", with: "dbname=\(name)")
            .replacing("user=weir", with: "user=\(user)")
    }

    func conninfo(user: String = "weir") throws -> Conninfo {
        try Conninfo(
            text(user: user), statementTimeout: .seconds(10), lockTimeout: .seconds(5))
    }

    /// A connection that stays open, for transactions.
    func session(user: String = "weir") throws -> EmbeddedServer.OwnerSession {
        try EmbeddedServer.OwnerSession(text(user: user))
    }

    func execute(_ sql: String) throws { try session().execute(sql) }
    func query(_ sql: String) throws -> [[String?]] { try session().query(sql) }

    /// A role that may connect.
    func makeRole() throws -> String {
        let role = "mr\(Self.count.wrappingAdd(1, ordering: .relaxed).newValue)"
        try execute("CREATE ROLE \(role) LOGIN")
        return role
    }
}
