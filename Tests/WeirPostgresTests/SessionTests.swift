import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord

extension PostgresTests {
    /// Locks, time limits and connections that end.
    @Suite struct SessionTests {
        static let items = """
            CREATE TABLE items (id int PRIMARY KEY, qty int);
            INSERT INTO items VALUES (1, 0), (2, 0)
            """

        // MARK: Locks and limits

        @Test func aStatementThatTakesTooLongIsRolledBack() async throws {
            let scene = try await Scene(
                """
                CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN PERFORM pg_sleep(5); RETURN NEW; END $$;
                CREATE TABLE items (id int PRIMARY KEY);
                CREATE TRIGGER t BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION rest()
                """
            ) { $0.statementTimeout = .milliseconds(100) }
            let report = try await scene.write(.insert("items", #"{"id":1}"#))
            #expect(report.outcome == .transient(.statementTimeout))
            #expect(report.error?.sqlstate == "57014")
            #expect(report.isConnected)
            try await scene.execute("DROP TRIGGER t ON items")
            #expect(try await scene.write(.insert("items", #"{"id":1}"#)).outcome == .committed)
        }

        @Test func aServerThatSaysNothingInTimeIsLeft() async throws {
            // A trigger lifts the server's own limit; the wait at COMMIT has only the client's.
            let scene = try await Scene(
                """
                CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN PERFORM set_config('statement_timeout', '0', true);
                             PERFORM pg_sleep(1); RETURN NULL; END $$;
                CREATE TABLE items (id int PRIMARY KEY);
                CREATE CONSTRAINT TRIGGER t AFTER INSERT ON items DEFERRABLE INITIALLY DEFERRED
                    FOR EACH ROW EXECUTE FUNCTION rest();
                CREATE FUNCTION unlimited() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN PERFORM set_config('statement_timeout', '0', true); RETURN NEW; END $$;
                CREATE TRIGGER a BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION unlimited()
                """
            ) { $0.statementTimeout = .milliseconds(150) }
            let report = try await scene.write(.insert("items", #"{"id":1}"#))
            #expect(report.outcome == .unknown)
            #expect(!report.isConnected)
        }

        @Test func aLockThatIsNotReleasedIsGivenUp() async throws {
            let scene = try await Scene(Self.items) { $0.lockTimeout = .milliseconds(100) }
            let waited = "EXISTS (SELECT FROM \(scene.schema).done)"
            try await scene.execute("CREATE TABLE done (id int)")
            async let outside: Void = scene.database.executeApart(
                """
                BEGIN; UPDATE \(scene.schema).items SET qty = 9 WHERE id = 1; \(scene.raiseFlag);
                \(Database.waiting(until: waited)); COMMIT
                """)
            try await scene.database.wait(until: scene.isFlagRaised)
            let report = try await scene.write(.patch("items", #"{"id":1}"#, #"{"qty":1}"#))
            #expect(report.outcome == .transient(.lockTimeout))
            #expect(report.error?.sqlstate == "55P03")
            #expect(report.isConnected)
            try await scene.execute("INSERT INTO done VALUES (1)")
            try await outside
            #expect(
                try await scene.write(.patch("items", #"{"id":1}"#, #"{"qty":1}"#)).outcome
                    == .committed)
        }

        @Test func aDeadlockWithAnotherApplicationMayBeTriedAgain() async throws {
            let scene = try await Scene(Self.items)
            // It holds 2, and asks for 1 once the batch, which holds 1, waits for 2.
            async let outside: Void = scene.database.executeApart(
                """
                BEGIN; SET LOCAL deadlock_timeout = '10s';
                UPDATE \(scene.schema).items SET qty = 9 WHERE id = 2; \(scene.raiseFlag);
                \(Database.waiting(until: scene.isWaitingForLock));
                UPDATE \(scene.schema).items SET qty = 9 WHERE id = 1; COMMIT
                """)
            try await scene.database.wait(until: scene.isFlagRaised)
            let rows: [Row] = [
                .patch("items", #"{"id":2}"#, #"{"qty":1}"#),
                .patch("items", #"{"id":1}"#, #"{"qty":1}"#),
            ]
            let report = try await scene.write(rows)
            #expect(report.outcome == .transient(.deadlock))
            #expect(report.isConnected)
            try await outside
            #expect(try await scene.write(rows).outcome == .committed)
            #expect(try await scene.rows("SELECT qty FROM items") == [["1"], ["1"]])
        }

        @Test func batchesOnTheSameRowsNeverDeadlock() async throws {
            let scene = try await Scene(
                """
                CREATE TABLE items (id int PRIMARY KEY, qty int);
                INSERT INTO items SELECT generate_series(1, 20), 0
                """)
            let other = try await Scene(another: scene)
            let forward = (1...20).map { Row.patch("items", #"{"id":\#($0)}"#, #"{"qty":1}"#) }
            try await withThrowingTaskGroup { tasks in
                for (writer, rows) in [(scene, forward), (other, forward.reversed())] {
                    tasks.addTask {
                        for _ in 0..<50 {
                            let report = try await writer.write(rows)
                            #expect(report.outcome == .committed)
                        }
                    }
                }
                try await tasks.waitForAll()
            }
        }

        // MARK: Connections that end

        @Test func aConnectionThatEndedBeforeTheBatchWroteNothing() async throws {
            let scene = try await Scene(Self.items)
            #expect(await scene.writer.isAlive())
            try await scene.terminateSessions()
            let report = try await scene.write(.insert("items", #"{"id":3}"#))
            #expect(report.outcome == .transient(.connectionLost))
            #expect(!report.isConnected)
            #expect(try await scene.rows("SELECT count(*) FROM items") == [["2"]])
            try await scene.writer.connect()
            #expect(try await scene.write(.insert("items", #"{"id":3}"#)).outcome == .committed)
        }

        @Test func anIdleConnectionThatEndedIsFound() async throws {
            let scene = try await Scene(Self.items)
            #expect(await scene.writer.isAlive())
            try await scene.terminateSessions()
            #expect(await scene.writer.isAlive() == false)
            await #expect(throws: ConnectFailure.self) { try await scene.writer.loadCatalog() }
        }

        @Test func whatAParameterChangeSaysIsNoGoodbye() async throws {
            let scene = try await Scene(Self.items)
            try await scene.database.execute("ALTER SYSTEM SET application_name = 'x'")
            try await scene.database.execute("SELECT pg_reload_conf()")
            try await scene.database.execute("ALTER SYSTEM RESET application_name")
            #expect(await scene.writer.isAlive())
            #expect(try await scene.write(.insert("items", #"{"id":3}"#)).outcome == .committed)
        }

        /// A trigger that ends its own session, at once or at COMMIT.
        private func dying(_ kind: String) async throws -> Scene {
            try await Scene(
                """
                CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;
                CREATE TABLE items (id int PRIMARY KEY);
                CREATE CONSTRAINT TRIGGER t AFTER INSERT ON items \(kind)
                    FOR EACH ROW EXECUTE FUNCTION die()
                """)
        }

        @Test func aConnectionThatEndsInAStatementWroteNothing() async throws {
            let scene = try await dying("")
            let report = try await scene.write(.insert("items", #"{"id":1}"#))
            #expect(report.outcome == .transient(.connectionLost))
            #expect(!report.isConnected)
            #expect(try await scene.rows("SELECT * FROM items") == [])
        }

        @Test func aConnectionThatEndsAtCommitLeavesTheOutcomeUnknown() async throws {
            let scene = try await dying("DEFERRABLE INITIALLY DEFERRED")
            let report = try await scene.write(.insert("items", #"{"id":1}"#))
            #expect(report.outcome == .unknown)
            #expect(!report.isConnected)
        }
    }
}

extension Scene {
    /// For a session apart: says that it has come this far, until its transaction ends.
    var raiseFlag: String { "SELECT pg_advisory_xact_lock(\(schema.dropFirst()))" }

    /// Condition: a session apart has raised the flag.
    var isFlagRaised: String {
        """
        EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted
                AND objid = \(schema.dropFirst()))
        """
    }
}
