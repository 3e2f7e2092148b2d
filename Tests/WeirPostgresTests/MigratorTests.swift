import Testing
import Weir
import WeirMigrations
import WeirPostgres
import WeirRecord

/// What comes of what is known and what was applied, without a server.
@Suite struct MigrationPlanTests {
    private static let known = (1...3).map {
        Migration(number: $0, name: "000\($0)_step", sql: "SELECT \($0);\n")
    }

    private func applied(_ number: Int, sql: String? = nil) -> MigrationPlan.Applied {
        let migration = Migration(
            number: number, name: "000\(number)_step", sql: sql ?? "SELECT \(number);\n")
        return .init(
            number: number, name: migration.name, checksum: migration.checksum,
            appliedAt: "2026-01-01T00:00:00Z", version: "9.9.9")
    }

    @Test func whatIsMissingIsPending() throws {
        let none = try MigrationPlan(known: Self.known, applied: [])
        #expect(none.pending == Self.known && none.notices.isEmpty)
        let some = try MigrationPlan(known: Self.known, applied: [applied(2), applied(1)])
        #expect(some.pending == [Self.known[2]])
        #expect(some.applied.map(\.number) == [1, 2])
    }

    @Test func aNewerDatabaseIsAcceptedWithANotice() throws {
        let plan = try MigrationPlan(
            known: Self.known, applied: (1...4).map { applied($0) })
        #expect(plan.pending.isEmpty && plan.unknown == [applied(4)])
        #expect(plan.notices.count == 1 && plan.notices[0].contains("9.9.9 applied 0004_step"))
    }

    @Test func aChangedFileIsRefused() {
        #expect(throws: MigrationPlan.Fault.changed(applied(2, sql: "SELECT 0;\n"))) {
            try MigrationPlan(
                known: Self.known, applied: [applied(1), applied(2, sql: "SELECT 0;\n")])
        }
    }

    @Test func aGapIsRefused() {
        #expect(throws: MigrationPlan.Fault.skipped(number: 2)) {
            try MigrationPlan(known: Self.known, applied: [applied(1), applied(3)])
        }
    }

    @Test func theMigrationsAreNumberedAndLeaveTransactionsToTheMigrator() {
        #expect(Migrations.all.map(\.number) == Array(1...Migrations.all.count))
        for migration in Migrations.all {
            let number = String(migration.number)
            let padded = String(repeating: "0", count: 4 - number.count) + number
            #expect(migration.name.hasPrefix("\(padded)_"))
            let lines = migration.sql.split(separator: "\n").map { $0.uppercased() }
            #expect(
                !lines.contains { $0.hasPrefix("BEGIN;") || $0.hasPrefix("COMMIT") },
                "\(migration.name)")
        }
        // Taken with sha256sum: the checksum is that of the file's bytes.
        let known = Migration(number: 1, name: "", sql: "SELECT 1;\n")
        #expect(
            known.checksum == "b4e0497804e46e0a0b0b8c31975b062152d551bac49c3c2e80932567b4085dcd")
    }
}

/// Databases of their own on one server, migrated.
@Suite(.privateServer, .serialized, .timeLimit(.minutes(2))) struct MigratorTests {
    private func migrator(
        _ scene: MigrationScene, user: String = "weir", _ migrations: [Migration] = Migrations.all
    ) throws -> Migrator {
        Migrator(try scene.conninfo(user: user), version: "1.2.3", migrations: migrations)
    }

    private func refused(_ body: () async throws -> Void) async throws -> Migrator.Failure {
        try #require(
            await #expect(throws: Migrator.Failure.self) { try await body() })
    }

    @Test func anEmptyDatabaseIsMigratedOnce() async throws {
        let scene = try await MigrationScene()
        let before = try await migrator(scene).status()
        #expect(before.plan.pending == Migrations.all && before.plan.applied.isEmpty)
        #expect(try await scene.query("SELECT to_regnamespace('weir')") == [[nil]])

        let first = try await migrator(scene).migrate()
        #expect(first.done == Migrations.all && first.plan.pending.isEmpty)
        let rows = try await scene.query(
            "SELECT number, name, checksum, weir_version FROM weir.migration ORDER BY 1")
        #expect(
            rows == Migrations.all.map { ["\($0.number)", $0.name, $0.checksum, "1.2.3"] })

        let stamp = "SELECT max(oid::bigint), count(*) FROM pg_class"
        let objects = try await scene.query(stamp)
        let second = try await migrator(scene).migrate()
        #expect(second.done.isEmpty && second.plan == first.plan)
        #expect(try await scene.query(stamp) == objects)
        #expect(try await migrator(scene).checkServing().isEmpty)
    }

    @Test func manyAtOnceApplyEachOnce() async throws {
        let scene = try await MigrationScene()
        let migrators = try (0..<4).map { _ in try migrator(scene) }
        let done = try await withThrowingTaskGroup(of: [Migration].self) { tasks in
            for migrator in migrators {
                tasks.addTask { try await migrator.migrate().done }
            }
            return try await tasks.reduce(into: []) { $0 += $1 }
        }
        #expect(done.sorted { $0.number < $1.number } == Migrations.all)
    }

    @Test func whatFailsLeavesNothingBehindAndIsTakenUpAgain() async throws {
        let scene = try await MigrationScene()
        let broken = Migration(
            number: 4, name: "0004_broken", sql: "CREATE TABLE weir.half (); SELECT 1/0;\n")
        let failure = try await refused {
            _ = try await migrator(scene, Migrations.all + [broken]).migrate()
        }
        #expect(failure.kind == .unfit)
        #expect(failure.reason.contains("0004_broken: division by zero (22012)"))
        #expect(try await scene.query("SELECT to_regclass('weir.half')") == [[nil]])
        let mended = Migration(
            number: 4, name: "0004_mended", sql: "CREATE TABLE weir.half ();\n")
        let report = try await migrator(scene, Migrations.all + [mended]).migrate()
        #expect(report.done == [mended])
        // The older program finds a newer database, and all that it knows.
        let older = try await migrator(scene).migrate()
        #expect(older.done.isEmpty && older.plan.unknown.map(\.name) == ["0004_mended"])
        #expect(try await migrator(scene).checkServing().count == 1)
    }

    @Test func aLockThatIsHeldIsATemporaryFailure() async throws {
        let scene = try await MigrationScene()
        _ = try await migrator(scene).migrate()
        let holder = try scene.session()
        try holder.execute("BEGIN; LOCK TABLE weir.dead_letter IN ACCESS SHARE MODE")
        let change = Migration(
            number: 4, name: "0004_change",
            sql: "SET LOCAL lock_timeout = '20ms'; ALTER TABLE weir.dead_letter ADD half int;\n")
        let failure = try await refused {
            _ = try await migrator(scene, Migrations.all + [change]).migrate()
        }
        #expect(failure.kind == .temporary)
        #expect(failure.reason.contains("55P03"))
        try holder.execute("COMMIT")
        let report = try await migrator(scene, Migrations.all + [change]).migrate()
        #expect(report.done == [change])
    }

    @Test func aChangedMigrationIsAnErrorOfItsOwn() async throws {
        let scene = try await MigrationScene()
        _ = try await migrator(scene).migrate()
        try await scene.execute("UPDATE weir.migration SET checksum = 'another' WHERE number = 2")
        let migrating = try await refused { _ = try await migrator(scene).migrate() }
        #expect(migrating.kind == .unfit)
        #expect(migrating.reason.hasPrefix("migration 0002_dead_letter was applied at 20"))
        #expect(migrating.reason.contains("by weir 1.2.3 with other content"))
        let serving = try await refused { _ = try await migrator(scene).checkServing() }
        #expect(serving == migrating)
    }

    @Test func aDatabaseThatIsNotThereIsUnreachable() async throws {
        let database = try #require(Database.current)
        let info = try Conninfo(
            database.server.conninfo + " dbname=nowhere", statementTimeout: .seconds(5),
            lockTimeout: .seconds(5))
        let failure = try await refused { _ = try await Migrator(info, version: "1").status() }
        #expect(failure.kind == .unreachable)
    }

    // MARK: Roles

    @Test func aRoleWithoutRightsIsToldWhatToRunAndThatHelps() async throws {
        let scene = try await MigrationScene()
        let role = try await scene.makeRole()
        let failure = try await refused { _ = try await migrator(scene, user: role).migrate() }
        #expect(failure.kind == .unfit)
        #expect(failure.reason.contains("the role \(role) may not create a schema"))
        #expect(failure.reason.contains("dbname=\(scene.name) user=weir\""))
        let grant = try #require(
            failure.reason.split(separator: "\n").last { $0.contains("GRANT") })
        try await scene.execute(String(grant))
        #expect(try await migrator(scene, user: role).migrate().done == Migrations.all)
        #expect(try await migrator(scene, user: role).checkServing().isEmpty)
    }

    @Test func aSchemaMadeForTheRoleIsEnough() async throws {
        let scene = try await MigrationScene()
        let role = try await scene.makeRole()
        try await scene.execute("CREATE SCHEMA weir AUTHORIZATION \(role)")
        #expect(try await migrator(scene, user: role).migrate().done == Migrations.all)
    }

    @Test func theGatewaysRoleServesWithWhatItIsGranted() async throws {
        let scene = try await MigrationScene()
        let role = try await scene.makeRole()
        _ = try await migrator(scene).migrate()
        let failure = try await refused { _ = try await migrator(scene, user: role).checkServing() }
        #expect(failure.kind == .unfit)
        #expect(failure.reason.contains("may not read weir.migration"))
        #expect(failure.reason.hasSuffix("--grant-to \(role)"))
        let report = try await migrator(scene).migrate(grantTo: role)
        #expect(report.done.isEmpty && report.grants.count == WeirSchema.rights.count)
        #expect(try await migrator(scene, user: role).checkServing().isEmpty)
        // It may look and serve, and change nothing.
        #expect(try await migrator(scene, user: role).migrate().done.isEmpty)
        let session = try scene.session(user: role)
        try session.execute(Self.serving)
        for statement in Self.forbidden {
            #expect(throws: EmbeddedServer.Failure.self, "\(statement)") {
                try session.execute(statement)
            }
        }
        try await scene.execute("REVOKE INSERT ON weir.replay_b FROM \(role)")
        let lacking = try await refused { _ = try await migrator(scene, user: role).checkServing() }
        #expect(lacking.reason.contains("lacks INSERT on weir.replay_b"))
    }

    /// All that a gateway does in the schema.
    private static let serving = """
        BEGIN;
        INSERT INTO weir.attempt_a (id, attempt, records, outcome)
            VALUES ('00000000-0000-0000-0000-000000000001', 1, 1, 0);
        INSERT INTO weir.replay_a (id, attempt_id, fingerprint, outcome)
            SELECT u.id, u.id, 1, 0 FROM (VALUES ('00000000-0000-0000-0000-000000000001'::uuid)) u(id)
            WHERE NOT EXISTS (SELECT FROM weir.replay_b o WHERE o.id = u.id)
            ON CONFLICT DO NOTHING RETURNING id;
        UPDATE weir.replay_a SET outcome = 1;
        DELETE FROM weir.replay_a;
        INSERT INTO weir.dead_letter (fingerprint, table_name, operation, code, reason, raw)
            VALUES (1, 't', 'insert', 'c', 'r', 'x');
        UPDATE weir.dead_letter SET edited = 'y';
        SELECT * FROM weir.dead_letter_group;
        DELETE FROM weir.dead_letter;
        COMMIT;
        SELECT current FROM weir.generation; SELECT number FROM weir.migration;
        SELECT weir.rotate('7 days')
        """

    private static let forbidden = [
        "DELETE FROM weir.attempt_a", "UPDATE weir.generation SET current = 'b', number = 1",
        "TRUNCATE weir.replay_a", "DELETE FROM weir.migration", "DROP TABLE weir.replay_a",
        "ALTER TABLE weir.replay_b DROP CONSTRAINT weir_generation_closed",
        "UPDATE weir.dead_letter_count SET count = 0", "CREATE TABLE weir.mine ()",
        "SELECT weir.count_dead_letters()", "SELECT weir.rotate('1 minute')",
    ]

    @Test func aRoleThatIsNotThereIsRefusedBeforeAnythingIsDone() async throws {
        let scene = try await MigrationScene()
        let failure = try await refused {
            _ = try await migrator(scene).migrate(grantTo: "No\"body")
        }
        #expect(failure.reason.contains(#"CREATE ROLE "No""body" LOGIN;"#))
        #expect(try await scene.query("SELECT to_regnamespace('weir')") == [[nil]])
    }

    @Test func whoMayNotGrantIsToldWhoMay() async throws {
        let scene = try await MigrationScene()
        let (role, other) = (try await scene.makeRole(), try await scene.makeRole())
        _ = try await migrator(scene).migrate(grantTo: role)
        let failure = try await refused {
            _ = try await migrator(scene, user: role).migrate(grantTo: other)
        }
        #expect(failure.reason.contains("belong to weir"))
        #expect(failure.reason.hasSuffix("user=weir\" --grant-to \(other)"))
    }

    @Test func theScriptDoesWhatTheMigratorDoes() async throws {
        let scene = try await MigrationScene()
        let role = try await scene.makeRole()
        let (report, script) = try await migrator(scene).script(grantTo: role)
        #expect(report.plan.pending == Migrations.all)
        #expect(try await scene.query("SELECT to_regnamespace('weir')") == [[nil]])
        try await scene.execute(script)
        #expect(try await migrator(scene, user: role).checkServing().isEmpty)
        #expect(try await migrator(scene).migrate().done.isEmpty)
    }

    @Test func tablesThatACrashWouldEmptyAreRefused() async throws {
        let scene = try await MigrationScene()
        _ = try await migrator(scene).migrate()
        try await scene.execute("ALTER TABLE weir.replay_a SET UNLOGGED")
        let failure = try await refused { _ = try await migrator(scene).checkServing() }
        #expect(failure.kind == .unfit)
        let line = try #require(failure.reason.split(separator: "\n").last)
        #expect(line == "  ALTER TABLE weir.replay_a SET LOGGED;")
        try await scene.execute(String(line))
        #expect(try await migrator(scene).checkServing().isEmpty)
    }

    @Test func aSettingOfTheRoleDoesNotMisleadTheMigrator() async throws {
        let scene = try await MigrationScene()
        // Functions of the same name as PostgreSQL's, found first by whoever trusts the search path.
        try await scene.execute(
            """
            CREATE SCHEMA trap;
            CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE plpgsql AS
                $$BEGIN RAISE 'trapped'; END$$;
            CREATE FUNCTION trap.format(text, text) RETURNS text LANGUAGE plpgsql AS
                $$BEGIN RAISE 'trapped'; END$$;
            ALTER DATABASE \(scene.name) SET search_path = trap, pg_catalog, public;
            """)
        #expect(try await migrator(scene).migrate().done == Migrations.all)
    }

    @Test func theCommandNamesThePlaceForAShell() {
        let place = ConnectedPlace(host: "/tmp/a b", port: "5433", database: "o'hara")
        #expect(
            place.migrateCommand(as: "ow\"ner", grantTo: "$x")
                == #"weir migrate --db "host='/tmp/a b' port=5433 dbname='o\\'hara' user='ow\"ner'""#
                + #" --grant-to "\$x""#)
    }
}
