import Testing
import WeirCheck
import WeirPostgres

/// A state of a table, and the finding that it gives.
struct TableCase: Sendable, CustomTestStringConvertible {
    var code: String
    var severity: Finding.Severity
    /// The object's name; `@` stands for the schema.
    var object: String
    var sql: String
    var table = "t"
    /// Whether the fix, run as it stands, makes the finding go away.
    var isMendedByFix = true

    var testDescription: String { "\(code): \(sql)" }

    static let all: [TableCase] = [
        TableCase(
            code: "missing-primary-key", severity: .warning, object: "@t",
            sql: "CREATE TABLE @t (a int)"),
        TableCase(
            code: "missing-primary-key", severity: .warning, object: "@t",
            sql: "CREATE TABLE @t (a int NOT NULL); CREATE UNIQUE INDEX t_a ON @t (a)"),
        TableCase(
            code: "missing-primary-key", severity: .warning, object: "@t",
            sql: "CREATE TABLE @t (a int NOT NULL UNIQUE)"),
        TableCase(
            code: "missing-primary-key", severity: .warning, object: "@t",
            sql: "CREATE TABLE @t (a int, b int) PARTITION BY RANGE (b, a)"),
        TableCase(
            code: "key-deferrable", severity: .error, object: "@t t_pkey",
            sql: "CREATE TABLE @t (a int, b int, PRIMARY KEY (b, a) DEFERRABLE)"),
        TableCase(
            code: "key-index-invalid", severity: .error, object: "@t_pkey",
            sql: """
                CREATE TABLE @t (a int NOT NULL) PARTITION BY RANGE (a);
                CREATE TABLE @t1 PARTITION OF @t FOR VALUES FROM (0) TO (9);
                ALTER TABLE ONLY @t ADD PRIMARY KEY (a)
                """),
        TableCase(
            code: "key-index-invalid", severity: .error, object: "@t_pkey",
            sql: """
                CREATE TABLE @t (a int PRIMARY KEY);
                UPDATE pg_index SET indisvalid = false WHERE indrelid = '@t'::regclass
                """),
        TableCase(
            code: "key-several-spellings", severity: .note, object: "@t.\"No\"",
            sql: "CREATE TABLE @t (\"No\" money PRIMARY KEY)", isMendedByFix: false),
        TableCase(
            code: "counter-key", severity: .note, object: "@t.id",
            sql: "CREATE TABLE @t (id bigserial PRIMARY KEY)", isMendedByFix: false),
        TableCase(
            code: "counter-key", severity: .note, object: "@t.id",
            sql: "CREATE TABLE @t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY)",
            isMendedByFix: false),
        TableCase(
            code: "unlogged-table", severity: .error, object: "@t",
            sql: "CREATE UNLOGGED TABLE @t (a int PRIMARY KEY)"),
        TableCase(
            code: "unlogged-table", severity: .error, object: "@t1",
            sql: """
                CREATE TABLE @t (a int PRIMARY KEY) PARTITION BY RANGE (a);
                CREATE UNLOGGED TABLE @t1 PARTITION OF @t FOR VALUES FROM (0) TO (9)
                """),
        TableCase(
            code: "view-exposed", severity: .warning, object: "@t",
            sql: "CREATE TABLE @b (a int PRIMARY KEY); CREATE VIEW @t AS SELECT a FROM @b",
            isMendedByFix: false),
        TableCase(
            code: "view-not-writable", severity: .error, object: "@t",
            sql: "CREATE VIEW @t AS SELECT 1 AS a", isMendedByFix: false),
        TableCase(
            code: "foreign-table", severity: .warning, object: "@t",
            sql: """
                CREATE FOREIGN DATA WRAPPER w_@; CREATE SERVER s_@ FOREIGN DATA WRAPPER w_@;
                CREATE FOREIGN TABLE @t (a int) SERVER s_@
                """, isMendedByFix: false),
        TableCase(
            code: "missing-table", severity: .error, object: "@nowhere",
            sql: "CREATE TABLE @t (a int PRIMARY KEY)", table: "nowhere", isMendedByFix: false),
        TableCase(
            code: "missing-table", severity: .error, object: "@t",
            sql: "CREATE SEQUENCE @t", isMendedByFix: false),
        TableCase(
            code: "before-row-trigger", severity: .warning, object: "@t skip",
            sql: """
                CREATE TABLE @t (a int PRIMARY KEY);
                CREATE FUNCTION @f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
                CREATE TRIGGER skip BEFORE INSERT OR UPDATE ON @t FOR EACH ROW EXECUTE FUNCTION @f()
                """),
        TableCase(
            code: "before-row-trigger", severity: .warning, object: "@t1 skip",
            sql: """
                CREATE TABLE @t (a int PRIMARY KEY) PARTITION BY RANGE (a);
                CREATE TABLE @t1 PARTITION OF @t FOR VALUES FROM (0) TO (9);
                CREATE FUNCTION @f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
                CREATE TRIGGER skip BEFORE INSERT ON @t1 FOR EACH ROW EXECUTE FUNCTION @f()
                """),
        TableCase(
            code: "instead-of-trigger", severity: .warning, object: "@t other",
            sql: """
                CREATE VIEW @t AS SELECT 1 AS a;
                CREATE FUNCTION @f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
                CREATE TRIGGER other INSTEAD OF INSERT ON @t FOR EACH ROW EXECUTE FUNCTION @f()
                """),
        TableCase(
            code: "rewrite-rule", severity: .error, object: "@t r",
            sql: """
                CREATE TABLE @t (a int PRIMARY KEY);
                CREATE RULE r AS ON INSERT TO @t WHERE NEW.a < 0 DO INSTEAD NOTHING
                """),
        TableCase(
            code: "rewrite-rule", severity: .warning, object: "@t r",
            sql:
                "CREATE TABLE @t (a int PRIMARY KEY); CREATE RULE r AS ON DELETE TO @t DO INSTEAD NOTHING"
        ),
        TableCase(
            code: "text-key-without-index", severity: .warning, object: "@t.email",
            sql: """
                CREATE TABLE @t (a int PRIMARY KEY, email text, is_old bool);
                CREATE UNIQUE INDEX ON @t (email) WHERE NOT is_old
                """),
        TableCase(
            code: "text-key-without-index", severity: .warning, object: "@t.email",
            sql: """
                CREATE TABLE @t (a int PRIMARY KEY, email varchar(80));
                CREATE UNIQUE INDEX ON @t (lower(email))
                """),
        TableCase(
            code: "text-key-without-index", severity: .warning, object: "@t.email",
            sql: """
                CREATE TABLE @t (a int PRIMARY KEY, email text);
                CREATE UNIQUE INDEX e ON @t (email);
                UPDATE pg_index SET indisvalid = false WHERE indexrelid = '@e'::regclass
                """),
        TableCase(
            code: "text-key-without-index", severity: .warning, object: "@t.email",
            sql: """
                CREATE TABLE @t (a int PRIMARY KEY, email text);
                CREATE UNIQUE INDEX e ON @t (email COLLATE "POSIX")
                """),
        TableCase(
            code: "index-collation", severity: .note, object: "@e",
            sql:
                "CREATE TABLE @t (a int PRIMARY KEY, b text); CREATE INDEX e ON @t (b COLLATE \"C\")"
        ),
        TableCase(
            code: "index-collation", severity: .warning, object: "@e",
            sql: "CREATE TABLE @t (a text PRIMARY KEY); CREATE INDEX e ON @t (a COLLATE \"C\")"),
        TableCase(
            code: "foreign-key-collation", severity: .warning, object: "@t.b",
            sql: """
                CREATE TABLE @other (k text COLLATE "C" PRIMARY KEY);
                CREATE TABLE @t (a int PRIMARY KEY, b text REFERENCES @other)
                """),
        TableCase(
            code: "key-collation-nondeterministic", severity: .error, object: "@t.name",
            sql: """
                CREATE COLLATION @ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
                CREATE TABLE @t (name varchar(20) COLLATE @ci PRIMARY KEY)
                """),
        TableCase(
            code: "key-collation-nondeterministic", severity: .warning, object: "@t.name",
            sql: """
                CREATE COLLATION @ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
                CREATE TABLE @t (a int PRIMARY KEY, name text COLLATE @ci UNIQUE)
                """),
        TableCase(
            code: "collation-version", severity: .error, object: "@german",
            sql: """
                CREATE COLLATION @german (provider = icu, locale = 'de');
                UPDATE pg_collation SET collversion = '0'
                WHERE collnamespace = replace('@', '.', '')::regnamespace;
                CREATE TABLE @t (name text COLLATE @german PRIMARY KEY)
                """),
        TableCase(
            code: "collation-version", severity: .warning, object: "@german",
            sql: """
                CREATE COLLATION @german (provider = icu, locale = 'de');
                UPDATE pg_collation SET collversion = '0'
                WHERE collnamespace = replace('@', '.', '')::regnamespace;
                CREATE TABLE @t (a int PRIMARY KEY, name text COLLATE @german)
                """),
        TableCase(
            code: "integer-key-nearly-used-up", severity: .warning, object: "@t.id",
            sql: "CREATE TABLE @t (id serial PRIMARY KEY); SELECT setval('@t_id_seq', 1800000000)"),
        TableCase(
            code: "integer-key-nearly-used-up", severity: .error, object: "@t.id",
            sql: """
                CREATE TABLE @t (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY);
                SELECT setval('@t_id_seq', 2100000000)
                """),
        TableCase(
            code: "integer-key-nearly-used-up", severity: .error, object: "@t.id",
            sql: "CREATE TABLE @t (id smallint PRIMARY KEY); INSERT INTO @t VALUES (3), (32000)"),
        TableCase(
            code: "integer-key-nearly-used-up", severity: .warning, object: "@t.no",
            sql: """
                CREATE SEQUENCE @numbers MAXVALUE 1000;
                CREATE TABLE @t (a uuid PRIMARY KEY, no bigint DEFAULT nextval('@numbers'));
                SELECT setval('@numbers', 800)
                """),
        TableCase(
            code: "integer-key-nearly-used-up", severity: .error, object: "@t.id",
            sql: """
                CREATE TABLE @t (id bigint PRIMARY KEY);
                INSERT INTO @t VALUES (9200000000000000000)
                """, isMendedByFix: false),
    ]
}

extension CheckTests {
    @Suite struct TableTests {
        @Test(arguments: TableCase.all)
        func aTablesStateIsFoundAndMended(_ given: TableCase) async throws {
            // In names that are no qualified ones the dot has no place.
            let sql = given.sql.replacing("w_@", with: "w_$role").replacing("s_@", with: "s_$role")
            let scene = try await Scene(sql)
            let result = try await scene.examine([given.table], user: "weir")
            let found = result.findings(given.code)
            try #require(found.count == 1, "\(result.findings.map(\.code))")
            #expect(found[0].severity == given.severity)
            #expect(found[0].object.name == scene.text(given.object))
            guard given.isMendedByFix else { return }
            try await scene.database.executeLines(found[0].fix)
            let mended = try await scene.examine([given.table], user: "weir")
            #expect(mended.findings(given.code) == [], "after: \(found[0].fix)")
        }

        @Test func whatIsJustBelowTheLimitIsNotFound() async throws {
            let scene = try await Scene(
                """
                CREATE TABLE @t (id smallint PRIMARY KEY); INSERT INTO @t VALUES (26213);
                CREATE TABLE @u (id serial PRIMARY KEY); SELECT setval('@u_id_seq', 1717986917)
                """)
            let result = try await scene.examine(["t", "u"], user: "weir")
            #expect(result.findings("integer-key-nearly-used-up") == [])
        }

        @Test func findingsHoldNoRowsData() async throws {
            let scene = try await Scene(
                """
                CREATE TABLE @t (id smallint PRIMARY KEY, secret text);
                INSERT INTO @t VALUES (32123, 'hunter2')
                """)
            let result = try await scene.examine(["t"], user: "weir")
            #expect(result.findings("integer-key-nearly-used-up").count == 1)
            let text = JSONReport.text(result)
            #expect(!text.contains("32123"))
            #expect(!text.contains("hunter2"))
        }

        @Test func aTemporaryTableIsFound() async throws {
            let scene = try await Scene("CREATE TABLE @t (id int PRIMARY KEY)")
            let result = try await scene.database.examineTemporaryTable()
            #expect(result.findings("temporary-table").map(\.severity) == [.error])
        }

        @Test func triggersThatOnlyWatchAndDisabledOnesAreNotFound() async throws {
            let scene = try await Scene(
                """
                CREATE TABLE @t (a uuid PRIMARY KEY);
                CREATE FUNCTION @f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
                CREATE TRIGGER later AFTER INSERT ON @t FOR EACH ROW EXECUTE FUNCTION @f();
                CREATE TRIGGER whole BEFORE INSERT ON @t FOR EACH STATEMENT EXECUTE FUNCTION @f();
                CREATE TRIGGER off BEFORE INSERT ON @t FOR EACH ROW EXECUTE FUNCTION @f();
                ALTER TABLE @t DISABLE TRIGGER off
                """)
            let result = try await scene.examine(["t"], user: "weir")
            #expect(result.findings.map(\.code) == ["role-is-superuser"])
        }

        @Test func oddNamesStandQuoted() async throws {
            let scene = try await Scene(
                #"CREATE UNLOGGED TABLE @"O'Neil ""x""" ("a b" uuid PRIMARY KEY)"#)
            let result = try await scene.examine(["O'Neil \"x\""], user: "weir")
            let found = try #require(result.findings("unlogged-table").first)
            #expect(found.object.name == scene.text("@\"O'Neil \"\"x\"\"\""))
            try await scene.database.execute(found.fix)
            let mended = try await scene.examine(["O'Neil \"x\""], user: "weir")
            #expect(mended.errors == [])
        }
    }
}

extension Database {
    /// While another session has a temporary table.
    func examineTemporaryTable() async throws -> Examination.Result {
        let other = try server.openSession()
        try other.execute("CREATE TEMPORARY TABLE passing (id int PRIMARY KEY)")
        let schema = try other.query("SELECT pg_my_temp_schema()::regnamespace::text")
        let result = try await examine(
            server.conninfo, ["\(schema.first?.first?.flatMap { $0 } ?? "").passing"])
        withExtendedLifetime(other) {}
        return result
    }
}
