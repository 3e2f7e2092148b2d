import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord

extension PostgresTests {
    /// What a caller sends is what the table holds, for each kind of column.
    @Suite struct TypeTests {
        struct Case: Sendable, CustomTestStringConvertible {
            var type: String
            var json: String
            /// As PostgreSQL prints it.
            var text: String?
            var testDescription: String { "\(type) \(json.prefix(60))" }

            init(_ type: String, _ json: String, _ text: String?) {
                self.type = type
                self.json = json
                self.text = text
            }
        }

        static let cases = [
            Case("boolean", "true", "t"), Case("boolean", "false", "f"),
            Case("smallint", "-32768", "-32768"), Case("smallint", "32767", "32767"),
            Case("integer", "-2147483648", "-2147483648"),
            Case("bigint", "9223372036854775807", "9223372036854775807"),
            Case("bigint", "-9223372036854775808", "-9223372036854775808"),
            Case("bigint", "9007199254740993", "9007199254740993"),
            Case("real", "1.5", "1.5"), Case("real", "\"NaN\"", "NaN"),
            Case("double precision", "0.1", "0.1"), Case("double precision", "5e-324", "5e-324"),
            Case("double precision", "\"-Infinity\"", "-Infinity"),
            Case("text", #""a\tb\n\"\\\u00e9\ud83d\ude00""#, "a\tb\n\"\\é😀"),
            Case("text", #""\u2028\u202e""#, "\u{2028}\u{202E}"), Case("text", "\"\"", ""),
            Case("text", "\"'); DROP TABLE t; --\"", "'); DROP TABLE t; --"),
            Case("varchar(3)", "\"äöü\"", "äöü"), Case("char(4)", "\"ab\"", "ab  "),
            Case(
                "uuid", "\"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\"",
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            Case(
                "uuid", "\"a0eebc999c0b4ef8bb6d6bb9bd380a11\"",
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            Case("bytea", #""\\x00ff10""#, "\\x00ff10"), Case("bytea", "\"\"", "\\x"),
            Case("bytea", "\"AP8Q\"", "\\x00ff10"),
            Case("json", #"{"b": 1,  "a":[1.50]}"#, #"{"b": 1,  "a":[1.50]}"#),
            Case("json", "\"x\"", "\"x\""),
            Case("jsonb", #"{"b": 1,  "a":[1.50]}"#, #"{"a": [1.50], "b": 1}"#),
            Case("jsonb", "12345678901234567890.5", "12345678901234567890.5"),
            Case(
                "numeric", "123456789012345678901234567890.123456789",
                "123456789012345678901234567890.123456789"),
            Case("numeric(8,2)", "\"1.50\"", "1.50"), Case("numeric", "1e3", "1000"),
            Case("date", "\"2024-02-29\"", "2024-02-29"),
            Case("time", "\"12:34:56.789\"", "12:34:56.789"),
            Case("timestamp", "\"2024-02-29 12:34:56.123456\"", "2024-02-29 12:34:56.123456"),
            Case("timestamptz", "\"2024-02-29T12:34:56.5+02:00\"", "2024-02-29 10:34:56.5+00"),
            Case("timestamptz", "\"infinity\"", "infinity"),
            Case("interval", "\"1 day 2 hours\"", "1 day 02:00:00"),
            Case("inet", "\"10.0.0.1/8\"", "10.0.0.1/8"),
            Case("cidr", "\"10.0.0.0/8\"", "10.0.0.0/8"),
            Case("macaddr", "\"08:00:2b:01:02:03\"", "08:00:2b:01:02:03"),
            Case("int4range", "\"[1,5)\"", "[1,5)"),
            Case("tstzrange", "\"(,infinity)\"", "(,infinity)"),
            Case("int4multirange", "\"{[1,2),[5,9)}\"", "{[1,2),[5,9)}"),
            Case("integer[]", "\"{1,NULL,3}\"", "{1,NULL,3}"),
            Case("text[]", #""{\"a,b\",\"\"}""#, #"{"a,b",""}"#),
            Case("bit(3)", "\"101\"", "101"), Case("varbit(5)", "\"1011\"", "1011"),
            Case("point", "\"(1,2)\"", "(1,2)"), Case("xml", "\"<a>1</a>\"", "<a>1</a>"),
            Case("tsvector", "\"'a':1 'b':2\"", "'a':1 'b':2"),
            Case("money", "\"$12.50\"", "$12.50"),
            Case("oid", "4294967295", "4294967295"), Case("name", "\"abc\"", "abc"),
            Case("citytype", "\"town\"", "town"), Case("shortname", "\"abc\"", "abc"),
            Case("positive", "5", "5"), Case("amounts", "\"{1,2}\"", "{1,2}"),
            Case("pair", "\"(1,\\\"a b\\\")\"", "(1,\"a b\")"), Case("text", "null", nil),
            Case("numeric", "null", nil), Case("jsonb", "null", nil),
            Case("integer[]", "null", nil),
        ]

        static let types = """
            CREATE TYPE citytype AS ENUM ('town', 'village'); CREATE DOMAIN shortname AS varchar(3);
            CREATE DOMAIN positive AS integer CONSTRAINT is_positive CHECK (VALUE > 0);
            CREATE DOMAIN amounts AS integer[]; CREATE TYPE pair AS (a integer, b text)
            """

        @Test(arguments: cases) func aValueArrivesAsItWasSent(_ value: Case) async throws {
            let scene = try await Scene(
                "\(Self.types); CREATE TABLE t (id int PRIMARY KEY, v \(value.type))")
            let report = try await scene.write(
                .insert("t", #"{"id":1,"v":\#(value.json)}"#),
                .upsert("t", #"{"id":2,"v":\#(value.json)}"#),
                .insert("t", #"{"id":3}"#), .patch("t", #"{"id":3}"#, #"{"v":\#(value.json)}"#))
            #expect(report.outcome == .committed, "\(report.error as Any)")
            #expect(
                try await scene.rows("SET TimeZone TO 'UTC'; SELECT v FROM t")
                    == Array(repeating: [value.text], count: 3))
        }

        static let refusals = [
            Case("varchar(3)", "\"abcd\"", "22001"), Case("char(3)", "\"abcd\"", "22001"),
            Case("shortname", "\"abcd\"", "22001"), Case("numeric(5,2)", "1000", "22003"),
            Case("citytype", "\"metropolis\"", "22P02"), Case("positive", "0", "23514"),
            Case("integer[]", "\"{1,\"", "22P02"), Case("inet", "\"10.0.0\"", "22P02"),
            Case("date", "\"2023-02-29\"", "22008"),
            Case("timestamptz", "\"yesterdayish\"", "22007"),
            Case("bit(3)", "\"1010\"", "22026"), Case("varbit(3)", "\"1010\"", "22001"),
            Case("jsonb", #""\u0000""#, "22P05"), Case("int4range", "\"[5,1)\"", "22000"),
            Case("numeric", "\"one\"", "22P02"), Case("numeric", "true", "22P02"),
            Case("varchar(3)[]", "\"{abcd}\"", "22001"),
        ]

        /// At the door or by the server: the caller is told the same.
        @Test(arguments: refusals) func whatDoesNotFitIsRefusedAndNotCut(_ value: Case) async throws
        {
            let scene = try await Scene(
                "\(Self.types); CREATE TABLE t (id int PRIMARY KEY, v \(value.type))")
            do {
                let report = try await scene.write(.insert("t", #"{"id":1,"v":\#(value.json)}"#))
                #expect(report.outcome == .recordError(culprit: 0))
                #expect(report.error?.sqlstate == value.text)
                #expect(report.isConnected)
            } catch let defect as Defect {
                #expect(defect.sqlstate == value.text)
                #expect(defect.column == "v")
                #expect(defect.table == "\(scene.schema).t")
            }
            #expect(try await scene.rows("SELECT * FROM t") == [])
        }

        @Test func aDomainsCheckNamesItsConstraint() async throws {
            let scene = try await Scene(
                "\(Self.types); CREATE TABLE t (id int PRIMARY KEY, v positive)")
            let report = try await scene.write(.insert("t", #"{"id":1,"v":-1}"#))
            #expect(report.error?.code == .checkViolation)
            #expect(report.error?.constraint == "is_positive")
        }
    }
}
