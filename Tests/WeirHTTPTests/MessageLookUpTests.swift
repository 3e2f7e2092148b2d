import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord

/// `GET /v1/messages/{id}` and repetitions where the database is all that knows: after a restart,
/// and by another gateway.
@Suite(.cluster, .serialized, .timeLimit(.minutes(2))) struct MessageLookUpTests {
    private static let path = "/v1/tables/orders/records"

    private func withRemembering(
        _ database: Database, _ name: String, _ body: (Gateway) async throws -> Void
    ) async throws {
        var policy = TablePolicy()
        policy.onReject = .deadLetter
        var things = TablePolicy()
        things.id = IDRule(column: "id", prefix: "thing", form: .typeID)
        try await withGateway(
            conninfo: database.conninfo, tables: ["orders", "things"],
            policies: ["orders": policy, "things": things],
            writers: {
                $0.replay = .on(window: .seconds(7 * 86_400))
                $0.origin = GatewayName(instance: name, version: "9.9")
            }, body)
    }

    private func database() async throws -> Database {
        let database = try Database()
        try database.execute(ordersSQL + "CREATE TABLE things (id uuid PRIMARY KEY, n int);")
        let owner = try Conninfo(
            database.conninfo, statementTimeout: .seconds(10), lockTimeout: .seconds(2))
        _ = try await Migrator(owner, version: "1").migrate()
        return database
    }

    private static func keyed(_ id: String) -> [String: String] {
        ["Content-Type": "application/json", "Idempotency-Key": id, "X-Request-Id": "r-\(id)"]
    }

    @Test func anotherGatewayTellsWhatCommitted() async throws {
        let database = try await database()
        try await withRemembering(database, "one") { gateway in
            let client = try gateway.client()
            let inserted = try await client.request(
                "POST", Self.path, #"{"qty":1}"#, headers: Self.keyed("a"))
            #expect(inserted.status == 201, "\(inserted.body)")
            let kept = try await client.request(
                "POST", Self.path, #"{"qty":-1}"#, headers: Self.keyed("b"))
            #expect(kept.status == 422 && kept.member("result") == "dead_lettered", "\(kept.body)")
            // Memory answers where it can.
            let near = try await client.request("GET", "/v1/messages/a")
            #expect(near.body.hasSuffix(#""source":"memory"}"#), "\(near.body)")
        }
        try await withRemembering(database, "two") { gateway in
            for client in try [gateway.client(), gateway.adminClient()] {
                let found = try await client.request("GET", "/v1/messages/a")
                #expect(found.status == 200)
                #expect(found.body.hasPrefix(#"{"id":"a","state":"settled","batched":{"at":"20"#))
                for part in [
                    #""attempts":{"count":1},"outcome":{"result":"inserted","key":{"id":1},"at":"20"#,
                    #""request":"r-a","instance":"one","version":"9.9","source":"database"}"#,
                ] { #expect(found.body.contains(part), "\(part) in \(found.body)") }
                let letter = try await client.request("GET", "/v1/messages/b")
                #expect(
                    letter.body.contains(
                        #""outcome":{"result":"dead_lettered","dead_letter":1,"at""#),
                    "\(letter.body)")
                let nobody = try await client.request("GET", "/v1/messages/c")
                #expect(nobody.status == 404 && nobody.member("code") == "not-found")
            }
            let metrics = try await gateway.adminClient().request("GET", "/metrics").body
            #expect(metrics.contains("weir_message_lookups_total{found=\"true\"} 4\n"))
            #expect(metrics.contains("weir_message_lookups_total{found=\"false\"} 2\n"))
        }
    }

    @Test func aRepetitionElsewhereIsToldTheIDThatWasMinted() async throws {
        let database = try await database()
        let things = "/v1/tables/things/records"
        var key = ""
        try await withRemembering(database, "one") { gateway in
            let first = try await gateway.client().request(
                "POST", things, #"{"n":1}"#, headers: Self.keyed("m"))
            #expect(first.status == 201, "\(first.body)")
            #expect(first.body.contains(#""key":{"id":"thing_"#), "\(first.body)")
            key = String(first.body.split(separator: "\"key\":")[1].prefix { $0 != "}" })
        }
        try await withRemembering(database, "two") { gateway in
            let again = try await gateway.client().request(
                "POST", things, #"{"n":1}"#, headers: Self.keyed("m"))
            #expect(again.status == 200 && again.member("result") == "replayed")
            #expect(again.body.contains("\"key\":\(key)}"), "\(key) in \(again.body)")
        }
        #expect(try database.query("SELECT count(*) FROM things") == [["1"]])
    }
}
