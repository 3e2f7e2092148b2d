import Testing
import Weir
import WeirCore
import WeirPostgres

/// The database comes, goes, changes; the gateway is asked to stop.
@Suite(.cluster, .serialized, .timeLimit(.minutes(2))) struct LifecycleTests {
    /// The first record that is sent, however soon, is not refused for want of a connection.
    @Test func connectionsAreThereBeforeTheListenerAccepts() async throws {
        let database = try Database()
        try database.execute(ordersSQL)
        for _ in 0..<20 {
            try await withGateway(
                conninfo: database.conninfo, tables: ["orders"], connections: 3
            ) { #expect($0.coordinator.figures().gauges.connections == 3) }
        }
    }

    @Test func theAdminListenerHasProbesAndFigures() async throws {
        try await withOrders { gateway, _ in
            _ = try await gateway.client().request("POST", "/v1/tables/orders/records", "{}")
            let admin = try gateway.adminClient()
            for path in ["/livez", "/readyz", "/readyz?db=1"] {
                #expect(try await admin.request("GET", path).status == 200)
            }
            #expect(try await admin.request("GET", "/version").body.contains(#""version":"test""#))
            let metrics = try await admin.request("GET", "/metrics")
            #expect(metrics.headers["content-type"]?.hasPrefix("text/plain; version=0.0.4") == true)
            #expect(metrics.body.contains("weir_records_total{result=\"inserted\"} 1\n"))
            #expect(metrics.body.contains("weir_db_transactions_total{outcome=\"committed\"} 1\n"))
            #expect(metrics.body.contains("weir_db_connections_limit 2\n"))
            for line in metrics.body.split(separator: "\n") where !line.hasPrefix("#") {
                #expect(Double(line.split(separator: " ").last ?? "") != nil, "\(line)")
            }
        }
    }

    @Test func withoutADatabaseItWaitsAndSaysSo() async throws {
        try await withServer { server in
            try server.execute(ordersSQL)
            try await server.kill()
            try await withGateway(conninfo: server.conninfo, tables: ["orders"]) { gateway in
                let client = try gateway.client()
                let refused = try await client.request("POST", "/v1/tables/orders/records", "{}")
                #expect(refused.status == 503 && refused.member("code") == "database-unavailable")
                #expect(refused.headers["retry-after"] == "1")
                let admin = try gateway.adminClient()
                #expect(try await admin.request("GET", "/livez").status == 200)
                #expect(try await admin.request("GET", "/readyz").status == 503)
                try await server.startAgain(server.testConfiguration)
                try await eventually {
                    try await client.request("POST", "/v1/tables/orders/records", "{}").status
                        == 201
                }
                #expect(try await admin.request("GET", "/readyz?db=1").status == 200)
            }
        }
    }

    @Test func aMissingTablePausesAndIsServedOnceItIsThere() async throws {
        let database = try Database()
        try await withGateway(conninfo: database.conninfo, tables: ["orders"]) { gateway in
            let client = try gateway.client()
            let paused = try await client.request("POST", "/v1/tables/orders/records", "{}")
            #expect(paused.status == 503 && paused.member("code") == "table-paused")
            try database.execute(ordersSQL)
            try await eventually {
                try await client.request("POST", "/v1/tables/orders/records", "{}").status == 201
            }
        }
    }

    @Test func aRevokedPrivilegePausesTheTableAndRejectsNobody() async throws {
        try await withServer { server in
            try server.execute(ordersSQL)
            try server.execute(
                """
                CREATE ROLE app LOGIN;
                GRANT SELECT, INSERT ON orders, lines TO app;
                """)
            let conninfo = server.conninfo + " user=app"
            try await withGateway(conninfo: conninfo, tables: ["orders", "lines"]) { gateway in
                let client = try gateway.client()
                let path = "/v1/tables/orders/records"
                #expect(try await client.request("POST", path, #"{"id":1}"#).status == 201)
                try server.execute("REVOKE INSERT ON orders FROM app")
                let paused = try await client.request("POST", path, #"{"id":2}"#)
                #expect(paused.status == 503 && paused.member("code") == "table-paused")
                let other = try await client.request(
                    "POST", "/v1/tables/lines/records", #"{"order_id":1,"line":1}"#)
                #expect(other.status == 201)
                try server.execute("GRANT INSERT ON orders TO app")
                try await eventually {
                    try await client.request("POST", path, #"{"id":2}"#).status == 201
                }
            }
        }
    }

    @Test func aRestartOfPostgreSQLLosesNoAcknowledgedRecord() async throws {
        try await withServer { server in
            try server.execute(ordersSQL)
            try await withGateway(conninfo: server.conninfo, tables: ["orders"]) { gateway in
                let client = try gateway.client()
                var acknowledged: [Int] = []
                var id = 0
                func write(until count: Int) async throws {
                    while acknowledged.count < count {
                        id += 1
                        let answer = try await client.request(
                            "POST", "/v1/tables/orders/records", #"{"id":\#(id)}"#)
                        if answer.status == 201 { acknowledged.append(id) }
                        #expect([201, 503, 504].contains(answer.status), "\(answer.body)")
                    }
                }
                try await write(until: 20)
                try await server.kill()
                try await server.startAgain(server.testConfiguration)
                try await write(until: 40)
                let stored = try server.query("SELECT id FROM orders").compactMap {
                    $0[0].flatMap(Int.init)
                }
                #expect(Set(acknowledged).isSubset(of: stored))
            }
        }
    }

    @Test func aRetryThatOvertakesItsOriginalGetsTheSameAnswer() async throws {
        try await withOrders { gateway, server in
            // The row is locked, so that the first request is still in flight when the second
            // comes.
            try server.execute("INSERT INTO orders (id, qty) VALUES (1, 0)")
            let lock = try server.openSession()
            try lock.execute("BEGIN; SELECT FROM orders WHERE id = 1 FOR UPDATE")
            let clients = try (0..<3).map { _ in try gateway.client() }
            let headers = ["Content-Type": "application/json", "Idempotency-Key": "once"]
            try await withThrowingTaskGroup { tasks in
                for client in clients {
                    tasks.addTask {
                        try await client.request(
                            "PATCH", "/v1/tables/orders/records/1", #"{"qty":5}"#, headers: headers)
                    }
                }
                try await eventually { gateway.coordinator.figures().gauges.recordsHeld == 3 }
                let other = try await gateway.client().request(
                    "PATCH", "/v1/tables/orders/records/1", #"{"qty":6}"#, headers: headers)
                #expect(other.status == 422 && other.member("code") == "message-id-reused")
                try lock.execute("COMMIT")
                for try await answer in tasks { #expect(answer.status == 200) }
            }
            #expect(gateway.coordinator.figures().metrics.transactions == 1)
        }
    }

    @Test func aDrainAnswersWhatIsQueuedAndRefusesWhatIsNew() async throws {
        try await withOrders { gateway, server in
            try server.execute("INSERT INTO orders (id) VALUES (1)")
            let lock = try server.openSession()
            try lock.execute("BEGIN; SELECT FROM orders WHERE id = 1 FOR UPDATE")
            let waiting = try gateway.client()
            let open = try gateway.client()
            _ = try await open.request("GET", "/v1/tables")
            try await withThrowingTaskGroup { tasks in
                tasks.addTask {
                    try await waiting.request("PATCH", "/v1/tables/orders/records/1", #"{"qty":5}"#)
                }
                try await eventually { gateway.coordinator.figures().gauges.recordsHeld == 1 }
                try await open.send("POST /v1/tables/orders/records HTTP/1.1\r\nHost: t\r\n")
                await gateway.shutdown()
                try await eventually { gateway.coordinator.figures().gauges.isDraining }
                try await open.send(
                    "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
                let refused = try await open.response()
                #expect(refused.status == 503 && refused.member("code") == "draining")
                #expect(refused.headers["connection"] == "close")
                try lock.execute("COMMIT")
                for try await answer in tasks {
                    #expect(answer.status == 200)
                    #expect(answer.headers["connection"] == "close")
                }
            }
            #expect(try server.query("SELECT qty FROM orders") == [["5"]])
        }
    }

    @Test func aRecordWaitsNoLongerThanItsCallerDoes() async throws {
        try await withOrders { gateway, server in
            try server.execute("INSERT INTO orders (id) VALUES (1)")
            let lock = try server.openSession()
            try lock.execute("BEGIN; SELECT FROM orders WHERE id = 1 FOR UPDATE")
            let headers = ["Content-Type": "application/json", "Weir-Timeout": "200ms"]
            let first = try await gateway.client().request(
                "PATCH", "/v1/tables/orders/records/1", #"{"qty":5}"#, headers: headers)
            #expect(first.status == 504 && first.member("code") == "outcome-unknown")
            #expect(first.member("written") == "unknown")
            // Its lane is taken: this one never gets into a transaction.
            let second = try await gateway.client().request(
                "PATCH", "/v1/tables/orders/records/1", #"{"qty":6}"#, headers: headers)
            #expect(second.status == 504 && second.member("code") == "deadline-exceeded")
            #expect(second.member("written") == "no")
            try lock.execute("COMMIT")
            try await eventually { gateway.coordinator.figures().gauges.recordsHeld == 0 }
            #expect(try server.query("SELECT qty FROM orders") == [["5"]])
        }
    }

    @Test func pastItsBoundsItRefusesBeforeAnySideEffect() async throws {
        try await withOrders(machine: { $0.admission.recordsMax = 1 }) { gateway, server in
            try server.execute("INSERT INTO orders (id) VALUES (1)")
            let lock = try server.openSession()
            try lock.execute("BEGIN; SELECT FROM orders WHERE id = 1 FOR UPDATE")
            let first = try gateway.client()
            try await withThrowingTaskGroup { tasks in
                tasks.addTask {
                    try await first.request("PATCH", "/v1/tables/orders/records/1", #"{"qty":5}"#)
                }
                try await eventually { gateway.coordinator.figures().gauges.recordsHeld == 1 }
                let refused = try await gateway.client().request(
                    "POST", "/v1/tables/orders/records", "{}")
                #expect(refused.status == 503 && refused.member("code") == "overloaded")
                #expect(refused.headers["retry-after"] == "1")
                try lock.execute("COMMIT")
                for try await answer in tasks { #expect(answer.status == 200) }
            }
        }
    }
}

/// Waits until `condition` holds, looking again and again; fails when it does not within 20 s.
func eventually(
    _ condition: () async throws -> Bool, sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    let clock = ContinuousClock()
    let limit = clock.now + .seconds(20)
    while clock.now < limit {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(20))
    }
    Issue.record("it did not come about", sourceLocation: sourceLocation)
}
