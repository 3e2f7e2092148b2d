import Testing
import Weir
import WeirCore
import WeirPostgres

/// Records that only the database can refuse, wherever in a batch they stand and whatever they do to it.
@Suite(.cluster, .serialized, .timeLimit(.minutes(2))) struct PoisonTests {
    static let ndjson = "application/x-ndjson"

    @Test(arguments: ["first", "last", "both ends", "alternating", "one in ten thousand"])
    func theGoodCommitAndTheBadAreNamed(_ pattern: String) async throws {
        let count = pattern == "one in ten thousand" ? 10_000 : 64
        let bad: Set<Int> =
            switch pattern {
            case "first": [0]
            case "last": [count - 1]
            case "both ends": [0, count - 1]
            case "alternating": Set(stride(from: 1, to: count, by: 2))
            default: [7_777]
            }
        try await withOrders { gateway, database in
            let lines = (0..<count).map { index in
                let quantity = bad.contains(index) ? -1 : index
                return
                    #"{"op":"insert","table":"orders","data":{"id":\#(index),"qty":\#(quantity)}}"#
            }
            let answer = try await gateway.client().post(
                "/v1/bulk", Self.ndjson, Array(lines.joined(separator: "\n").utf8))
            #expect(answer.status == 207)
            #expect(answer.headers["weir-failed"] == "\(bad.count)")
            for index in bad {
                #expect(answer.body.contains(#"{"index":\#(index),"status":422"#), "\(index)")
            }
            let stored = try database.query(
                "SELECT count(*), count(*) FILTER (WHERE id = qty) FROM orders")
            #expect(stored == [["\(count - bad.count)", "\(count - bad.count)"]])
            let next = try await gateway.client().request(
                "POST", "/v1/tables/orders/records", #"{"id":1000000}"#)
            #expect(next.status == 201, "\(next.body)")
        }
    }

    @Test func aKeysOrderOutlastsTheBadOnesBetween() async throws {
        try await withOrders { gateway, database in
            try database.execute("INSERT INTO orders (id, qty) VALUES (7, 0)")
            let lines = (1...40).map { step in
                let quantity = step.isMultiple(of: 2) ? -step : step
                return
                    #"{"op":"patch","table":"orders","key":{"id":7},"data":{"qty":\#(quantity)}}"#
            }
            let answer = try await gateway.client().post(
                "/v1/bulk", Self.ndjson, Array(lines.joined(separator: "\n").utf8))
            #expect(answer.headers["weir-failed"] == "20")
            #expect(try database.query("SELECT qty FROM orders") == [["39"]])
        }
    }

    private static let deadlySQL =
        ordersSQL + """
            CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF NEW.note = 'die' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
                RETURN NEW; END $$;
            CREATE TRIGGER die AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION die();
            """

    /// A record whose statement ends its own session: it is tried again and again, and given up.
    @Test func aRecordThatKillsItsSessionIsGivenUpAndTheGatewayGoesOn() async throws {
        try await withOrders(machine: { $0.retry.delayMax = .milliseconds(2) }, sql: Self.deadlySQL)
        {
            gateway, database in
            let answer = try await gateway.client().request(
                "POST", "/v1/tables/orders/records", #"{"note":"die"}"#)
            #expect(answer.status == 503)
            // Which of the two depends on whether another session was left when this one ended.
            let codes = ["retries-exhausted", "database-unavailable"]
            #expect(codes.contains(answer.member("code") ?? ""), "\(answer.body)")
            #expect(answer.body.contains(#""written":"no""#))
            // Each attempt cost a session; they are opened again.
            try await eventually { gateway.coordinator.figures().gauges.connections == 2 }
            let next = try await gateway.client().request(
                "POST", "/v1/tables/orders/records", #"{"note":"next"}"#)
            #expect(next.status == 201, "\(next.body)")
            #expect(try database.query("SELECT note FROM orders") == [["next"]])
        }
    }

    /// Its mates are found out of its batch, which costs a session for each halving.
    @Test func theMatesOfARecordThatEndsItsSessionCommit() async throws {
        try await withOrders(machine: { $0.retry.delayMax = .milliseconds(2) }, sql: Self.deadlySQL)
        {
            gateway, database in
            let lines = (0..<20).map {
                #"{"op":"insert","table":"orders","data":{"note":"\#($0 == 13 ? "die" : "\($0)")"}}"#
            }
            let answer = try await gateway.client().request(
                "POST", "/v1/bulk", lines.joined(separator: "\n"),
                headers: ["Content-Type": "application/x-ndjson", "Weir-Timeout": "30s"])
            #expect(answer.headers["weir-failed"] == "1", "\(answer.body.prefix(600))")
            #expect(answer.body.contains(#"{"index":13,"status":503,"result":"failed""#))
            #expect(try database.query("SELECT count(*) FROM orders") == [["19"]])
        }
    }

    /// Row security speaks of the table, not of a record: nobody is rejected, the table pauses.
    @Test func whatRowSecurityRefusesPausesItsTableAlone() async throws {
        let database = try Database()
        let role = "writer\(UInt32.random(in: 0 ... .max))"
        try database.execute(
            """
            \(ordersSQL)
            CREATE TABLE guarded (id int PRIMARY KEY, owner text);
            ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
            CREATE POLICY mine ON guarded USING (true) WITH CHECK (owner = 'me');
            CREATE ROLE \(role) LOGIN; GRANT ALL ON guarded, orders TO \(role);
            """)
        let conninfo = database.conninfo.replacing("user=weir", with: "user=\(role)")
        try await withGateway(conninfo: conninfo, tables: ["guarded", "orders"]) { gateway in
            let good = try await gateway.client().request(
                "POST", "/v1/tables/guarded/records", #"{"id":1,"owner":"me"}"#)
            #expect(good.status == 201, "\(good.body)")
            let lines = [
                #"{"op":"insert","table":"orders","data":{"id":1}}"#,
                #"{"op":"insert","table":"guarded","data":{"id":2,"owner":"you"}}"#,
                #"{"op":"insert","table":"orders","data":{"id":2}}"#,
            ]
            let answer = try await gateway.client().post(
                "/v1/bulk", Self.ndjson, Array(lines.joined(separator: "\n").utf8))
            #expect(answer.body.contains(#"{"index":1,"status":503"#), "\(answer.body)")
            #expect(answer.member("code") == "table-paused")
            #expect(answer.body.contains(#""written":"no""#))
            #expect(try database.query("SELECT id FROM orders ORDER BY id") == [["1"], ["2"]])
            #expect(try database.query("SELECT id FROM guarded") == [["1"]])
            let next = try await gateway.client().request(
                "POST", "/v1/tables/orders/records", #"{"id":3}"#)
            #expect(next.status == 201, "\(next.body)")
        }
    }
}
