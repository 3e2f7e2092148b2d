import Synchronization
import Testing
import Weir
import WeirPostgres

/// A database of its own on the suite's server, since schema `weir` is one per database.
struct MigrationScene: Sendable {
    private static let count = Atomic<Int>(0)

    let name: String
    private let base: String
    private let apart: Apart

    init() async throws {
        let database = try #require(Database.current, "the suite has no private server")
        name = "m\(Self.count.wrappingAdd(1, ordering: .relaxed).newValue)"
        base = database.server.conninfo
        apart = Apart(base.replacing("dbname=postgres", with: "dbname=\(name)"))
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

    func execute(_ sql: String) async throws { try await apart.execute(sql) }
    func query(_ sql: String) async throws -> [[String?]] { try await apart.query(sql) }

    /// A role that may connect.
    func makeRole() async throws -> String {
        let role = "mr\(Self.count.wrappingAdd(1, ordering: .relaxed).newValue)"
        try await execute("CREATE ROLE \(role) LOGIN")
        return role
    }
}

/// Statements in sessions of their own, on a thread of its own: they may wait for locks.
actor Apart {
    private let conninfo: String
    private let executor = BlockingExecutor(label: "apart")
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    init(_ conninfo: String) { self.conninfo = conninfo }

    func query(_ sql: String) throws -> [[String?]] {
        try EmbeddedServer.OwnerSession(conninfo).query(sql)
    }

    func execute(_ sql: String) throws { _ = try query(sql) }

    /// What the server says to a statement that it refuses.
    func refusal(_ sql: String) -> String {
        do {
            try execute(sql)
            return "it was taken"
        } catch {
            return "\(error)"
        }
    }
}
