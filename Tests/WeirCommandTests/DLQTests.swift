import Foundation
import Testing
import WeirPostgres

/// `weir dlq`, as an operator uses it, with a gateway that is a process of its own.
@Suite(.serialized, .timeLimit(.minutes(3))) struct DLQTests {
    private struct Scene {
        var records: String
        var admin: String
        var gateway: Command.Served

        func dlq(_ arguments: String...) throws -> Command.Output {
            try Command.run(["dlq"] + arguments + ["--admin", admin])
        }

        func post(_ body: String, id: String) throws -> String {
            try Command.request(
                records, "-d", body, "-H", "Content-Type: application/json", "-H",
                "Idempotency-Key: \(id)")
        }

        func query(_ sql: String) throws -> [[String?]] {
            try EmbeddedServer.OwnerSession(gateway.conninfo).query(sql)
        }
    }

    private func withGateway(_ body: (Scene) throws -> Void) throws {
        let folder = "/tmp/weir-dlq-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let admin = "unix:\(folder)/admin.sock"
        let yaml = """
            listen: {api: 127.0.0.1:0, admin: '\(admin)'}
            tables: {orders: {on_reject: dead_letter}}
            """
        let sql = """
            CREATE TABLE public.orders (id int PRIMARY KEY, qty int CONSTRAINT few CHECK (qty > 0))
            """
        try withFile(yaml) { path in
            let served = try Command.serve(["--embedded", folder, "--config", path]) { gateway in
                try EmbeddedServer.OwnerSession(gateway.conninfo).execute(sql)
                let scene = Scene(
                    records: "http://\(gateway.address)/v1/tables/orders/records", admin: admin,
                    gateway: gateway)
                // The table is new to the gateway, which looks once a second.
                for number in 0..<200 {
                    let answer = try scene.post("{\"id\":0,\"qty\":1}", id: "first\(number)")
                    if answer.hasSuffix("\n201") { break }
                }
                try body(scene)
            }
            #expect(served.status == 0, "\(served.errors)")
        }
    }

    @Test func lettersAreFoundEditedAndSentAgain() throws {
        try withGateway { scene in
            for number in 1...3 {
                let answer = try scene.post("{\"id\":\(number),\"qty\":-1}", id: "m\(number)")
                #expect(answer.contains("\"dead_letter\":\(number)"), "\(answer)")
            }
            let groups = try scene.dlq("groups")
            #expect(groups.status == 0 && groups.errors == "", "\(groups.errors)")
            let words = groups.text.split(separator: "\n").last?.split(separator: " ") ?? []
            #expect(
                words.dropFirst().prefix(5) == ["3", "orders", "check-violation", "23514", "few"])
            let list = try scene.dlq("ls", "--table", "orders", "--limit", "2")
            #expect(list.text.split(separator: "\n").map { $0.prefix(2) } == ["ID", "3 ", "2 "])
            let cursor = try #require(
                list.errors.split(separator: " ").last?.trimmingCharacters(in: .newlines))
            let rest = try scene.dlq("ls", "--after", cursor, "--json")
            #expect(rest.text.hasPrefix("{\"items\":[{\"id\":1,"), "\(rest.text)")
            let show = try scene.dlq("show", "1")
            #expect(show.text.contains("raw          {\"id\":1,\"qty\":-1}\n"), "\(show.text)")
            #expect(try scene.dlq("show", "1", "--record").text == "{\"id\":1,\"qty\":-1}\n")

            let dry = try scene.dlq("redrive", "1", "--dry-run")
            #expect(dry.status == 1 && dry.text.hasPrefix("1  failed  check-violation  23514"))
            #expect(dry.errors == "weir: 1 letters: 1 failed\n")
            let edit = try scene.dlq("edit", "1", "--set", "{\"qty\":5}")
            #expect(edit.text == "letter 1 is sent as {\"id\":1,\"qty\":5}\n", "\(edit.errors)")
            try withFile("{\"id\":2,\n\"qty\":6}\n") { path in
                let whole = try scene.dlq("edit", "2", "--record", path)
                #expect(whole.status == 0, "\(whole.errors)")
            }
            let redrive = try scene.dlq("redrive", "--table", "orders", "--rate", "1000")
            #expect(redrive.status == 1)
            #expect(redrive.text.contains("1  redriven  inserted  orders  {\"id\":1}\n"))
            #expect(redrive.text.contains("3  failed  check-violation"))
            #expect(redrive.errors.hasSuffix("3 letters: 2 redriven, 1 failed\n"))
            #expect(
                try scene.query("SELECT id, qty FROM orders ORDER BY 1")
                    == [["0", "1"], ["1", "5"], ["2", "6"]])
            #expect(try scene.post("{\"id\":1,\"qty\":-1}", id: "m1").contains("\"replayed\""))

            let export = try scene.dlq("export")
            #expect(
                export.text
                    == "{\"op\":\"insert\",\"table\":\"orders\",\"id\":\"m3\",\"data\":{\"id\":3,\"qty\":-1}}\n"
            )
            let bare = try scene.dlq("discard", "3")
            #expect(bare.status == 64 && bare.errors.contains("--confirm"))
            let discard = try scene.dlq("discard", "--all", "--confirm", "orders")
            #expect(discard.text == "discarded 1\n", "\(discard.errors)")
            #expect(try scene.dlq("show", "3").status == 1)
            let origins = try scene.query(
                """
                SELECT DISTINCT instance LIKE '%/\(scene.gateway.process.processIdentifier)', version
                FROM weir.attempt_a
                """)
            #expect(origins == [["t", "0.1.0"]])
        }
    }

    /// Killed while it sends: what was sent is gone from the letters, once, and the rest is there.
    @Test func aRedriveThatIsKilledGoesOnWhereItWas() async throws {
        let name = "/tmp/weir-dlq-\(UInt64.random(in: 0 ... .max))"
        var configuration = EmbeddedServer.Configuration(directory: name)
        configuration.isDurable = false
        let server = try await EmbeddedServer.start(configuration)
        let result = Result { try killRepeatedly(server, admin: "unix:\(name).sock") }
        await server.remove()
        try result.get()
    }

    private func killRepeatedly(_ server: EmbeddedServer, admin: String) throws {
        let count = 600
        try keepLetters(server, count)
        let arguments = [
            "--db", server.conninfo, "--tables", "log", "--listen", "127.0.0.1:0", "--admin", admin,
        ]
        let session = try server.openSession()
        var left = count
        for round in 1...4 {
            let isKilled = round < 4
            _ = try Command.serve(arguments) { gateway in
                let redrive = try Command.start(
                    ["dlq", "redrive", "--all", "--rate", "300", "--admin", admin])
                let before = left
                while isKilled && left == before {
                    left =
                        Int(try session.query("SELECT count(*) FROM weir.dead_letter")[0][0] ?? "")
                        ?? 0
                }
                if isKilled { kill(gateway.process.processIdentifier, SIGKILL) }
                redrive.waitUntilExit()
                #expect(redrive.terminationStatus == (isKilled ? 69 : 0))
            }
            let counts = try session.query(
                """
                SELECT (SELECT count(*) FROM weir.dead_letter), count(*), count(DISTINCT id) FROM log
                """
            )[0].map { Int($0 ?? "") ?? -1 }
            #expect(counts[1] == counts[2] && counts[0] + counts[1] == count, "\(counts)")
            left = counts[0]
        }
        #expect(left == 0)
    }

    /// Two gateways, and whoever operates them, take up the same letters.
    @Test func twoRedrivesAtOnceSendEachLetterOnce() async throws {
        let name = "/tmp/weir-dlq-\(UInt64.random(in: 0 ... .max))"
        var configuration = EmbeddedServer.Configuration(directory: name)
        configuration.isDurable = false
        let server = try await EmbeddedServer.start(configuration)
        let result = Result {
            try redriveTwice(server, admins: ["unix:\(name)1.sock", "unix:\(name)2.sock"])
        }
        await server.remove()
        try result.get()
    }

    private func redriveTwice(_ server: EmbeddedServer, admins: [String]) throws {
        let count = 400
        try keepLetters(server, count)
        let arguments = ["--db", server.conninfo, "--tables", "log", "--listen", "127.0.0.1:0"]
        _ = try Command.serve(arguments + ["--admin", admins[0]]) { _ in
            _ = try Command.serve(arguments + ["--admin", admins[1]]) { _ in
                let redrives = try admins.map {
                    try Command.start(["dlq", "redrive", "--all", "--admin", $0])
                }
                for redrive in redrives { redrive.waitUntilExit() }
                // Whoever comes too late for a letter says so.
                #expect(redrives.allSatisfy { [0, 1].contains($0.terminationStatus) })
            }
        }
        let session = try server.openSession()
        let counts = try session.query(
            """
            SELECT (SELECT count(*) FROM weir.dead_letter), count(*), count(DISTINCT id) FROM log
            """)
        #expect(counts == [["0", "\(count)", "\(count)"]])
    }

    /// Letters of a table that would not refuse a second copy.
    private func keepLetters(_ server: EmbeddedServer, _ count: Int) throws {
        try server.execute("CREATE TABLE log (id int, qty int)")
        _ = try Command.serve(
            [
                "--db", server.conninfo, "--tables", "log", "--listen", "127.0.0.1:0", "--admin",
                "127.0.0.1:0", "--migrate",
            ]
        ) { _ in }
        try server.execute(
            """
            INSERT INTO weir.dead_letter (fingerprint, table_name, operation, media_type, code,
                reason, raw)
            SELECT 1, 'log', 'insert', 'application/json', 'check-violation', 'why',
                convert_to('{"id":' || i || '}', 'UTF8') FROM generate_series(1, \(count)) i
            """)
    }

    // MARK: Without a gateway

    @Test(
        arguments: [
            (["ls", "--admin", "127.0.0.1:1"], 69, "no gateway answers at 127.0.0.1:1"),
            (["redrive", "--all", "--admin", "unix:/none/x.sock"], 69, "unix:/none/x.sock"),
            (["ls", "--admin", "nonsense"], 64, "--admin takes host:port or unix:/path"),
            (["redrive"], 64, "say which letters"),
            (["redrive", "1", "--all"], 64, "choose letters"),
            (["edit", "1"], 64, "say what to change"),
            (["edit", "1", "--original", "--unset", "x"], 64, "--original goes alone"),
            (["edit", "1", "--set", "qty=5"], 64, "take a JSON object"),
            (["edit", "1", "--record", "/none"], 64, "/none: No such file"),
            (["show"], 64, "number"),
        ] as [([String], Int32, String)])
    func mistakesHaveTheirExitCodes(
        _ arguments: [String], _ status: Int32, _ reason: String
    ) throws {
        let output = try Command.run(["dlq"] + arguments)
        #expect(output.status == status, "\(output.errors)")
        #expect(output.errors.contains(reason), "\(output.errors)")
        #expect(output.text == "")
    }

    @Test(arguments: ["ls", "groups", "show", "edit", "redrive", "discard", "export"])
    func eachCommandHasExamples(_ command: String) throws {
        let output = try Command.run(["dlq", command, "--help"])
        #expect(output.status == 0)
        #expect(output.text.contains("EXAMPLES") && output.text.contains("weir dlq \(command)"))
    }
}
