import Testing
import Weir
import WeirCore
import WeirHTTP
import WeirPostgres

/// Many callers at once, and callers who do not behave.
@Suite(.cluster, .serialized, .timeLimit(.minutes(2))) struct CallersTests {
    static let path = "/v1/tables/orders/records"

    @Test func aBadRecordAmongManyCallersIsItsOwnCallersAlone() async throws {
        try await withOrders { gateway, server in
            let statuses = try await withThrowingTaskGroup { tasks in
                for number in 0..<24 {
                    let client = try gateway.client()
                    tasks.addTask {
                        var statuses: [Int] = []
                        for round in 0..<20 {
                            // Every seventh is bad, in all positions of its batches.
                            let isBad = (number + round) % 7 == 0
                            let answer = try await client.request(
                                "POST", Self.path,
                                #"{"id":\#(number * 100 + round),"qty":\#(isBad ? -1 : 1)}"#)
                            #expect(answer.status == (isBad ? 422 : 201), "\(answer.body)")
                            statuses.append(answer.status)
                        }
                        return statuses
                    }
                }
                var all: [Int] = []
                for try await statuses in tasks { all += statuses }
                return all
            }
            let good = statuses.count { $0 == 201 }
            #expect(statuses.count == 480 && good < 480)
            #expect(try server.query("SELECT count(*) FROM orders") == [["\(good)"]])
        }
    }

    private func lines(_ ids: Range<Int>) -> String {
        ids.map { #"{"id":\#($0)}"# + "\n" }.joined()
    }

    private static let ndjson = ["Content-Type": "application/x-ndjson"]

    @Test func largeRequestsForMoreThanTheQueueHoldsAreAllTaken() async throws {
        let path = Self.path
        try await withOrders(
            { $0.windowRecordsMax = 6_000 }, machine: { $0.admission.recordsMax = 12_000 }
        ) { gateway, server in
            try await withThrowingTaskGroup { tasks in
                for number in 0..<8 {
                    let client = try gateway.client()
                    let body = lines(number * 4_000..<(number + 1) * 4_000)
                    tasks.addTask {
                        let answer = try await client.request(
                            "POST", path, body, headers: Self.ndjson)
                        #expect(answer.status == 200, "\(answer.body.prefix(300))")
                    }
                }
                try await tasks.waitForAll()
            }
            #expect(try server.query("SELECT count(*) FROM orders") == [["32000"]])
        }
    }

    @Test func groupsThatAreLargerThanTheWindowAreWrittenOneAfterTheOther() async throws {
        try await withOrders({ $0.windowRecordsMax = 100 }) { gateway, server in
            let body = (0..<1_200).map {
                #"{"op":"insert","table":"orders","group":"g\#($0 / 300)","data":{"id":\#($0)}}"#
                    + "\n"
            }
            let answer = try await gateway.client().request(
                "POST", "/v1/bulk", body.joined(), headers: Self.ndjson)
            #expect(answer.status == 200, "\(answer.body.prefix(300))")
            #expect(try server.query("SELECT count(*) FROM orders") == [["1200"]])
        }
    }

    @Test func aLargeRequestThatWaitsForALockHoldsNoOtherUp() async throws {
        let sql = "CREATE TABLE free (id int PRIMARY KEY);" + ordersSQL
        try await withOrders(
            { $0.windowRecordsMax = 1_000 }, tables: ["orders", "free"], sql: sql
        ) { gateway, server in
            let lock = try server.openSession()
            try lock.execute("BEGIN; LOCK TABLE orders")
            let (client, body) = (try gateway.client(), lines(0..<3_000))
            async let locked = client.request("POST", Self.path, body, headers: Self.ndjson)
            // The whole window is taken.
            try await eventually { gateway.coordinator.figures().gauges.recordsHeld == 1_000 }
            let free = try await gateway.client().request(
                "POST", "/v1/tables/free/records", body, headers: Self.ndjson)
            #expect(free.status == 200, "\(free.body.prefix(300))")
            #expect(try server.query("SELECT count(*) FROM free") == [["3000"]])
            // All that while the other one waited for the lock for the first time.
            #expect(gateway.coordinator.figures().metrics.retries == [:])
            try lock.execute("COMMIT")
            #expect(try await locked.status == 200)
            #expect(try server.query("SELECT count(*) FROM orders") == [["3000"]])
        }
    }

    @Test func theBudgetIsNeverExceeded() async throws {
        try await withOrders { gateway, server in
            let session = try server.openSession()
            let counting = """
                SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND backend_type = 'client backend'
                  AND pid <> pg_backend_pid()
                """
            let counts = try await withThrowingTaskGroup { tasks in
                for number in 0..<20 {
                    let client = try gateway.client()
                    tasks.addTask {
                        for round in 0..<20 {
                            let answer = try await client.request(
                                "POST", Self.path, #"{"id":\#(number * 100 + round)}"#)
                            #expect(answer.status == 201)
                        }
                    }
                }
                var counts: [Int] = []
                for _ in 0..<20 {
                    counts.append(Int(try session.query(counting)[0][0] ?? "") ?? -1)
                    try await tasks.next()
                }
                return counts
            }
            #expect(Set(counts) == [2], "connections seen: \(counts)")
            #expect(try server.query("SELECT count(*) FROM orders") == [["400"]])
        }
    }

    @Test func editsOfOneRowByManyCallersAreAllApplied() async throws {
        try await withOrders { gateway, server in
            try server.execute(
                """
                CREATE TABLE edits (at bigint GENERATED ALWAYS AS IDENTITY, qty int);
                CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN INSERT INTO edits (qty) VALUES (NEW.qty); RETURN NULL; END $$;
                CREATE TRIGGER t AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION note();
                INSERT INTO orders (id) VALUES (1)
                """)
            try await withThrowingTaskGroup { tasks in
                for number in 0..<10 {
                    let client = try gateway.client()
                    tasks.addTask {
                        for round in 0..<20 {
                            let answer = try await client.request(
                                "PATCH", "\(Self.path)/1", #"{"qty":\#(number * 100 + round)}"#)
                            #expect(answer.member("result") == "updated", "\(answer.body)")
                        }
                    }
                }
                try await tasks.waitForAll()
            }
            #expect(try server.query("SELECT count(*) FROM edits") == [["200"]])
            // Each caller's edits in the order in which it made them.
            let disorder = try server.query(
                """
                SELECT count(*) FROM (
                    SELECT qty < lag(qty) OVER (PARTITION BY qty / 100 ORDER BY at) AS wrong
                    FROM edits) t
                WHERE wrong
                """)
            #expect(disorder == [["0"]])
        }
    }

    @Test func aThousandIdleConnectionsHoldUpNobody() async throws {
        try await withOrders { gateway, _ in
            let idle = try (0..<1_000).map { _ in try gateway.client() }
            #expect(try await gateway.client().request("POST", Self.path, "{}").status == 201)
            for client in idle.shuffled().prefix(5) {
                #expect(try await client.request("POST", Self.path, "{}").status == 201)
            }
        }
    }

    @Test func pastTheBoundAConnectionIsClosedAndPlacesComeFree() async throws {
        try await withOrders({ $0.connectionsMax = 2 }) { gateway, _ in
            do {
                let open = try (0..<2).map { _ in try gateway.client() }
                for client in open {
                    #expect(try await client.request("GET", "/v1/tables").status == 200)
                }
                #expect(try await gateway.client().isClosedByServer())
                #expect(try await open[0].request("GET", "/v1/tables").status == 200)
            }
            try await eventually {
                (try? await gateway.client().request("GET", "/v1/tables").status) == 200
            }
        }
    }

    @Test func anIdleConnectionIsClosedInTheEnd() async throws {
        try await withOrders({ $0.idleTimeout = .milliseconds(200) }) { gateway, _ in
            let client = try gateway.client()
            #expect(try await client.request("GET", "/v1/tables").status == 200)
            #expect(await client.isClosedByServer())
        }
    }

    @Test func aCallerWhoDoesNotReadIsNotReadEither() async throws {
        try await withOrders { gateway, server in
            let client = try gateway.client()
            // Answers of some 10 MB: more than the sockets between the two hold.
            let request = "GET /openapi.json HTTP/1.1\r\nHost: t\r\n\r\n"
            try await client.send(String(repeating: request, count: 600))
            let other = try await gateway.client().request("POST", Self.path, "{}")
            #expect(other.status == 201)
            // And when it reads, everything is there.
            for _ in 0..<600 { #expect(try await client.response().status == 200) }
        }
    }

    @Test func whoLeavesBeforeTheAnswerHasWrittenOnlyWhatWasInATransaction() async throws {
        try await withOrders { gateway, server in
            try server.execute("INSERT INTO orders (id) VALUES (1)")
            let lock = try server.openSession()
            try lock.execute("BEGIN; SELECT FROM orders WHERE id = 1 FOR UPDATE")
            let patch = { (quantity: Int) in
                let body = #"{"qty":\#(quantity)}"#
                return
                    "PATCH \(Self.path)/1 HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
                    + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
            }
            // One is in its transaction, one waits behind it.
            for quantity in [5, 6] {
                let client = try gateway.client()
                try await client.send(patch(quantity))
                try await eventually {
                    gateway.coordinator.figures().gauges.recordsHeld >= quantity - 4
                }
                await client.reset()
            }
            // The event loop has seen them go by the time that it serves somebody who came later.
            #expect(try await gateway.client().request("GET", "/v1/tables").status == 200)
            try lock.execute("COMMIT")
            try await eventually { gateway.coordinator.figures().gauges.recordsHeld == 0 }
            #expect(try server.query("SELECT qty FROM orders") == [["5"]])
        }
    }
}
