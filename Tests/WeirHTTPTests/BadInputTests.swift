import Testing
import Weir
import WeirPostgres

/// What is wrong is said, nothing is stored, and the next good request is served.
@Suite(.cluster, .serialized, .timeLimit(.minutes(2))) struct BadInputTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var method = "POST"
        var target = "/v1/tables/orders/records"
        var type = "application/json"
        var body: String
        var status: Int
        var code: String
        var testDescription: String { "\(method) \(target) \(body.prefix(40)) → \(code)" }
    }

    static let json: [Case] = [
        Case(body: "", status: 400, code: "invalid-json"),
        Case(body: "  ", status: 400, code: "invalid-json"),
        Case(body: "null", status: 400, code: "invalid-json"),
        Case(body: "42", status: 400, code: "invalid-json"),
        Case(body: "\"x\"", status: 400, code: "invalid-json"),
        Case(body: "[]", status: 400, code: "invalid-request"),
        Case(body: "{", status: 400, code: "invalid-json"),
        Case(body: #"{"qty":1}}"#, status: 400, code: "invalid-json"),
        Case(body: #"{"qty":01}"#, status: 400, code: "invalid-json"),
        Case(body: #"{"qty":NaN}"#, status: 400, code: "invalid-json"),
        Case(body: #"{"qty":1,}"#, status: 400, code: "invalid-json"),
        Case(body: #"{"qty":1,"qty":1}"#, status: 400, code: "invalid-json"),
        Case(body: #"[{"qty":1},{"qty":"#, status: 400, code: "invalid-json"),
        Case(
            body: "{\"attributes\":\(String(repeating: "[", count: 100_000))", status: 400,
            code: "invalid-json"),
        Case(body: "{\"note\":\"a\u{1}b\"}", status: 400, code: "invalid-json"),
        Case(body: #"{"note":"a\u0000b"}"#, status: 422, code: "invalid-value"),
        Case(body: #"{"note":"\ud800"}"#, status: 422, code: "invalid-value"),
        Case(body: #"{"nope":1}"#, status: 422, code: "unknown-column"),
        Case(body: #"{"qty":"many"}"#, status: 422, code: "invalid-value"),
        Case(body: #"{"qty":1.5}"#, status: 422, code: "invalid-value"),
        Case(body: #"{"qty":true}"#, status: 422, code: "invalid-value"),
        Case(body: #"{"qty":{}}"#, status: 422, code: "invalid-value"),
        Case(body: #"{"qty":2147483648}"#, status: 422, code: "invalid-value"),
        Case(body: #"{"qty":null}"#, status: 422, code: "not-null-violation"),
        Case(body: #"{"note":1}"#, status: 422, code: "invalid-value"),
        Case(body: #"{"flag":"yes"}"#, status: 422, code: "invalid-value"),
        Case(body: #"{"code":"toolong"}"#, status: 422, code: "invalid-value"),
        Case(body: #"{"price":"1e9"}"#, status: 422, code: "invalid-value"),
        Case(body: #"{"price":"abc"}"#, status: 422, code: "invalid-value"),
        Case(body: #"{"doubled":2}"#, status: 422, code: "invalid-value"),
        Case(body: #"{"qty":-1}"#, status: 422, code: "check-violation"),
    ]

    static let other: [Case] = [
        Case(target: "/v1/tables/nope/records", body: "{}", status: 404, code: "unknown-table"),
        Case(
            target: "/v1/tables/pg_catalog.pg_class/records", body: "{}", status: 404,
            code: "unknown-table"),
        Case(
            target: "/v1/tables/orders%22%3B--/records", body: "{}", status: 404,
            code: "unknown-table"),
        Case(
            target: "/v1/tables/orders%00/records", body: "{}", status: 400, code: "invalid-request"
        ),
        Case(
            target: "/v1/tables/orders%2/records", body: "{}", status: 400,
            code: "invalid-request"),
        Case(target: "/v1/nope", body: "", status: 404, code: "not-found"),
        Case(target: "/metrics", body: "", status: 404, code: "not-found"),
        Case(method: "PUT", body: "{}", status: 405, code: "method-not-allowed"),
        Case(
            method: "OPTIONS", target: "/v1/bulk", body: "", status: 405, code: "method-not-allowed"
        ),
        Case(type: "text/plain", body: "{}", status: 415, code: "unsupported-media-type"),
        Case(
            type: "application/json; charset=utf-16", body: "{}", status: 415,
            code: "unsupported-media-type"),
        Case(
            type: "application/x-www-form-urlencoded", body: "{}", status: 415,
            code: "unsupported-media-type"),
        Case(
            method: "PATCH", target: "/v1/tables/orders/records/x", body: "{}", status: 422,
            code: "invalid-value"),
        Case(
            method: "PATCH", target: "/v1/tables/orders/records/1", body: #"{"id":2}"#, status: 422,
            code: "invalid-value"),
        Case(
            method: "PUT", target: "/v1/tables/lines/records/1,1", body: #"{"text":"x"}"#,
            status: 409,
            code: "foreign-key-violation"),
        Case(type: "text/csv", body: "id,nope\n1,2\n", status: 422, code: "unknown-column"),
        Case(type: "text/csv", body: "id,qty\n1,2,3\n", status: 400, code: "invalid-request"),
        Case(type: "text/csv", body: "id,note\n1,\"open\n", status: 400, code: "invalid-request"),
        Case(type: "text/csv", body: "", status: 400, code: "invalid-request"),
        Case(
            target: "/v1/bulk", type: "application/x-ndjson", body: "\n\n", status: 400,
            code: "invalid-request"),
        Case(
            target: "/v1/bulk", type: "text/csv", body: "a\n1\n", status: 415,
            code: "unsupported-media-type"),
    ]

    @Test func eachRefusalNamesItsReasonAndNothingIsStored() async throws {
        try await withOrders { gateway, server in
            let client = try gateway.client()
            for row in Self.json + Self.other {
                let answer = try await client.request(
                    row.method, row.target, row.body, headers: ["Content-Type": row.type])
                #expect(answer.status == row.status, "\(row.testDescription): \(answer.body)")
                #expect(answer.member("code") == row.code, "\(row.testDescription): \(answer.body)")
                #expect(answer.headers["content-type"] == "application/problem+json")
                #expect(answer.body.contains(#""written":"no""#))
            }
            #expect(try server.query("SELECT count(*) FROM orders") == [["0"]])
            let next = try await client.request("POST", "/v1/tables/orders/records", "{}")
            #expect(next.status == 201)
        }
    }

    @Test func eachBadLineIsRefusedAndItsNeighboursCommit() async throws {
        let bad = [
            "nonsense", "[]", "{}", #"{"op":"insert"}"#,
            #"{"op":"eat","table":"orders","data":{}}"#,
            #"{"op":"insert","table":"nope","data":{}}"#,
            #"{"op":"insert","table":"orders","data":{},"more":1}"#,
            #"{"op":"insert","table":"orders","table":"orders","data":{}}"#,
            #"{"op":"patch","table":"orders","data":{"qty":1}}"#,
            #"{"op":"delete","table":"orders","key":{"id":1},"data":{}}"#,
            #"{"op":"patch","table":"orders","key":{"qty":1},"data":{}}"#,
            #"{"op":"patch","table":"orders","key":{"id":1},"data":{"id":2}}"#,
            #"{"op":"insert","table":"orders","id":"","data":{}}"#,
            #"{"op":"insert","table":"orders","data":{"note":"\u0000"}}"#,
        ]
        try await withOrders { gateway, server in
            let client = try gateway.client()
            for (index, line) in bad.enumerated() {
                let good = #"{"data":{"note":"n"},"table":"orders","op":"insert"}"#
                let answer = try await client.request(
                    "POST", "/v1/bulk", [good, line, good].joined(separator: "\n"),
                    headers: ["Content-Type": "application/x-ndjson"])
                #expect(answer.status == 207, "\(line): \(answer.body)")
                #expect(answer.body.contains(#""counts":{"total":3,"ok":2,"failed":1}"#), "\(line)")
                let count = try server.query("SELECT count(*) FROM orders WHERE note = 'n'")
                #expect(count == [["\((index + 1) * 2)"]], "\(line)")
            }
        }
    }

    @Test func aBadRecordIsFoundWhereverItStands() async throws {
        try await withOrders { gateway, server in
            let client = try gateway.client()
            for position in [0, 1, 49, 98, 99] {
                let lines = (0..<100).map { index in
                    let quantity = index == position ? -1 : index
                    return #"{"op":"insert","table":"orders","data":{"qty":\#(quantity)}}"#
                }
                let answer = try await client.request(
                    "POST", "/v1/bulk", lines.joined(separator: "\n"),
                    headers: ["Content-Type": "application/x-ndjson"])
                #expect(answer.headers["weir-failed"] == "1")
                #expect(answer.body.contains(#"{"index":\#(position),"status":422"#))
            }
            #expect(try server.query("SELECT count(*) FROM orders") == [["495"]])
        }
    }

    @Test func everyRecordMayBeBad() async throws {
        try await withOrders { gateway, server in
            let client = try gateway.client()
            let lines = Array(
                repeating: #"{"op":"insert","table":"orders","data":{"qty":-1}}"#, count: 60)
            let answer = try await client.request(
                "POST", "/v1/bulk", lines.joined(separator: "\n"),
                headers: ["Content-Type": "application/x-ndjson"])
            #expect(answer.headers["weir-failed"] == "60")
            #expect(try server.query("SELECT count(*) FROM orders") == [["0"]])
        }
    }

    @Test func sqlInEveryStringIsData() async throws {
        try await withOrders { gateway, server in
            let client = try gateway.client()
            let text = "'); DROP TABLE orders; --\"$1\\"
            let answer = try await client.request(
                "POST", "/v1/tables/orders/records",
                #"{"id":1,"note":"'); DROP TABLE orders; --\"$1\\"}"#,
                headers: [
                    "Content-Type": "application/json",
                    "Idempotency-Key": "\"'; DROP TABLE orders\"",
                ])
            #expect(answer.status == 201)
            #expect(try server.query("SELECT note FROM orders") == [[text]])
        }
    }

    @Test func messageIDsHaveOneFormat() async throws {
        try await withOrders { gateway, _ in
            let client = try gateway.client()
            for (id, status) in [
                ("\"ok\"", 201), ("bare", 201), (String(repeating: "x", count: 255), 201),
                (String(repeating: "x", count: 256), 400), ("\"\"", 400), ("é", 400),
            ] {
                let answer = try await client.request(
                    "POST", "/v1/tables/orders/records", "{}",
                    headers: ["Content-Type": "application/json", "Idempotency-Key": id])
                #expect(answer.status == status, "\(id.prefix(20)): \(answer.body)")
            }
        }
    }
}
