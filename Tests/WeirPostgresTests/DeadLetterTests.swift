import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord
import WeirTesting

extension PostgresTests {
    /// Records that are kept because the database refused them.
    @Suite(.timeLimit(.minutes(1))) struct DeadLetterTests {
        private static let refusal = DatabaseError(
            code: .checkViolation, sqlstate: "23514", message: "violates qty_range",
            constraint: "qty_range")

        private static func scene() async throws -> Scene {
            try await Scene(
                "CREATE TABLE items (id int PRIMARY KEY, qty int CONSTRAINT qty_range CHECK (qty < 10))"
            ) {
                $0.remembers = true
                $0.policy.onReject = .deadLetter
            }
        }

        private static func letter(
            _ scene: Scene, _ row: Row, refusal: DatabaseError = refusal
        ) async throws -> BatchReport {
            let batch = try scene.batch([row])
            return await scene.writer.write(
                WriteBatch(
                    id: batch.id, number: batch.number, attempt: 3, work: .deadLetter,
                    records: batch.records, messages: batch.messages, refusal: refusal))
        }

        private static func row(_ scene: Scene, _ message: Int?) -> Row {
            var row = Row.insert("items", #"{"id":1,"qty":10}"#)
                .message(message.map { "\(scene.schema)-\($0)" })
            row.source = RecordSource(
                .record, Array("{\"id\":1,\"qty\":10,\"x\":\"\\u0000\"}\n".utf8))
            row.origin = RecordOrigin(.said("req-1"))
            return row
        }

        @Test func allOfItIsKept() async throws {
            let scene = try await Self.scene()
            let report = try await Self.letter(scene, Self.row(scene, 1))
            #expect(report.outcome == .committed)
            #expect(report.effects == [.deadLettered])
            let number = try #require(report.results.first?.deadLetter)
            let rows = try await scene.rows(
                """
                SELECT table_name, operation, message_id, key, media_type, convert_from(raw, 'UTF8'),
                    sqlstate, constraint_name, column_name, code, reason, attempts, request, trace,
                    instance, version, config_hash, on_conflict, version_column
                FROM weir.dead_letter WHERE id = \(number)
                """)
            #expect(
                rows == [
                    [
                        "\(scene.schema).items", "insert", "\(scene.schema)-1", #"{"id":1}"#,
                        "application/json", "{\"id\":1,\"qty\":10,\"x\":\"\\u0000\"}\n", "23514",
                        "qty_range", nil, "check-violation", "violates qty_range", "3", "req-1",
                        nil, scene.schema, "1.2", "c0ffee", nil, nil,
                    ]
                ])
            #expect(try await scene.rows("SELECT * FROM items") == [])
        }

        @Test func whatTheCallerSaidOfRowsThatExistIsKept() async throws {
            let scene = try await Scene("CREATE TABLE items (id int PRIMARY KEY, qty int)") {
                $0.remembers = true
                $0.policy.onReject = .deadLetter
            }
            var row = Self.row(scene, 1)
            row.options.onConflict = .merge
            row.options.isConflictRuleSaid = true
            row.options.versionColumn = 1
            row.options.isVersionColumnSaid = true
            let number = try #require(
                try await Self.letter(scene, row).results.first?.deadLetter)
            let rows = try await scene.rows(
                """
                SELECT d.on_conflict, d.version_column, d.message_fingerprint = r.fingerprint
                FROM weir.dead_letter d JOIN (SELECT * FROM weir.replay_a UNION ALL
                    SELECT * FROM weir.replay_b) r ON r.dead_letter = d.id
                WHERE d.id = \(number)
                """)
            #expect(rows == [["merge", nil, "t"]])
        }

        @Test func aRepetitionOfOneIsToldSo() async throws {
            let scene = try await Self.scene()
            let row = Self.row(scene, 1)
            let number = try await Self.letter(scene, row).results.first?.deadLetter
            #expect(number != nil)
            let again = try await scene.write(row)
            #expect(again.effects == [.replayed])
            #expect(again.first == [.deadLettered])
            #expect(again.results.first?.deadLetter == number)
            // Somebody else may have kept it meanwhile.
            let twice = try await Self.letter(scene, row)
            #expect(twice.effects == [.replayed])
            #expect(twice.results.first?.deadLetter == number)
            let count = try await scene.rows(
                "SELECT count(*) FROM weir.dead_letter WHERE table_name = '\(scene.schema).items'")
            #expect(count == [["1"]])
        }

        @Test func whatCommittedMeanwhileIsNoDeadLetter() async throws {
            let scene = try await Self.scene()
            var row = Self.row(scene, 1)
            row.data = #"{"id":1,"qty":1}"#
            #expect(try await scene.write(row).effects == [.inserted])
            let report = try await Self.letter(scene, row)
            #expect(report.effects == [.replayed])
            #expect(report.first == [.inserted])
        }

        @Test func lettersOfOneKindAreOneGroup() async throws {
            let scene = try await Self.scene()
            let other = DatabaseError(
                code: .uniqueViolation, sqlstate: "23505",
                message: String(repeating: "ä", count: 600),
                constraint: "items_pkey")
            for refusal in [Self.refusal, Self.refusal, other] {
                let report = try await Self.letter(scene, Self.row(scene, nil), refusal: refusal)
                #expect(report.effects == [.deadLettered])
            }
            let groups = try await scene.rows(
                """
                SELECT constraint_name, count, octet_length(reason) FROM weir.dead_letter_group
                WHERE table_name = '\(scene.schema).items' ORDER BY 2
                """)
            #expect(groups == [["items_pkey", "1", "1024"], ["qty_range", "2", "18"]])
        }

        @Test func withoutItsBytesARecordIsOnlyRejected() async throws {
            let scene = try await Self.scene()
            var row = Self.row(scene, 1)
            row.source = nil
            let report = try await Self.letter(scene, row)
            #expect(report.outcome == .recordError(culprit: 0))
            #expect(report.error == Self.refusal)
            #expect(report.isConnected)
        }

        @Test func aLetterThatIsRefusedLeavesNothing() async throws {
            let scene = try await Self.scene()
            try await scene.execute(
                "ALTER TABLE weir.dead_letter ADD CONSTRAINT none CHECK (table_name <> '\(scene.schema).items')"
            )
            let report = try await Self.letter(scene, Self.row(scene, 1))
            try await scene.execute("ALTER TABLE weir.dead_letter DROP CONSTRAINT none")
            #expect(report.outcome == .recordError(culprit: nil))
            #expect(report.error == Self.refusal)
            #expect(report.isConnected)
            #expect(try await Self.letter(scene, Self.row(scene, 1)).effects == [.deadLettered])
        }
    }
}
