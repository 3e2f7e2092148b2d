import Foundation
import Synchronization
import Testing
import Weir
import WeirPostgres
import WeirRecord

/// The seam between two generations of message IDs, on databases of their own.
@Suite(.privateServer, .serialized, .timeLimit(.minutes(2))) struct RotationTests {
    private func migrated() async throws -> MigrationScene {
        let scene = try await MigrationScene()
        _ = try await Migrator(try scene.conninfo(), version: "1").migrate()
        return scene
    }

    /// As if the current generation had begun two hours ago.
    private static let age = "UPDATE weir.generation SET since = now() - interval '2 hours'"
    private static let rotate = "SELECT weir.rotate('1 hour')"
    private static let id = "00000000-0000-0000-0000-000000000001"

    private func insert(_ table: String) -> String {
        table.hasPrefix("attempt")
            ? "INSERT INTO weir.\(table) VALUES (gen_random_uuid(), now(), 1, 1, 0)"
            : "INSERT INTO weir.\(table) VALUES ('\(Self.id)', '\(Self.id)', 1, NULL, 0)"
    }

    /// What the server says to a statement that it refuses.
    private func refusal(_ sql: String, _ session: EmbeddedServer.OwnerSession) -> String {
        do {
            try session.execute(sql)
            return "it was taken"
        } catch {
            return "\(error)"
        }
    }

    private func expectClosed(_ refusal: String) {
        #expect(refusal.contains("sqlstate: \"23514\""), "\(refusal)")
        #expect(refusal.contains("constraint: Optional(\"weir_generation_closed\")"), "\(refusal)")
    }

    // MARK: When

    @Test func aGenerationIsClosedWhenItIsAsOldAsTheWindow() async throws {
        let scene = try await migrated()
        #expect(try await scene.query(Self.rotate) == [["f"]])
        try await scene.execute(Self.age)
        #expect(try await scene.query("SELECT weir.rotate('3 hours')") == [["f"]])
        #expect(try await scene.query(Self.rotate) == [["t"]])
        #expect(try await scene.query(Self.rotate) == [["f"]])
        #expect(
            try await scene.query(
                "SELECT current, number, since > now() - interval '1 minute' "
                    + "FROM weir.generation") == [["b", "1", "t"]])
        try await scene.execute(Self.age)
        #expect(try await scene.query(Self.rotate) == [["t"]])
        #expect(
            try await scene.query("SELECT current, number FROM weir.generation") == [["a", "2"]])
    }

    @Test func noWindowIsShorterThanAnHour() async throws {
        let scene = try await migrated()
        try await scene.execute(Self.age)
        for window in ["59 minutes", "0", "-1 day"] {
            let refused = refusal("SELECT weir.rotate('\(window)')", try scene.session())
            #expect(refused.contains("sqlstate: \"22023\""), "\(refused)")
        }
        #expect(try await scene.query("SELECT weir.rotate(NULL)") == [[nil]])
        #expect(try await scene.query("SELECT number FROM weir.generation") == [["0"]])
    }

    @Test func anIDIsRememberedForOneToTwoWindows() async throws {
        let scene = try await migrated()
        try await scene.execute(insert("replay_a"))
        for expected in [["1", "0"], ["0", "0"]] {
            try await scene.execute(Self.age)
            #expect(try await scene.query(Self.rotate) == [["t"]])
            #expect(
                try await scene.query(
                    """
                    SELECT (SELECT count(*) FROM weir.replay_a), (SELECT count(*) FROM weir.replay_b)
                    """) == [expected])
        }
    }

    // MARK: The fence

    @Test func theClosedGenerationTakesNothing() async throws {
        let scene = try await migrated()
        let session = try scene.session()
        try session.execute(insert("replay_a"))
        for closed in ["b", "a"] {
            for table in ["attempt_\(closed)", "replay_\(closed)"] {
                expectClosed(refusal(insert(table), session))
            }
            if closed == "b" {
                try session.execute(Self.age + "; " + Self.rotate)
                // What it remembers stays as it is.
                #expect(try session.query("SELECT count(*) FROM weir.replay_a") == [["1"]])
                expectClosed(refusal("UPDATE weir.replay_a SET outcome = 1", session))
                try session.execute("DELETE FROM weir.replay_b; " + insert("attempt_b"))
            }
        }
    }

    @Test func theFenceWaitsForThoseBeforeItAndRefusesThoseBehindIt() async throws {
        let scene = try await migrated()
        // However long the others take to get in line.
        try await scene.execute(
            "ALTER FUNCTION weir.rotate(interval) SET lock_timeout = '30s'; " + Self.age)
        let early = try scene.session()
        try early.execute("BEGIN; " + insert("attempt_a") + "; " + insert("replay_a"))
        let rotator = Apart(scene.text())
        let late = Apart(scene.text())
        async let rotated = rotator.query(Self.rotate)
        try await scene.execute(Database.waiting(until: Self.waitingCount(1)))
        // It holds a generation that it has read before, and queues up behind the fence.
        async let refused = late.refusal(insert("attempt_a"))
        try await scene.execute(Database.waiting(until: Self.waitingCount(2)))
        try early.execute("COMMIT")
        #expect(try await rotated == [["t"]])
        expectClosed(await refused)
        // What came before is seen by those who write the new generation.
        let fresh = try await scene.query(
            """
            INSERT INTO weir.replay_b (id, attempt_id, fingerprint, outcome)
            SELECT u.id, u.id, 1, 0 FROM (VALUES ('\(Self.id)'::uuid)) u(id)
            WHERE NOT EXISTS (SELECT FROM weir.replay_a o WHERE o.id = u.id)
            ON CONFLICT DO NOTHING RETURNING id
            """)
        #expect(fresh.isEmpty)
    }

    private static func waitingCount(_ count: Int) -> String {
        """
        (SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock') = \(count)
        """
    }

    @Test func twoAtATimeRotateOnce() async throws {
        let scene = try await migrated()
        try await scene.execute(
            "ALTER FUNCTION weir.rotate(interval) SET lock_timeout = '30s'; " + Self.age)
        let blocker = try scene.session()
        try blocker.execute("BEGIN; " + insert("attempt_a"))
        let rotators = (0..<2).map { _ in Apart(scene.text()) }
        async let first = rotators[0].query(Self.rotate)
        try await scene.execute(Database.waiting(until: Self.waitingCount(1)))
        // The other one does not even wait.
        #expect(try await rotators[1].query(Self.rotate) == [["f"]])
        try blocker.execute("COMMIT")
        #expect(try await first == [["t"]])
        #expect(try await scene.query("SELECT number FROM weir.generation") == [["1"]])
    }

    @Test func aLockThatStaysIsGivenUpAndNothingHasChanged() async throws {
        let scene = try await migrated()
        try await scene.execute(Self.age)
        let reader = try scene.session()
        try reader.execute("BEGIN; SELECT FROM weir.replay_b")
        let writer = PostgresWriter(
            .init(conninfo: try scene.conninfo(), tables: []), number: 0)
        try await writer.connect()
        #expect(try await writer.rotateReplay(window: .seconds(3_600)) == .busy)
        #expect(
            try await scene.query("SELECT current, number FROM weir.generation") == [["a", "0"]])
        try await scene.execute(insert("attempt_a"))
        try reader.execute("COMMIT")
        #expect(try await writer.rotateReplay(window: .seconds(3_600)) == .rotated)
        #expect(try await writer.rotateReplay(window: .seconds(3_600)) == .notDue)
    }

    @Test func aWriterRotatesByItselfOnceInAWhile() async throws {
        let scene = try await migrated()
        try await scene.execute(Self.age)
        var configuration = PostgresWriter.Configuration(
            conninfo: try scene.conninfo(), tables: [])
        let idle = PostgresWriter(configuration, number: 0)
        configuration.replay = .on(window: .seconds(3_600))
        let writer = PostgresWriter(configuration, number: 1)
        for writer in [idle, writer] { try await writer.connect() }
        // Without a window nothing is asked, and the turn of the others is not taken.
        #expect(try await idle.maintain() == nil)
        #expect(try await writer.maintain()?.hasPrefix("forgot the message IDs") == true)
        try await scene.execute(Self.age)
        #expect(try await writer.maintain() == nil)
        #expect(try await scene.query("SELECT number FROM weir.generation") == [["1"]])
    }

    // MARK: The seam under load

    /// In each round all writers send the same IDs, in batches of their own, while the generation
    /// changes under them. The effects' table has no key: what was applied twice is there twice.
    @Test func noIDIsAppliedTwiceAcrossRotations() async throws {
        let scene = try await migrated()
        try await scene.execute("CREATE TABLE effects (id uuid NOT NULL)")
        let writers = (0..<4).map { SeamWriter(scene, number: $0) }
        let rotator = Apart(scene.text())
        let idCount = 60
        for round in 0..<25 {
            try await scene.execute(Self.age)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for writer in writers {
                    tasks.addTask { try await writer.write(round: round, idCount: idCount) }
                }
                tasks.addTask {
                    // In the midst of the round: some have committed.
                    try await rotator.execute(
                        Database.waiting(
                            until: "EXISTS (SELECT FROM effects OFFSET \(round * idCount))"))
                    #expect(try await rotator.query(Self.rotate) == [["t"]])
                }
                try await tasks.waitForAll()
            }
        }
        let total = "\(25 * idCount)"
        #expect(
            try await scene.query("SELECT count(*), count(DISTINCT id) FROM effects") == [
                [total, total]
            ])
        #expect(try await scene.query("SELECT number FROM weir.generation") == [["25"]])
        var refusals = 0
        for writer in writers { refusals += await writer.refusalCount }
        // Else nobody held on to a closed generation, and the rounds have shown nothing.
        #expect(refusals > 0)
    }
}

/// Does what a gateway's writer does with the generations, statement by statement.
private actor SeamWriter {
    private let scene: MigrationScene
    private let number: Int
    private var session: EmbeddedServer.OwnerSession?
    /// As it was read last; it grows stale.
    private var current = "a"
    private(set) var refusalCount = 0
    private let executor: BlockingExecutor
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    init(_ scene: MigrationScene, number: Int) {
        self.scene = scene
        self.number = number
        executor = BlockingExecutor(label: "seam.\(number)")
    }

    func write(round: Int, idCount: Int) throws {
        let session = try self.session ?? scene.session()
        self.session = session
        var ids = Array(0..<idCount)
        // Each writer in an order of its own.
        ids = Array(ids[(number * 13 % idCount)...] + ids[..<(number * 13 % idCount)])
        while !ids.isEmpty {
            let batch = ids.prefix(5).sorted()
            do {
                try session.execute(transaction(batch, round))
                ids.removeFirst(batch.count)
            } catch {
                try session.execute("ROLLBACK")
                guard "\(error)".contains("weir_generation_closed") else { throw error }
                refusalCount += 1
                current = try session.query("SELECT current FROM weir.generation")[0][0] ?? ""
            }
        }
    }

    private func transaction(_ ids: [Int], _ round: Int) -> String {
        let older = current == "a" ? "b" : "a"
        let values = ids.map { id in
            let digits = String(round * 1_000 + id)
            let padding = String(repeating: "0", count: 12 - digits.count)
            return "('00000000-0000-0000-0000-\(padding)\(digits)'::uuid)"
        }
        return """
            BEGIN;
            INSERT INTO weir.attempt_\(current) (id, attempt, records, outcome)
                VALUES (gen_random_uuid(), 1, \(ids.count), 0);
            CREATE TEMP TABLE fresh (id uuid) ON COMMIT DROP;
            WITH gate AS (
                INSERT INTO weir.replay_\(current) (id, attempt_id, fingerprint, outcome)
                SELECT u.id, u.id, 1, 0 FROM (VALUES \(values.joined(separator: ", "))) u(id)
                WHERE NOT EXISTS (SELECT FROM weir.replay_\(older) o WHERE o.id = u.id)
                ORDER BY u.id ON CONFLICT DO NOTHING RETURNING id)
            INSERT INTO fresh SELECT id FROM gate;
            INSERT INTO effects SELECT id FROM fresh;
            COMMIT
            """
    }
}
