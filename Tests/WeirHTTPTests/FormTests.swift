import Testing
import Weir
import WeirHTTP
import WeirPostgres

/// The forms that records, keys and answers may take.
@Suite(.cluster, .serialized, .timeLimit(.minutes(2))) struct FormTests {
    static let path = "/v1/tables/orders/records"
    static let ndjson = ["Content-Type": "application/x-ndjson"]

    // MARK: Keys

    @Test func aKeyInAPathIsPercentEncodedPartByPart() async throws {
        try await withOrders(
            tables: ["words"], sql: "CREATE TABLE words (a text, b text, n int, PRIMARY KEY (a, b))"
        ) { gateway, database in
            let client = try gateway.client()
            for (number, (key, json)) in [
                ("x,y", #"{"a":"x","b":"y"}"#), ("x%2Cy,z", #"{"a":"x,y","b":"z"}"#),
                ("a%2Fb,%20", #"{"a":"a/b","b":" "}"#),
                ("%C3%BC,%F0%9F%98%80", #"{"a":"ü","b":"😀"}"#),
                ("%22,%5C", #"{"a":"\"","b":"\\"}"#), (",", #"{"a":"","b":""}"#),
                ("a+b,c%25", #"{"a":"a+b","b":"c%"}"#),
            ].enumerated() {
                let put = try await client.request(
                    "PUT", "/v1/tables/words/records/\(key)", #"{"n":\#(number)}"#)
                #expect(put.status == 201, "\(key): \(put.body)")
                #expect(put.body.contains(#""key":\#(json)"#), "\(key): \(put.body)")
                let patch = try await client.request(
                    "PATCH", "/v1/tables/words/records/\(key)", #"{"n":null}"#)
                #expect(patch.member("result") == "updated")
            }
            #expect(try database.query("SELECT count(*) FROM words WHERE n IS NULL") == [["7"]])
            for key in ["x", "x,y,z", "%zz,b", "%ff,b"] {
                let answer = try await client.request("DELETE", "/v1/tables/words/records/\(key)")
                #expect([400, 422].contains(answer.status), "\(key): \(answer.status)")
            }
        }
    }

    @Test func theKeyMayStandInThePathAndAlikeInTheBody() async throws {
        try await withOrders { gateway, _ in
            let client = try gateway.client()
            #expect(
                try await client.request("PUT", "\(Self.path)/7", #"{"id":7,"qty":1}"#).status
                    == 201)
            let other = try await client.request("PUT", "\(Self.path)/7", #"{"id":8,"qty":1}"#)
            #expect(other.status == 422)
            let patch = try await client.request(
                "PATCH", "\(Self.path)/7", #"{"qty":2}"#,
                headers: ["Content-Type": "application/merge-patch+json"])
            #expect(patch.status == 200)
        }
    }

    // MARK: Many

    @Test func itemsOfAnArrayBearTheirPlaceInTheirMessageIDs() async throws {
        try await withOrders { gateway, _ in
            let answer = try await gateway.client().request(
                "POST", Self.path, #"[{"id":1},{"id":2}]"#,
                headers: ["Content-Type": "application/json", "Idempotency-Key": "\"load-7\""])
            #expect(answer.status == 200)
            #expect(answer.body.contains(##""id":"load-7#0""##))
            #expect(answer.body.contains(##""id":"load-7#1""##))
        }
    }

    @Test func aMinimalAnswerListsOnlyWhatFailed() async throws {
        try await withOrders { gateway, _ in
            let answer = try await gateway.client().request(
                "POST", Self.path, #"[{"id":1},{"id":2,"qty":-1},{"id":3}]"#,
                headers: ["Content-Type": "application/json", "Prefer": "return=minimal"])
            #expect(answer.status == 207)
            #expect(answer.body.contains(#""items":[{"index":1,"status":422"#))
            #expect(!answer.body.contains(#""index":0"#) && !answer.body.contains(#""index":2"#))
        }
    }

    @Test func aDryRunOfManyAnswersAsIfAndStoresNothing() async throws {
        try await withOrders { gateway, database in
            let answer = try await gateway.client().request(
                "POST", Self.path, #"[{"id":1},{"id":2,"qty":-1},{"id":1}]"#,
                headers: ["Content-Type": "application/json", "Prefer": "tx=rollback"])
            #expect(answer.body.contains(#""index":0,"status":201"#), "\(answer.body)")
            #expect(answer.body.contains(#""index":1,"status":422"#))
            #expect(try database.query("SELECT count(*) FROM orders") == [["0"]])
        }
    }

    @Test func linesMayEndAsTheyLike() async throws {
        try await withOrders { gateway, database in
            let line = { (id: Int) in #"{"op":"insert","table":"orders","data":{"id":\#(id)}}"# }
            let body = "\r\n" + line(1) + "\r\n\n  " + line(2) + " \t\n" + line(3)
            let answer = try await gateway.client().request(
                "POST", "/v1/bulk", body, headers: Self.ndjson)
            #expect(answer.status == 200, "\(answer.body)")
            #expect(answer.body.contains(#""counts":{"total":3,"ok":3,"failed":0}"#))
            #expect(try database.query("SELECT count(*) FROM orders") == [["3"]])
        }
    }

    @Test func aBulkMayBeAJSONArrayAndNameMembersInAnyOrder() async throws {
        try await withOrders { gateway, database in
            let answer = try await gateway.client().request(
                "POST", "/v1/bulk",
                """
                [ {"op":"upsert","table":"orders","key":{"id":1},"data":{"qty":2}} ,
                  {"data":{"qty":3},"key":{"id":1},"id":"m1","table":"public.orders","op":"patch"},
                  {"key":{"id":9},"op":"delete","table":"orders"} ]
                """)
            #expect(answer.status == 207)
            #expect(answer.body.contains(#""index":1,"status":200,"result":"updated","id":"m1""#))
            #expect(answer.body.contains(#""index":2,"status":404,"result":"rejected""#))
            #expect(try database.query("SELECT id, qty FROM orders") == [["1", "3"]])
        }
    }

    @Test func recordsOfOneRequestTakeEffectInItsOrder() async throws {
        try await withOrders { gateway, database in
            let lines = (0..<1_200).map {
                #"{"op":"upsert","table":"orders","key":{"id":\#($0 % 3)},"data":{"qty":\#($0)}}"#
            }
            let answer = try await gateway.client().request(
                "POST", "/v1/bulk", lines.joined(separator: "\n"), headers: Self.ndjson)
            #expect(answer.status == 200)
            #expect(
                try database.query("SELECT qty FROM orders ORDER BY id") == [
                    ["1197"], ["1198"], ["1199"],
                ])
        }
    }

    @Test func streamedAnswersKeepTheirPlaceAmongPipelinedOnes() async throws {
        try await withOrders { gateway, _ in
            let client = try gateway.client()
            let lines = (1...700).map { #"{"op":"insert","table":"orders","data":{"id":\#($0)}}"# }
                .joined(separator: "\n")
            let single =
                "POST \(Self.path) HTTP/1.1\r\nHost: t\r\nContent-Length: 13\r\n\r\n{\"id\":100000}"
            let streamed =
                "POST /v1/bulk HTTP/1.1\r\nHost: t\r\nContent-Type: application/x-ndjson\r\n"
                + "Accept: application/x-ndjson\r\nContent-Length: \(lines.utf8.count)\r\n\r\n"
                + lines
            try await client.send(
                single + streamed + single + "GET /v1/tables HTTP/1.1\r\nHost: t\r\n\r\n")
            #expect(try await client.response().status == 201)
            let items = try await client.response()
            #expect(items.headers["transfer-encoding"] == "chunked")
            #expect(
                items.body.split(separator: "\n").last
                    == #"{"summary":{"total":700,"ok":700,"failed":0}}"#)
            #expect(try await client.response().status == 409)
            #expect(try await client.response().body.hasPrefix(#"{"tables":["#))
        }
    }

    @Test func aStreamedRefusalIsOneToo() async throws {
        try await withOrders { gateway, _ in
            let client = try gateway.client()
            let answer = try await client.request(
                "POST", "/v1/bulk", "",
                headers: ["Content-Type": "application/x-ndjson", "Accept": "application/x-ndjson"])
            #expect(answer.status == 400)
            #expect(answer.headers["content-type"] == "application/problem+json")
        }
    }

    // MARK: Groups

    @Test func aGroupMayNotBeLargerThanABatch() async throws {
        try await withOrders { gateway, database in
            let lines = (0..<5_001).map {
                #"{"op":"insert","table":"orders","group":"g","data":{"id":\#($0)}}"#
            }
            let client = try gateway.client()
            let answer = try await client.request(
                "POST", "/v1/bulk", lines.joined(separator: "\n"), headers: Self.ndjson)
            #expect(answer.headers["weir-failed"] == "5001")
            #expect(answer.body.prefix(2_000).contains(#""code":"invalid-request""#))
            let fits = try await client.request(
                "POST", "/v1/bulk", lines.dropLast().joined(separator: "\n"), headers: Self.ndjson)
            #expect(fits.status == 200, "\(fits.body.prefix(300))")
            #expect(
                try database.query("SELECT count(DISTINCT xmin::text), count(*) FROM orders") == [
                    ["1", "5000"]
                ])
        }
    }

    @Test func oneRequestMayHoldManyGroups() async throws {
        try await withOrders { gateway, database in
            // A hundred groups, their members apart from each other; each tenth has a bad one.
            let lines = (0..<5_000).map { number in
                let group = number % 100
                let qty = group % 10 == 3 && number >= 4_900 ? -1 : 1
                return """
                    {"op":"insert","table":"orders","group":"g\(group)",\
                    "data":{"id":\(number),"qty":\(qty)}}
                    """
            }
            let answer = try await gateway.client().request(
                "POST", "/v1/bulk", lines.joined(separator: "\n"), headers: Self.ndjson)
            #expect(answer.status == 207)
            #expect(answer.headers["weir-failed"] == "500")
            let stored = try database.query(
                "SELECT count(*), count(DISTINCT id % 100), bool_or(id % 10 = 3) FROM orders")
            #expect(stored == [["4500", "90", "f"]])
        }
    }

    @Test func whatOnlyCommitRefusesFailsItsOwnRecordsAlone() async throws {
        let sql = """
            CREATE TABLE parents (id int PRIMARY KEY);
            CREATE TABLE children (id int PRIMARY KEY, parent int CONSTRAINT late
                REFERENCES parents DEFERRABLE INITIALLY DEFERRED);
            INSERT INTO parents VALUES (1)
            """
        try await withOrders(tables: ["children"], sql: sql) { gateway, database in
            let line = { (id: Int, parent: Int, group: String) in
                """
                {"op":"insert","table":"children"\(group),"data":{"id":\(id),"parent":\(parent)}}
                """
            }
            let group = #","group":"g""#
            let lines = [
                line(1, 1, ""), line(2, 9, ""), line(3, 1, group), line(4, 9, group),
                line(5, 1, ""),
            ]
            let answer = try await gateway.client().request(
                "POST", "/v1/bulk", lines.joined(separator: "\n"), headers: Self.ndjson)
            #expect(answer.headers["weir-failed"] == "3")
            #expect(answer.body.contains(#""index":1,"status":409"#))
            #expect(answer.body.contains(#""constraint":"late""#))
            #expect(try database.query("SELECT id FROM children ORDER BY 1") == [["1"], ["5"]])
        }
    }

    @Test func equalNamesInTwoRequestsAreTwoGroups() async throws {
        try await withOrders { gateway, database in
            let group = { @Sendable (first: Int, qty: Int) in
                """
                {"op":"insert","table":"orders","group":"g","data":{"id":\(first)}}
                {"op":"insert","table":"orders","group":"g","data":{"id":\(first + 1),"qty":\(qty)}}
                """
            }
            async let first = gateway.client().request(
                "POST", "/v1/bulk", group(1, 1), headers: Self.ndjson)
            async let second = gateway.client().request(
                "POST", "/v1/bulk", group(11, -1), headers: Self.ndjson)
            let (good, bad) = (try await first, try await second)
            #expect(good.status == 200)
            #expect(bad.headers["weir-failed"] == "2")
            #expect(try database.query("SELECT id FROM orders ORDER BY 1") == [["1"], ["2"]])
        }
    }

    // MARK: What is not said

    @Test func whatPostgreSQLSaysInDetailIsNotRepeated() async throws {
        try await withOrders { gateway, _ in
            let client = try gateway.client()
            let secret = #"{"id":4711,"qty":-1,"note":"swordfish"}"#
            let check = try await client.request("POST", Self.path, secret)
            #expect(check.status == 422 && !check.body.contains("swordfish"))
            _ = try await client.request("POST", Self.path, #"{"id":4711}"#)
            let unique = try await client.request("POST", Self.path, #"{"id":4711}"#)
            #expect(unique.status == 409 && !unique.body.contains("4711"))
            #expect(unique.member("constraint") == "orders_pkey")
        }
    }

    // MARK: Defaults of the bounds

    @Test func theDefaultBoundsAreThePublishedOnes() async throws {
        try await withOrders { gateway, database in
            let rows = "[" + Array(repeating: "{}", count: 10_001).joined(separator: ",") + "]"
            let many = try await gateway.client().request("POST", Self.path, rows)
            #expect(many.status == 413 && many.member("code") == "body-too-large")
            let note = String(repeating: "n", count: 1 << 20)
            let record = try await gateway.client().request(
                "POST", Self.path, #"{"note":"\#(note)"}"#)
            #expect(record.status == 413 && record.member("code") == "body-too-large")
            let fitting = try await gateway.client().request(
                "POST", Self.path, #"{"note":"\#(note.dropLast(11))"}"#)
            #expect(fitting.status == 201)
            let body = try gateway.client()
            try await body.send(
                "POST \(Self.path) HTTP/1.1\r\nHost: t\r\nContent-Length: 8388609\r\n\r\n")
            #expect(try await body.response().status == 413)
            let whole = String(repeating: " ", count: (8 << 20) - 2) + "{}"
            let spaces = try await gateway.client().request(
                "POST", "/v1/bulk", whole, headers: Self.ndjson)
            #expect(spaces.status == 207)
            #expect(try database.query("SELECT count(*) FROM orders") == [["1"]])
        }
    }

    @Test func aHeadOfAMegabyteIsCutOff() async throws {
        try await withOrders { gateway, _ in
            let fields = String(repeating: "a:b\r\n", count: 100_000)
            let line = String(repeating: "t", count: 1 << 20)
            for (head, statuses) in [
                ("GET /v1/tables HTTP/1.1\r\nHost: t\r\n\(fields)\r\n", [431]),
                ("GET /\(line) HTTP/1.1\r\n\r\n", [414, 431]),
            ] {
                let client = try gateway.client()
                // The server may close before it has taken all of it.
                try? await client.send(head)
                do {
                    let answer = try await client.response()
                    #expect(statuses.contains(answer.status))
                } catch is Client.Closed {
                    Issue.record("closed without an answer: \(statuses)")
                }
                #expect(try await gateway.client().request("GET", "/v1/tables").status == 200)
            }
        }
    }
}
