import Testing
import Weir
import WeirHTTP
import WeirPostgres

/// Requests that are written wrongly, or oddly, byte by byte.
@Suite(.cluster, .serialized, .timeLimit(.minutes(2))) struct GrammarTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var name: String
        var bytes: String
        /// Statuses that will do; 0 is a connection that is closed without an answer.
        var statuses: Set<Int>
        var testDescription: String { name }

        init(_ name: String, _ bytes: String, _ statuses: Int...) {
            self.name = name
            self.bytes = bytes
            self.statuses = Set(statuses)
        }
    }

    private static func post(_ fields: String, _ body: String = "{}") -> String {
        "POST /v1/tables/orders/records HTTP/1.1\r\nHost: t\r\n\(fields)\r\n\(body)"
    }

    static let refused = [
        Case(
            "length and chunked", post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"), 400),
        Case(
            "chunked and length", post("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n"), 400),
        Case("two lengths that differ", post("Content-Length: 2\r\nContent-Length: 3\r\n"), 400),
        Case("two lengths in one field", post("Content-Length: 2, 3\r\n"), 400),
        Case("two equal lengths", post("Content-Length: 2\r\nContent-Length: 2\r\n"), 400),
        Case("a negative length", post("Content-Length: -2\r\n"), 400),
        Case("a length with a sign", post("Content-Length: +2\r\n"), 400),
        Case("a length in hexadecimal", post("Content-Length: 0x2\r\n"), 400),
        Case(
            "a length past all bounds", post("Content-Length: 99999999999999999999\r\n"), 400, 413),
        Case(
            "gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
            400, 501),
        Case(
            "chunked, identity",
            post("Transfer-Encoding: chunked, identity\r\n", "2\r\n{}\r\n0\r\n\r\n"), 400, 501),
        Case("xchunked", post("Transfer-Encoding: xchunked\r\n", "2\r\n{}\r\n0\r\n\r\n"), 400, 501),
        Case(
            "a chunk size past all bounds",
            post("Transfer-Encoding: chunked\r\n", "FFFFFFFFFFFFFFFF1\r\n"), 400, 413),
        Case("a negative chunk size", post("Transfer-Encoding: chunked\r\n", "-1\r\n"), 400),
        Case(
            "a chunk size with 0x",
            post("Transfer-Encoding: chunked\r\n", "0x2\r\n{}\r\n0\r\n\r\n"), 400),
        Case(
            "a chunk without its line end",
            post("Transfer-Encoding: chunked\r\n", "2\r\n{}0\r\n\r\n"), 400),
        Case(
            "a length among the trailers",
            post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\nContent-Length: 99\r\n\r\n"),
            400),
        Case("a name with a space", post("Con tent-Length: 2\r\n"), 400),
        Case("a space before the colon", post("Content-Length : 2\r\n"), 400),
        Case("NUL in a value", post("X-A: a\0b\r\nContent-Length: 2\r\n"), 400),
        Case("a folded field", post("X-A: a\r\n b\r\nContent-Length: 2\r\n"), 400),
        Case("a version of its own", "GET /v1/tables HTTP/3.0\r\nHost: t\r\n\r\n", 400, 505),
        Case("no version", "GET /v1/tables\r\n\r\n", 400, 0),
        Case("HTTP/2 on this port", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 505),
        Case("TLS on this port", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{FC}\u{3}\u{3}", 400),
        Case("no method", " / HTTP/1.1\r\n\r\n", 400),
        Case("a target of spaces", "GET a b c HTTP/1.1\r\n\r\n", 400),
        Case(
            "an expectation that is not known", post("Expect: 200-ok\r\nContent-Length: 2\r\n"),
            400, 417),
        Case("Content-Encoding", post("Content-Encoding: gzip\r\nContent-Length: 2\r\n"), 415),
        Case("a timeout without a unit", post("Weir-Timeout: 5\r\nContent-Length: 2\r\n"), 400),
        Case("a timeout of nothing", post("Weir-Timeout: 0s\r\nContent-Length: 2\r\n"), 400),
        Case(
            "a timeout of no number", post("Weir-Timeout: nans\r\nContent-Length: 2\r\n"), 400),
        Case("a negative timeout", post("Weir-Timeout: -1s\r\nContent-Length: 2\r\n"), 400),
    ]

    @Test func whatIsWrittenWronglyIsRefusedAndNothingIsStored() async throws {
        try await withOrders { gateway, server in
            for row in Self.refused {
                let client = try gateway.client()
                try await client.send(row.bytes)
                do {
                    let answer = try await client.response()
                    #expect(row.statuses.contains(answer.status), "\(row.name): \(answer.status)")
                    #expect(
                        answer.headers["content-type"] == "application/problem+json", "\(row.name)")
                    #expect(answer.body.contains(#""written":"no""#), "\(row.name)")
                } catch is Client.Closed {
                    #expect(row.statuses.contains(0), "\(row.name): closed without an answer")
                }
                let next = try await gateway.client().request("GET", "/v1/tables")
                #expect(next.status == 200, "after \(row.name)")
            }
            #expect(try server.query("SELECT count(*) FROM orders") == [["0"]])
        }
    }

    static let accepted = [
        Case("a body without a type", post("Content-Length: 2\r\n"), 201),
        Case(
            "chunk extensions", post("Transfer-Encoding: chunked\r\n", "2;a=b\r\n{}\r\n0\r\n\r\n"),
            201),
        Case(
            "trailers that mean nothing",
            post(
                "Transfer-Encoding: chunked\r\n",
                "2\r\n{}\r\n0\r\nPrefer: tx=rollback\r\n\r\n"), 201),
        Case(
            "any case",
            post("cOnTeNt-LeNgTh: 2\r\ncontent-TYPE: Application/JSON; Charset=UTF-8\r\n"), 201),
        Case(
            "an absolute target",
            "POST http://t/v1/tables/orders/records HTTP/1.1\r\nHost: t\r\n"
                + "Content-Length: 2\r\n\r\n{}", 201),
        Case(
            "a query",
            "POST /v1/tables/orders/records?x=1 HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}",
            201),
        Case("empty lines before the request", "\r\n\r\n" + post("Content-Length: 2\r\n"), 201),
        Case("a long timeout", post("Weir-Timeout: 1m\r\nContent-Length: 2\r\n"), 201),
        Case(
            "a preference that is not known",
            post("Prefer: wait=10, color=red\r\nContent-Length: 2\r\n"), 201),
        Case("white space round the record", post("Content-Length: 6\r\n", " \r\n{} "), 201),
    ]

    @Test func whatIsWrittenOddlyIsServed() async throws {
        try await withOrders { gateway, _ in
            for row in Self.accepted {
                let client = try gateway.client()
                try await client.send(row.bytes)
                let answer = try await client.response()
                #expect(row.statuses.contains(answer.status), "\(row.name): \(answer)")
                // What followed the request's end was not taken for another one.
                let next = try await client.request("GET", "/v1/tables")
                #expect(next.status == 200, "after \(row.name)")
            }
        }
    }

    @Test func aConnectionGoesOnAfterARefusal() async throws {
        try await withOrders { gateway, _ in
            let client = try gateway.client()
            let path = "/v1/tables/orders/records"
            for (body, status) in [
                ("{", 400), (#"{"qty":-1}"#, 422), ("{}", 201), ("[]", 400), ("{}", 201),
            ] {
                #expect(try await client.request("POST", path, body).status == status)
            }
        }
    }

    @Test func anAnswerToHEADHasNoBody() async throws {
        try await withOrders { gateway, _ in
            let client = try gateway.client()
            for path in ["/v1/tables", "/v1/tables/orders/records", "/nothing"] {
                try await client.send("HEAD \(path) HTTP/1.1\r\nHost: t\r\n\r\n")
                let status = try await client.headOnly().status
                #expect([200, 404, 405].contains(status))
                // A body would be read as the next answer's head.
                #expect(try await client.request("GET", "/v1/tables").status == 200)
            }
        }
    }

    @Test func aMethodThatThePathDoesNotTakeIsToldWhichOnesItDoes() async throws {
        try await withOrders { gateway, _ in
            let client = try gateway.client()
            for (method, path, allow) in [
                ("GET", "/v1/tables/orders/records", "POST"), ("DELETE", "/v1/bulk", "POST"),
                ("POST", "/v1/tables/orders/records/1", "PUT, PATCH, DELETE"),
                ("POST", "/v1/tables", "GET"), ("PUT", "/openapi.json", "GET"),
            ] {
                let answer = try await client.request(method, path)
                #expect(
                    answer.status == 405 && answer.headers["allow"] == allow, "\(method) \(path)")
            }
        }
    }

    @Test func anUpgradeIsNotMade() async throws {
        try await withOrders { gateway, _ in
            let client = try gateway.client()
            try await client.send(
                "POST /v1/tables/orders/records HTTP/1.1\r\nHost: t\r\n"
                    + "Connection: Upgrade, HTTP2-Settings\r\n"
                    + "Upgrade: h2c\r\nHTTP2-Settings: AA\r\nContent-Length: 2\r\n\r\n{}")
            let answer = try await client.response()
            #expect(answer.status == 201)
        }
    }
}
