import Testing
import Weir
import WeirCore
import WeirPostgres

/// What looks wrong and is right, and what is too much.
@Suite(.cluster, .serialized, .timeLimit(.minutes(2))) struct OddInputTests {
    static let path = "/v1/tables/things/records"
    static let ndjson = "application/x-ndjson"

    private func withThings(_ body: (Gateway, Database) async throws -> Void) async throws {
        try await withOrders(tables: ["things", "needy"], sql: BadRecord.sql, body)
    }

    // MARK: Right

    @Test func unusualTextIsStoredByteForByte() async throws {
        let texts = [
            "\u{2028}\u{2029}", "\u{202E}abc\u{202C}", "👩‍👩‍👧🏽", "𝄞𐍈\u{10FFFF}",
            "\u{FEFF}x\u{FFFD}\u{FFFE}",
            "a" + String(repeating: "\u{301}", count: 10_000), "\u{E9}", "e\u{301}",
            "\u{7F}\u{80}\u{85}",
            "", " ", "NULL", "null", "\\N", "'); DROP TABLE things; --", "$1", "{\"a\":1}",
        ]
        try await withThings { gateway, database in
            let client = try gateway.client()
            for (number, text) in texts.enumerated() {
                let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
                let body =
                    #"{"id":\#(number + 100),"note":"\#(escaped)","docb":{"k":"\#(escaped)"}}"#
                let answer = try await client.post(Self.path, "application/json", Array(body.utf8))
                #expect(answer.status == 201, "\(text.prefix(20)): \(answer.body)")
            }
            let stored = try database.query(
                """
                SELECT encode(convert_to(note, 'UTF8'), 'hex'),
                    encode(convert_to(docb->>'k', 'UTF8'), 'hex') FROM things WHERE id >= 100 ORDER BY id
                """)
            #expect(stored == texts.map { [hex($0), hex($0)] })
        }
    }

    private func hex(_ text: String) -> String {
        text.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    @Test func numbersKeepTheirDigits() async throws {
        let digits = String(repeating: "1234567890", count: 40)
        try await withThings { gateway, database in
            let client = try gateway.client()
            for (id, numbers) in [
                (100, #""big":9007199254740993,"wide":9007199254740993"#),
                (101, #""big":9223372036854775807,"wide":9223372036854775808"#),
                (102, #""big":-9223372036854775808,"wide":18446744073709551617"#),
                (103, #""big":-0,"wide":\#(digits),"docb":\#(digits),"doc":\#(digits)"#),
                (104, #""wide":0.\#(digits),"docb":0.\#(digits)"#),
            ] {
                let answer = try await client.request(
                    "POST", Self.path, #"{"id":\#(id),\#(numbers)}"#)
                #expect(answer.status == 201, "\(id): \(answer.body)")
            }
            #expect(
                try database.query(
                    "SELECT big, wide, doc, docb FROM things WHERE id >= 100 ORDER BY id") == [
                        ["9007199254740993", "9007199254740993", nil, nil],
                        ["9223372036854775807", "9223372036854775808", nil, nil],
                        ["-9223372036854775808", "18446744073709551617", nil, nil],
                        ["0", digits, digits, digits], [nil, "0.\(digits)", nil, "0.\(digits)"],
                    ])
        }
    }

    @Test func aRecordWithoutColumnsIsARowOfDefaults() async throws {
        try await withThings { gateway, database in
            let client = try gateway.client()
            let lines = Array(repeating: "{}", count: 3).joined(separator: "\n")
            let many = try await client.post(Self.path, Self.ndjson, Array(lines.utf8))
            #expect(many.status == 200)
            #expect(try await client.request("POST", Self.path, " { } ").status == 201)
            #expect(
                try database.query("SELECT count(*) FROM things WHERE must = 1 AND id > 0") == [
                    ["4"]
                ])
        }
    }

    // MARK: Much

    @Test func manyMembersCostTimeInProportionAndAreStored() async throws {
        try await withThings { gateway, database in
            let client = try gateway.client()
            // As many as a record of 1 MiB holds; and names that collide under Java's hash.
            let members = (0..<90_000).map { "\"k\($0)\":0" }.joined(separator: ",")
            var colliding = ["Aa", "BB"]
            for _ in 0..<7 { colliding = colliding.flatMap { [$0 + "Aa", $0 + "BB"] } }
            let twins = colliding.map { "\"\($0)\":0" }.joined(separator: ",")
            for (id, document) in [(100, members), (101, twins)] {
                let body = #"{"id":\#(id),"docb":{\#(document)}}"#
                #expect(try await client.request("POST", Self.path, body).status == 201)
            }
            let counts = try database.query(
                "SELECT (SELECT count(*) FROM jsonb_object_keys(docb)) FROM things WHERE id >= 100 ORDER BY id"
            )
            #expect(counts == [["90000"], ["256"]])
            let unknown = try await client.request("POST", Self.path, "{\(members)}")
            #expect(unknown.member("code") == "unknown-column")
        }
    }

    @Test func tooMuchIsRefusedWhole() async throws {
        try await withThings { gateway, database in
            let large = #"{"note":"\#(String(repeating: "x", count: 1 << 20))"}"#
            let cases: [(String, String, Int)] = [
                (Array(repeating: "{}", count: 10_001).joined(separator: "\n"), Self.ndjson, 413),
                (Array(repeating: "{}", count: 100_001).joined(separator: "\n"), Self.ndjson, 413),
                (
                    "[" + Array(repeating: "{}", count: 10_001).joined(separator: ",") + "]",
                    "application/json", 413
                ),
                ("note\n" + String(repeating: "x\n", count: 10_001), "text/csv", 413),
                (large, "application/json", 413), (large + "\n{}", Self.ndjson, 207),
                (String(repeating: " ", count: (8 << 20) + 1), "application/json", 413),
            ]
            for (body, type, status) in cases {
                let answer = try await gateway.client().post(Self.path, type, Array(body.utf8))
                let place = Comment("\(body.prefix(20)) \(type): \(answer.body.prefix(300))")
                #expect(answer.status == status, place)
                #expect(answer.member("code") == "body-too-large", place)
                #expect(answer.body.contains(#""written":"no""#), place)
            }
            // The one record of 1 MiB had a mate.
            #expect(try database.query("SELECT count(*) FROM things WHERE id > 0") == [["1"]])
            #expect(try await gateway.client().request("POST", Self.path, "{}").status == 201)
        }
    }

    // MARK: Identity

    @Test func aLinesMessageIDHasOneFormat() async throws {
        let ids: [(String, String?)] = [
            ("ok", nil), ("../../etc/passwd", nil), ("'); DROP TABLE things; --", nil),
            ("a b", nil),
            (String(repeating: "x", count: 255), nil), ("", "invalid-message-id"),
            (String(repeating: "x", count: 256), "invalid-message-id"),
            ("a\\u0007", "invalid-message-id"),
            ("a\\nb", "invalid-message-id"), ("é", "invalid-message-id"),
            ("a\\u0000", "invalid-value"),
        ]
        try await withThings { gateway, database in
            var stored = 0
            for (id, code) in ids {
                let mate = #"{"op":"insert","table":"things","data":{"mark":"mate"}}"#
                let line = #"{"op":"insert","table":"things","id":"\#(id)","data":{"mark":"id"}}"#
                let answer = try await gateway.client().post(
                    "/v1/bulk", Self.ndjson, Array([mate, line, mate].joined(separator: "\n").utf8))
                #expect(answer.member("code") == code, "\(id.prefix(20)): \(answer.body)")
                stored += code == nil ? 3 : 2
            }
            #expect(
                try database.query("SELECT count(*) FROM things WHERE id > 0") == [["\(stored)"]])
        }
    }

    @Test func oneMessageIDTwiceInABatchIsOneRow() async throws {
        try await withThings { gateway, database in
            func line(_ note: String) -> String {
                #"{"op":"insert","table":"things","id":"m-1","data":{"note":"\#(note)"}}"#
            }
            let same = try await gateway.client().post(
                "/v1/bulk", Self.ndjson, Array("\(line("a"))\n\(line("a"))".utf8))
            #expect(same.status == 200, "\(same.body)")
            #expect(try database.query("SELECT note FROM things WHERE id > 0") == [["a"]])
        }
    }

    @Test func aKeyIsWhatItsColumnTakes() async throws {
        let cases: [(String, String, Int, String?)] = [
            ("words", #"{"k":null}"#, 422, "not-null-violation"),
            ("words", #"{"k":1}"#, 422, "invalid-value"),
            ("words", #"{"k":"1"}"#, 201, nil), ("words", #"{"k":""}"#, 201, nil),
            ("words", "{}", 422, "missing-key"), ("numbers", #"{"k":"x"}"#, 422, "invalid-value"),
            ("numbers", #"{"k":1}"#, 201, nil), ("numbers", #"{"k":"1"}"#, 200, nil),
        ]
        try await withOrders(
            tables: ["words", "numbers"],
            sql:
                "CREATE TABLE words (k text PRIMARY KEY); CREATE TABLE numbers (k bigint PRIMARY KEY)"
        ) { gateway, database in
            for (table, key, status, code) in cases {
                let line = #"{"op":"upsert","table":"\#(table)","key":\#(key)}"#
                let answer = try await gateway.client().post(
                    "/v1/bulk", Self.ndjson, Array(line.utf8))
                #expect(
                    answer.body.contains(#"{"index":0,"status":\#(status),"#),
                    "\(line): \(answer.body)")
                #expect(answer.member("code") == code, "\(line): \(answer.body)")
            }
            #expect(try database.query("SELECT k FROM words ORDER BY k") == [[""], ["1"]])
            #expect(try database.query("SELECT k FROM numbers") == [["1"]])
        }
    }
}
