import Testing
import Weir
import WeirCore
import WeirHTTP
import WeirPostgres

/// HTTP/1.1 as clients really speak it, and as they should not.
@Suite(.cluster, .serialized, .timeLimit(.minutes(2))) struct ConnectionTests {
    private func post(_ body: String, _ extra: String = "") -> String {
        "POST /v1/tables/orders/records HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
            + "\(extra)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test func pipelinedRequestsAreAnsweredInTheirOrder() async throws {
        try await withOrders { gateway, server in
            let client = try gateway.client()
            // More than may wait at once: the rest is read when there is room.
            let requests = (1...200).map { post(#"{"id":\#($0)}"#) }
            try await client.send(requests.joined())
            for id in 1...200 {
                let answer = try await client.response()
                #expect(answer.status == 201)
                #expect(answer.body.contains(#""key":{"id":\#(id)}"#))
            }
            #expect(try server.query("SELECT count(*) FROM orders") == [["200"]])
        }
    }

    @Test func pipelinedRequestsTakeEffectInTheirOrder() async throws {
        try await withOrders { gateway, server in
            // Who shares an event loop has single records gathered before they are handed over.
            let other = try gateway.client()
            #expect(try await other.request("GET", "/v1/tables").status == 200)
            let client = try gateway.client()
            for id in 1...50 {
                let line = #"{"op":"patch","table":"orders","key":{"id":\#(id)},"data":{"qty":7}}"#
                try await client.send(
                    post(#"{"id":\#(id)}"#)
                        + "POST /v1/bulk HTTP/1.1\r\nHost: t\r\nContent-Type: application/x-ndjson\r\n"
                        + "Content-Length: \(line.utf8.count)\r\n\r\n\(line)")
                #expect(try await client.response().status == 201)
                let patched = try await client.response()
                #expect(patched.body.contains(#""result":"updated""#), "\(patched.body)")
            }
            #expect(try server.query("SELECT count(*) FROM orders WHERE qty = 7") == [["50"]])
        }
    }

    @Test func whatComesBehindALargeRequestDoesNotOvertakeIt() async throws {
        try await withOrders { gateway, server in
            let other = try gateway.client()
            #expect(try await other.request("GET", "/v1/tables").status == 200)
            let client = try gateway.client()
            for round in 0..<5 {
                let ids = (round * 2_000 + 1)...(round + 1) * 2_000
                let lines = ids.map { #"{"id":\#($0)}"# + "\n" }.joined()
                let patch = #"{"qty":7}"#
                try await client.send(
                    "POST /v1/tables/orders/records HTTP/1.1\r\nHost: t\r\n"
                        + "Content-Type: application/x-ndjson\r\n"
                        + "Content-Length: \(lines.utf8.count)\r\n\r\n\(lines)"
                        + "PATCH /v1/tables/orders/records/\(ids.lowerBound) HTTP/1.1\r\nHost: t\r\n"
                        + "Content-Type: application/json\r\n"
                        + "Content-Length: \(patch.utf8.count)\r\n\r\n\(patch)")
                #expect(try await client.response().status == 200)
                let patched = try await client.response()
                #expect(patched.member("result") == "updated", "\(patched.body)")
            }
        }
    }

    @Test func whoLeavesAtOnceHasSentItsRecords() async throws {
        try await withOrders { gateway, server in
            let other = try gateway.client()
            #expect(try await other.request("GET", "/v1/tables").status == 200)
            for id in 1...20 {
                let client = try gateway.client()
                try await client.send(post(#"{"id":\#(id),"note":"gone"}"#))
            }
            // Whether they are written is not said; the next caller is served all the same.
            let answer = try await other.request(
                "POST", "/v1/tables/orders/records", #"{"id":21}"#)
            #expect(answer.status == 201)
            try await eventually { gateway.coordinator.figures().gauges.recordsHeld == 0 }
            let strange = "SELECT count(*) FROM orders WHERE id < 21 AND note <> 'gone'"
            #expect(try server.query(strange) == [["0"]])
        }
    }

    @Test func aBodyMayComeInChunksAndInPieces() async throws {
        try await withOrders { gateway, server in
            let client = try gateway.client()
            try await client.send(
                "POST /v1/tables/orders/records HTTP/1.1\r\nHost: t\r\n"
                    + "Transfer-Encoding: chunked\r\n"
                    + "Content-Type: application/json\r\n\r\n6\r\n{\"note\r\n")
            try await client.send("5\r\n\":\"é\r\n4\r\nx\"}\n\r\n0\r\n\r\n")
            #expect(try await client.response().status == 201)
            #expect(try server.query("SELECT note FROM orders") == [["éx"]])
        }
    }

    @Test func continueIsSaidOnlyToABodyThatIsWanted() async throws {
        try await withOrders { gateway, _ in
            let client = try gateway.client()
            try await client.send(
                "POST /v1/tables/orders/records HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
                    + "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n")
            #expect(try await client.response().status == 100)
            try await client.send("{}")
            #expect(try await client.response().status == 201)
            try await client.send(
                "POST /v1/bulk HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
                    + "Content-Type: application/x-ndjson\r\nContent-Length: 99999999\r\n\r\n")
            let refused = try await client.response()
            #expect(refused.status == 413 && refused.member("code") == "body-too-large")
        }
    }

    @Test func theLastAnswerClosesTheConnection() async throws {
        try await withOrders { gateway, _ in
            for request in [
                post("{}", "Connection: close\r\n"),
                "POST /v1/tables/orders/records HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}",
            ] {
                let client = try gateway.client()
                try await client.send(request)
                let answer = try await client.response()
                #expect(answer.status == 201 && answer.headers["connection"] == "close")
                await client.finishSending()
                #expect(await client.isClosedByServer())
            }
        }
    }

    @Test(arguments: [
        "GARBAGE\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /v1/bulk HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "POST /v1/bulk HTTP/1.1\r\nHost: t\r\nContent-Length: -5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
        "GET / HTTP/1.1\r\nHo st: t\r\n\r\n",
    ])
    func malformedHTTPIsRefusedAndTheConnectionClosed(_ request: String) async throws {
        try await withOrders { gateway, _ in
            let client = try gateway.client()
            try await client.send(request)
            let answer = try await client.response()
            #expect(answer.status == 400, "\(answer.body)")
            await client.finishSending()
            #expect(await client.isClosedByServer())
            let next = try await gateway.client().request("GET", "/v1/tables")
            #expect(next.status == 200)
        }
    }

    @Test func headsAreBounded() async throws {
        try await withOrders { gateway, _ in
            let many = String(repeating: "X-A: b\r\n", count: 150)
            let large = "X-A: \(String(repeating: "b", count: 70_000))\r\n"
            for extra in [many, large] {
                let client = try gateway.client()
                try await client.send(post("{}", extra))
                let answer = try await client.response()
                #expect(answer.status == 431 && answer.member("code") == "headers-too-large")
            }
            let client = try gateway.client()
            let target = "/v1/tables/\(String(repeating: "t", count: 9_000))"
            let answer = try await client.request("GET", target)
            #expect(answer.status == 414 && answer.member("code") == "uri-too-long")
        }
    }

    @Test func bodiesAreBounded() async throws {
        try await withOrders({
            $0.bodyByteCountMax = 20_000
            $0.recordByteCountMax = 1_000
            $0.recordsPerRequestMax = 100
        }) { gateway, server in
            let long = String(repeating: "n", count: 2_000)
            let one = try await gateway.client().request(
                "POST", "/v1/tables/orders/records", #"{"note":"\#(long)"}"#)
            #expect(one.status == 413 && one.member("code") == "body-too-large")
            let line = #"{"op":"insert","table":"orders","data":{"note":"\#(long)"}}"#
            let bulk = try await gateway.client().request(
                "POST", "/v1/bulk", line, headers: ["Content-Type": "application/x-ndjson"])
            #expect(bulk.body.contains(#""index":0,"status":413"#))
            let rows = "[" + Array(repeating: "{}", count: 101).joined(separator: ",") + "]"
            let many = try await gateway.client().request("POST", "/v1/tables/orders/records", rows)
            #expect(many.status == 413, "\(many.body)")
            let client = try gateway.client()
            try await client.send(
                "POST /v1/bulk HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n7530\r\n"
                    + String(repeating: " ", count: 30_000))
            #expect(try await client.response().status == 413)
            #expect(try server.query("SELECT count(*) FROM orders") == [["0"]])
        }
    }

    @Test func tenThousandRecordsAreOneRequest() async throws {
        try await withOrders { gateway, server in
            let client = try gateway.client()
            let lines = (1...10_000).map {
                #"{"op":"insert","table":"orders","data":{"id":\#($0)}}"#
            }
            let answer = try await client.request(
                "POST", "/v1/bulk", lines.joined(separator: "\n"),
                headers: ["Content-Type": "application/x-ndjson"])
            #expect(answer.status == 200)
            #expect(answer.body.contains(#""counts":{"total":10000,"ok":10000,"failed":0}"#))
            #expect(try server.query("SELECT count(*) FROM orders") == [["10000"]])
        }
    }

    @Test func aSlowRequestTimesOut() async throws {
        try await withOrders({ $0.requestTimeout = .milliseconds(200) }) { gateway, _ in
            for start in ["POST /v1/tab", post("{}").dropLast().description] {
                let client = try gateway.client()
                try await client.send(start)
                let answer = try await client.response()
                #expect(answer.status == 408 && answer.member("code") == "request-timeout")
            }
        }
    }

    @Test func aCallerWhoLeavesInTheMiddleDisturbsNobody() async throws {
        try await withOrders { gateway, server in
            for part in ["POST /v1/t", post("{}").dropLast().description] {
                let client = try gateway.client()
                try await client.send(part)
                await client.finishSending()
                #expect(await client.isClosedByServer())
            }
            #expect(try await gateway.client().request("GET", "/v1/tables").status == 200)
            #expect(try server.query("SELECT count(*) FROM orders") == [["0"]])
        }
    }

    @Test func theCallersRequestIDIsEchoedIfItIsFitToBe() async throws {
        try await withOrders { gateway, _ in
            let client = try gateway.client()
            for (id, isEchoed) in [("abc-1", true), ("has space", false)] {
                let answer = try await client.request(
                    "GET", "/v1/tables", headers: ["X-Request-Id": id])
                #expect((answer.headers["x-request-id"] == id) == isEchoed)
            }
        }
    }
}
