import Testing
import Weir
import WeirCore
import WeirRecord
import WeirTesting

/// `GET /v1/messages/{id}` on both listeners.
@Suite(.timeLimit(.minutes(1))) struct MessageHistoryTests {
    private static let path = "/v1/tables/orders/records"
    private static let headers = [
        "Content-Type": "application/json", "Idempotency-Key": "edit 7", "X-Request-Id": "r-1",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ]

    @Test func aMessageIsFoundByItsCallersID() async throws {
        try await withScriptedGateway { gateway in
            _ = try await gateway.request("POST", Self.path, #"{"id":1}"#, headers: Self.headers) { _ in
                .committed([RowResult(.inserted)])
            }
            for client in try [gateway.client(), gateway.adminClient()] {
                let answer = try await client.request("GET", "/v1/messages/edit%207")
                #expect(answer.status == 200 && answer.headers["content-type"] == "application/json")
                #expect(answer.body.hasPrefix(#"{"id":"edit 7","state":"settled","table":"orders","#))
                for part in [
                    #""received":{"at":"20"#, #""batched":{"at":"20"#, #""batch":"bat_"#,
                    #""attempts":{"count":1}"#, #""outcome":{"result":"inserted","at":"20"#,
                    #""request":"r-1","trace":"4bf92f3577b34da6a3ce929d0e0e4736","instance":""#,
                    #""version":"0","source":"memory"}"#,
                ] {
                    #expect(answer.body.contains(part), "\(part) in \(answer.body)")
                }
            }
        }
    }

    @Test func aRecordIsFoundByTheIDThatItsAnswerHas() async throws {
        try await withScriptedGateway { gateway in
            let one = try await gateway.request("POST", Self.path, #"{"id":1}"#) { _ in
                .committed([RowResult(.inserted)])
            }
            let many = try await gateway.request("POST", Self.path, #"[{"id":2},{"id":3}]"#) { batch in
                .committed(batch.records.map { _ in RowResult(.inserted) })
            }
            let ids = (one.body + many.body).ranges(of: "\"msg_").map { range in
                String((one.body + many.body)[range.upperBound...].prefix { $0 != "\"" })
            }
            #expect(Set(ids).count == 3)
            for id in ids {
                let answer = try await gateway.client().request("GET", "/v1/messages/msg_\(id)")
                #expect(answer.status == 200 && answer.body.contains(#""result":"inserted""#))
            }
        }
    }

    @Test func whoIsToldThatNobodyKnowsMayAskLater() async throws {
        try await withScriptedGateway { gateway in
            let client = try gateway.client()
            async let response = client.request(
                "POST", Self.path, #"{"id":1}"#,
                headers: ["Content-Type": "application/json", "Weir-Timeout": "50ms"])
            let batch = try await gateway.nextBatch()
            let told = try await response
            #expect(told.status == 504 && told.member("code") == "outcome-unknown")
            let id = try #require(told.member("id"))
            #expect(id.hasPrefix("msg_"))
            let before = try await gateway.client().request("GET", "/v1/messages/\(id)")
            #expect(before.body.contains(#""outcome":{"result":"unknown","resolving":true}"#), "\(before.body)")
            gateway.writer.reply(.report(.committed(batch.records.map { _ in RowResult(.inserted) })))
            while gateway.coordinator.figures().gauges.recordsHeld > 0 { await Task.yield() }
            let after = try await gateway.client().request("GET", "/v1/messages/\(id)")
            #expect(after.body.contains(#""outcome":{"result":"inserted","#), "\(after.body)")
        }
    }

    @Test func whatMemoryDoesNotKnowTheDatabaseIsAskedFor() async throws {
        try await withScriptedGateway { gateway in
            for client in try [gateway.client(), gateway.adminClient()] {
                async let none = client.request("GET", "/v1/messages/nobody")
                _ = await gateway.writer.nextCall()
                gateway.writer.reply(.found([nil]))
                let missing = try await none
                #expect(missing.status == 404 && missing.member("code") == "not-found")

                async let some = client.request("GET", "/v1/messages/old")
                _ = await gateway.writer.nextCall()
                let id = UUID7(high: 1_772_368_496_789 << 16 | 0x7000, low: 1 << 63)
                var stored = StoredMessage(
                    FirstResult(effect: .deadLettered, batchID: id, deadLetter: 12))
                stored.attempt = 3
                stored.committedAt = 1_772_368_496_800
                stored.version = "1.2"
                gateway.writer.reply(.found([stored]))
                let found = try await some
                #expect(
                    found.body.hasPrefix(
                        #"{"id":"old","state":"settled","batched":{"at":"2026-03-01T12:34:56.789Z","batch":"\#(id.typeID("bat"))"},"#
                            + #""attempts":{"count":3},"outcome":{"result":"dead_lettered","dead_letter":12,"#
                            + #""at":"2026-03-01T12:34:56.800Z"},"version":"1.2","source":"database"}"#),
                    "\(found.body)")
            }
        }
    }

    @Test func onlyGETIsTaken() async throws {
        try await withScriptedGateway { gateway in
            let answer = try await gateway.client().request("POST", "/v1/messages/x")
            #expect(answer.status == 405 && answer.headers["allow"] == "GET")
            let bad = try await gateway.client().request("GET", "/v1/messages/%zz")
            #expect(bad.status == 400)
            let alsoBad = try await gateway.adminClient().request("GET", "/v1/messages/%ff")
            #expect(alsoBad.status == 400 && alsoBad.member("code") == "invalid-request")
        }
    }
}
