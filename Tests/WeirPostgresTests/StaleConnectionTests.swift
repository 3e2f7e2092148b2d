import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord
import WeirTesting

/// Connections that have not heard of a rotation, or of two, since nothing was written over them.
@Suite(.privateServer, .serialized, .timeLimit(.minutes(1))) struct StaleConnectionTests {
    /// A migrated database with one table, and a connection that was made before anything was
    /// written.
    private struct Stage {
        let database: MigrationScene
        let idle: PostgresWriter
        let busy: PostgresWriter
        let table: TableSchema

        init() async throws {
            database = try await MigrationScene()
            _ = try await Migrator(try database.conninfo(), version: "1").migrate()
            try await database.execute("CREATE TABLE public.items (id int)")
            var configuration = PostgresWriter.Configuration(
                conninfo: try database.conninfo(), tables: [TableName("public.items")])
            configuration.replay = .on(window: .seconds(86_400))
            var policy = TablePolicy()
            policy.onReject = .deadLetter
            configuration.policies.policies = [TableName("public.items"): policy]
            idle = PostgresWriter(configuration, number: 0)
            busy = PostgresWriter(configuration, number: 1)
            for writer in [idle, busy] { try await writer.connect() }
            table = try #require(try await idle.loadCatalog().found.first)
        }

        func rotate() async throws {
            let rotated = try await database.query(
                "UPDATE weir.generation SET since = since - interval '2 days'; "
                    + "SELECT weir.rotate('1 day')")
            #expect(rotated == [["t"]])
        }

        func batch(_ message: String?, id: UUID7 = Scene.newID()) throws -> WriteBatch {
            var envelope = Envelope(messageID: message)
            envelope.source = RecordSource(.record, Array(#"{"id":1}"#.utf8))
            let record = try Record.decoded(
                #"{"id":1}"#, for: table, WriteOptions(.insert), key: nil, envelope: envelope)
            let key = record.message.map {
                MessageKey(
                    identity: .init(high: $0.high, low: $0.low), fingerprint: $0.fingerprint)
            }
            return WriteBatch(
                id: id, number: BatchNumber(1), attempt: 1, records: [record],
                messages: key.map { [$0] } ?? [])
        }

        /// The same, refused and to be kept.
        func letter(_ message: String) throws -> WriteBatch {
            let batch = try batch(message)
            return WriteBatch(
                id: batch.id, number: batch.number, attempt: 1, work: .deadLetter,
                records: batch.records, messages: batch.messages,
                refusal: DatabaseError(
                    code: .checkViolation, sqlstate: "23514", message: "violates range"))
        }

        func inquiry(_ unresolved: Unresolved) throws -> WriteBatch {
            let batch = try batch(nil)
            return WriteBatch(
                id: batch.id, number: batch.number, attempt: 1, work: .resolve,
                records: batch.records, unresolved: unresolved)
        }

        var rowCount: [[String?]] {
            get async throws { try await database.query("SELECT count(*) FROM items") }
        }
    }

    @Test func aMessageOfTheGenerationBetweenIsKnown() async throws {
        let stage = try await Stage()
        try await stage.rotate()
        #expect(await stage.busy.write(try stage.batch("m")).effects == [.inserted])
        try await stage.rotate()
        // Its generation takes entries again, and the one that it found empty is not.
        #expect(await stage.idle.write(try stage.batch("m")).effects == [.replayed])
        #expect(await stage.idle.write(try stage.batch("n")).effects == [.inserted])
        #expect(try await stage.rowCount == [["2"]])
    }

    @Test func aDeadLetterWhoseMessageIsOfTheGenerationBetweenIsNotKept() async throws {
        let stage = try await Stage()
        try await stage.rotate()
        #expect(await stage.busy.write(try stage.batch("m")).effects == [.inserted])
        try await stage.rotate()
        #expect(await stage.idle.write(try stage.letter("m")).effects == [.replayed])
        #expect(await stage.idle.write(try stage.letter("n")).effects == [.deadLettered])
        #expect(
            try await stage.database.query("SELECT message_id FROM weir.dead_letter") == [["n"]])
    }

    /// What has no message ID needs to know nothing of generations, and its marker is found.
    @Test func whatHasNoMessageIDIsWrittenAtOnce() async throws {
        let stage = try await Stage()
        for _ in 0..<2 { try await stage.rotate() }
        let report = await stage.idle.write(try stage.batch(nil))
        #expect(report.outcome == .committed && report.statementCount == 1)
        let unresolved = try #require(report.unresolved)
        #expect(await stage.busy.write(try stage.inquiry(unresolved)).outcome == .committed)
        try await stage.rotate()
        #expect(await stage.busy.write(try stage.inquiry(unresolved)).outcome == .committed)
        #expect(try await stage.rowCount == [["1"]])
    }

    @Test(arguments: 1...3) func aMessageOfTheLastGenerationIsKnown(_ rotations: Int) async throws {
        let stage = try await Stage()
        for _ in 1..<rotations { try await stage.rotate() }
        #expect(await stage.busy.write(try stage.batch("m")).effects == [.inserted])
        try await stage.rotate()
        #expect(await stage.idle.write(try stage.batch("m")).effects == [.replayed])
    }

    /// After two rotations there is no trace of an attempt: that there is none says nothing.
    @Test func whatWasForgottenStaysUnknownToAConnectionThatSleptThroughIt() async throws {
        let stage = try await Stage()
        let batch = try stage.batch(nil)
        let report = await stage.busy.write(batch)
        let unresolved = try #require(report.unresolved)
        #expect(report.outcome == .committed)
        #expect(unresolved.generation == 0)
        try await stage.rotate()
        #expect(await stage.idle.write(try stage.inquiry(unresolved)).outcome == .committed)
        // Another one that was lost: there is a trace of neither.
        let other = Unresolved(id: Scene.newID(), results: [], generation: 0)
        try await stage.rotate()
        for lost in [unresolved, other] {
            for writer in [stage.idle, stage.busy] {
                let found = await writer.write(try stage.inquiry(lost))
                #expect(found.outcome == .unknown)
                #expect(found.isConnected)
            }
        }
    }
}
