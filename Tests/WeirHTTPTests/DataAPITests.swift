import Testing
import Weir
import WeirHTTP
import WeirPostgres

@Suite(.cluster, .serialized, .timeLimit(.minutes(2))) struct DataAPITests {
    @Test func aRecordIsInsertedAndItsCallerIsToldItsKey() async throws {
        try await withOrders { gateway, server in
            let client = try gateway.client()
            let answer = try await client.request(
                "POST", "/v1/tables/orders/records", #"{"qty":3}"#)
            #expect(answer.status == 201)
            #expect(answer.body.contains(#""result":"inserted""#))
            #expect(answer.body.contains(#""key":{"id":1}"#))
            #expect(answer.headers["x-request-id"]?.hasPrefix("req_") == true)
            #expect(answer.headers["server"] == "weir/test")
            #expect(answer.headers["server-timing"]?.contains("db;dur=") == true)
            #expect(try server.query("SELECT qty, note, doubled FROM orders") == [["3", nil, "6"]])
        }
    }

    @Test func everyDirectionOfTheAPIChangesItsRow() async throws {
        try await withOrders { gateway, server in
            let client = try gateway.client()
            let row = "/v1/tables/orders/records/7"
            let steps: [(String, String, Int, String)] = [
                ("PUT", #"{"qty":1,"note":"a"}"#, 201, "inserted"),
                ("PUT", #"{"qty":2}"#, 200, "updated"),
                ("PATCH", #"{"note":null}"#, 200, "updated"),
                ("PATCH", "{}", 200, "unchanged"),
                ("DELETE", "", 200, "deleted"),
            ]
            for (method, body, status, result) in steps {
                let answer = try await client.request(method, row, body)
                #expect(answer.status == status, "\(method) \(body): \(answer.body)")
                #expect(answer.member("result") == result)
            }
            let gone = try await client.request("DELETE", row)
            #expect(gone.status == 404)
            #expect(gone.member("code") == "record-not-found")
            #expect(try server.query("SELECT count(*) FROM orders") == [["0"]])
        }
    }

    @Test func aPartialUpsertLeavesTheOtherColumnsAsTheyAre() async throws {
        try await withOrders { gateway, server in
            let client = try gateway.client()
            let row = "/v1/tables/orders/records/7"
            _ = try await client.request("PUT", row, #"{"qty":5,"note":"keep"}"#)
            _ = try await client.request("PUT", row, #"{"code":"x"}"#)
            #expect(try server.query("SELECT qty, note, code FROM orders") == [["5", "keep", "x"]])
        }
    }

    @Test func aCompositeKeyIsItsPartsWithCommas() async throws {
        try await withOrders { gateway, server in
            try server.execute("INSERT INTO orders (id) VALUES (1)")
            let client = try gateway.client()
            let answer = try await client.request(
                "PUT", "/v1/tables/lines/records/1,2", #"{"text":"a, b"}"#)
            #expect(answer.status == 201)
            #expect(answer.body.contains(#""key":{"order_id":1,"line":2}"#))
            let short = try await client.request("PATCH", "/v1/tables/lines/records/1", "{}")
            #expect(short.status == 422)
            #expect(short.member("code") == "missing-key")
        }
    }

    @Test func manyRecordsAreAnsweredInRequestOrderEachWithItsOwnFate() async throws {
        try await withOrders { gateway, server in
            let client = try gateway.client()
            let answer = try await client.request(
                "POST", "/v1/tables/orders/records",
                #"[{"id":1,"qty":1},{"id":2,"qty":-1},{"id":3,"nope":1},{"id":1,"qty":1},{"id":4}]"#
            )
            #expect(answer.status == 207)
            #expect(answer.headers["weir-failed"] == "3")
            #expect(answer.body.contains(#""counts":{"total":5,"ok":2,"failed":3}"#))
            let statuses = answer.body.split(separator: #"{"index":"#).dropFirst().map {
                String($0.split(separator: #""status":"#)[1].prefix(3))
            }
            #expect(statuses == ["201", "422", "422", "409", "201"])
            #expect(answer.body.contains(#""constraint":"orders_qty_check""#))
            #expect(try server.query("SELECT id FROM orders ORDER BY 1") == [["1"], ["4"]])
        }
    }

    @Test func ndjsonIsStreamedItemByItemWithASummaryAtTheEnd() async throws {
        try await withOrders { gateway, server in
            let client = try gateway.client()
            let lines = """
                {"op":"insert","table":"orders","id":"a","data":{"id":1,"qty":1}}
                {"op":"patch","table":"orders","id":"b","key":{"id":99},"data":{"qty":2}}

                not json
                {"op":"upsert","table":"orders","data":{"id":3,"note":"x"}}
                """
            let answer = try await client.request(
                "POST", "/v1/bulk", lines,
                headers: ["Content-Type": "application/x-ndjson", "Accept": "application/x-ndjson"])
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "application/x-ndjson")
            let items = answer.body.split(separator: "\n")
            #expect(items.count == 5)
            #expect(items.last == #"{"summary":{"total":4,"ok":2,"failed":2}}"#)
            #expect(
                items.contains {
                    $0.contains(#""index":0,"status":201"#) && $0.contains(#""id":"a""#)
                })
            #expect(items.contains { $0.contains(#""index":1,"status":404"#) })
            #expect(items.contains { $0.contains(#""index":2,"status":400"#) })
            #expect(try server.query("SELECT id FROM orders ORDER BY 1") == [["1"], ["3"]])
        }
    }

    @Test func csvTellsNullFromEmptyFromTheWord() async throws {
        try await withOrders { gateway, server in
            let client = try gateway.client()
            let answer = try await client.request(
                "POST", "/v1/tables/orders/records",
                "id,note,qty\r\n1,\"a,\"\"b\"\"\",1\r\n2,NULL,2\r\n3,,3\r\n4,\"NULL\",4\r\n",
                headers: ["Content-Type": "text/csv; charset=utf-8"])
            #expect(answer.status == 200)
            #expect(
                try server.query("SELECT note FROM orders ORDER BY id")
                    == [["a,\"b\""], [nil], [""], ["NULL"]])
        }
    }

    @Test func aGroupCommitsWhollyOrNotAtAll() async throws {
        try await withOrders { gateway, server in
            let client = try gateway.client()
            func send(_ qty: Int, _ id: Int) async throws -> Client.Response {
                try await client.request(
                    "POST", "/v1/bulk",
                    """
                    {"op":"insert","table":"orders","group":"g","data":{"id":\(id)}}
                    {"op":"insert","table":"lines","group":"g","data":{"order_id":\(id),"line":1}}
                    {"op":"insert","table":"orders","data":{"id":\(id + 100)}}
                    {"op":"patch","table":"orders","group":"g",\
                    "key":{"id":\(id)},"data":{"qty":\(qty)}}
                    """, headers: ["Content-Type": "application/x-ndjson"])
            }
            let good = try await send(5, 1)
            #expect(good.status == 200, "\(good.body)")
            let bad = try await send(-5, 2)
            #expect(bad.status == 207)
            #expect(bad.body.contains(#""index":0,"status":424,"result":"rolled_back""#))
            #expect(bad.body.contains(#""index":1,"status":424"#))
            #expect(bad.body.contains(#""index":2,"status":201"#))
            #expect(bad.body.contains(#""index":3,"status":422"#))
            let ids = try server.query("SELECT id, qty FROM orders ORDER BY id")
            #expect(ids == [["1", "5"], ["101", "1"], ["102", "1"]])
        }
    }

    @Test func aGroupWithAMemberThatCannotBeReadIsNotWritten() async throws {
        try await withOrders { gateway, server in
            let client = try gateway.client()
            let answer = try await client.request(
                "POST", "/v1/bulk",
                """
                {"op":"insert","table":"orders","group":"g","data":{"id":1}}
                {"op":"insert","table":"orders","group":"g","data":{"id":2,"qty":"many"}}
                """, headers: ["Content-Type": "application/x-ndjson"])
            #expect(answer.body.contains(#""index":0,"status":424"#))
            #expect(answer.body.contains(#""index":1,"status":422"#))
            #expect(try server.query("SELECT count(*) FROM orders") == [["0"]])
        }
    }

    @Test func preferencesAreAppliedAndSaid() async throws {
        try await withOrders { gateway, server in
            let client = try gateway.client()
            func post(_ prefer: String, _ body: String) async throws -> Client.Response {
                try await client.request(
                    "POST", "/v1/tables/orders/records", body,
                    headers: ["Content-Type": "application/json", "Prefer": prefer])
            }
            let whole = try await post("return=representation", #"{"id":1,"price":"1.50"}"#)
            #expect(whole.body.contains(#""row":{"id":1,"qty":1"#))
            #expect(whole.body.contains(#""price":1.50"#))
            #expect(whole.headers["preference-applied"] == "return=representation")
            let minimal = try await post("return=minimal", #"{"id":2}"#)
            #expect(minimal.status == 201 && minimal.body.isEmpty)
            let ignored = try await post("resolution=ignore-duplicates", #"{"id":1,"qty":9}"#)
            #expect(ignored.status == 200 && ignored.member("result") == "ignored")
            let merged = try await post("resolution=merge-duplicates", #"{"id":1,"qty":9}"#)
            #expect(merged.status == 200 && merged.member("result") == "updated")
            let dry = try await post("tx=rollback", #"{"id":3}"#)
            #expect(dry.status == 201)
            let bad = try await post("resolution=guess", #"{"id":4}"#)
            #expect(bad.status == 400 && bad.member("code") == "invalid-preference")
            #expect(
                try server.query("SELECT id, qty FROM orders ORDER BY id") == [
                    ["1", "9"], ["2", "1"],
                ])
        }
    }

    @Test func theCatalogIsDescribed() async throws {
        try await withOrders { gateway, _ in
            let client = try gateway.client()
            let list = try await client.request("GET", "/v1/tables")
            #expect(list.status == 200 && list.body.contains(#""table":"lines""#))
            let one = try await client.request("GET", "/v1/tables/orders")
            #expect(one.body.contains(#"{"name":"doubled","type":"integer""#))
            #expect(one.body.contains(#""key":["id"]"#))
            let document = try await client.request("GET", "/openapi.json")
            #expect(document.status == 200 && document.body.contains(#""openapi": "3.1.0""#))
        }
    }

    @Test func aUnixSocketServesToo() async throws {
        let path = "/tmp/weir-test-\(UInt32.random(in: 0 ... .max)).sock"
        try await withOrders({ $0.address = .unix(path: path) }) { _, _ in
            let client = try Client(path: path)
            let answer = try await client.request("POST", "/v1/tables/orders/records", "{}")
            #expect(answer.status == 201)
        }
    }
}
