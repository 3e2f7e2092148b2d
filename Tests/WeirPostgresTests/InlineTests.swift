import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord
import WeirTesting

extension PostgresTests {
    /// Records that are written on the thread that hands them over.
    @Suite(.timeLimit(.minutes(1))) struct InlineTests {
        private static func scene(
            _ sql: String = "CREATE TABLE items (id int PRIMARY KEY CHECK (id > 0))",
            patience: Duration? = nil
        ) async throws -> Scene {
            try await Scene(sql) {
                $0.remembers = true
                $0.patience = patience
            }
        }

        /// What the thread that hands over `row` is told; it waits for up to `limit`.
        private static func begin(
            _ scene: Scene, _ batch: WriteBatch, limit: Nanoseconds = .seconds(10)
        ) -> BatchReport? {
            scene.writer.writeInline(batch, within: limit)
        }

        private static func ids(_ scene: Scene) async throws -> [String?] {
            try await scene.rows("SELECT id FROM items ORDER BY id").map { $0[0] }
        }

        private static func insert(_ id: Int) -> Row { .insert("items", #"{"id":\#(id)}"#) }

        @Test func itIsCommittedWhenTheThreadGoesOn() async throws {
            let scene = try await Self.scene()
            // The form with arrays, the form for one record, and that form once it is known.
            for id in 1...4 {
                let batch = try scene.batch([Self.insert(id)])
                let report = try #require(Self.begin(scene, batch))
                #expect(report.outcome == .committed && report.effects == [.inserted])
                #expect(report.unresolved?.id == batch.id)
                #expect(report.statementCount == 1 && report.databaseTime > .zero)
            }
            #expect(try await Self.ids(scene) == ["1", "2", "3", "4"])
            #expect(try await scene.write([Self.insert(5)]).outcome == .committed)
        }

        @Test func aMessageIsRememberedAndItsRepetitionIsForTheWriter() async throws {
            let scene = try await Self.scene()
            let row = Self.insert(1).message("\(scene.schema)-1")
            let first = try scene.batch([row])
            #expect(try #require(Self.begin(scene, first)).effects == [.inserted])
            for _ in 0..<2 {
                let again = try scene.batch([row])
                #expect(Self.begin(scene, again) == nil)
                let report = await scene.writer.goOn(again)
                #expect(report.effects == [.replayed])
                #expect(report.results.first?.first?.batchID == first.id)
            }
            #expect(try await Self.ids(scene) == ["1"])
        }

        @Test func whatIsRefusedIsForTheWriter() async throws {
            let scene = try await Self.scene()
            for _ in 0..<3 {
                let batch = try scene.batch([Self.insert(0)])
                #expect(Self.begin(scene, batch) == nil)
                let report = await scene.writer.goOn(batch)
                #expect(report.outcome == .recordError(culprit: 0))
                #expect(report.error?.sqlstate == "23514")
            }
            #expect(try #require(Self.begin(scene, scene.batch([Self.insert(1)]))).isConnected)
            #expect(try await Self.ids(scene) == ["1"])
        }

        /// The first two of these look at results before COMMIT; the last one is too large to be
        /// sent without waiting.
        @Test(arguments: [
            Row.patch("items", #"{"id":1}"#, #"{"note":"x"}"#), Self.insert(2).dryRun,
            Row.insert("items", #"{"id":3,"note":"\#(String(repeating: "x", count: 20_000))"}"#),
        ])
        func whatTakesMoreThanOneWaitIsNotBegun(_ row: Row) async throws {
            let scene = try await Self.scene(
                "CREATE TABLE items (id int PRIMARY KEY, note text); INSERT INTO items VALUES (1)")
            let batch = try scene.batch([row])
            #expect(Self.begin(scene, batch) == nil)
            #expect(await scene.writer.goOn(batch).outcome == .committed)
        }

        @Test func whoWaitsForALockIsLeftToTheWriterAndWrittenOnce() async throws {
            let scene = try await Self.scene()
            let batch = try scene.batch([Self.insert(1)])
            try await Self.whileLocked(scene) {
                #expect(Self.begin(scene, batch, limit: .milliseconds(1)) == nil)
            }
            #expect(await scene.writer.goOn(batch).effects == [.inserted])
            #expect(try await Self.ids(scene) == ["1"])
        }

        /// A part of the answer is no answer: a notice comes before the trigger waits.
        @Test func whoHasSaidSomethingAndWaitsIsLeftToTheWriter() async throws {
            let scene = try await Self.scene(
                """
                CREATE TABLE items (id int PRIMARY KEY); CREATE TABLE gate (id int);
                CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN RAISE WARNING 'before'; LOCK TABLE gate; RETURN NULL; END $$
                    SET search_path FROM CURRENT;
                CREATE TRIGGER t AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION pass()
                """)
            let batch = try scene.batch([Self.insert(1)])
            try await Self.whileLocked(scene, table: "gate") {
                #expect(Self.begin(scene, batch, limit: .milliseconds(20)) == nil)
            }
            #expect(await scene.writer.goOn(batch).effects == [.inserted])
            #expect(try await Self.ids(scene) == ["1"])
        }

        @Test func aSessionThatIsEndedMeanwhileHasWrittenNothing() async throws {
            let scene = try await Self.scene()
            let batch = try scene.batch([Self.insert(1)])
            try await Self.whileLocked(scene) {
                #expect(Self.begin(scene, batch, limit: .milliseconds(1)) == nil)
                try await scene.terminateSessions()
            }
            let report = await scene.writer.goOn(batch)
            // The server said that it ends the session, before it had answered the statement.
            #expect(report.outcome == .transient(.connectionLost) && !report.isConnected)
            #expect(try await Self.ids(scene) == [])
        }

        @Test func aServerThatFallsSilentLeavesItUnknown() async throws {
            let scene = try await Self.scene(patience: .milliseconds(100))
            let batch = try scene.batch([Self.insert(1)])
            try await Self.whileLocked(scene) {
                #expect(Self.begin(scene, batch, limit: .milliseconds(1)) == nil)
                let report = await scene.writer.goOn(batch)
                #expect(report.outcome == .unknown && !report.isConnected)
                #expect(report.unresolved?.id == batch.id)
            }
        }

        @Test func aGenerationThatWasClosedIsForTheWriter() async throws {
            let scene = try await Self.scene()
            #expect(Self.begin(scene, try scene.batch([Self.insert(1)])) != nil)
            let rotated = try await scene.rows(
                "UPDATE weir.generation SET since = since - interval '8 days'; "
                    + "SELECT weir.rotate(interval '7 days')")
            #expect(rotated == [["t"]])
            let batch = try scene.batch([Self.insert(2)])
            #expect(Self.begin(scene, batch) == nil)
            #expect(await scene.writer.goOn(batch).effects == [.inserted])
            #expect(try await Self.ids(scene) == ["1", "2"])
        }

        /// Runs `body` while a session of its own locks `table`.
        private static func whileLocked(
            _ scene: Scene, table: String = "items", _ body: () async throws -> Void
        ) async throws {
            let session = try scene.database.server.openSession()
            try session.execute("BEGIN; LOCK TABLE \(scene.schema).\(table) IN EXCLUSIVE MODE")
            try await body()
            try session.execute("COMMIT")
        }
    }
}
