import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord

extension PostgresTests {
    /// Batches large enough to be written by COPY: nothing else may differ.
    @Suite(.timeLimit(.minutes(1))) struct CopyTests {
        private static let count = PostgresWriter.copyCountMin
        private static let log = """
            CREATE TABLE copied (kind text, rows bigint);
            CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN
                INSERT INTO copied SELECT current_query(), count(*) FROM added;
                RETURN NULL;
            END $$;
            """

        /// A statement trigger of `table` notes by which statement the rows came.
        private static func watched(_ table: String) -> String {
            log
                + """
                CREATE TRIGGER watch AFTER INSERT ON \(table) REFERENCING NEW TABLE AS added
                    FOR EACH STATEMENT EXECUTE FUNCTION note();
                """
        }

        private func wasCopied(_ scene: Scene) async throws -> [Bool] {
            try await scene.rows("SELECT kind LIKE '%COPY%FROM STDIN%' FROM copied")
                .map { $0[0] == "t" }
        }

        @Test func rowsArriveAsTheyWereSent() async throws {
            let scene = try await Scene(
                """
                CREATE TABLE items (
                    id bigint PRIMARY KEY, qty integer NOT NULL, note text, price numeric(10, 2),
                    at timestamptz, token uuid, bytes bytea, doc jsonb, code varchar(8),
                    made integer NOT NULL DEFAULT 7);
                """ + Self.watched("items"))
            let rows = (0..<Self.count).map { index in
                // Not in the table's order, and not always in the same.
                let first = #""qty":\#(index),"id":\#(index + 1)"#
                let rest = """
                    "note":\(index % 3 == 0 ? "null" : #""n\n\#(index) ü""#),"price":\(index).25,\
                    "at":"2026-11-23T12:00:00.000001Z","token":"00000000-0000-7000-8000-000000000001",\
                    "bytes":"\\\\x00ff","doc":{"a":[\(index)]},"code":"c\(index % 10)"
                    """
                return Row.insert(
                    "items", index % 2 == 0 ? "{\(first),\(rest)}" : "{\(rest),\(first)}")
            }
            let report = try await scene.write(rows)
            #expect(report.outcome == .committed)
            #expect(report.effects.allSatisfy { $0 == .inserted })
            #expect(report.effects.count == Self.count)
            #expect(report.statementCount == 1)
            #expect(try await wasCopied(scene) == [true])
            #expect(
                try await scene.rows(
                    """
                    SELECT count(*), count(*) FILTER (WHERE
                        qty = id - 1 AND made = 7 AND price = id - 1 + 0.25
                        AND note IS NOT DISTINCT FROM
                            CASE WHEN (id - 1) % 3 > 0 THEN 'n' || chr(10) || id - 1 || ' ü' END
                        AND at = '2026-11-23 12:00:00.000001+00'
                        AND token = '00000000-0000-7000-8000-000000000001'
                        AND bytes = '\\x00ff' AND doc = jsonb_build_object('a', ARRAY[id - 1])
                        AND code = 'c' || (id - 1) % 10)
                    FROM items
                    """) == [["\(Self.count)", "\(Self.count)"]])
        }

        @Test func aSmallerBatchIsNotCopied() async throws {
            let scene = try await Scene(
                "CREATE TABLE items (id bigint PRIMARY KEY);" + Self.watched("items"))
            let report = try await scene.write(items(1..<Self.count))
            #expect(report.outcome == .committed)
            #expect(try await wasCopied(scene) == [false])
        }

        @Test func whatCopyCannotSendIsWrittenByAStatement() async throws {
            let scene = try await Scene(
                """
                CREATE TYPE color AS ENUM ('red', 'blue');
                CREATE TABLE items (id bigint PRIMARY KEY, color color);
                """ + Self.watched("items"))
            let rows = (1...Self.count).map {
                Row.insert("items", #"{"id":\#($0),"color":"blue"}"#)
            }
            #expect(try await scene.write(rows).outcome == .committed)
            #expect(try await wasCopied(scene) == [false])
            #expect(
                try await scene.rows("SELECT count(*) FROM items WHERE color = 'blue'")
                    == [["\(Self.count)"]])
        }

        @Test func aRowThatExistsIsNamedByItsConstraint() async throws {
            let scene = try await Scene(
                "CREATE TABLE items (id bigint PRIMARY KEY); INSERT INTO items VALUES (700)")
            let report = try await scene.write(items(1...Self.count))
            #expect(report.outcome == .recordError(culprit: nil))
            #expect(report.error?.sqlstate == "23505")
            #expect(report.error?.constraint == "items_pkey")
            #expect(report.isConnected)
            #expect(try await scene.rows("SELECT count(*) FROM items") == [["1"]])
            // The connection goes on.
            #expect(try await scene.write(items(701..<(701 + Self.count))).outcome == .committed)
        }

        @Test func whatOnlyCommitRefusesIsNotWritten() async throws {
            let scene = try await Scene(
                """
                CREATE TABLE parents (id bigint PRIMARY KEY);
                CREATE TABLE items (id bigint PRIMARY KEY,
                    parent bigint REFERENCES parents DEFERRABLE INITIALLY DEFERRED)
                """)
            let rows = (1...Self.count).map { Row.insert("items", #"{"id":\#($0),"parent":1}"#) }
            let report = try await scene.write(rows)
            #expect(report.outcome == .recordError(culprit: nil))
            #expect(report.error?.sqlstate == "23503")
            #expect(try await scene.rows("SELECT count(*) FROM items") == [["0"]])
            try await scene.execute("INSERT INTO parents VALUES (1)")
            #expect(try await scene.write(rows).outcome == .committed)
        }

        private func makeLimitedRole() async throws {
            try await #require(Database.current).execute(
                "DO $$ BEGIN CREATE ROLE limited LOGIN; EXCEPTION WHEN duplicate_object THEN END $$"
            )
        }

        @Test func underRowLevelSecurityTheStatementTakesOver() async throws {
            try await makeLimitedRole()
            let scene = try await Scene(
                """
                CREATE TABLE items (id bigint PRIMARY KEY);
                ALTER TABLE items ENABLE ROW LEVEL SECURITY;
                CREATE POLICY anything ON items USING (true) WITH CHECK (true);
                GRANT SELECT, INSERT, UPDATE, DELETE ON items TO PUBLIC
                """
            ) { $0.user = "limited" }
            #expect(try await scene.write(items(1...Self.count)).outcome == .transient(.other))
            #expect(try await scene.rows("SELECT count(*) FROM items") == [["0"]])
            #expect(try await scene.write(items(1...Self.count)).outcome == .committed)
            #expect(try await scene.rows("SELECT count(*) FROM items") == [["\(Self.count)"]])
        }

        @Test func aPrivilegeThatIsMissingPausesTheTable() async throws {
            try await makeLimitedRole()
            let scene = try await Scene("CREATE TABLE items (id bigint PRIMARY KEY)") {
                $0.user = "limited"
            }
            let report = try await scene.write(items(1...Self.count))
            #expect(report.outcome == .tableFault(TableID(try scene.table("items").version)))
            #expect(report.error?.sqlstate == "42501")
        }

        /// What PostgreSQL would take for the new type, and would not mean the same.
        @Test func rowsForAnotherDefinitionAreNotWritten() async throws {
            let scene = try await Scene("CREATE TABLE items (id bigint PRIMARY KEY)")
            try await scene.execute(
                """
                ALTER TABLE items ALTER id TYPE timestamptz
                    USING timestamptz 'epoch' + id * interval '1 microsecond'
                """)
            let report = try await scene.write(items(1...Self.count))
            #expect(report.outcome == .tableFault(TableID(try scene.table("items").version)))
            #expect(report.isConnected)
            #expect(try await scene.rows("SELECT count(*) FROM items") == [["0"]])
        }

        @Test func aConnectionThatIsLostHasWrittenNothing() async throws {
            let scene = try await Scene(
                """
                CREATE TABLE items (id bigint PRIMARY KEY);
                CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL;
                END $$;
                CREATE TRIGGER die AFTER INSERT ON items FOR EACH STATEMENT EXECUTE FUNCTION die();
                """)
            let report = try await scene.write(items(1...Self.count))
            #expect(report.outcome == .transient(.connectionLost))
            #expect(!report.isConnected)
            #expect(try await scene.rows("SELECT count(*) FROM items") == [["0"]])
        }

        private func items(_ ids: some Sequence<Int>) -> [Row] {
            ids.map { Row.insert("items", #"{"id":\#($0)}"#) }
        }
    }
}
