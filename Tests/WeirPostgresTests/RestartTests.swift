import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord

/// A server that is stopped, killed and started again.
@Suite(.privateServer(["max_connections": "10"]), .serialized, .timeLimit(.minutes(2)))
struct RestartTests {
    @Test func aSmallServerIsShared() async throws {
        let database = try #require(Database.current)
        let info = try Conninfo(
            database.server.conninfo, statementTimeout: .seconds(5), lockTimeout: .seconds(5))
        let budget = try await database.budget(.init(conninfo: info, tables: []))
        #expect(budget.connections == 3)
        #expect(budget.derivation.contains("10 max_connections - 3 reserved - 0 in use = 7"))
    }

    @Test func aWriterComesBackAfterACrash() async throws {
        let scene = try await Scene("CREATE TABLE items (id int PRIMARY KEY)")
        let server = scene.database.server
        #expect(try await scene.write(.insert("items", #"{"id":1}"#)).outcome == .committed)
        try await server.kill()
        #expect(await scene.writer.isAlive() == false)
        let report = try await scene.write(.insert("items", #"{"id":2}"#))
        #expect(report.outcome == .transient(.connectionLost))
        await #expect(throws: ConnectFailure.self) { try await scene.writer.connect() }
        try await server.startAgain(scene.database.configuration)
        try await scene.writer.connect()
        // Nothing that the old session had prepared is taken for granted.
        #expect(try await scene.write(.insert("items", #"{"id":2}"#)).outcome == .committed)
        #expect(try await scene.rows("SELECT id FROM items ORDER BY 1") == [["1"], ["2"]])
    }

    @Test func aFastShutdownEndsTheConnection() async throws {
        let scene = try await Scene("CREATE TABLE items (id int PRIMARY KEY)")
        let server = scene.database.server
        await server.stop()
        let report = try await scene.write(.insert("items", #"{"id":1}"#))
        #expect(report.outcome == .transient(.connectionLost))
        #expect(!report.isConnected)
        try await server.startAgain(scene.database.configuration)
        try await scene.writer.connect()
        #expect(try await scene.write(.insert("items", #"{"id":1}"#)).outcome == .committed)
    }

    @Test func aServerThatRefusesSaysWhyWithoutASecret() async throws {
        let database = try #require(Database.current)
        let info = try Conninfo(
            database.server.conninfo + " user=nobody_here", statementTimeout: .seconds(5),
            lockTimeout: .seconds(5))
        let writer = PostgresWriter(.init(conninfo: info, tables: []), number: 0)
        do {
            try await writer.connect()
            Issue.record("a role that does not exist was let in")
        } catch {
            #expect(error.reason.contains("role \"nobody_here\" does not exist"))
            #expect(!error.reason.contains("\n"))
        }
    }
}
