import Testing
import Weir
import WeirHTTP
import WeirPostgres
import WeirRecord

/// What the operator lets callers do with a table.
@Suite(.cluster, .serialized, .timeLimit(.minutes(2))) struct PolicyTests {
    private static let path = "/v1/tables/orders/records"

    private func withPolicy(
        _ change: (inout TablePolicy) -> Void,
        _ body: (Gateway, Database) async throws -> Void
    ) async throws {
        var policy = TablePolicy()
        change(&policy)
        try await withOrders(policies: ["orders": policy], body)
    }

    @Test func whatIsNotExposedIsForbiddenAndTheRestIsServed() async throws {
        try await withPolicy {
            $0.operations = [.insert, .patch]
        } _: { gateway, database in
            let client = try gateway.client()
            #expect(try await client.request("POST", Self.path, #"{"id":1}"#).status == 201)
            #expect(try await client.request("PATCH", "\(Self.path)/1", "{}").status == 200)
            for method in ["PUT", "DELETE"] {
                let answer = try await client.request(method, "\(Self.path)/1", "{}")
                #expect(answer.status == 403 && answer.member("code") == "forbidden-table")
                #expect(answer.body.contains("table orders exposes insert, patch"))
            }
            let bulk = """
                {"op":"delete","table":"orders","key":{"id":1}}
                {"table":"orders","key":{"id":1},"op":"upsert","data":{"qty":2}}
                {"op":"insert","table":"orders","data":{"id":2}}
                {"op":"upsert","table":"lines","key":{"order_id":1,"line":1},"data":{}}
                """
            let many = try await client.request(
                "POST", "/v1/bulk", bulk, headers: ["Content-Type": "application/x-ndjson"])
            #expect(many.body.contains(#""counts":{"total":4,"ok":2,"failed":2}"#), "\(many.body)")
            #expect(many.body.ranges(of: "forbidden-table").count == 4)
            #expect(try database.query("SELECT id FROM orders ORDER BY 1") == [["1"], ["2"]])
            let description = try await client.request("GET", "/v1/tables/orders").body
            #expect(description.contains(#""operations":["insert","patch"]"#))
        }
    }

    @Test func anInsertThatMergesIsAnUpsertToo() async throws {
        try await withPolicy {
            $0.operations = [.insert]
        } _: { gateway, database in
            let client = try gateway.client()
            _ = try await client.request("POST", Self.path, #"{"id":1,"qty":1}"#)
            for body in [#"{"id":1,"qty":9}"#, #"[{"id":1,"qty":9}]"#] {
                let answer = try await client.request(
                    "POST", Self.path, body,
                    headers: [
                        "Content-Type": "application/json",
                        "Prefer": "resolution=merge-duplicates",
                    ])
                #expect(answer.status == 403, "\(answer.body)")
                #expect(answer.body.contains("an insert that merges duplicates is an upsert too"))
            }
            #expect(try database.query("SELECT qty FROM orders") == [["1"]])
        }
    }

    @Test(arguments: [
        (ConflictRule.error, 409, "1"), (.ignore, 200, "1"), (.merge, 200, "9"),
    ])
    func whatAnInsertDoesToARowThatExistsIsTheTablesToSay(
        _ rule: ConflictRule, status: Int, qty: String
    ) async throws {
        try await withPolicy {
            $0.onConflict = rule
        } _: { gateway, database in
            let client = try gateway.client()
            let bulk = #"{"op":"insert","table":"orders","data":{"id":1,"qty":9}}"#
            let requests: [(String, String, String)] = [
                (Self.path, #"{"id":1,"qty":9}"#, "application/json"),
                (Self.path, "id,qty\n1,9\n", "text/csv"),
                ("/v1/bulk", bulk, "application/x-ndjson"),
            ]
            for (path, body, type) in requests {
                try database.execute("TRUNCATE orders CASCADE; INSERT INTO orders VALUES (1, 1)")
                let answer = try await client.request(
                    "POST", path, body, headers: ["Content-Type": type])
                let isOne = type == "application/json"
                #expect(
                    isOne ? answer.status == status : answer.body.contains(#""status":\#(status)"#),
                    "\(answer.body)")
                #expect(try database.query("SELECT qty FROM orders") == [[qty]])
            }
            // What the caller says counts more.
            try database.execute("TRUNCATE orders CASCADE; INSERT INTO orders VALUES (1, 1)")
            let answer = try await client.request(
                "POST", Self.path, #"{"id":1,"qty":7}"#,
                headers: [
                    "Content-Type": "application/json", "Prefer": "resolution=merge-duplicates",
                ])
            #expect(answer.member("result") == "updated")
            #expect(try database.query("SELECT qty FROM orders") == [["7"]])
        }
    }

    @Test func aChangedPolicyIsInForceWhenTheCatalogHasBeenReadAgain() async throws {
        try await withPolicy { _ in
        } _: { gateway, database in
            let client = try gateway.client()
            #expect(try await client.request("PUT", "\(Self.path)/1", "{}").status == 201)
            var policy = TablePolicy()
            policy.operations = [.insert]
            gateway.policies.policies = [TableName("orders"): policy]
            gateway.coordinator.refreshCatalog()
            try await eventually {
                try await client.request("PUT", "\(Self.path)/1", "{}").status == 403
            }
            #expect(try await client.request("POST", Self.path, #"{"id":2}"#).status == 201)
        }
    }
}
