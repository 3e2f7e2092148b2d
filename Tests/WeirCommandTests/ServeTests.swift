import Foundation
import Testing
import WeirPostgres

/// `weir serve` with a configuration, as its own process.
@Suite(.serialized, .timeLimit(.minutes(3))) struct ServeTests {
    // MARK: Without a server

    @Test func aWrongConfigurationEndsWith78AndSaysWhy() throws {
        try withFile("batch: {max_records: 0}\ntabels: {}\n") { path in
            let output = try Command.run(["serve", "--config", path])
            #expect(output.status == 78)
            #expect(output.errors.contains("weir: \(path):1: batch.max_records: \"0\" is out of"))
            #expect(output.errors.contains("weir: \(path):2: tabels: there is no such key; the"))
            #expect(output.errors.contains("nearest is tables"))
            #expect(output.text == "")
        }
    }

    @Test(
        arguments: [
            (
                ["--config", "/nonexistent.yaml"], [:], 78,
                "--config: /nonexistent.yaml: No such file"
            ),
            (["--config", "/"], [:], 78, "--config: /: it is no regular file"),
            (["--tables", "a"], ["WEIR_CONFIG": "/none"], 78, "WEIR_CONFIG: /none: No such file"),
            (["--tables", "a"], ["WEIR_QUEUE_TIMEOT": "1s"], 78, "nearest is WEIR_QUEUE_TIMEOUT"),
            (
                ["--tables", "a", "--threads", "0"], [:], 64,
                "--threads: http.threads: \"0\" is out of"
            ),
            (
                ["--tables", "a", "--connections", "x"], [:], 64,
                "--connections: database.connections"
            ),
            (
                ["--tables", "a", "--db", "postgres://u:p@h/d"], [:], 64,
                "--db: database.url: it holds a"
            ),
            (
                ["--tables", "a", "--db", "nonsense"], [:], 78,
                "--db: the connection string is malformed"
            ),
            ([], [:], 64, "say which tables may be written"),
            (["--embedded", "--db", "x"], [:], 64, "--embedded brings its own --db"),
            (
                ["--tables", "a"], ["WEIR_DATABASE_PASSWORD_FILE": "/none"], 78,
                "database.password_file /none cannot be read: No such file"
            ),
        ] as [([String], [String: String], Int32, String)])
    func mistakesHaveTheirExitCodes(
        _ arguments: [String], _ environment: [String: String], _ status: Int32, _ reason: String
    ) throws {
        let output = try Command.run(["serve"] + arguments, environment: environment)
        #expect(output.status == status, "\(output.errors)")
        #expect(output.errors.contains(reason), "\(output.errors)")
    }

    @Test func whatIsInForceIsPrinted() throws {
        try withFile("tables: {orders: {}, lines: {}}\nbatch: {max_records: 9}\n") { path in
            let output = try Command.run(
                ["serve", "--config", path, "--tables", "orders", "--print-config"],
                environment: ["WEIR_DATABASE_URL": "postgres://u:s3cret@h/d"])
            #expect(output.status == 0 && output.errors == "")
            #expect(output.text.contains("  max_records: 9  # \(path):2\n"))
            #expect(output.text.contains("postgres://u:********@h/d"))
            #expect(output.text.contains("  orders:\n") && !output.text.contains("  lines:\n"))
        }
    }

    // MARK: With a server

    @Test func whatIsConfiguredIsWhatIsServed() throws {
        let folder = "/tmp/weir-command-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        // The first run makes the demo's table; the second one exposes it as configured.
        let plain = ["--embedded", folder, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        let first = try Command.serve(plain) { gateway in
            let answer = try Command.request(
                "http://\(gateway.address)/v1/tables/orders/records", "-d",
                "{\"customer_id\":1,\"qty\":1}",
                "-H", "Content-Type: application/json")
            #expect(answer.hasSuffix("\n201"), "\(answer)")
            // A session of the gateway tells what it was given.
            try EmbeddedServer.OwnerSession(gateway.conninfo).execute(
                """
                CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                  NEW.note := current_setting('statement_timeout') || ' '
                    || current_setting('lock_timeout'); RETURN NEW; END $$;
                CREATE TRIGGER tell BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION tell()
                """)
        }
        #expect(first.status == 0, "\(first.errors)")
        let yaml = """
            listen: {api: 127.0.0.1:0, admin: 'unix:\(folder)/admin.sock'}
            limits: {body_bytes: 2KiB, record_bytes: 1KiB, records_per_request: 2}
            batch: {max_records: 1}
            queue: {max_records: 3}
            database: {connections: 2, statement_timeout: 7s, lock_timeout: 1s}
            tables: {orders: {operations: [insert, patch]}}
            """
        try withFile(yaml) { path in
            let second = try Command.serve(["--embedded", folder, "--config", path]) { gateway in
                func post(_ path: String, _ body: String, _ more: String...) throws -> String {
                    try Command.request(
                        "http://\(gateway.address)\(path)", "-d", body, "-H",
                        "Content-Type: application/json")
                }
                let table = "/v1/tables/orders"
                let told = try Command.request(
                    "-X", "PATCH", "http://\(gateway.address)\(table)/records/1", "-d",
                    "{\"qty\":2}", "-H", "Content-Type: application/json", "-H",
                    "Prefer: return=representation")
                #expect(told.contains("\"note\":\"7s 1s\""), "\(told)")
                let large = String(repeating: "x", count: 1_500)
                #expect(
                    try post("\(table)/records", "{\"note\":\"\(large)\"}").contains(
                        "the record is larger than 1024 bytes"))
                #expect(
                    try post("\(table)/records", "{\"note\":\"\(large)\(large)\"}")
                        .hasSuffix("\n413"))
                #expect(try post("\(table)/records", "[{},{},{}]").hasSuffix("\n413"))
                let deleted = try Command.request(
                    "-X", "DELETE", "http://\(gateway.address)\(table)/records/1")
                #expect(deleted.contains("forbidden-table") && deleted.hasSuffix("\n403"))
                let group = """
                    [{"op":"patch","table":"orders","key":{"id":1},"data":{},"group":"g"},
                     {"op":"patch","table":"orders","key":{"id":2},"data":{},"group":"g"}]
                    """
                // A batch has one record, so a group of two finds no place.
                #expect(try post("/v1/bulk", group).contains("more members than a batch may hold"))
                let description = try Command.request("http://\(gateway.address)\(table)")
                #expect(description.contains("\"record_bytes\":1024,\"body_bytes\":2048"))
                let admin = "\(folder)/admin.sock"
                let config = try Command.request("--unix-socket", admin, "http://weir/v1/config")
                #expect(
                    config.contains(
                        "\"queue.max_records\":{\"value\":\"3\",\"source\":\"\(path):4\"}"),
                    "\(config)")
                let metrics = try Command.request("--unix-socket", admin, "http://weir/metrics")
                #expect(metrics.contains("weir_queue_rows_limit 3\n"), "\(metrics)")
                #expect(metrics.contains("weir_db_connections_limit 2\n"), "\(metrics)")
            }
            #expect(second.status == 0, "\(second.errors)")
        }
    }

    @Test func aChangedFileIsTakenOverWholeOrNotAtAll() throws {
        let folder = "/tmp/weir-command-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let admin = "\(folder)/admin.sock"
        let base = "listen: {api: 127.0.0.1:0, admin: 'unix:\(admin)'}\n"
        func reload(_ more: String...) throws -> String {
            try Command.request(
                "-X", "POST", "--unix-socket", admin, "http://weir/v1/reload", "-H",
                more.first ?? "Accept: */*")
        }
        try withFile(base + "tables: {customers: {}}\n") { path in
            let served = try Command.serve(["--embedded", folder, "--config", path]) { gateway in
                func write(_ text: String) throws {
                    try (base + text).write(toFile: path, atomically: true, encoding: .utf8)
                }
                func operations() throws -> String {
                    try Command.request("--unix-socket", admin, "http://weir/v1/config")
                        .components(separatedBy: "customers.operations\":{\"value\":\"")[1]
                        .components(separatedBy: "\"")[0]
                }
                try write("tables: {customers: {operations: [insert]}}\nlog: {level: debug}\n")
                #expect(
                    try reload()
                        == "{\"reloaded\":true,\"changed\":[\"log.level\","
                        + "\"tables.customers.operations\"]}\n\n200")
                #expect(try operations() == "[insert]")
                try write("tables: {customers: {operations: [patch]}}\nbatch: {max_records: 7}\n")
                let refused = try reload()
                #expect(refused.contains("batch.max_records: a change of it needs a restart"))
                #expect(refused.hasSuffix("\n409"))
                try write("tables: {customers: {operations: [patsch]}}\n")
                #expect(try reload().contains("the nearest is patch"))
                #expect(try operations() == "[insert]")
                #expect(try reload("Origin: http://x").hasSuffix("\n403"))
                try write("tables: {customers: {operations: [delete]}}\n")
                #expect(kill(gateway.process.processIdentifier, SIGHUP) == 0)
                // Nobody is told that a signal has been dealt with.
                for _ in 0..<200 where try operations() != "[delete]" {}
                #expect(try operations() == "[delete]")
            }
            #expect(served.status == 0, "\(served.errors)")
            #expect(served.errors.contains("configuration reloaded"))
            #expect(served.errors.contains("configuration not reloaded"))
        }
    }
}
