import Testing
import Weir
import WeirHTTP
import WeirPostgres

/// The admin listener, and what keeps it apart from the data listener.
@Suite(.cluster, .serialized, .timeLimit(.minutes(2))) struct AdminTests {
    private let path = "/v1/tables/orders/records"

    @Test func theTwoListenersServeNothingOfEachOther() async throws {
        try await withOrders { gateway, server in
            let data = try gateway.client()
            for path in [
                "/", "/livez", "/readyz", "/metrics", "/version", "/v1/status", "/v1/config",
            ] {
                let answer = try await data.request("GET", path)
                #expect(answer.status == 404 && answer.member("code") == "not-found", "\(path)")
            }
            let admin = try gateway.adminClient()
            #expect(try await admin.request("POST", path, "{}").status == 404)
            #expect(try await admin.request("GET", "/v1/tables").status == 404)
            #expect(try await admin.request("POST", "/metrics").status != 200)
            #expect(try server.query("SELECT count(*) FROM orders") == [["0"]])
        }
    }

    @Test func theFiguresAreWellFormedAndAddUp() async throws {
        try await withOrders { gateway, server in
            let client = try gateway.client()
            for body in ["{}", #"{"qty":-1}"#, "{}", #"{"id":1}"#] {
                _ = try await client.request("POST", path, body)
            }
            _ = try await client.request("PATCH", "\(path)/1", #"{"qty":2}"#)
            let text = try await gateway.adminClient().request("GET", "/metrics").body
            let samples = try Self.samples(text)
            #expect(samples[#"weir_records_total{result="inserted"}"#] == 2)
            #expect(samples[#"weir_records_total{result="updated"}"#] == 1)
            #expect(samples[#"weir_records_total{result="check-violation"}"#] == 1)
            #expect(samples[#"weir_records_total{result="unique-violation"}"#] == 1)
            #expect(samples[#"weir_db_errors_total{sqlstate="23514"}"#] == 1)
            #expect(samples[#"weir_db_transactions_total{outcome="committed"}"#] == 3)
            #expect(samples[#"weir_db_transactions_total{outcome="failed"}"#] == 2)
            #expect(samples[#"weir_batch_rows_bucket{le="1"}"#] == 3)
            #expect(samples[#"weir_batch_rows_bucket{le="+Inf"}"#] == 3)
            #expect(samples["weir_batch_rows_count"] == 3)
            #expect(samples["weir_db_connections_limit"] == 2)
            #expect(samples["weir_database_up"] == 1)
            #expect(samples["weir_queue_rows"] == 0)
        }
    }

    /// Each sample by its name and labels; every family is announced once, before its samples.
    private static func samples(_ text: String) throws -> [String: Double] {
        var samples: [String: Double] = [:]
        var types: [Substring: Substring] = [:]
        #expect(text.hasSuffix("\n"))
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 3)
            if words[0] == "#" {
                guard words[1] == "TYPE" else { continue }
                #expect(["counter", "gauge", "histogram"].contains(words[3]), "\(line)")
                #expect(types.updateValue(words[3], forKey: words[2]) == nil, "twice: \(line)")
                continue
            }
            let name = words[0].prefix { $0 != "{" }
            let family =
                ["_bucket", "_sum", "_count"].lazy
                .filter { name.hasSuffix($0) }.map { name.dropLast($0.count) }
                .first { types[$0] == "histogram" } ?? name
            #expect(types[family] != nil, "not announced: \(line)")
            #expect(name.allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" })
            let value = try #require(Double(words[1]), "\(line)")
            #expect(words.count == 2)
            #expect(samples.updateValue(value, forKey: String(words[0])) == nil, "twice: \(line)")
        }
        return samples
    }
}
