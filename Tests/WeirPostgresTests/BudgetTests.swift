import Testing
import Weir
import WeirCore
import WeirPostgres

/// Which connections the gateway may open, and how the database is named.
extension PostgresTests {
    @Suite struct BudgetTests {
        private func budget(_ change: (String) -> String = { $0 }) async throws -> ConnectionBudget
        {
            let database = try #require(Database.current)
            let info = try Conninfo(
                change(database.server.conninfo), statementTimeout: .seconds(5),
                lockTimeout: .seconds(5))
            return try await database.budget(.init(conninfo: info, tables: []))
        }

        @Test func aLargeServerIsNotUsedUp() async throws {
            let budget = try await budget()
            #expect(budget.connections == 8)
            #expect(budget.derivation.hasPrefix("8 = at least 1, at most 8, half of "))
            #expect(budget.derivation.contains("server 100 max_connections - 3 reserved - "))
            #expect(budget.derivation.contains("role unlimited, database unlimited"))
        }

        @Test(arguments: [(1, 1), (2, 1), (6, 3), (7, 3), (40, 8)])
        func aRolesLimitCounts(_ limit: Int, _ connections: Int) async throws {
            let database = try #require(Database.current)
            let role = "limited_to_\(limit)"
            try await database.execute("CREATE ROLE \(role) LOGIN CONNECTION LIMIT \(limit)")
            let budget = try await budget { $0.replacing("user=weir", with: "user=\(role)") }
            #expect(budget.connections == connections)
            #expect(budget.derivation.contains("role \(limit) limit - 0 in use = \(limit)"))
        }

        @Test func othersSessionsCountForARoleThatMayNotLookIntoThem() async throws {
            let database = try #require(Database.current)
            try await database.execute("CREATE ROLE bystander LOGIN")
            let other = try PostgresWriter(
                .init(
                    conninfo: Conninfo(
                        database.server.conninfo, statementTimeout: .seconds(5),
                        lockTimeout: .seconds(5)), tables: []), number: 0)
            try await other.connect()
            let budget = try await budget { $0.replacing("user=weir", with: "user=bystander") }
            #expect(!budget.derivation.contains("3 reserved - 0 in use"), "\(budget.derivation)")
            await other.disconnect()
        }

        @Test func aDatabasesLimitCountsWithWhatIsInUse() async throws {
            let database = try #require(Database.current)
            try await database.execute("CREATE DATABASE narrow CONNECTION LIMIT 10")
            let conninfo = { (text: String) in
                text.replacing("dbname=postgres", with: "dbname=narrow")
            }
            #expect(try await budget(conninfo).connections == 5)
            let info = try Conninfo(
                conninfo(database.server.conninfo), statementTimeout: .seconds(5),
                lockTimeout: .seconds(5))
            let writers = (0..<4).map {
                PostgresWriter(.init(conninfo: info, tables: []), number: $0)
            }
            for writer in writers { try await writer.connect() }
            let used = try await budget(conninfo)
            #expect(used.connections == 3)
            #expect(used.derivation.contains("database 10 limit - 4 in use = 6"))
            for writer in writers { await writer.disconnect() }
        }

        @Test func aDatabaseThatCannotBeReachedIsAFailureAndNoBudget() async throws {
            await #expect(throws: ConnectFailure.self) {
                try await budget { $0.replacing("dbname=postgres", with: "dbname=nowhere") }
            }
        }

        @Test func whatIsConfiguredIsTaken() {
            let budget = ConnectionBudget(configured: 3)
            #expect(budget.connections == 3)
            #expect(budget.derivation == "3, as configured")
        }
    }
}

@Suite struct ConninfoTests {
    private func refusal(of text: String) -> String? {
        do {
            _ = try Conninfo(text, statementTimeout: .seconds(1), lockTimeout: .seconds(1))
            return nil
        } catch {
            return error.reason
        }
    }

    @Test(arguments: [
        "host=db password=hunter2", "postgres://app:hunter2@db/app", "password='hunter2'",
        "postgresql://db/app?password=hunter2",
    ])
    func aPasswordIsRefusedAndNotRepeated(_ text: String) throws {
        let reason = try #require(refusal(of: text))
        #expect(reason.contains("PGPASSFILE"))
        #expect(!reason.contains("hunter2"))
    }

    @Test(arguments: ["host", "nonsense=1", "postgres://[::1"])
    func whatLibpqCannotReadIsRefused(_ text: String) throws {
        let reason = try #require(refusal(of: text))
        #expect(reason.hasPrefix("the connection string is malformed: "))
    }

    @Test(arguments: [
        "", "host=/tmp dbname=app", "postgres:///app", "postgres://app@db:5433/app?sslmode=require",
    ])
    func theRestIsTaken(_ text: String) {
        #expect(refusal(of: text) == nil)
    }
}
