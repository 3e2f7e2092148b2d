import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord
import WeirTesting

extension PostgresTests {
    /// Markers of attempts, and what they say of one whose COMMIT was not answered.
    @Suite(.timeLimit(.minutes(1))) struct InquiryTests {
        private static func scene(
            _ sql: String = "CREATE TABLE items (id int)", patience: Duration? = nil
        ) async throws -> Scene {
            try await Scene(sql) {
                $0.remembers = true
                $0.patience = patience
                if patience != nil {
                    $0.statementTimeout = .seconds(30)
                    $0.lockTimeout = .seconds(30)
                }
            }
        }

        private static func text(_ id: UUID7) -> String {
            let digits = [id.high, id.low].map { word in
                let text = String(word, radix: 16)
                return String(repeating: "0", count: 16 - text.count) + text
            }
            return digits.joined()
        }

        private static func markers(_ scene: Scene, _ id: UUID7) async throws -> [[String?]] {
            try await scene.rows(
                """
                SELECT outcome, records FROM (SELECT * FROM weir.attempt_a UNION ALL
                    SELECT * FROM weir.attempt_b) m WHERE id = '\(text(id))'
                """)
        }

        private static func generation(_ scene: Scene) async throws -> Int64 {
            let rows = try await scene.rows("SELECT number FROM weir.generation")
            return try #require(rows.first?.first.flatMap { $0 }.flatMap { Int64($0) })
        }

        private static func inquire(
            _ scene: Scene, _ batch: WriteBatch, _ unresolved: Unresolved
        ) async -> BatchReport {
            await scene.writer.write(
                WriteBatch(
                    id: Scene.newID(), number: batch.number, attempt: batch.attempt,
                    work: .resolve, records: batch.records, groups: batch.groups,
                    messages: batch.messages, unresolved: unresolved))
        }

        // MARK: Markers

        @Test func eachCommittedAttemptHasAMarker() async throws {
            let scene = try await Self.scene(
                "CREATE TABLE items (id int PRIMARY KEY CHECK (id < 100000))")
            let (small, large, refused, dry) = (
                Scene.newID(), Scene.newID(), Scene.newID(), Scene.newID()
            )
            let many = (10..<(10 + PostgresWriter.copyCountMin)).map {
                Row.insert("items", #"{"id":\#($0)}"#)
            }
            let row = Row.insert("items", #"{"id":1}"#)
            #expect(try await scene.write([row], id: small).outcome == .committed)
            #expect(try await scene.write(many, id: large).outcome == .committed)
            let report = try await scene.write([row], id: refused)
            #expect(report.outcome == .recordError(culprit: 0))
            #expect(
                try await scene.write([.insert("items", #"{"id":2}"#).dryRun], id: dry).outcome
                    == .committed)
            #expect(try await Self.markers(scene, small) == [["0", "1"]])
            #expect(try await Self.markers(scene, large) == [["0", "\(many.count)"]])
            #expect(try await Self.markers(scene, refused) == [])
            #expect(try await Self.markers(scene, dry) == [])
        }

        @Test func anAttemptThatMeetsAFenceAppliesNothing() async throws {
            let scene = try await Self.scene()
            let id = Scene.newID()
            let many = (0..<PostgresWriter.copyCountMin).map {
                Row.insert("items", #"{"id":\#($0)}"#)
            }
            for rows in [[many[0]], [many[0].message("\(scene.schema)-1")], many] {
                let batch = try scene.batch(rows, id: id)
                _ = await Self.inquire(scene, batch, Unresolved(id: id, results: []))
                let report = await scene.writer.write(batch)
                #expect(report.outcome == .transient(.other))
                #expect(report.isConnected)
            }
            #expect(try await scene.rows("SELECT * FROM items") == [])
        }

        @Test func tablesThatAreGoneAreNobodysFaultAndTheReasonIsSaid() async throws {
            let database = try await MigrationScene()
            _ = try await Migrator(try database.conninfo(), version: "1").migrate()
            try await database.execute("CREATE TABLE public.items (id int)")
            var configuration = PostgresWriter.Configuration(
                conninfo: try database.conninfo(), tables: [TableName("public.items")])
            configuration.replay = .on(window: .seconds(86_400))
            let writer = PostgresWriter(configuration, number: 0)
            try await writer.connect()
            let catalog = try await writer.loadCatalog()
            let table = try #require(catalog.found.first, "\(catalog)")
            try await database.execute("DROP SCHEMA weir CASCADE")
            let report = await writer.write(
                WriteBatch(
                    id: Scene.newID(), number: BatchNumber(1), attempt: 1,
                    records: [try Record.decoded(#"{"id":1}"#, for: table)]))
            #expect(report.outcome == .transient(.connectionLost))
            #expect(!report.isConnected)
            do {
                try await writer.connect()
                Issue.record("a writer goes on without its tables")
            } catch {
                #expect(error.reason.contains("weir migrate"))
            }
        }

        // MARK: Unanswered

        /// Where the transaction stands when its connection is lost.
        enum Loss: CaseIterable {
            /// It is waiting, and will commit once it can.
            case commits
            /// It is waiting, and is ended meanwhile.
            case isEnded
        }

        @Test(arguments: Loss.allCases) func anAnswerThatNeverCameIsFoundOut(_ loss: Loss)
            async throws
        {
            let scene = try await Self.scene(patience: .milliseconds(500))
            let finder = try await Scene(another: scene)
            let blocker = try scene.database.server.openSession()
            try blocker.execute("BEGIN; LOCK TABLE \(scene.schema).items")
            let batch = try scene.batch([.insert("items", #"{"id":1}"#)])
            let report = await scene.writer.write(batch)
            #expect(report.outcome == .unknown)
            #expect(!report.isConnected)
            let unresolved = try #require(report.unresolved)
            #expect(unresolved.id == batch.id)
            #expect(unresolved.results.map(\.effect) == [.inserted])
            switch loss {
            case .commits: try blocker.execute("ROLLBACK")
            case .isEnded: try await scene.terminateWaiting()
            }
            let found = await Self.inquire(finder, batch, unresolved)
            let isCommitted = loss == .commits
            #expect(found.outcome == (isCommitted ? .committed : .transient(.connectionLost)))
            #expect(found.isConnected)
            #expect(found.effects == (isCommitted ? [.inserted] : []))
            try blocker.execute("ROLLBACK")
            let count = try await scene.rows("SELECT count(*) FROM items")
            #expect(count == [[isCommitted ? "1" : "0"]])
        }

        @Test func aProcessThatHoldsOnIsEndedAfterSomeWaits() async throws {
            let scene = try await Self.scene(patience: .milliseconds(500))
            let finder = try await Scene(another: scene)
            let blocker = try scene.database.server.openSession()
            try blocker.execute("BEGIN; LOCK TABLE \(scene.schema).items")
            let batch = try scene.batch([.insert("items", #"{"id":1}"#)])
            let unresolved = try #require(await scene.writer.write(batch).unresolved)
            for _ in 0..<5 {
                let waiting = await Self.inquire(finder, batch, unresolved)
                #expect(waiting.outcome == .unknown)
                #expect(waiting.unresolved?.id == batch.id)
                #expect(waiting.isConnected)
            }
            try await scene.database.wait(until: "NOT \(scene.isWaitingForLock)")
            let found = await Self.inquire(finder, batch, unresolved)
            #expect(found.outcome == .transient(.connectionLost))
            try blocker.execute("ROLLBACK")
            #expect(try await scene.rows("SELECT * FROM items") == [])
        }

        @Test func whatHadCommittedIsFoundInTheOlderGeneration() async throws {
            let scene = try await Self.scene()
            let batch = try scene.batch([.insert("items", #"{"id":1}"#)])
            #expect(await scene.writer.write(batch).outcome == .committed)
            let rotated = try await scene.rows(
                "UPDATE weir.generation SET since = since - interval '8 days'; "
                    + "SELECT weir.rotate(interval '7 days')")
            #expect(rotated == [["t"]])
            // The writer that asks still believes in the generation that was closed.
            let found = await Self.inquire(
                scene, batch, Unresolved(id: batch.id, results: [RowResult(.inserted)]))
            #expect(found.outcome == .committed)
            #expect(found.effects == [.inserted])
        }

        @Test func twoGenerationsLaterNobodyKnowsAndNothingIsToCome() async throws {
            let scene = try await Self.scene()
            let batch = try scene.batch([.insert("items", #"{"id":1}"#)])
            #expect(await scene.writer.write(batch).outcome == .committed)
            let generation = try await Self.generation(scene)
            for _ in 0..<2 {
                let rotated = try await scene.rows(
                    "UPDATE weir.generation SET since = since - interval '8 days'; "
                        + "SELECT weir.rotate(interval '7 days')")
                #expect(rotated == [["t"]])
            }
            let unresolved = Unresolved(id: batch.id, results: [], generation: generation)
            let found = await Self.inquire(scene, batch, unresolved)
            #expect(found.outcome == .unknown)
            #expect(found.unresolved == nil)
            #expect(found.isConnected)
            // Its fence stands all the same.
            let late = await scene.writer.write(batch)
            #expect(late.outcome == .transient(.other))
            #expect(try await scene.rows("SELECT * FROM items") == [["1"]])
        }

        @Test func aRoleWithNoMoreThanItsRightsFindsOut() async throws {
            let database = try #require(Database.current)
            try await database.execute("CREATE ROLE inquirer LOGIN")
            let scene = try await Scene(
                "CREATE TABLE items (id int); GRANT ALL ON items TO inquirer"
            ) { options in
                options.user = "inquirer"
                options.remembers = true
            }
            let id = Scene.newID()
            let batch = try scene.batch(
                [.insert("items", #"{"id":1}"#).message(scene.schema)], id: id)
            #expect(await scene.writer.write(batch).outcome == .committed)
            let unresolved = Unresolved(id: id, results: [RowResult(.inserted)])
            #expect(await Self.inquire(scene, batch, unresolved).outcome == .committed)
            let other = Unresolved(
                id: Scene.newID(), results: [], generation: try await Self.generation(scene))
            #expect(
                await Self.inquire(scene, batch, other).outcome == .transient(.connectionLost))
        }
    }
}

extension Scene {
    /// Ends this scene's session that waits for a lock, and waits until it is gone.
    func terminateWaiting() async throws {
        try await database.execute(
            """
            SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
            WHERE application_name = '\(schema)' AND wait_event_type = 'Lock'
            """)
    }
}
