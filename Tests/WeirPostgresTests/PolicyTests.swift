import Foundation
import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord

/// The policy as it is published.
@Suite struct PolicyTests {
    @Test func theDocumentHasTheSameTable() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "docs/ERRORS.md"), encoding: .utf8)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let head = try #require(
            lines.firstIndex(of: "| SQLSTATE | only if | class | code or reason |"))
        let rows = lines[(head + 2)...].prefix { $0.hasPrefix("|") }
        #expect(Array(rows) == SQLStateRule.all.map(Self.row))
    }

    private static func row(_ rule: SQLStateRule) -> String {
        let state =
            switch rule.state.count {
            case 0: "anything else"
            case 2: "\(rule.state)xxx"
            default: rule.state
            }
        let (name, what) =
            switch rule.meaning {
            case .record(let code): ("record", "`\(code.rawValue)`")
            case .transient(let reason): ("transient", "`\(reason.rawValue)`")
            case .table: ("table", "`\(ProblemCode.tablePaused.rawValue)`")
            case .stop: ("stop", "`\(ProblemCode.databaseUnavailable.rawValue)`")
            }
        return "| \(state) | \(rule.condition.rawValue) | \(name) | \(what) |"
            .replacing("  ", with: " ")
    }

    @Test func noRuleStandsBehindOneThatTakesItsErrors() {
        for (index, rule) in SQLStateRule.all.enumerated() {
            let earlier = SQLStateRule.all[..<index].filter {
                rule.state.hasPrefix($0.state) && $0.condition == .none
            }
            #expect(earlier.isEmpty, "\(rule.state)")
        }
    }
}

extension PostgresTests {
    /// The record that an error seems to speak of.
    @Suite(.timeLimit(.minutes(1))) struct SuspicionTests {
        private static let tables = """
            CREATE TABLE parents (id int PRIMARY KEY);
            INSERT INTO parents VALUES (1);
            CREATE TABLE items (
                "an id" int, part text, code numeric(8, 2) CONSTRAINT code_once UNIQUE,
                must text NOT NULL DEFAULT 'x', at timestamptz,
                qty int CONSTRAINT qty_range CHECK (qty < 10),
                parent int CONSTRAINT has_parent REFERENCES parents,
                late int CONSTRAINT has_late REFERENCES parents DEFERRABLE INITIALLY DEFERRED,
                during int4range, CONSTRAINT apart EXCLUDE USING gist (during WITH &&),
                PRIMARY KEY ("an id", part));
            INSERT INTO items ("an id", part, code, during) VALUES (1, 'a, b', 7.5, '[1,5)')
            """

        struct Case: Sendable, CustomTestStringConvertible {
            var bad: String
            var sqlstate: String
            var testDescription: String { bad }
        }

        static let cases = [
            Case(bad: #"{"an id":1,"part":"a, b"}"#, sqlstate: "23505"),
            Case(bad: #"{"an id":50,"part":"z","code":7.5}"#, sqlstate: "23505"),
            Case(bad: #"{"an id":50,"part":"z","parent":9}"#, sqlstate: "23503"),
            Case(bad: #"{"an id":50,"part":"z","late":9}"#, sqlstate: "23503"),
            Case(
                bad: #"{"an id":50,"part":"\#(String(repeating: "ä", count: 50))","qty":10}"#,
                sqlstate: "23514"),
            Case(
                bad: #"{"an id":50,"part":"z","at":"2026-01-02T03:04:05Z","qty":11}"#,
                sqlstate: "23514"),
        ]

        /// Among records that name the same columns, with other values.
        @Test(arguments: cases) func theErrorNamesItsRecord(_ value: Case) async throws {
            let scene = try await Scene(Self.tables)
            let like: [Row] = (10..<40).map { index in
                .insert("items", Self.harmless(value.bad, index))
            }
            var rows = like
            rows.insert(.insert("items", value.bad), at: 17)
            let report = try await scene.write(rows)
            #expect(report.outcome == .recordError(culprit: nil))
            #expect(report.error?.sqlstate == value.sqlstate)
            #expect(report.suspect == 17)
            // What quotes the row stays where it was read.
            let told = report.error.map { "\($0)" } ?? ""
            #expect(!told.contains("2026-01-02") && !told.contains("a, b"))
        }

        /// The same columns with values that the table takes.
        private static func harmless(_ bad: String, _ index: Int) -> String {
            var members = [#""an id":\#(index)"#, #""part":"p, \#(index)""#]
            for (name, value) in [
                ("code", "\(index)"), ("parent", "1"), ("late", "1"),
                ("during", "\"[\(index * 10),\(index * 10 + 1))\""), ("qty", "5"),
                ("at", #""2025-01-02T03:04:05Z""#),
            ] where bad.contains("\"\(name)\"") {
                members.append("\"\(name)\":\(value)")
            }
            return "{\(members.joined(separator: ","))}"
        }

        @Test func aCopiedRowIsNamedByItsLine() async throws {
            let scene = try await Scene(
                """
                CREATE TABLE items (id int PRIMARY KEY, n int CHECK (n < 10), m smallint);
                CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN IF NEW.m = 7 THEN RAISE 'no'; END IF; RETURN NEW; END $$;
                CREATE TRIGGER t AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION refuse();
                INSERT INTO items VALUES (501, 1)
                """)
            var rows: [Row] = (0..<(PostgresWriter.copyCountMin + 200)).map {
                .insert("items", #"{"id":\#($0 * 2),"n":1,"m":1}"#)
            }
            rows[777] = .insert("items", #"{"id":1554,"n":10,"m":1}"#)
            let refused = try await scene.write(rows)
            #expect(refused.outcome == .recordError(culprit: nil))
            #expect(refused.error?.sqlstate == "23514")
            #expect(refused.suspect == 777)
            rows[777] = .insert("items", #"{"id":501,"n":1,"m":1}"#)
            let twice = try await scene.write(rows)
            #expect(twice.error?.sqlstate == "23505")
            #expect(twice.suspect == 777)
        }

        @Test func whatNamesNobodyIsNoSuspicion() async throws {
            let scene = try await Scene(
                """
                CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN IF NEW.id = 3 THEN RAISE 'not three' USING DETAIL = 'Key (id)=(1).';
                       END IF; RETURN NEW; END $$;
                CREATE TABLE items (id int PRIMARY KEY, name varchar(3));
                CREATE TRIGGER t AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION refuse()
                """)
            let report = try await scene.write((1..<6).map { .insert("items", #"{"id":\#($0)}"#) })
            #expect(report.outcome == .recordError(culprit: nil))
            #expect(report.suspect == nil)
            let alone = try await scene.write(.insert("items", #"{"id":3}"#))
            #expect(alone.outcome == .recordError(culprit: 0))
            #expect(alone.suspect == nil)
        }
    }

    /// After an error PostgreSQL refuses the rest of the transaction with 25P02, which says nothing.
    @Suite(.timeLimit(.minutes(1))) struct FirstErrorTests {
        @Test(arguments: [true, false]) func theFirstErrorIsTheOneThatCounts(_ remembers: Bool)
            async throws
        {
            let scene = try await Scene(
                """
                CREATE TABLE first (id int PRIMARY KEY, n int CHECK (n < 10));
                CREATE TABLE second (id int PRIMARY KEY);
                INSERT INTO second VALUES (1)
                """
            ) { $0.remembers = remembers }
            let bad = Row.insert("first", #"{"id":1,"n":10}"#)
            let many = (10..<(10 + PostgresWriter.copyCountMin)).map {
                Row.insert("first", #"{"id":\#($0),"n":1}"#)
            }
            let later: [Row] = [
                .insert("second", #"{"id":2}"#), .patch("second", #"{"id":1}"#, "{}"),
                .delete("second", #"{"id":1}"#),
            ]
            for rows in [[bad] + later, [bad, later[0]], many + [bad], [bad.dryRun]] {
                let report = try await scene.write(rows)
                guard case .recordError = report.outcome else {
                    Issue.record("\(report.outcome)")
                    continue
                }
                #expect(report.error?.sqlstate == "23514")
                #expect(report.error?.constraint == "first_n_check")
                #expect(report.isConnected)
            }
            let group = try await scene.write([bad] + later, groups: [0..<4], isIsolated: true)
            #expect(group.outcome == .recordError(culprit: 0))
            #expect(group.error?.sqlstate == "23514")
        }
    }
}
