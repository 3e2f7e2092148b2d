import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord

/// `/v1/dead-letters` on real sockets before a real database.
@Suite(.cluster, .serialized, .timeLimit(.minutes(3))) struct DeadLetterAPITests {
    private static let records = "/v1/tables/orders/records"
    private static let letters = "/v1/dead-letters"

    private func withLetters(
        rows: String = "", _ body: (Gateway, Database) async throws -> Void
    ) async throws {
        let database = try Database()
        try database.execute(ordersSQL + rows)
        let owner = try Conninfo(
            database.conninfo, statementTimeout: .seconds(10), lockTimeout: .seconds(2))
        _ = try await Migrator(owner, version: "1").migrate()
        var policy = TablePolicy()
        policy.onReject = .deadLetter
        try await withGateway(
            conninfo: database.conninfo, tables: ["orders", "lines"],
            policies: ["orders": policy, "lines": policy],
            writers: { $0.replay = .on(window: .seconds(7 * 86_400)) }
        ) { gateway in try await body(gateway, database) }
    }

    private static func keyed(_ id: String) -> [String: String] {
        ["Content-Type": "application/json", "Idempotency-Key": id]
    }

    /// Sends a record that is refused, and tells its letter's number.
    private func refused(
        _ gateway: Gateway, _ method: String, _ path: String, _ body: String, id: String? = nil
    ) async throws -> Int {
        let headers = id.map(Self.keyed) ?? ["Content-Type": "application/json"]
        let answer = try await gateway.client().request(method, path, body, headers: headers)
        #expect(answer.status == 422 && answer.member("code") == "dead-lettered", "\(answer.body)")
        let digits = answer.body.split(separator: "\"dead_letter\":").last?.prefix { $0.isNumber }
        return try #require(digits.flatMap { Int($0) })
    }

    /// The lines of a redrive, the last of them apart.
    private func redrive(
        _ gateway: Gateway, _ body: String
    ) async throws -> (lines: [String], end: String) {
        let answer = try await gateway.adminClient().request(
            "POST", "\(Self.letters)/redrive", body)
        #expect(answer.status == 200, "\(answer.body)")
        #expect(answer.headers["content-type"] == "application/x-ndjson")
        var lines = answer.body.split(separator: "\n").map(String.init)
        let end = lines.isEmpty ? "" : lines.removeLast()
        return (lines, end)
    }

    @Test func aLetterIsFoundEditedTriedAndSentAgain() async throws {
        try await withLetters { gateway, database in
            let sent = #"{"id":7,"qty":-2,"note":"a"}"#
            let number = try await refused(gateway, "POST", Self.records, sent, id: "m-7")
            let admin = try gateway.adminClient()

            let list = try await admin.request("GET", "\(Self.letters)?table=orders&since=1h")
            #expect(list.status == 200)
            for part in [
                #"{"items":[{"id":\#(number),"at":"20"#, #""table":"orders","operation":"insert""#,
                #""message":"m-7","key":{"id":7},"sqlstate":"23514""#,
                #""constraint":"orders_qty_check""#, #""code":"check-violation""#, #""attempts":1"#,
            ] { #expect(list.body.contains(part), "\(part) in \(list.body)") }
            #expect(!list.body.contains(#""raw""#) && !list.body.contains(#""next""#))

            let groups = try await admin.request("GET", "\(Self.letters)/groups")
            #expect(groups.body.contains(#""count":1,"sample":\#(number),"#), "\(groups.body)")
            let group = try #require(groups.member("fingerprint"))
            let ofGroup = try await admin.request("GET", "\(Self.letters)?fingerprint=\(group)")
            #expect(ofGroup.body == list.body)

            let one = try await admin.request("GET", "\(Self.letters)/\(number)")
            #expect(
                one.body.contains(
                    #""raw":"{\"id\":7,\"qty\":-2,\"note\":\"a\"}","is_edited":false,"record":\#(sent)}"#
                ), "\(one.body)")

            // As it was sent it is refused again, and stays.
            let tried = try await redrive(gateway, #"{"ids":[\#(number)],"dry_run":true}"#)
            #expect(tried.lines.count == 1)
            #expect(
                tried.lines[0].hasPrefix(#"{"id":\#(number),"result":"failed","table":"orders","#))
            #expect(tried.lines[0].contains(#""code":"check-violation""#))
            #expect(tried.end == #"{"summary":{"dry_run":true,"total":1,"failed":1}}"#)
            let vain = try await redrive(gateway, #"{"ids":[\#(number)]}"#)
            #expect(vain.end == #"{"summary":{"dry_run":false,"total":1,"failed":1}}"#)
            let noted = try await admin.request("GET", "\(Self.letters)/\(number)")
            #expect(noted.body.contains(#""redrive":{"count":1,"at":"20"#), "\(noted.body)")

            let edited = try await admin.request(
                "PATCH", "\(Self.letters)/\(number)",
                #"{"set":{"qty":5,"code":null},"unset":["note"]}"#)
            #expect(edited.status == 200, "\(edited.body)")
            #expect(edited.body.contains(#""record":{"id":7,"qty":5,"code":null}}"#))
            #expect(edited.body.contains(#""raw":"{\"id\":7,\"qty\":-2,"#))

            let passes = try await redrive(gateway, #"{"ids":[\#(number)],"dry_run":true}"#)
            #expect(
                passes.lines == [
                    #"{"id":\#(number),"result":"passes","effect":"inserted","table":"orders","key":{"id":7}}"#
                ])
            #expect(try database.query("SELECT count(*) FROM orders") == [["0"]])

            let done = try await redrive(gateway, #"{"filter":{"table":"orders"},"rate":1000}"#)
            #expect(
                done.lines == [
                    #"{"id":\#(number),"result":"redriven","effect":"inserted","table":"orders","#
                        + #""key":{"id":7}}"#
                ])
            #expect(try database.query("SELECT id, qty, note FROM orders") == [["7", "5", nil]])
            #expect(try database.query("SELECT count(*) FROM weir.dead_letter") == [["0"]])

            let again = try await gateway.client().request(
                "POST", Self.records, sent, headers: Self.keyed("m-7"))
            #expect(again.status == 200 && again.member("result") == "replayed", "\(again.body)")
            #expect(again.body.contains(#""first":{"result":"inserted""#))
            let history = try await admin.request("GET", "/v1/messages/m-7")
            #expect(history.body.contains(#""outcome":{"result":"inserted""#), "\(history.body)")
            let gone = try await redrive(gateway, #"{"ids":[\#(number)]}"#)
            #expect(gone.end == #"{"summary":{"dry_run":false,"total":0}}"#)
            let metrics = try await admin.request("GET", "/metrics").body
            for line in [
                "weir_dead_letters_added_total{table=\"orders\",sqlstate=\"23514\"} 1\n",
                "weir_dead_letters_redriven_total{outcome=\"redriven\"} 1\n",
                "weir_dead_letters_redriven_total{outcome=\"failed\"} 1\n",
            ] { #expect(metrics.contains(line), "\(line)") }
        }
    }

    @Test func everyKindOfRecordIsSentAgainAsItWasMeant() async throws {
        try await withLetters(rows: "INSERT INTO orders (id, qty) VALUES (1, 1), (2, 2), (4, 4);") {
            gateway, database in
            let client = try gateway.client()
            _ = try await refused(gateway, "PATCH", "\(Self.records)/1", #"{"qty":-1}"#)
            _ = try await refused(gateway, "PUT", "\(Self.records)/3", #"{"qty":-3}"#)
            let merge = try await client.request(
                "POST", Self.records, #"{"id":2,"qty":-2}"#,
                headers: [
                    "Content-Type": "application/json", "Prefer": "resolution=merge-duplicates",
                ])
            #expect(merge.member("code") == "dead-lettered")
            let csv = try await client.post(
                "\(Self.records)", "text/csv", Array("id,qty,note\n5,-5,\"a,b\"\n".utf8))
            #expect(csv.body.contains("dead-lettered"), "\(csv.body)")
            let line = #"{"op":"patch","table":"orders","key":{"id":4},"data":{"qty":-4}}"#
            let bulk = try await client.post("/v1/bulk", "application/x-ndjson", Array(line.utf8))
            #expect(bulk.body.contains("dead-lettered"), "\(bulk.body)")
            // A row that is referred to cannot be deleted.
            try database.execute("INSERT INTO lines VALUES (1, 1, 'x')")
            let delete = try await client.request("DELETE", "\(Self.records)/1")
            #expect(delete.member("code") == "dead-lettered", "\(delete.body)")

            let export = try await gateway.adminClient().request(
                "GET", "\(Self.letters)?format=ndjson&table=orders")
            #expect(
                export.body.split(separator: "\n").map(String.init) == [
                    #"{"op":"patch","table":"orders","key":{"id":1},"data":{"qty":-1}}"#,
                    #"{"op":"upsert","table":"orders","key":{"id":3},"data":{"qty":-3}}"#,
                    #"{"op":"insert","table":"orders","data":{"id":2,"qty":-2}}"#,
                    #"{"op":"insert","table":"orders","data":{"id":5,"qty":-5,"note":"a,b"}}"#,
                    #"{"op":"patch","table":"orders","key":{"id":4},"data":{"qty":-4}}"#,
                    #"{"op":"delete","table":"orders","key":{"id":1}}"#,
                ])

            try database.execute(
                """
                ALTER TABLE orders DROP CONSTRAINT orders_qty_check; DELETE FROM lines;
                """)
            let done = try await redrive(gateway, #"{"filter":{},"rate":5}"#)
            #expect(done.end == #"{"summary":{"dry_run":false,"total":6,"redriven":6}}"#, "\(done)")
            #expect(
                try database.query("SELECT id, qty, note FROM orders ORDER BY id") == [
                    ["2", "-2", nil], ["3", "-3", nil], ["4", "-4", nil], ["5", "-5", "a,b"],
                ])
        }
    }

    @Test func aLetterThatIsRefusedHoldsBackLaterOnesOfItsKey() async throws {
        try await withLetters(rows: "INSERT INTO orders (id, qty) VALUES (1, 0), (2, 0);") {
            gateway, database in
            var numbers: [Int] = []
            for (key, quantity) in [(1, -1), (2, -2), (1, -3), (1, -4)] {
                numbers.append(
                    try await refused(
                        gateway, "PATCH", "\(Self.records)/\(key)", #"{"qty":\#(quantity)}"#))
            }
            try database.execute(
                """
                ALTER TABLE orders DROP CONSTRAINT orders_qty_check;
                ALTER TABLE orders ADD CONSTRAINT odd CHECK (qty <> -3)
                """)
            let done = try await redrive(gateway, #"{"filter":{"table":"orders"},"rate":10000}"#)
            let results = done.lines.map {
                $0.split(separator: "\"result\":\"")[1].prefix { $0 != "\"" }
            }
            #expect(results == ["redriven", "redriven", "failed", "blocked"], "\(done.lines)")
            #expect(
                done.end
                    == #"{"summary":{"dry_run":false,"total":4,"redriven":2,"failed":1,"blocked":1}}"#
            )
            #expect(
                try database.query("SELECT id, qty FROM orders ORDER BY id")
                    == [["1", "-1"], ["2", "-2"]])
            try database.execute("ALTER TABLE orders DROP CONSTRAINT odd")
            let rest = try await redrive(gateway, #"{"filter":{}}"#)
            #expect(rest.end == #"{"summary":{"dry_run":false,"total":2,"redriven":2}}"#)
            #expect(
                try database.query("SELECT qty FROM orders WHERE id = 1") == [["-4"]])
        }
    }

    @Test func discardingWantsTheTablesNameAndLeavesTheAnswer() async throws {
        try await withLetters { gateway, database in
            let sent = #"{"id":1,"qty":-1}"#
            let number = try await refused(gateway, "POST", Self.records, sent, id: "m")
            _ = try await refused(gateway, "POST", Self.records, #"{"id":2,"qty":-1}"#)
            let other = try await refused(
                gateway, "POST", "/v1/tables/lines/records", #"{"order_id":9,"line":1}"#)
            let admin = try gateway.adminClient()
            func discard(_ body: String) async throws -> Client.Response {
                try await admin.request("POST", "\(Self.letters)/discard", body)
            }
            let bare = try await discard(#"{"ids":[\#(number)]}"#)
            #expect(bare.status == 400)
            #expect(
                bare.member("detail")?.contains(#"\"confirm\":\"orders\""#) == true
                    || bare.body.contains("confirm"))
            let wrong = try await discard(#"{"filter":{"table":"lines"},"confirm":"orders"}"#)
            #expect(wrong.status == 400, "\(wrong.body)")
            let none = try await discard(#"{"ids":[\#(other)],"confirm":"orders"}"#)
            #expect(none.body == "{\"discarded\":0}\n")
            let one = try await discard(#"{"ids":[\#(number),\#(other)],"confirm":"orders"}"#)
            #expect(one.body == "{\"discarded\":1}\n")
            let rest = try await discard(#"{"filter":{},"confirm":"orders"}"#)
            #expect(rest.body == "{\"discarded\":1}\n")
            #expect(try database.query("SELECT id FROM weir.dead_letter") == [["\(other)"]])
            let again = try await gateway.client().request(
                "POST", Self.records, sent, headers: Self.keyed("m"))
            #expect(again.status == 422 && again.member("result") == "dead_lettered")
            #expect(again.headers["idempotent-replayed"] == "true")
        }
    }

    @Test func whatChangesSomethingComesFromNoBrowser() async throws {
        try await withLetters { gateway, _ in
            let number = try await refused(gateway, "POST", Self.records, #"{"id":1,"qty":-1}"#)
            let headers = ["Content-Type": "application/json", "Origin": "http://evil.example"]
            for (method, path, body) in [
                ("PATCH", "/\(number)", #"{"set":{"qty":1}}"#),
                ("POST", "/redrive", #"{"filter":{}}"#),
                ("POST", "/discard", #"{"filter":{},"confirm":"orders"}"#),
            ] {
                let answer = try await gateway.adminClient().request(
                    method, Self.letters + path, body, headers: headers)
                #expect(answer.status == 403, "\(method) \(path)")
            }
            // And nothing of it is on the data listener.
            for method in ["GET", "POST", "PATCH"] {
                let answer = try await gateway.client().request(method, Self.letters)
                #expect(answer.status == 404)
            }
        }
    }

    @Test func mistakesAreSaid() async throws {
        try await withLetters { gateway, _ in
            let number = try await refused(gateway, "POST", Self.records, #"{"id":1,"qty":-1}"#)
            let cases: [(String, String, String, Int, String)] = [
                ("GET", "?limit=0", "", 400, "limit"),
                ("GET", "?limit=1001", "", 400, "from 1 to 1000"),
                ("GET", "?after=x", "", 400, "after"), ("GET", "?tabel=orders", "", 400, "tabel"),
                ("GET", "?table=a&table=b", "", 400, "twice"), ("GET", "?table=", "", 400, "empty"),
                ("GET", "?since=yesterday", "", 400, "2026-01-31T12:00:00Z"),
                ("GET", "?fingerprint=12", "", 400, "16 hexadecimal"),
                ("GET", "?table=%ff", "", 400, "UTF-8"), ("GET", "?order=up", "", 400, "newest"),
                ("GET", "?format=xml", "", 400, "ndjson"),
                ("GET", "/groups?code=x", "", 400, "code"),
                ("GET", "/x", "", 400, "number"), ("GET", "/999999", "", 404, "999999"),
                ("PATCH", "/999999", "{}", 404, "999999"),
                ("PATCH", "/\(number)", "{}", 400, "say what to change"),
                ("PATCH", "/\(number)", "[", 400, "expected"),
                ("PATCH", "/\(number)", #"{"set":{"colour":1}}"#, 422, "colour"),
                ("PATCH", "/\(number)", #"{"set":{"qty":"many"}}"#, 422, "qty"),
                ("PATCH", "/\(number)", #"{"sets":{}}"#, 400, "sets"),
                ("POST", "/redrive", "", 400, "expected"), ("POST", "/redrive", "{}", 400, "ids"),
                ("POST", "/redrive", #"{"ids":[]}"#, 400, "1 to 1000"),
                ("POST", "/redrive", #"{"ids":["1"]}"#, 400, "numbers"),
                ("POST", "/redrive", #"{"ids":[1],"filter":{}}"#, 400, "say which"),
                ("POST", "/redrive", #"{"filter":{"colour":"x"}}"#, 400, "colour"),
                ("POST", "/redrive", #"{"filter":{"table":1}}"#, 400, "string"),
                ("POST", "/redrive", #"{"filter":{},"rate":0}"#, 400, "rate"),
                ("POST", "/redrive", #"{"filter":{},"dry_run":1}"#, 400, "true or false"),
                ("POST", "/discard", #"{"filter":{}}"#, 400, "confirm"),
            ]
            for (method, path, body, status, word) in cases {
                let answer = try await gateway.adminClient().request(
                    method, Self.letters + path, body)
                #expect(answer.status == status, "\(method) \(path) \(body): \(answer.body)")
                #expect(answer.body.contains(word), "\(method) \(path) \(body): \(answer.body)")
                #expect(answer.headers["content-type"] == "application/problem+json")
            }
        }
    }

    @Test func withoutTablesThereIsNothingToSee() async throws {
        try await withOrders { gateway, _ in
            let answer = try await gateway.adminClient().request("GET", Self.letters)
            #expect(answer.status == 404 && answer.body.contains("--replay-window off"))
            let redrive = try await gateway.adminClient().request(
                "POST", "\(Self.letters)/redrive", #"{"filter":{}}"#)
            #expect(redrive.status == 404)
        }
    }
}
