import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord

extension PostgresTests {
    /// PostgreSQL looks at NOT NULL before it looks for the row: an upsert that leaves such a column
    /// out must all the same update the row that is there.
    @Suite struct PartialUpsertTests {
        static let items = """
            CREATE TABLE items (
                id int PRIMARY KEY, must int NOT NULL, word text NOT NULL, note text,
                filled int NOT NULL DEFAULT 7);
            INSERT INTO items VALUES (1, 10, 'a', 'old')
            """

        @Test func aRowThatIsThereIsUpdated() async throws {
            let scene = try await Scene(Self.items)
            let report = try await scene.write(
                .upsert("items", #"{"id":1,"note":"new"}"#),
                .insert("items", #"{"id":1,"must":11}"#).mergingConflicts.returningRow,
                .upsert("items", #"{"id":1}"#))
            #expect(report.outcome == .committed)
            #expect(report.effects == [.updated, .updated, .unchanged])
            #expect(
                report.rows[1] == #"{"id":1,"must":11,"word":"a","note":"new","filled":7}"#)
            #expect(
                try await scene.rows("SELECT * FROM items") == [["1", "11", "a", "new", "7"]])
        }

        @Test func aRowThatIsNotThereIsNotMadeAndItsNeighboursCommit() async throws {
            let scene = try await Scene(Self.items)
            let report = try await scene.write(
                .upsert("items", #"{"id":2,"note":"x"}"#),
                .upsert("items", #"{"id":3,"must":1,"word":"w"}"#),
                .upsert("items", #"{"id":1,"must":12}"#),
                .insert("items", #"{"id":4}"#).mergingConflicts)
            #expect(report.outcome == .committed)
            #expect(report.effects == [.notFound, .inserted, .updated, .notFound])
            #expect(
                try await scene.rows("SELECT id, must FROM items ORDER BY id")
                    == [["1", "12"], ["3", "1"]])
        }

        @Test func aRowThatTheSameBatchMakesIsThere() async throws {
            let scene = try await Scene(Self.items)
            let report = try await scene.write(
                .insert("items", #"{"id":5,"must":1,"word":"w"}"#),
                .upsert("items", #"{"id":5,"must":2}"#), .delete("items", #"{"id":5}"#),
                .upsert("items", #"{"id":5,"must":3}"#))
            #expect(report.effects == [.inserted, .updated, .deleted, .notFound])
        }

        @Test(arguments: [
            Row.upsert("items", #"{"id":2,"note":"x"}"#),
            .insert("items", #"{"id":2,"note":"x"}"#).mergingConflicts,
        ]) func inAGroupItFailsTheGroup(_ row: Row) async throws {
            let scene = try await Scene(Self.items)
            let report = try await scene.write(
                [.insert("items", #"{"id":6,"must":1,"word":"w"}"#), row], groups: [0..<2])
            #expect(report.outcome == .recordError(culprit: 1))
            #expect(report.error?.code == .notNullViolation)
            #expect(report.error?.sqlstate == "23502")
            #expect(report.error?.column == "must")
            #expect(try await scene.rows("SELECT id FROM items") == [["1"]])
        }

        @Test func aTriggerMaySupplyWhatIsLeftOut() async throws {
            let scene = try await Scene(
                Self.items + """
                    ;
                    CREATE FUNCTION supply() RETURNS trigger LANGUAGE plpgsql AS $$
                    BEGIN NEW.must = COALESCE(NEW.must, 99); NEW.word = 'w'; RETURN NEW; END $$;
                    CREATE TRIGGER t BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION supply()
                    """)
            let report = try await scene.write(
                .insert("items", #"{"id":2}"#), .upsert("items", #"{"id":3}"#),
                .upsert("items", #"{"id":1,"note":"n"}"#))
            #expect(report.effects == [.inserted, .inserted, .updated])
            #expect(
                try await scene.rows("SELECT id, must, note FROM items ORDER BY id")
                    == [["1", "10", "n"], ["2", "99", nil], ["3", "99", nil]])
        }

        @Test func aDefaultOfTheDomainCounts() async throws {
            let scene = try await Scene(
                """
                CREATE DOMAIN amount AS numeric(6,2) DEFAULT 5 NOT NULL;
                CREATE TABLE items (id int PRIMARY KEY, v amount, w text)
                """)
            let report = try await scene.write(
                .insert("items", #"{"id":1}"#), .upsert("items", #"{"id":1,"w":"x"}"#))
            #expect(report.effects == [.inserted, .updated])
            #expect(throws: Defect.self) {
                try Row.insert("items", #"{"id":2,"v":null}"#)
                    .record(for: scene.table("items"))
            }
            #expect(try await scene.rows("SELECT v, w FROM items") == [["5.00", "x"]])
        }
    }
}
