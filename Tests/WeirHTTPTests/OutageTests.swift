import Foundation
import Synchronization
import Testing
import Weir
import WeirCore
import WeirHTTP
import WeirPostgres

/// The database refuses or restarts, the gateway is told to stop, while callers write. Each test
/// has a server of its own.
@Suite(.serialized, .timeLimit(.minutes(2))) struct OutageTests {
    static let path = "/v1/tables/orders/records"

    /// What the callers have got done, and whether they may stop.
    private final class Progress: Sendable {
        private let steps = Atomic<Int>(0)
        private let hasEnded = Atomic<Bool>(false)
        var count: Int { steps.load(ordering: .relaxed) }
        var isOver: Bool { hasEnded.load(ordering: .relaxed) }
        func step() { steps.wrappingAdd(1, ordering: .relaxed) }
        func end() { hasEnded.store(true, ordering: .relaxed) }
    }

    @Test func aWrongPasswordIsWaitedOutAndNotRepeatedToAnybody() async throws {
        try await withServer { server in
            try server.execute(
                ordersSQL
                    + "; CREATE ROLE app LOGIN PASSWORD 'right-one'; GRANT ALL ON orders TO app")
            let rules = try #require(try server.query("SHOW hba_file")[0][0])
            try "local all weir trust\nlocal all app scram-sha-256\n".write(
                toFile: rules, atomically: false, encoding: .utf8)
            try server.execute("SELECT pg_reload_conf()")
            let file = NSTemporaryDirectory() + "weir-passfile-\(UInt32.random(in: 0 ... .max))"
            defer { try? FileManager.default.removeItem(atPath: file) }
            func write(_ password: String) throws {
                try "*:*:*:app:\(password)\n".write(
                    toFile: file, atomically: false, encoding: .utf8)
                try FileManager.default.setAttributes(
                    [.posixPermissions: 0o600], ofItemAtPath: file)
            }
            try write("wrong-one")
            let conninfo = server.conninfo + " user=app passfile=\(file)"
            try await withGateway(conninfo: conninfo, tables: ["orders"]) { gateway in
                let client = try gateway.client()
                let refused = try await client.request("POST", Self.path, "{}")
                #expect(refused.status == 503 && refused.member("code") == "database-unavailable")
                let ready = try await gateway.adminClient().request("GET", "/readyz")
                #expect(ready.status == 503)
                #expect(ready.body.contains("password authentication failed"))
                #expect(!ready.body.contains("wrong-one"))
                try write("right-one")
                try await eventually {
                    try await client.request("POST", Self.path, "{}").status == 201
                }
                #expect(
                    try await gateway.adminClient().request("GET", "/readyz?db=1").status == 200)
            }
        }
    }

    @Test func aRestartUnderLoadLosesNothingThatWasAcknowledged() async throws {
        try await withServer { server in
            try server.execute(ordersSQL)
            try await withGateway(conninfo: server.conninfo, tables: ["orders"]) { gateway in
                let progress = Progress()
                let acknowledged = try await withThrowingTaskGroup { tasks in
                    for number in 0..<8 {
                        let client = try gateway.client()
                        tasks.addTask {
                            var ids: [Int] = []
                            for round in 0..<100_000 where !progress.isOver {
                                let id = number * 100_000 + round
                                let answer = try await client.request(
                                    "POST", Self.path, #"{"id":\#(id)}"#)
                                #expect([201, 503, 504].contains(answer.status), "\(answer.body)")
                                guard answer.status == 201 else { continue }
                                ids.append(id)
                                progress.step()
                            }
                            return ids
                        }
                    }
                    for _ in 0..<2 {
                        let before = progress.count
                        try await eventually { progress.count > before + 100 }
                        try await server.kill()
                        try await server.startAgain(server.testConfiguration)
                    }
                    let before = progress.count
                    try await eventually { progress.count > before + 100 }
                    progress.end()
                    var all: [Int] = []
                    for try await ids in tasks { all += ids }
                    return all
                }
                let stored = try server.query("SELECT id FROM orders").compactMap {
                    $0[0].flatMap(Int.init)
                }
                #expect(acknowledged.count > 300)
                #expect(Set(acknowledged).isSubset(of: Set(stored)))
                #expect(stored.count == Set(stored).count)
                // Whatever was lost, the connections come back, and no more than there were.
                try await eventually { gateway.coordinator.figures().gauges.connections == 2 }
                // A backend whose client has left may take a moment to go.
                try await eventually {
                    try server.query(
                        """
                        SELECT count(*) FROM pg_stat_activity
                        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
                        """) == [["2"]]
                }
            }
        }
    }

    @Test func endedSessionsAreOpenedAgainAndTheirRecordsWritten() async throws {
        try await withServer { server in
            try server.execute(ordersSQL)
            try await withGateway(conninfo: server.conninfo, tables: ["orders"]) { gateway in
                let client = try gateway.client()
                for id in 0..<10 {
                    // The gateway may have noticed, and have no connection at this moment: then it
                    // says so. What it takes for a connection is mended without a word.
                    try await eventually {
                        let answer = try await client.request("POST", Self.path, #"{"id":\#(id)}"#)
                        #expect(
                            answer.status == 201
                                || answer.member("code") == "database-unavailable",
                            "\(answer.body)")
                        return answer.status == 201
                    }
                    try server.execute(
                        """
                        SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
                        """)
                    try await eventually { gateway.coordinator.figures().gauges.connections == 2 }
                }
                #expect(try server.query("SELECT count(*) FROM orders") == [["10"]])
            }
        }
    }

    @Test func aShutdownUnderLoadAnswersEverybodyTruly() async throws {
        try await withServer { server in
            try server.execute(ordersSQL)
            let progress = Progress()
            var acknowledged: [Int] = []
            try await withGateway(conninfo: server.conninfo, tables: ["orders"]) { gateway in
                acknowledged = try await withThrowingTaskGroup { tasks in
                    for number in 0..<8 {
                        let client = try gateway.client()
                        tasks.addTask {
                            var ids: [Int] = []
                            for round in 0..<100_000 {
                                let id = number * 100_000 + round
                                do {
                                    let answer = try await client.request(
                                        "POST", Self.path, #"{"id":\#(id)}"#)
                                    guard answer.status == 201 else {
                                        #expect(answer.member("code") == "draining")
                                        return ids
                                    }
                                    ids.append(id)
                                    progress.step()
                                } catch is Client.Closed {
                                    // Between two requests the connection was closed.
                                    return ids
                                }
                            }
                            return ids
                        }
                    }
                    try await eventually { progress.count > 200 }
                    await gateway.shutdown()
                    var all: [Int] = []
                    for try await ids in tasks { all += ids }
                    return all
                }
            }
            let stored = try server.query("SELECT id FROM orders").compactMap {
                $0[0].flatMap(Int.init)
            }
            #expect(acknowledged.count > 200)
            // Nothing was acknowledged that is not there, nor is there anything that was not.
            #expect(acknowledged.sorted() == stored.sorted())
        }
    }
}
