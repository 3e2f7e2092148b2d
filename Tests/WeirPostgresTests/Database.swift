import Foundation
import Synchronization
import Testing
import Weir
import WeirCore
import WeirPostgres

/// A private PostgreSQL for the tests of one suite: started before the first, removed after the
/// last, whatever became of them.
struct PrivateServer: SuiteTrait, TestScoping {
    var settings: [String: String] = [:]

    @concurrent func provideScope(
        for test: Test, testCase: Test.Case?,
        performing function: @Sendable @concurrent () async throws -> Void
    ) async throws {
        let database = try await Database.start(settings)
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
    static func privateServer(_ settings: [String: String]) -> Self {
        PrivateServer(settings: settings)
    }
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
        let number = count.wrappingAdd(1, ordering: .relaxed).newValue
        let process = ProcessInfo.processInfo.processIdentifier
        var configuration = EmbeddedServer.Configuration(
            directory: NSTemporaryDirectory() + "weir-tests-\(process)-\(number)")
        configuration.isDurable = false
        configuration.settings = ["autovacuum": "off"].merging(settings) { $1 }
        return Database(try await EmbeddedServer.start(configuration), configuration)
    }

    private init(_ server: EmbeddedServer, _ configuration: EmbeddedServer.Configuration) {
        self.server = server
        self.configuration = configuration
    }

    /// The rows of the last of these statements.
    func query(_ sql: String) throws -> [[String?]] {
        try server.query(sql)
    }

    func execute(_ sql: String) throws {
        try server.execute(sql)
    }

    /// Statements in a session of their own, on a thread of their own: they may wait for locks.
    nonisolated func executeApart(_ sql: String) async throws {
        try await Database(server, configuration).execute(sql)
    }

    /// Returns once `condition`, an SQL expression, holds; fails after ten seconds.
    func wait(until condition: String) throws {
        try server.execute(Self.waiting(until: condition))
    }

    /// A statement that ends once `condition` holds.
    static func waiting(until condition: String) -> String {
        """
        DO $wait$ BEGIN
            FOR i IN 1..2000 LOOP
                PERFORM pg_stat_clear_snapshot();
                IF \(condition) THEN RETURN; END IF;
                PERFORM pg_sleep(0.005);
            END LOOP;
            RAISE 'it did not come about';
        END $wait$
        """
    }

    /// The budget that the server's limits give.
    func budget(_ configuration: PostgresWriter.Configuration) throws -> ConnectionBudget {
        try ConnectionBudget.derive(configuration)
    }
}
