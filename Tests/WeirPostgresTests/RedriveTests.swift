import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord

extension PostgresTests {
    /// A dead letter that is sent again: it goes with its record's effect, or stays.
    @Suite(.timeLimit(.minutes(1))) struct RedriveTests {
        private static func scene() async throws -> Scene {
            try await Scene(
                """
                CREATE TABLE items (id int PRIMARY KEY, qty int CONSTRAINT few CHECK (qty < 10),
                    applied int DEFAULT 0);
                CREATE TABLE log (id int)
                """
            ) {
                $0.remembers = true
                $0.policy.onReject = .deadLetter
            }
        }

        /// Keeps the row as a dead letter, and tells how it is sent again.
        ///
        /// - Parameter edited: what it was edited to.
        private static func letter(
            _ scene: Scene, _ row: Row, edited: Row? = nil
        ) async throws -> Row {
            var again = edited ?? row
            var row = row
            row.source = RecordSource(.record, Array(row.data.utf8))
            let batch = try scene.batch([row])
            let report = await scene.writer.write(
                WriteBatch(
                    id: batch.id, number: batch.number, attempt: 1, work: .deadLetter,
                    records: batch.records, messages: batch.messages,
                    refusal: DatabaseError(
                        code: .checkViolation, sqlstate: "23514", message: "few",
                        constraint: "few")))
            again.redriven = Redriven(
                letter: try #require(report.results.first?.deadLetter), edits: 0)
            again.fingerprint = batch.records[0].message?.fingerprint
            return again
        }

        private static func count(_ scene: Scene) async throws -> String? {
            try await scene.rows(
                "SELECT count(*) FROM weir.dead_letter WHERE table_name LIKE '\(scene.schema).%'"
            ).first?.first ?? nil
        }

        @Test func theLetterGoesAndARepetitionIsToldWhatCameOfIt() async throws {
            let scene = try await Self.scene()
            let message = "\(scene.schema)-1"
            let sent = Row.insert("items", #"{"id":1,"qty":10}"#).message(message)
            var again = Row.insert("items", #"{"id":1,"qty":9}"#).message(message)
            again = try await Self.letter(scene, sent, edited: again)
            #expect(try await scene.write(sent).first == [.deadLettered])
            let id = Scene.newID()
            let report = try await scene.write([again], id: id)
            #expect(report.outcome == .committed && report.effects == [.inserted])
            #expect(try await Self.count(scene) == "0")
            #expect(try await scene.rows("SELECT id, qty FROM items") == [["1", "9"]])
            // The caller sends what it sent first.
            let repetition = try await scene.write(sent)
            #expect(repetition.effects == [.replayed] && repetition.first == [.inserted])
            #expect(repetition.results.first?.first?.batchID == id)
            #expect(repetition.results.first?.deadLetter == nil)
            #expect(try await scene.rows("SELECT count(*) FROM items") == [["1"]])
        }

        /// Nothing takes effect twice, whoever sends it again, and however often.
        @Test func aLetterThatIsGoneIsNotSentAgain() async throws {
            let scene = try await Self.scene()
            for message in ["\(scene.schema)-1", nil] {
                var row = Row.insert("log", #"{"id":1}"#).message(message)
                row = try await Self.letter(scene, row)
                #expect(try await scene.write(row).effects == [.inserted])
                let other = try await Scene(another: scene)
                let twice = try await other.write(
                    .insert("log", #"{"id":2}"#), row, .insert("log", #"{"id":3}"#))
                #expect(twice.outcome == .recordError(culprit: 1))
                #expect(twice.suspect == 1 && twice.error?.code == .notFound)
                #expect(twice.isConnected)
            }
            #expect(try await scene.rows("SELECT id FROM log") == [["1"], ["1"]])
        }

        @Test func aLetterThatWasEditedSinceIsNotSentAgain() async throws {
            let scene = try await Self.scene()
            var row = Row.insert("log", #"{"id":1}"#)
            row = try await Self.letter(scene, row)
            let number = try #require(row.redriven?.letter)
            #expect(
                try await scene.writer.answer(
                    .edit(number, edits: 0, to: Array(#"{"record":{"id":2}}"#.utf8)))
                    == .changed(1))
            #expect(
                try await scene.writer.answer(.edit(number, edits: 0, to: nil)) == .changed(0))
            #expect(try await scene.write(row).outcome == .recordError(culprit: 0))
            #expect(try await Self.count(scene) == "1")
            row.redriven?.edits = 1
            #expect(try await scene.write(row).effects == [.inserted])
        }

        @Test func whatIsRefusedAgainStaysAsItWas() async throws {
            let scene = try await Self.scene()
            let message = "\(scene.schema)-1"
            var row = Row.insert("items", #"{"id":1,"qty":10}"#).message(message)
            row = try await Self.letter(scene, row)
            let refused = try await scene.write(row)
            #expect(refused.outcome == .recordError(culprit: 0))
            #expect(refused.error?.code == .checkViolation)
            // A patch that meets no row has no effect that the letter could go with.
            var patch = Row.patch("items", #"{"id":77}"#, #"{"qty":1}"#)
            patch = try await Self.letter(scene, patch)
            let missed = try await scene.write(patch)
            #expect(missed.outcome == .recordError(culprit: 0))
            #expect(missed.error?.code == .recordNotFound)
            #expect(try await Self.count(scene) == "2")
            row.redriven = nil
            #expect(try await scene.write(row).first == [.deadLettered])
        }

        @Test func itsMatesAndItsRepetitionInTheSameBatchAreToldTheirOwn() async throws {
            let scene = try await Self.scene()
            let message = "\(scene.schema)-1"
            let sent = Row.insert("items", #"{"id":1,"qty":10}"#).message(message)
            var again = Row.insert("items", #"{"id":1,"qty":9}"#).message(message)
            again = try await Self.letter(scene, sent, edited: again)
            let report = try await scene.write(
                .insert("items", #"{"id":2,"qty":1}"#).message("\(scene.schema)-2"), again, sent)
            #expect(report.outcome == .committed)
            #expect(report.effects == [.inserted, .inserted, .replayed])
            #expect(report.first == [nil, nil, .deadLettered])
            #expect(try await scene.write(sent).first == [.inserted])
            #expect(try await Self.count(scene) == "0")
        }

        @Test func aMessageThatCommittedByItselfIsNotWrittenAgain() async throws {
            let scene = try await Self.scene()
            let message = "\(scene.schema)-1"
            let sent = Row.insert("log", #"{"id":1}"#).message(message)
            var again = sent
            again = try await Self.letter(scene, sent, edited: again)
            // As if the entry had been forgotten, and the caller had sent it once more.
            try await scene.execute(
                """
                DELETE FROM weir.replay_a WHERE dead_letter = \(again.redriven?.letter ?? 0);
                DELETE FROM weir.replay_b WHERE dead_letter = \(again.redriven?.letter ?? 0)
                """)
            #expect(try await scene.write(sent).effects == [.inserted])
            let report = try await scene.write(again)
            #expect(report.effects == [.replayed] && report.first == [.inserted])
            #expect(try await scene.rows("SELECT count(*) FROM log") == [["1"]])
            #expect(try await Self.count(scene) == "1")
        }

        @Test func anEntryOfTheOlderGenerationIsReplaced() async throws {
            let scene = try await Self.scene()
            let message = "\(scene.schema)-1"
            let sent = Row.insert("items", #"{"id":1,"qty":10}"#).message(message)
            var again = Row.insert("items", #"{"id":1,"qty":9}"#).message(message)
            again = try await Self.letter(scene, sent, edited: again)
            try await scene.execute("UPDATE weir.generation SET since = since - interval '30 days'")
            #expect(try await scene.writer.rotateReplay(window: .seconds(7 * 86_400)) == .rotated)
            #expect(try await scene.write(again).effects == [.inserted])
            #expect(try await scene.write(sent).first == [.inserted])
            #expect(try await Self.count(scene) == "0")
        }

        /// The session is ended after all of it was done and before COMMIT.
        @Test func whatDoesNotCommitLeavesTheLetter() async throws {
            let scene = try await Self.scene()
            let message = "\(scene.schema)-1"
            var row = Row.insert("log", #"{"id":1}"#).message(message)
            row = try await Self.letter(scene, row)
            try await scene.execute(
                """
                CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
                CREATE CONSTRAINT TRIGGER die AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED
                    FOR EACH ROW EXECUTE FUNCTION die()
                """)
            let lost = try await scene.write(row)
            #expect(lost.outcome != .committed && !lost.isConnected)
            try await scene.execute("DROP TRIGGER die ON log")
            #expect(try await Self.count(scene) == "1")
            let other = try await Scene(another: scene)
            #expect(try await other.write(row).effects == [.inserted])
            #expect(try await Self.count(scene) == "0")
            #expect(try await scene.rows("SELECT count(*) FROM log") == [["1"]])
        }
    }
}
