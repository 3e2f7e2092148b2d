import Foundation
import Testing
import WeirPostgres

/// A private PostgreSQL for the tests of one suite, removed after the last.
struct PrivateDatabase: SuiteTrait, TestScoping {
    struct Running: Sendable {
        let server: EmbeddedServer
        var conninfo: String { server.conninfo }

        func execute(_ sql: String) throws { try server.execute(sql) }
        func query(_ sql: String) throws -> [[String?]] { try server.query(sql) }
        func harness() throws -> Conninfo {
            try Conninfo(conninfo, statementTimeout: .seconds(60), lockTimeout: .seconds(10))
        }
    }

    @TaskLocal static var current: Running?

    @concurrent func provideScope(
        for test: Test, testCase: Test.Case?,
        performing function: @Sendable @concurrent () async throws -> Void
    ) async throws {
        let number = UInt32.random(in: .min ... .max)
        var configuration = EmbeddedServer.Configuration(
            directory: NSTemporaryDirectory() + "weir-load-test-\(number)")
        configuration.isDurable = false
        configuration.settings = ["autovacuum": "off", "max_connections": "40"]
        let server = try await EmbeddedServer.start(configuration)
        let result: Result<Void, any Error>
        do {
            result = .success(
                try await Self.$current.withValue(Running(server: server)) { try await function() })
        } catch {
            result = .failure(error)
        }
        await server.remove()
        try result.get()
    }
}

extension Trait where Self == PrivateDatabase {
    static var privateDatabase: Self { PrivateDatabase() }
}
