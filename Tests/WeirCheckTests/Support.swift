import Foundation
import Synchronization
import Testing
import Weir
import WeirCheck
import WeirPostgres
import WeirRecord

/// A private PostgreSQL for the tests of one suite, durable as a real one: started before the first,
/// removed after the last, whatever became of them.
struct PrivateServer: SuiteTrait, TestScoping {
    @concurrent func provideScope(
        for test: Test, testCase: Test.Case?,
        performing function: @Sendable @concurrent () async throws -> Void
    ) async throws {
        let database = try await Database.start(["fsync": "on", "full_page_writes": "on"])
        let result: Result<Void, any Error>
        do {
            result = .success(
                try await Database.$current.withValue(database) { try await function() })
        } catch {
            result = .failure(error)
        }
        await database.server.remove()
        try result.get()
    }
}

extension Trait where Self == PrivateServer {
    static var privateServer: Self { PrivateServer() }
}

/// The tests' own way to the server. It waits on a thread of its own.
actor Database {
    @TaskLocal static var current: Database?
    private static let count = Atomic<Int>(0)

    nonisolated let server: EmbeddedServer
    nonisolated let configuration: EmbeddedServer.Configuration
    private let executor = BlockingExecutor(label: "database")

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    static func start(_ settings: [String: String] = [:]) async throws -> Database {
        let process = ProcessInfo.processInfo.processIdentifier
        var configuration = EmbeddedServer.Configuration(
            directory: NSTemporaryDirectory() + "weir-check-\(process)-\(number())")
        configuration.isDurable = false
        configuration.settings = ["autovacuum": "off"].merging(settings) { $1 }
        return Database(try await EmbeddedServer.start(configuration), configuration)
    }

    static func number() -> Int { count.wrappingAdd(1, ordering: .relaxed).newValue }

    private init(_ server: EmbeddedServer, _ configuration: EmbeddedServer.Configuration) {
        self.server = server
        self.configuration = configuration
    }

    /// `host=… dbname=… user=…`.
    nonisolated func conninfo(user: String = "weir", database: String = "postgres") -> String {
        server.conninfo.replacing("user=weir", with: "user=\(user)")
            .replacing("dbname=postgres", with: "dbname=\(database)")
    }

    /// Statements as the cluster's owner.
    func execute(_ sql: String, in database: String = "postgres") throws {
        try EmbeddedServer.OwnerSession(conninfo(database: database)).execute(sql)
    }

    /// Each line by itself: what CONCURRENTLY does cannot stand in a transaction.
    func executeLines(_ sql: String, in database: String = "postgres") throws {
        let session = try EmbeddedServer.OwnerSession(conninfo(database: database))
        for line in sql.split(separator: "\n") { try session.execute(String(line)) }
    }

    func query(_ sql: String) throws -> [[String?]] { try server.query(sql) }

    func query(through conninfo: String, _ sql: String) throws -> [[String?]] {
        try EmbeddedServer.OwnerSession(conninfo).query(sql)
    }
}

/// One test's schema, and what `weir check` says of its tables.
struct Scene: Sendable {
    let database: Database
    let schema: String
    /// A role that may do nothing but connect, until it is granted more.
    let role: String

    /// - Parameter sql: makes the tables; `@` stands for the schema, with its dot, `$role` for the role.
    init(_ sql: String) async throws {
        database = try #require(Database.current, "the suite has no private server")
        schema = "s\(Database.number())"
        role = "r\(Database.number())"
        try await database.execute("CREATE SCHEMA \(schema); CREATE ROLE \(role) LOGIN")
        try await execute(sql)
    }

    func text(_ sql: String) -> String {
        sql.replacing("@", with: schema + ".").replacing("$role", with: role)
    }

    func execute(_ sql: String) async throws { try await database.execute(text(sql)) }

    func conninfo(user: String) throws -> Conninfo {
        try Conninfo(
            database.conninfo(user: user), statementTimeout: .seconds(10), lockTimeout: .seconds(2))
    }

    func examine(
        _ tables: [String], user: String? = nil, connections: Int? = nil
    ) async throws -> Examination.Result {
        let names = tables.map { TableName($0.contains(".") ? $0 : "\(schema).\($0)") }
        return try await Examination(
            try conninfo(user: user ?? role), tables: names, connections: connections
        ).run()
    }

    /// Grants the role what the check says it needs for these tables.
    func grantWhatIsNeeded(_ tables: [String]) async throws {
        for grant in try await examine(tables).grants { try await database.execute(grant) }
    }
}

extension Examination.Result {
    /// All the GRANTs of a least-privilege role.
    var grants: [String] { subject.requirements.map { $0.grant(to: subject.roleName) } }

    func findings(_ code: String) -> [Finding] { findings.filter { $0.code == code } }

    var errors: [Finding] { findings.filter { $0.severity == .error } }
}

/// Examines a database by its connection string.
func examine(
    _ conninfo: String, _ tables: [String], connections: Int? = nil,
    patience: Duration = .seconds(5)
) async throws -> Examination.Result {
    let info = try Conninfo(conninfo, statementTimeout: .seconds(10), lockTimeout: .seconds(2))
    return try await Examination(
        info, tables: tables.map { TableName($0) }, connections: connections, patience: patience
    ).run()
}

/// What shares one server. Tests run one after the other: limits and settings are everybody's.
@Suite(.privateServer, .serialized, .timeLimit(.minutes(5))) struct CheckTests {}
