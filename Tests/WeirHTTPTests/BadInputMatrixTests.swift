import Testing
import Weir
import WeirCore
import WeirPostgres

/// Each bad record in each form that a request can have: what is said of it, that its batch-mates
/// committed, that nothing else was stored, and that the next caller is served.
@Suite(.cluster, .serialized, .timeLimit(.minutes(2))) struct BadInputMatrixTests {
    @Test func whatIsNoJSON() async throws { try await refuse(BadRecord.syntax) }

    @Test func whatFitsNoColumn() async throws { try await refuse(BadRecord.values) }

    @Test func whatBreaksAConstraint() async throws { try await refuse(BadRecord.constraints) }

    // MARK: One row of the matrix

    private func refuse(_ records: [BadRecord]) async throws {
        try await withOrders(
            machine: { $0.retry.delayMax = .milliseconds(2) }, tables: ["things", "needy"],
            sql: BadRecord.sql
        ) { gateway, database in
            let session = try database.openSession()
            var stored = 0
            for record in records {
                try await refuseAlone(record, gateway)
                stored += try await refuseAmongMates(record, gateway)
                let next = try await gateway.client().request(
                    "POST", "/v1/tables/things/records", #"{"mark":"next"}"#)
                #expect(next.status == 201, "\(record.name): \(next.body)")
                stored += 1
                let marks = try session.query(
                    "SELECT (SELECT count(*) FROM things WHERE mark IS NOT NULL)"
                        + " + (SELECT count(*) FROM needy WHERE mark IS NOT NULL)")
                #expect(marks == [["\(stored)"]], "\(record.name)")
                let others = try session.query(
                    "SELECT (SELECT count(*) FROM things WHERE mark IS NULL),"
                        + " (SELECT count(*) FROM needy WHERE mark IS NULL)")
                #expect(others == [["1", "0"]], "\(record.name)")
            }
        }
    }

    private func refuseAlone(_ record: BadRecord, _ gateway: Gateway) async throws {
        let answer = try await gateway.client().post(
            "/v1/tables/\(record.table)/records", "application/json", record.json)
        #expect(answer.status == record.status, "\(record.name): \(answer.body)")
        #expect(answer.headers["content-type"] == "application/problem+json", "\(record.name)")
        expectProblem(answer, record)
    }

    /// Returns how many rows its mates are.
    private func refuseAmongMates(_ record: BadRecord, _ gateway: Gateway) async throws -> Int {
        let mate = Array(
            (record.table == "needy" ? #"{"mark":"mate","must":1}"# : #"{"mark":"mate"}"#).utf8)
        func line(_ data: [UInt8]) -> [UInt8] {
            Array(#"{"op":"insert","table":"\#(record.table)","data":"#.utf8) + data + [0x7D]
        }
        func list(_ members: [[UInt8]]) -> [UInt8] {
            [0x5B] + members.joined(separator: [0x2C]) + [0x5D]
        }
        let records = [mate, record.json, mate]
        let path = "/v1/tables/\(record.table)/records"
        let client = try gateway.client()
        var stored = 0
        for (target, type, body) in [
            (path, "application/x-ndjson", Array(records.joined(separator: [0x0A]))),
            (
                "/v1/bulk", "application/x-ndjson",
                Array(records.map(line).joined(separator: [0x0A]))
            ),
            (path, "application/json", list(records)),
            ("/v1/bulk", "application/json", list(records.map(line))),
        ] {
            let answer = try await client.post(target, type, body)
            let place = Comment("\(record.name), \(target) \(type): \(answer.body.prefix(400))")
            if record.breaksTheText && type == "application/json" {
                #expect(answer.status == 400, place)
            } else {
                #expect(answer.status == 207, place)
                #expect(answer.body.contains(#""counts":{"total":3,"ok":2,"failed":1}"#), place)
                #expect(answer.body.contains(#"{"index":1,"status":\#(record.status),"#), place)
                stored += 2
            }
            expectProblem(answer, record)
        }
        return stored
    }

    private func expectProblem(_ answer: Client.Response, _ record: BadRecord) {
        let place = Comment("\(record.name): \(answer.body.prefix(400))")
        #expect(answer.member("code") == record.code, place)
        if record.status != 503 { #expect(answer.member("sqlstate") == record.sqlstate, place) }
        #expect(answer.body.contains(#""written":"no""#), place)
    }
}

extension Client {
    /// Sends a body as it is.
    func post(_ target: String, _ type: String, _ body: [UInt8]) throws -> Response {
        let head =
            "POST \(target) HTTP/1.1\r\nHost: test\r\nContent-Type: \(type)\r\n"
            + "Content-Length: \(body.count)\r\n\r\n"
        try send(Array(head.utf8) + body)
        return try response()
    }
}
