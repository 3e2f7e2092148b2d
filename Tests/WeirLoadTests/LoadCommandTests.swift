import Foundation
import Testing
import WeirPostgres

/// `weir load` as its own process.
@Suite(.serialized, .timeLimit(.minutes(3)), .privateDatabase) struct LoadCommandTests {
    private func start(_ arguments: [String]) throws -> (Process, Pipe, Pipe) {
        try Harness.start(["load", "--quiet"] + arguments)
    }

    func load(_ arguments: String...) throws -> Harness.Output {
        try Harness.run(["load", "--quiet"] + arguments)
    }

    func database() throws -> PrivateDatabase.Running {
        try #require(PrivateDatabase.current)
    }

    private func expectNothingLeft() throws {
        let left = try database().query(
            "SELECT relname FROM pg_class WHERE relname LIKE 'weir\\_load%' UNION ALL "
                + "SELECT proname FROM pg_proc WHERE proname LIKE 'weir\\_load%'")
        #expect(left == [])
    }

    // MARK: Runs

    /// On a busy machine the generator may lag: then the verdict is void, and the audit still holds.
    static let measured: Set<Int32> = [0, 3]

    @Test func aSteadyRunIsMeasuredAndAudited() throws {
        let output = try load(
            "--db", try database().conninfo, "--rate", "200", "-z", "2s", "--json", "-")
        #expect(Self.measured.contains(output.status), "\(output.errors)")
        let mode = try #require(try output.modes().first)
        let audit = try #require(mode["audit"] as? [String: Any])
        #expect(audit["honest"] as? Bool == true)
        let acknowledged = try #require(audit["acknowledged"] as? Int)
        #expect(abs(acknowledged - 400) < 80 && audit["missing"] as? Int == 0)
        let transactions = try #require(mode["transactions"] as? Int)
        // The gateway reads the catalog, too.
        #expect(transactions > 0 && transactions <= acknowledged + 40, "\(transactions)")
        try expectNothingLeft()
    }

    @Test func modesAreComparedOnOneSchedule() throws {
        let output = try load(
            "--db", try database().conninfo, "--compare", "direct,pool,pgbouncer,gateway", "--pool",
            "5", "--rate", "100", "-z", "1s", "--json", "-")
        #expect(Self.measured.contains(output.status), "\(output.errors)")
        let modes = try output.modes()
        #expect(modes.map { $0["mode"] as? String } == ["direct", "pool", "pgbouncer", "gateway"])
        let calls = Set(modes.compactMap { ($0["total"] as? [String: Any])?["calls"] as? Int })
        #expect(calls.count == 1, "one schedule: \(calls)")
        for mode in modes {
            let audit = try #require(mode["audit"] as? [String: Any])
            #expect(audit["honest"] as? Bool == true, "\(mode)")
            #expect((mode["rows"] as? Int) == calls.first)
        }
        try expectNothingLeft()
    }

    @Test func aBulkEditMeetsDeadlocksOrRefusalsWithoutTheGateway() throws {
        let output = try load(
            "--db", try database().conninfo, "--compare", "direct,gateway", "--shape", "bulk-edit",
            "--callers", "60", "--hot-keys", "6", "-z", "3s", "--json", "-")
        #expect(Self.measured.contains(output.status), "\(output.errors)\(output.text)")
        let modes = try output.modes()
        let totals = modes.compactMap { $0["total"] as? [String: Any] }
        // 60 callers and 40 connections, of which 3 are kept back.
        #expect((modes[0]["refused_connections"] as? Int ?? 0) > 0)
        #expect(totals[1]["acknowledged"] as? Int == 180 && modes[1]["deadlocks"] as? Int == 0)
        for mode in modes {
            #expect((mode["audit"] as? [String: Any])?["honest"] as? Bool == true, "\(mode)")
        }
        try expectNothingLeft()
    }

    @Test(arguments: ["poison", "duplicate-storm", "kill", "slow-db"])
    func shapesKeepTheirPromises(_ shape: String) throws {
        let output = try load(
            "--db", try database().conninfo, "--shape", shape, "--rate", "150", "-z", "4s",
            "--json", "-")
        let mode = try #require(try output.modes().first)
        let total = try #require(mode["total"] as? [String: Any])
        let audit = try #require(mode["audit"] as? [String: Any])
        #expect(audit["missing"] as? Int == 0 && audit["altered"] as? Int == 0)
        #expect(audit["denied_but_present"] as? Int == 0 && audit["foreign"] as? Int == 0)
        if shape == "poison" { #expect((total["errors"] as? [String: Int])?["23514"] ?? 0 > 0) }
        if shape == "kill" { #expect((mode["killed"] as? Int) != nil) }
        if shape == "slow-db" {
            let response = try #require(total["response_ms"] as? [String: Double])
            #expect(response["max"] ?? 0 > 900, "a stall of a second shows: \(response)")
        }
        try expectNothingLeft()
    }

    @Test func aCopyOfATableAndTheTableItself() throws {
        try database().execute(
            """
            CREATE TABLE IF NOT EXISTS parts (id uuid PRIMARY KEY, name varchar(40) NOT NULL,
              code text UNIQUE, made date, weight numeric(8,3), tags text[], size int NOT NULL,
              seen timestamptz, kind bool NOT NULL, data jsonb, number serial)
            """)
        for extra in [[], ["--yes"]] {
            let (process, output, errors) = try start(
                [
                    "--db", try database().conninfo, "--table", "parts", "--rate", "100", "-z",
                    "1s",
                    "--json", "-",
                ] + extra)
            let text = try output.fileHandleForReading.readToEnd() ?? Data()
            let errorText = try errors.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            let result = Harness.Output(
                status: process.terminationStatus, text: String(decoding: text, as: UTF8.self),
                errors: String(decoding: errorText, as: UTF8.self))
            #expect(Self.measured.contains(result.status), "\(result.errors)\(result.text)")
            let audit = try #require(try result.modes().first?["audit"] as? [String: Any])
            #expect(audit["honest"] as? Bool == true, "\(audit)")
            #expect(audit["acknowledged"] as? Int ?? 0 > 50)
            #expect(try database().query("SELECT count(*) FROM parts") == [["0"]])
        }
        #expect(try database().query("SELECT nextval('parts_number_seq') < 200") == [["t"]])
        try expectNothingLeft()
    }

    @Test func aClosedLoopEndsAfterItsCalls() throws {
        let output = try load(
            "--db", try database().conninfo, "-c", "8", "-n", "300", "-z", "20s", "--json", "-")
        #expect(output.status == 0, "\(output.errors)")
        let mode = try #require(try output.modes().first)
        #expect((mode["total"] as? [String: Any])?["calls"] as? Int == 300)
        #expect((mode["calls_in_flight_peak"] as? Int ?? 99) <= 8)
    }

    @Test func theFirstInterruptKeepsWhatWasMeasured() throws {
        let (process, output, errors) = try start([
            "--db", try database().conninfo, "--rate", "50", "-z", "60s", "--json", "-",
        ])
        // Rows in the table: the run is under way.
        var rows = 0
        while rows < 5 && process.isRunning {
            let names = try database().query(
                "SELECT relname FROM pg_class WHERE relname ~ '^weir_load_[0-9]+$'")
            guard let name = names.first?.first?.flatMap({ $0 }) else { continue }
            rows =
                (try? database().query("SELECT count(*) FROM \(name)"))?.first?.first?
                .flatMap { $0 }.flatMap(Int.init) ?? 0
        }
        process.interrupt()
        let text = try output.fileHandleForReading.readToEnd() ?? Data()
        _ = try errors.fileHandleForReading.readToEnd()
        process.waitUntilExit()
        #expect(process.terminationStatus == 130)
        let object = try JSONSerialization.jsonObject(with: text) as? [String: Any]
        #expect(object?["interrupted"] as? Bool == true)
        let modes = try #require(object?["modes"] as? [[String: Any]])
        #expect((modes.first?["audit"] as? [String: Any])?["honest"] as? Bool == true)
        try expectNothingLeft()
    }

    @Test func aKilledRunsTableIsDroppedByTheNext() throws {
        let (process, _, _) = try start([
            "--db", try database().conninfo, "--rate", "50", "-z", "60s", "--json", "-",
        ])
        while process.isRunning {
            let names = try database().query(
                "SELECT 1 FROM pg_class WHERE relname ~ '^weir_load_[0-9]+$'")
            if !names.isEmpty { break }
        }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        // The server lets go of the lock when it has noticed.
        while try database().query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") != [] {}
        _ = try load("--db", try database().conninfo, "--rate", "50", "-z", "1s", "--json", "-")
        try expectNothingLeft()
    }

    @Test func thresholdsComeFirstAndSayHowItEnds() throws {
        let output = try load(
            "--db", try database().conninfo, "--rate", "50", "-z", "1s", "--threshold", "p50<1us",
            "--threshold", "failed<1%")
        #expect([99, 3].contains(output.status), "\(output.errors)")
        #expect(output.text.contains("✗ p50<1us (gateway "))
        #expect(output.text.contains("✓ failed<1% (gateway 0.00%)"))
        #expect(output.text.contains("AUDIT ✓ gateway: "))
    }

    // MARK: Bad input

    @Test(
        arguments: [
            (["--shape", "stedy"], 64, "the nearest is steady"),
            (["--rate", "0"], 64, "a rate is more than 0"),
            (["--rate", "2000000"], 64, "a rate is more than 0"),
            (["--rate", "1000", "-z", "1d"], 64, "are kept for the audit"),
            (["--rate", "5", "-c", "5"], 64, "exclude each other"),
            (["-n", "5"], 64, "-n goes with -c"),
            (["-z", "soon"], 64, "-z takes a duration"),
            (["--threshold", "p99"], 64, "--threshold p99"),
            (["--compare", "direct,direct"], 64, "each mode once"),
            (["--compare", "proxy"], 64, "there is direct"),
            (["--yes"], 64, "--yes needs --table"),
            (["--gateway", "127.0.0.1:1"], 64, "exposes no scratch table"),
            (["--phases", "/none.yaml"], 78, "--phases: /none.yaml: No such file"),
            (["--json", "/none/x.json"], 78, "/none/x.json cannot be written: No such file"),
            (["--db", "host=/nowhere dbname=x"], 69, "the database cannot be reached"),
            (["--db", "nonsense"], 78, "--db: the connection string is malformed"),
            (["--db", "$DB", "--table", "gone"], 78, "there is no table gone"),
            (
                ["--db", "$DB", "--table", "kept", "--yes", "--gateway", "127.0.0.1:1"], 69,
                "no gateway answers at 127.0.0.1:1"
            ),
            (
                ["--db", "$DB", "--table", "kept", "--yes", "--op", "patch"], 64,
                "on a scratch copy only"
            ),
            (["--db", "$DB user=nobody_much"], 78, "needs CREATE on the schema"),
            (
                ["--db", "$DB", "--rate", "20", "-z", "1s", "--json", "/dev/full"], 1,
                "/dev/full cannot be written: No space"
            ),
        ] as [([String], Int32, String)])
    func mistakesHaveTheirExitCodes(
        _ arguments: [String], _ status: Int32, _ reason: String
    ) throws {
        let running = try database()
        try running.execute(
            """
            CREATE TABLE IF NOT EXISTS kept (id int PRIMARY KEY);
            DO $$ BEGIN CREATE ROLE nobody_much LOGIN; EXCEPTION WHEN duplicate_object THEN END $$;
            REVOKE CREATE ON SCHEMA public FROM PUBLIC
            """)
        let conninfo = running.conninfo
        let words = arguments.map { word in
            word.hasPrefix("$DB user")
                ? conninfo.replacing("user=weir", with: "user=nobody_much")
                : word.replacing("$DB", with: conninfo)
        }
        let (process, output, errors) = try start(words)
        let text = String(
            decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        let said = String(
            decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == status, "\(said)\(text)")
        #expect(said.contains(reason), "\(said)")
        try expectNothingLeft()
    }
}
