import Testing
import Weir
import WeirCheck
import WeirPostgres
import WeirRecord

/// What the check says of the gateway's own tables, in databases of their own.
extension CheckTests {
    @Suite struct SchemaTests {
        private let database: Database
        private let name: String
        private let role: String

        init() async throws {
            database = try #require(Database.current, "the suite has no private server")
            name = "own\(Database.number())"
            role = "r\(Database.number())"
            try await database.execute("CREATE DATABASE \(name)")
            try await execute(
                """
                CREATE ROLE \(role) LOGIN; GRANT USAGE ON SCHEMA public TO \(role);
                CREATE TABLE t (id int PRIMARY KEY); GRANT SELECT, INSERT, UPDATE, DELETE ON t TO \(role)
                """)
        }

        private func execute(_ sql: String) async throws {
            try await database.execute(sql, in: name)
        }

        private func conninfo(_ user: String) throws -> Conninfo {
            try Conninfo(
                database.conninfo(user: user, database: name), statementTimeout: .seconds(10),
                lockTimeout: .seconds(2))
        }

        private func examine(isReplaying: Bool = true) async throws -> Examination.Result {
            try await Examination(
                try conninfo(role), tables: [TableName("t")], connections: 1,
                isReplaying: isReplaying
            ).run()
        }

        private func migrate(grantTo role: String? = nil) async throws {
            _ = try await Migrator(try conninfo("weir"), version: "1").migrate(grantTo: role)
        }

        @Test func aSchemaThatIsNotThereIsAnErrorUnlessNothingIsRemembered() async throws {
            let result = try await examine()
            #expect(result.errors.map(\.code) == ["weir-schema-missing"])
            #expect(result.errors[0].fix == "weir migrate --grant-to \(role)")
            #expect(try await examine(isReplaying: false).errors.isEmpty)
        }

        @Test func theGrantsMakeARoleThatServes() async throws {
            try await migrate()
            let result = try await examine()
            #expect(result.errors.allSatisfy { $0.code == "missing-privilege" })
            let names = result.errors.map { "\($0.object.kind.rawValue) \($0.object.name)" }
            #expect(names.contains("schema weir"))
            #expect(names.contains("table weir.replay_b"))
            #expect(names.contains("function weir.rotate(interval)"))
            for grant in result.grants { try await execute(grant) }
            #expect(try await examine().errors == [])
            #expect(
                try await Migrator(try conninfo(role), version: "1").checkServing() == [])
        }

        @Test func whatTheMigratorGrantsSatisfiesTheCheck() async throws {
            try await migrate(grantTo: role)
            #expect(try await examine().errors == [])
        }

        @Test func anAlteredOrUnloggedSchemaIsAnError() async throws {
            try await migrate(grantTo: role)
            try await execute("ALTER TABLE weir.attempt_b SET UNLOGGED")
            let unlogged = try await examine().errors
            #expect(unlogged.map(\.code) == ["weir-schema-unlogged"])
            for finding in unlogged { try await execute(finding.fix) }
            try await execute("UPDATE weir.migration SET checksum = 'x' WHERE number = 1")
            #expect(try await examine().errors.map(\.code) == ["weir-schema-altered"])
        }

        @Test func aMigrationThatIsPendingIsAnError() async throws {
            try await migrate(grantTo: role)
            try await execute("DELETE FROM weir.migration WHERE number = 3")
            let errors = try await examine().errors
            #expect(errors.map(\.what) == ["Schema weir lacks 0003_redrive."])
        }
    }
}
