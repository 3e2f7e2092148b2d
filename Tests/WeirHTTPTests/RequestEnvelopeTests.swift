import Testing
import Weir
import WeirHTTP
import WeirPostgres
import WeirRecord
import WeirTesting

/// What requests say of order, of versions and of where they come from, and what of it reaches the
/// batch.
@Suite(.timeLimit(.minutes(1))) struct RequestEnvelopeTests {
    private static let json = ["Content-Type": "application/json"]
    private static let path = "/v1/tables/orders/records"

    private static func table(_ change: (inout TablePolicy) -> Void) -> TableSchema {
        var policy = TablePolicy()
        change(&policy)
        return TableSchema(
            number: 0, version: 1, name: "orders", columns: scriptedOrders.columns, primaryKey: [0],
            policy: policy)
    }

    /// The records of the batch that a request leads to.
    private func records(
        _ gateway: ScriptedGateway, _ method: String, _ target: String, _ body: String,
        _ headers: [String: String] = [:]
    ) async throws -> [Record] {
        let client = try gateway.client()
        let all = Self.json.merging(headers) { $1 }
        async let response = client.request(method, target, body, headers: all)
        let batch = try await gateway.nextBatch()
        gateway.writer.reply(.report(.committed(batch.records.map { _ in RowResult(.updated) })))
        let status = try await response.status
        #expect(status < 300)
        return batch.records
    }

    @Test func aMessageCarriesTheRequestThatBroughtIt() async throws {
        try await withScriptedGateway { gateway in
            let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
            let headers = [
                "Idempotency-Key": "m", "X-Request-Id": "r-9",
                "traceparent": "00-\(trace)-00f067aa0ba902b7-01",
            ]
            for body in [#"{"id":1}"#, #"[{"id":1}]"#] {
                let origin = try await records(gateway, "POST", Self.path, body, headers)[0].origin
                #expect(origin?.requestID == "r-9" && origin?.traceID == trace)
            }
            let bulk = #"[{"op":"insert","table":"orders","id":"x","data":{"id":1}}]"#
            let line = try await records(
                gateway, "POST", "/v1/bulk", bulk, ["traceparent": "nonsense"])[0]
            #expect(line.origin?.requestID.hasPrefix("req_") == true && line.origin?.traceID == nil)
            let anonymous = try await records(gateway, "POST", Self.path, #"{"id":1}"#)[0]
            #expect(anonymous.origin == nil)
        }
    }

    @Test func theRequestIDIsTheOneThatIsEchoed() async throws {
        try await withScriptedGateway { gateway in
            let client = try gateway.client()
            async let response = client.request(
                "POST", Self.path, #"{"id":1}"#,
                headers: Self.json.merging(["Idempotency-Key": "m"]) { $1 })
            let batch = try await gateway.nextBatch()
            gateway.writer.reply(.report(.committed([RowResult(.inserted)])))
            let echoed = try await response.headers["x-request-id"]
            #expect(echoed == batch.records[0].origin?.requestID)
        }
    }

    @Test func anOrderKeyHoldsForAllRecordsOfARequest() async throws {
        try await withScriptedGateway { gateway in
            let headers = ["Weir-Order-Key": "customer 7"]
            let one = try await records(gateway, "POST", Self.path, #"{"id":1}"#, headers)[0]
            let many = try await records(
                gateway, "POST", Self.path, #"[{"id":1},{"id":2}]"#, headers)
            let changed = try await records(gateway, "DELETE", "\(Self.path)/1", "", headers)[0]
            #expect(one.orderKey == "customer 7" && one.orderKeyHash != nil)
            #expect((many + [changed]).allSatisfy { $0.orderKeyHash == one.orderKeyHash })
            let bulk = """
                [{"op":"delete","table":"orders","key":{"id":1}},
                 {"op":"delete","table":"orders","order_key":"customer 8","key":{"id":2}}]
                """
            let lines = try await records(gateway, "POST", "/v1/bulk", bulk, headers)
            #expect(lines.map(\.orderKey) == ["customer 7", "customer 8"])
        }
    }

    @Test(arguments: [
        "\"order_key\":\"\"", "\"order_key\":7", "\"order_key\":\"a\",\"order_key\":\"b\"",
    ])
    func aLineWithABadOrderKeyIsRefused(_ member: String) async throws {
        try await withScriptedGateway { gateway in
            let answer = try await gateway.client().request(
                "POST", "/v1/bulk",
                "[{\"op\":\"delete\",\"table\":\"orders\",\(member),\"key\":{\"id\":1}}]")
            #expect(
                answer.status == 207 && answer.body.contains(#""status":400"#), "\(answer.body)")
        }
    }

    @Test func anOrderKeyThatIsTooLongIsRefused() async throws {
        try await withScriptedGateway { gateway in
            let answer = try await gateway.client().request(
                "POST", Self.path, "{}",
                headers: Self.json.merging(["Weir-Order-Key": String(repeating: "k", count: 256)]) {
                    $1
                })
            #expect(answer.status == 400 && answer.member("code") == "invalid-request")
        }
    }

    // MARK: Versions

    @Test func aVersionColumnIsTheRequestsOrTheTables() async throws {
        let versioned = Self.table { $0.versionColumn = "qty" }
        for (table, query) in [(scriptedOrders, "?version_column=qty"), (versioned, "")] {
            try await withScriptedGateway([table]) { gateway in
                for method in ["PUT", "PATCH"] {
                    let record = try await records(
                        gateway, method, "\(Self.path)/1\(query)", #"{"qty":3}"#)[0]
                    #expect(record.options.versionColumn == 1)
                    #expect(record.options.isVersionColumnSaid == !query.isEmpty)
                }
                let merge = ["Prefer": "resolution=merge-duplicates"]
                let inserted = try await records(
                    gateway, "POST", "\(Self.path)\(query)", #"[{"id":1,"qty":3}]"#, merge)
                #expect(inserted[0].options.versionColumn == 1)
                let bulk = """
                    [{"op":"upsert","table":"orders","data":{"id":1,"qty":1}},
                     {"op":"delete","table":"orders","key":{"id":1}}]
                    """
                let lines = try await records(gateway, "POST", "/v1/bulk\(query)", bulk)
                #expect(lines.map(\.options.versionColumn) == [1, nil])
            }
        }
    }

    @Test(arguments: [
        ("PUT", "/1?version_column=qty", "{}", 422, "invalid-value"),
        ("PATCH", "/1?version_column=qty", #"{"qty":null}"#, 422, "invalid-value"),
        ("PUT", "/1?version_column=nope", #"{"qty":1}"#, 422, "unknown-column"),
        ("PUT", "/1?version_column=", #"{"qty":1}"#, 422, "unknown-column"),
        ("PUT", "/1?version_column=id", #"{"qty":1}"#, 400, "invalid-request"),
        ("PUT", "/1?version_column=%zz", #"{"qty":1}"#, 400, "invalid-request"),
        ("POST", "?version_column=qty", #"{"qty":1}"#, 400, "invalid-request"),
        ("DELETE", "/1?version_column=qty", "", 400, "invalid-request"),
    ])
    func aVersionThatCannotBeComparedIsRefused(
        _ method: String, _ target: String, _ body: String, _ status: Int, _ code: String
    ) async throws {
        try await withScriptedGateway { gateway in
            let answer = try await gateway.client().request(method, Self.path + target, body)
            #expect(answer.status == status && answer.member("code") == code, "\(answer.body)")
        }
    }

    @Test func otherParametersMeanNothing() async throws {
        try await withScriptedGateway { gateway in
            let record = try await records(
                gateway, "PUT", "\(Self.path)/1?a=b&version_column=q%74y&x", #"{"qty":1}"#)[0]
            #expect(record.options.versionColumn == 1)
        }
    }

    // MARK: What is kept

    @Test func theBytesAreKeptAsTheyCame() async throws {
        let keeping = Self.table { $0.onReject = .deadLetter }
        try await withScriptedGateway([keeping]) { gateway in
            func expect(
                _ method: String, _ target: String, _ body: String,
                _ type: String = "application/json",
                keeps kept: [String], _ location: SourceLocation = #_sourceLocation
            ) async throws {
                let found = try await records(gateway, method, target, body, ["Content-Type": type])
                let texts = found.map { record in
                    "\(record.source?.mediaType ?? ""): "
                        + String(decoding: record.source?.bytes ?? [], as: UTF8.self)
                }
                #expect(texts == kept, sourceLocation: location)
            }
            let body = "{ \"id\" : 1,\n\"qty\":\t2 }"
            try await expect("POST", Self.path, body, keeps: ["application/json: \(body)"])
            try await expect("DELETE", "\(Self.path)/1", "", keeps: ["application/json: "])
            try await expect(
                "POST", Self.path, "[ {\"id\": 1} , {\"id\":2}]",
                keeps: [#"application/json: {"id": 1}"#, #"application/json: {"id":2}"#])
            try await expect(
                "POST", Self.path, "{\"id\": 1}\n{\"id\":2}", "application/x-ndjson",
                keeps: [#"application/json: {"id": 1}"#, #"application/json: {"id":2}"#])
            try await expect(
                "POST", Self.path, "id,\"qty\"\r\n1,\"2\"\r\n\r\n3,4", "text/csv",
                keeps: ["text/csv: id,\"qty\"\r\n1,\"2\"\r\n", "text/csv: id,\"qty\"\r\n3,4"])
            let line = #"{"op": "delete","table":"orders","key":{"id":1}}"#
            try await expect(
                "POST", "/v1/bulk", line, "application/x-ndjson",
                keeps: ["application/vnd.weir.bulk+json: \(line)"])
        }
        try await withScriptedGateway { gateway in
            let record = try await records(gateway, "POST", Self.path, "{}")[0]
            #expect(record.source == nil)
        }
    }

    @Test func whatATableDoesIsSaid() async throws {
        let table = Self.table {
            $0.onReject = .deadLetter
            $0.order = .strict
            $0.orderKey = "qty"
            $0.versionColumn = "qty"
        }
        try await withScriptedGateway([table]) { gateway in
            let answer = try await gateway.client().request("GET", "/v1/tables/orders")
            #expect(
                answer.body.contains(
                    #""on_reject":"dead_letter","order":"strict","order_key":"qty","version_column":"qty""#
                ))
        }
    }
}

/// Settings that name columns, against a real catalog.
@Suite(.cluster, .serialized, .timeLimit(.minutes(1))) struct ColumnSettingTests {
    @Test func aSettingThatNamesNoColumnPausesItsTable() async throws {
        var policy = TablePolicy()
        policy.versionColumn = "attributez"
        try await withOrders(policies: ["orders": policy]) { gateway, _ in
            let answer = try await gateway.client().request(
                "POST", "/v1/tables/orders/records", "{}")
            #expect(answer.status == 503 && answer.member("code") == "table-paused")
            #expect(answer.body.contains(#"version_column \"attributez\" is no column"#))
            policy.versionColumn = "qty"
            policy.orderKey = "note"
            gateway.policies.policies[TableName("orders")] = policy
            gateway.coordinator.refreshCatalog()
            while gateway.coordinator.catalogStore.catalog?.troubles.isEmpty != true {
                await Task.yield()
            }
            let later = try await gateway.client().request("GET", "/v1/tables/orders")
            #expect(later.body.contains(#""order_key":"note","version_column":"qty""#))
        }
    }
}
