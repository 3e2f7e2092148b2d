import Synchronization
import Testing
import Weir
import WeirCore
import WeirTesting

/// A caller who has an event loop to itself: its record is written by that loop's thread.
@Suite(.timeLimit(.minutes(1))) struct LoneCallerTests {
    private static let path = "/v1/tables/orders/records"

    private final class Counter: Sendable {
        private let value = Atomic(0)
        var count: Int { value.load(ordering: .relaxed) }
        func step() { value.wrappingAdd(1, ordering: .relaxed) }
    }

    /// A gateway with one event loop, whose writer commits whatever it is handed; `inline` counts
    /// what the event loop's thread has written.
    private func withOneLoop(
        _ body: (_ gateway: ScriptedGateway, _ inline: Counter) async throws -> Void
    ) async throws {
        try await withScriptedGateway(threads: 1) { gateway in
            let inline = Counter()
            gateway.writer.whenInline { batch in
                inline.step()
                return .committed(batch.records.map { _ in RowResult(.inserted) })
            }
            try await withThrowingTaskGroup { tasks in
                tasks.addTask {
                    while let batch = await gateway.writer.nextCall().batch {
                        gateway.writer.reply(
                            .report(.committed(batch.records.map { _ in RowResult(.inserted) })))
                    }
                }
                try await body(gateway, inline)
                tasks.cancelAll()
            }
        }
    }

    @Test func itsRecordsNeedNoOtherThread() async throws {
        try await withOneLoop { gateway, inline in
            let client = try gateway.client()
            var id = 0
            // Not the first, and none before the writer's thread waits for work again.
            while inline.count < 10 {
                id += 1
                let answer = try await client.request("POST", Self.path, #"{"id":\#(id)}"#)
                #expect(answer.status == 201)
            }
        }
    }

    @Test func whoSharesAnEventLoopIsNotWaitedFor() async throws {
        try await withOneLoop { gateway, inline in
            let (first, second) = (try gateway.client(), try gateway.client())
            #expect(try await first.request("GET", "/v1/tables").status == 200)
            #expect(try await second.request("GET", "/v1/tables").status == 200)
            for id in 1...50 {
                let answer = try await first.request("POST", Self.path, #"{"id":\#(id)}"#)
                #expect(answer.status == 201)
            }
            #expect(inline.count == 0)
        }
    }

    @Test func pipelinedRequestsAreAllAnswered() async throws {
        try await withOneLoop { gateway, _ in
            let client = try gateway.client()
            for round in 0..<20 {
                var requests = ""
                for place in 0..<5 {
                    let body = #"{"id":\#(round * 10 + place)}"#
                    requests +=
                        "POST \(Self.path) HTTP/1.1\r\nHost: test\r\n"
                        + "Content-Type: application/json\r\n"
                        + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
                }
                try await client.send(requests)
                for place in 0..<5 {
                    let answer = try await client.response()
                    #expect(answer.status == 201)
                    #expect(answer.body.contains(#""key":{"id":\#(round * 10 + place)}"#))
                }
            }
        }
    }

    @Test func whatTakesLongHoldsNobodyUp() async throws {
        try await withScriptedGateway(threads: 1) { gateway in
            let client = try gateway.client()
            gateway.writer.whenInline { _ in nil }
            for id in 1...20 {
                async let answer = client.request("POST", Self.path, #"{"id":\#(id)}"#)
                let batch = try await gateway.nextBatch()
                // The writer has not answered, and somebody else is served.
                let other = try await gateway.client().request("GET", "/v1/tables")
                #expect(other.status == 200)
                gateway.writer.reply(
                    .report(.committed(batch.records.map { _ in RowResult(.inserted) })))
                #expect(try await answer.status == 201)
            }
        }
    }
}
