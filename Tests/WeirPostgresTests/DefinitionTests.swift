import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord

extension PostgresTests {
    /// Records that were decoded for one definition of a table and met another.
    @Suite struct DefinitionTests {
        /// Changes after which PostgreSQL would convert what was sent, or take a key for several
        /// rows, and say nothing.
        struct Case: Sendable, CustomTestStringConvertible {
            var columns: String
            var change: String
            var row: Row
            /// The values of the row that is there.
            var there = "1"
            var testDescription: String { change }
        }

        static let cases: [Case] = [
            Case(
                columns: "v float8", change: "ALTER v TYPE int",
                row: .insert("items", #"{"id":2,"v":1.5}"#)),
            Case(
                columns: "v int8", change: "ALTER v TYPE float8",
                row: .insert("items", #"{"id":2,"v":9007199254740993}"#)),
            Case(
                columns: "v numeric(8,2)", change: "ALTER v TYPE numeric(8,0)",
                row: .insert("items", #"{"id":2,"v":1.25}"#)),
            Case(
                columns: "v timestamp", change: "ALTER v TYPE date",
                row: .insert("items", #"{"id":2,"v":"2024-05-06T07:08:09"}"#)),
            Case(
                columns: "v bytea", change: "ALTER v TYPE text USING encode(v, 'hex')",
                row: .insert("items", #"{"id":2,"v":"\\x00ff"}"#)),
            Case(
                columns: "v boolean", change: "ALTER v TYPE text",
                row: .upsert("items", #"{"id":1,"v":true}"#)),
            Case(
                columns: "v float8", change: "ALTER v TYPE int",
                row: .patch("items", #"{"id":1}"#, #"{"v":1.5}"#)),
            Case(
                columns: "v float8", change: "ALTER v TYPE int",
                row: .insert("items", #"{"id":2,"v":1.5}"#).ignoringConflicts),
            Case(
                columns: "v int DEFAULT 0",
                change: "DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (id, v)",
                row: .patch("items", #"{"id":1}"#, #"{"v":5}"#)),
            Case(
                columns: "v int DEFAULT 0",
                change: "DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (id, v)",
                row: .delete("items", #"{"id":1}"#)),
            // The row is not there, and could be inserted now.
            Case(
                columns: "v int NOT NULL, w int", change: "ALTER v SET DEFAULT 7",
                row: .upsert("items", #"{"id":2,"w":1}"#), there: "1, 1"),
            Case(
                columns: "v int NOT NULL, w int", change: "ALTER v DROP NOT NULL",
                row: .upsert("items", #"{"id":2,"w":1}"#), there: "1, 1"),
        ]

        @Test(arguments: cases, [true, false])
        func nothingIsWrittenThatWasMeantForAnother(_ value: Case, isPrepared: Bool) async throws {
            let scene = try await Scene(
                "CREATE TABLE items (id int PRIMARY KEY, \(value.columns))")
            if isPrepared {
                // The statement is known to the server when the table changes, in both its forms.
                for _ in 0..<2 {
                    let first = try await scene.write(value.row)
                    #expect(first.outcome == .committed)
                    try await scene.execute("TRUNCATE items")
                }
            }
            try await scene.execute(
                "INSERT INTO items VALUES (\(value.there))")
            try await scene.execute("ALTER TABLE items \(value.change)")
            if value.change.contains("PRIMARY KEY") {
                try await scene.execute("INSERT INTO items VALUES (1, 1)")
            }
            let before = try await scene.rows("SELECT * FROM items ORDER BY 1, 2")
            var report = try await scene.write(value.row)
            if report.outcome == .transient(.other) {
                // The server itself noticed, which it does for prepared statements only; the
                // statement that looks has the last word.
                #expect(isPrepared)
                #expect(try await scene.rows("SELECT * FROM items ORDER BY 1, 2") == before)
                report = try await scene.write(value.row)
            }
            #expect(report.outcome == .tableFault(scene.catalog.found[0].id))
            #expect(report.isConnected)
            #expect(try await scene.rows("SELECT * FROM items ORDER BY 1, 2") == before)
        }

        /// Records that come one by one.
        @Test(arguments: [
            "TYPE varchar(4)", "TYPE text", "TYPE varchar(3) COLLATE \"C\"",
        ])
        func aLoneRecordIsNotWrittenForAnother(_ change: String) async throws {
            let scene = try await Scene("CREATE TABLE items (id int PRIMARY KEY, v varchar(3))")
            for id in 1...3 {
                let report = try await scene.write(.insert("items", #"{"id":\#(id),"v":"a"}"#))
                #expect(report.outcome == .committed)
            }
            try await scene.execute("ALTER TABLE items ALTER v \(change)")
            let row = Row.insert("items", #"{"id":4,"v":"b"}"#)
            #expect(try await scene.write(row).outcome == .transient(.other))
            #expect(try await scene.write(row).outcome == .tableFault(scene.catalog.found[0].id))
            #expect(try await scene.rows("SELECT count(*) FROM items") == [["3"]])
            try await scene.execute("ALTER TABLE items ALTER v TYPE varchar(3) USING 'c'")
            #expect(try await scene.write(row).outcome == .committed)
            #expect(try await scene.write([.insert("items", #"{"id":5}"#)]).outcome == .committed)
            #expect(try await scene.rows("SELECT v FROM items WHERE id > 3") == [["b"], [nil]])
        }

        /// The first two look at the catalog; those that follow need not.
        @Test func aLoneRecordTakesPlainParameters() async throws {
            let scene = try await Scene(
                """
                CREATE TYPE mood AS ENUM ('sad', 'ok');
                CREATE TABLE items (id bigint PRIMARY KEY, v text, m mood, a int[]);
                CREATE TABLE said (sql text);
                CREATE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql AS $$
                    BEGIN
                        EXECUTE format('INSERT INTO %I.said VALUES ($1)', TG_TABLE_SCHEMA)
                            USING current_query();
                        RETURN NULL;
                    END $$;
                CREATE TRIGGER hears AFTER INSERT ON items EXECUTE FUNCTION hear()
                """
            ) { $0.tables = ["items"] }
            let rows = [
                #"{"id":1,"v":"a","m":"ok","a":[1,2]}"#, #"{"id":2,"v":"","m":null,"a":[]}"#,
                #"{"id":3,"v":null,"m":"sad","a":null}"#, #"{"id":4,"v":"","m":null,"a":[]}"#,
            ]
            for row in rows {
                let report = try await scene.write(.insert("items", row).returningRow)
                #expect(report.effects == [.inserted])
                #expect(report.rows == [row])
            }
            let said = try await scene.rows(
                "SELECT sql LIKE '%pg_attribute%' FROM said ORDER BY ctid")
            #expect(said == [["t"], ["t"], ["f"], ["f"]])
        }

        /// Who may insert and nothing else.
        @Test func aLoneRecordNeedsNoOtherPrivilege() async throws {
            let database = try #require(Database.current)
            try await database.execute(
                "DO $$ BEGIN CREATE ROLE limited LOGIN; EXCEPTION WHEN duplicate_object THEN END $$"
            )
            let scene = try await Scene(
                """
                CREATE TABLE items (id int PRIMARY KEY, v text); GRANT INSERT ON items TO limited;
                ALTER TABLE items ENABLE ROW LEVEL SECURITY;
                CREATE POLICY p ON items FOR INSERT WITH CHECK (true)
                """
            ) { $0.user = "limited" }
            for id in 1...3 {
                let report = try await scene.write(.insert("items", #"{"id":\#(id),"v":"a"}"#))
                #expect(report.outcome == .committed, "\(report.error?.message ?? "")")
            }
        }

        /// Changes that concern no value of the record.
        static let harmless = [
            "ALTER TABLE items ADD COLUMN w text DEFAULT 'x'", "ALTER TABLE items DROP COLUMN gone",
            "ALTER TABLE items RENAME gone TO w", "ALTER TABLE items ALTER gone TYPE int USING 1",
            "ALTER TABLE items ALTER v SET NOT NULL", "GRANT SELECT ON items TO PUBLIC",
            "CREATE INDEX ON items (v)", "VACUUM FULL items", "ANALYZE items",
            "ALTER TABLE items RENAME TO x; CREATE TABLE items (v float8, id int PRIMARY KEY)",
        ]

        @Test(arguments: harmless) func theOthersAreWritten(_ change: String) async throws {
            let scene = try await Scene(
                "CREATE TABLE items (gone text, id int PRIMARY KEY, v float8)")
            let rows: [Row] = [
                .insert("items", #"{"id":1,"v":1.5}"#), .upsert("items", #"{"id":1,"v":2.5}"#),
                .patch("items", #"{"id":1}"#, #"{"v":3.5}"#), .delete("items", #"{"id":1}"#),
                .insert("items", #"{"id":1,"v":4.5}"#).ignoringConflicts,
                .delete("items", #"{"id":1}"#),
            ]
            #expect(try await scene.write(rows).outcome == .committed)
            for statement in change.split(separator: ";") {
                try await scene.database.execute(
                    String(statement).replacing("TABLE items", with: "TABLE \(scene.schema).items")
                        .replacing("ON items", with: "ON \(scene.schema).items")
                        .replacing("FULL items", with: "FULL \(scene.schema).items")
                        .replacing("ANALYZE items", with: "ANALYZE \(scene.schema).items"))
            }
            let report = try await scene.write(rows)
            #expect(report.outcome == .committed, "\(report.error?.message ?? "")")
            #expect(
                report.effects == [.inserted, .updated, .updated, .deleted, .inserted, .deleted])
        }

        // MARK: Stamps

        static let seen = [
            "ALTER TABLE items ADD COLUMN w int", "ALTER TABLE items DROP COLUMN v",
            "ALTER TABLE items RENAME v TO w", "ALTER TABLE items ALTER v TYPE varchar(9)",
            "ALTER TABLE items ALTER v SET NOT NULL", "ALTER TABLE items ALTER v SET DEFAULT 'a'",
            "ALTER TABLE items ALTER d SET DEFAULT 2", "ALTER TABLE items ALTER d DROP DEFAULT",
            "ALTER TABLE items ADD PRIMARY KEY (id)", "ALTER TABLE items RENAME TO other",
            "DROP TABLE items", "DROP TABLE items; CREATE TABLE items (id int)",
            "ALTER TABLE items ADD FOREIGN KEY (id) REFERENCES parents",
            "CREATE TRIGGER t BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION nothing()",
            "CREATE RULE r AS ON DELETE TO items DO INSTEAD NOTHING",
            "GRANT SELECT ON items TO PUBLIC", "GRANT UPDATE (v) ON items TO PUBLIC",
            "ALTER TABLE items ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY p ON items USING (true)",
            "ALTER TYPE mood ADD VALUE 'fine'", "ALTER TYPE mood RENAME VALUE 'ok' TO 'well'",
            "ALTER TYPE mood RENAME TO temper", "ALTER DOMAIN short SET NOT NULL",
        ]

        @Test(arguments: seen) func aLookSeesThatItChanged(_ change: String) async throws {
            let scene = try await Scene(
                """
                CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql
                    AS 'BEGIN RETURN NULL; END';
                CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN short AS varchar(3);
                CREATE DOMAIN shorter AS short;
                CREATE TABLE items (id int, v text, d int DEFAULT 1, moods mood[], s shorter);
                CREATE TABLE parents (id int PRIMARY KEY)
                """)
            #expect(try await !scene.writer.mayDiffer(from: scene.catalog))
            // What concerns nobody who writes.
            try await scene.execute(
                """
                CREATE TABLE elsewhere (id int); INSERT INTO items (id, v, s) VALUES (1, 'a', 'b');
                INSERT INTO parents VALUES (1)
                """)
            try await scene.execute("ANALYZE items")
            #expect(try await !scene.writer.mayDiffer(from: scene.catalog))
            try await scene.execute(change)
            #expect(try await scene.writer.mayDiffer(from: scene.catalog))
            let newer = try await scene.writer.loadCatalog()
            #expect(try await !scene.writer.mayDiffer(from: newer))
        }
    }
}
