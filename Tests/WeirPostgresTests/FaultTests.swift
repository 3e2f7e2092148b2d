import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord

extension PostgresTests {
    /// What PostgreSQL refuses, and what the batch is told of it.
    @Suite struct FaultTests {
        // MARK: Constraints

        @Test func eachConstraintSaysWhichOneItWas() async throws {
            let scene = try await Scene(
                """
                CREATE TABLE parents (id int PRIMARY KEY);
                CREATE TABLE items (
                    id int PRIMARY KEY, code text CONSTRAINT code_once UNIQUE,
                    qty int CONSTRAINT qty_range CHECK (qty < 10), must int NOT NULL DEFAULT 1,
                    parent int CONSTRAINT has_parent REFERENCES parents,
                    during int4range, CONSTRAINT apart EXCLUDE USING gist (during WITH &&),
                    ratio int GENERATED ALWAYS AS (100 / (qty + 1)) STORED);
                CREATE TABLE needy (id int PRIMARY KEY, must int NOT NULL);
                CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
                CREATE TRIGGER t BEFORE INSERT ON needy FOR EACH ROW EXECUTE FUNCTION pass();
                INSERT INTO items (id, code, during) VALUES (1, 'a', '[1,5)')
                """)
            let cases: [(Row, ProblemCode, String, String?, String?)] = [
                (.insert("items", #"{"id":1}"#), .uniqueViolation, "23505", "items_pkey", nil),
                (
                    .insert("items", #"{"id":2,"code":"a"}"#), .uniqueViolation, "23505",
                    "code_once", nil
                ),
                (
                    .insert("items", #"{"id":2,"qty":10}"#), .checkViolation, "23514", "qty_range",
                    nil
                ),
                (
                    .insert("items", #"{"id":2,"parent":5}"#), .foreignKeyViolation, "23503",
                    "has_parent", nil
                ),
                (
                    .insert("items", #"{"id":2,"during":"[4,6)"}"#), .exclusionViolation, "23P01",
                    "apart", nil
                ),
                (.insert("items", #"{"id":2,"qty":-1}"#), .invalidValue, "22012", nil, nil),
                (.insert("needy", #"{"id":2}"#), .notNullViolation, "23502", nil, "must"),
                (
                    .upsert("items", #"{"id":2,"code":"a"}"#), .uniqueViolation, "23505",
                    "code_once", nil
                ),
                (
                    .patch("items", #"{"id":1}"#, #"{"qty":99}"#), .checkViolation, "23514",
                    "qty_range", nil
                ),
            ]
            for (row, code, sqlstate, constraint, column) in cases {
                let report = try await scene.write(row)
                #expect(report.outcome == .recordError(culprit: 0), "\(row.data)")
                #expect(report.error?.code == code)
                #expect(report.error?.sqlstate == sqlstate)
                #expect(report.error?.constraint == constraint)
                #expect(report.error?.column == column)
                #expect(report.isConnected)
            }
            #expect(try await scene.rows("SELECT count(*) FROM items") == [["1"]])
        }

        @Test func aRecordWithMatesIsNotNamed() async throws {
            let scene = try await Scene("CREATE TABLE items (id int PRIMARY KEY)")
            let report = try await scene.write(
                .insert("items", #"{"id":1}"#), .insert("items", #"{"id":2}"#),
                .insert("items", #"{"id":3}"#))
            #expect(report.outcome == .committed)
            let refused = try await scene.write(
                .insert("items", #"{"id":4}"#), .insert("items", #"{"id":2}"#))
            #expect(refused.outcome == .recordError(culprit: nil))
            #expect(try await scene.rows("SELECT count(*) FROM items") == [["3"]])
        }

        @Test func aDeferredConstraintIsMetAtCommit() async throws {
            let scene = try await Scene(
                """
                CREATE TABLE parents (id int PRIMARY KEY);
                CREATE TABLE children (id int PRIMARY KEY, parent int CONSTRAINT late
                    REFERENCES parents DEFERRABLE INITIALLY DEFERRED)
                """)
            let refused = try await scene.write(.insert("children", #"{"id":1,"parent":5}"#))
            #expect(refused.outcome == .recordError(culprit: nil))
            #expect(refused.error?.constraint == "late")
            #expect(refused.isConnected)
            let stored = try await scene.write(
                .insert("children", #"{"id":1,"parent":5}"#), .insert("parents", #"{"id":5}"#))
            #expect(stored.outcome == .committed)
        }

        @Test func aTriggersWordsReachTheCaller() async throws {
            let scene = try await Scene(
                """
                CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN RAISE 'not on %', 'sundays'; END $$;
                CREATE TABLE items (id int PRIMARY KEY);
                CREATE TRIGGER t AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION refuse()
                """)
            let report = try await scene.write(.insert("items", #"{"id":1}"#))
            #expect(report.outcome == .recordError(culprit: 0))
            #expect(report.error?.code == .triggerException)
            #expect(report.error?.message == "not on sundays")
        }

        @Test func aRowThatATriggerDropsIsNotAnsweredAsStored() async throws {
            let scene = try await Scene(
                """
                CREATE FUNCTION drop_even() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN IF NEW.id % 2 = 0 THEN RETURN NULL; END IF; RETURN NEW; END $$;
                CREATE TABLE items (id int PRIMARY KEY);
                CREATE TRIGGER t BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION drop_even()
                """)
            for row in [Row.insert("items", #"{"id":2}"#), .upsert("items", #"{"id":2}"#)] {
                let report = try await scene.write(.insert("items", #"{"id":1}"#), row)
                guard case .recordError = report.outcome else {
                    Issue.record("\(report.outcome)")
                    continue
                }
                #expect(report.error?.code == .triggerException)
                #expect(report.isConnected)
            }
            #expect(try await scene.rows("SELECT * FROM items") == [])
            #expect(try await scene.write(.insert("items", #"{"id":1}"#)).outcome == .committed)
        }

        /// One statement inserts both rows, and says only that one is missing.
        @Test func theMemberOfAGroupWhoseRowATriggerDropsIsTheOneThatIsNamed() async throws {
            let scene = try await Scene(
                """
                CREATE FUNCTION drop_even() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN IF NEW.id % 2 = 0 THEN RETURN NULL; END IF; RETURN NEW; END $$;
                CREATE TABLE items (id int PRIMARY KEY);
                CREATE TRIGGER t BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION drop_even()
                """)
            let rows = [1, 2, 3].map { Row.insert("items", #"{"id":\#($0)}"#) }
            let together = try await scene.write(rows, groups: [0..<3])
            #expect(together.outcome == .recordError(culprit: nil))
            let apart = try await scene.write(rows, groups: [0..<3], isIsolated: true)
            #expect(apart.outcome == .recordError(culprit: 1))
            #expect(apart.error?.code == .triggerException)
        }

        // MARK: Tables

        /// Which change makes the second of two tables unwritable.
        static let changes = [
            "DROP TABLE second", "ALTER TABLE second RENAME TO third",
            "ALTER TABLE second RENAME COLUMN v TO w", "ALTER TABLE second DROP COLUMN v",
            "REVOKE INSERT ON second FROM limited",
            "ALTER TABLE second ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE second ALTER v TYPE uuid USING NULL",
        ]

        @Test(arguments: changes) func theTableThatCannotBeWrittenIsNamed(_ change: String)
            async throws
        {
            let database = try #require(Database.current)
            try await database.execute(
                "DO $$ BEGIN CREATE ROLE limited LOGIN; EXCEPTION WHEN duplicate_object THEN END $$"
            )
            let scene = try await Scene(
                """
                CREATE TABLE first (id int PRIMARY KEY, v text);
                CREATE TABLE second (id int PRIMARY KEY, v text);
                GRANT ALL ON first, second TO limited
                """
            ) { $0.user = "limited" }
            let rows: [Row] = [
                .insert("first", #"{"id":1,"v":"a"}"#), .insert("second", #"{"id":1,"v":"a"}"#),
            ]
            #expect(try await scene.write(rows[0]).outcome == .committed)
            try await scene.execute(change)
            let report = try await scene.write(rows[1], .insert("first", #"{"id":2,"v":"b"}"#))
            #expect(report.outcome == .tableFault(try scene.table("second").id))
            #expect(report.error?.code == .tablePaused)
            #expect(report.isConnected)
            // The other one goes on, over the same connection.
            #expect(
                try await scene.write(.insert("first", #"{"id":2,"v":"b"}"#)).outcome == .committed)
        }

        @Test func aRowWithoutAPartitionIsTheTablesFault() async throws {
            let scene = try await Scene(
                """
                CREATE TABLE metrics (day int PRIMARY KEY) PARTITION BY LIST (day);
                CREATE TABLE metrics_1 PARTITION OF metrics FOR VALUES IN (1)
                """)
            let report = try await scene.write(.insert("metrics", #"{"day":2}"#))
            #expect(report.outcome == .tableFault(scene.catalog.found[0].id))
            #expect(report.error?.sqlstate == "23514")
        }

        @Test func aTableThatWasMadeAnewIsWrittenAgain() async throws {
            let scene = try await Scene("CREATE TABLE items (id int PRIMARY KEY)")
            #expect(try await scene.write(.insert("items", #"{"id":1}"#)).outcome == .committed)
            try await scene.execute("DROP TABLE items")
            let report = try await scene.write(.insert("items", #"{"id":2}"#))
            #expect(report.outcome == .tableFault(scene.catalog.found[0].id))
            try await scene.execute("CREATE TABLE items (id int PRIMARY KEY)")
            #expect(try await scene.write(.insert("items", #"{"id":2}"#)).outcome == .committed)
            try await scene.execute("DROP TABLE items; CREATE TABLE items (id int PRIMARY KEY)")
            #expect(try await scene.write(.insert("items", #"{"id":3}"#)).outcome == .committed)
            #expect(try await scene.rows("SELECT id FROM items") == [["3"]])
        }

        @Test func aPlanThatAnAlterationSpoiltIsMadeAgain() async throws {
            let scene = try await Scene(
                "CREATE TABLE items (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY)")
            #expect(try await scene.write(.insert("items", "{}")).keys == [#"{"id":1}"#])
            try await scene.execute("ALTER TABLE items ALTER id TYPE bigint")
            let spoilt = try await scene.write(.insert("items", "{}"))
            #expect(spoilt.outcome == .transient(.other))
            #expect(spoilt.error?.sqlstate == "0A000")
            #expect(spoilt.isConnected)
            let again = try await scene.write(.insert("items", "{}"))
            #expect(again.outcome == .committed)
            #expect(try await scene.rows("SELECT count(*) FROM items") == [["2"]])
        }

        @Test func aViewThatCannotBeWrittenIsPausedAndNotRetried() async throws {
            let scene = try await Scene(
                "CREATE TABLE items (id int); CREATE VIEW totals AS SELECT count(*) id FROM items"
            )
            let report = try await scene.write(.insert("totals", #"{"id":1}"#))
            #expect(report.outcome == .tableFault(try scene.table("totals").id))
        }

        @Test func anUpdatableViewIsWritten() async throws {
            let scene = try await Scene(
                """
                CREATE TABLE items (id int PRIMARY KEY, v int);
                CREATE VIEW big AS SELECT id, v FROM items WHERE v > 5 WITH CHECK OPTION
                """)
            #expect(try await scene.write(.insert("big", #"{"id":1,"v":6}"#)).outcome == .committed)
            let refused = try await scene.write(.insert("big", #"{"id":2,"v":5}"#))
            #expect(refused.outcome == .recordError(culprit: 0))
            #expect(refused.error?.sqlstate == "44000")
        }
    }
}
