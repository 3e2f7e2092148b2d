import Foundation
import Testing
import WeirCheck

/// The built program: its exit codes, and what it prints.
extension CheckTests {
    @Suite struct CommandTests {
        private struct Run {
            var status: Int32
            var output: String
            var errors: String
        }

        private static let program: URL = {
            let products = URL(fileURLWithPath: CommandLine.arguments[0])
                .deletingLastPathComponent()
            let beside = products.appendingPathComponent("weir")
            if FileManager.default.isExecutableFile(atPath: beside.path) { return beside }
            return URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
                .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
                .appendingPathComponent(".build/debug/weir")
        }()

        private func check(_ arguments: String..., environment: [String: String] = [:]) throws
            -> Run
        {
            let process = Process()
            process.executableURL = Self.program
            process.arguments = ["check"] + arguments
            // Most tests are about tables of the operator's own.
            process.environment = ["PATH": "/usr/bin:/bin", "WEIR_REPLAY_WINDOW": "off"]
                .merging(environment) { $1 }
            let (output, errors) = (Pipe(), Pipe())
            process.standardOutput = output
            process.standardError = errors
            try process.run()
            let text = { (pipe: Pipe) in
                String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            }
            let run = (text(output), text(errors))
            process.waitUntilExit()
            return Run(status: process.terminationStatus, output: run.0, errors: run.1)
        }

        private func json(_ text: String) throws -> [String: Any] {
            try #require(
                try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        }

        @Test func withoutAnErrorItExits0() async throws {
            let scene = try await Scene("CREATE TABLE @t (v int)")
            try await scene.grantWhatIsNeeded(["t"])
            let db = scene.database.conninfo(user: scene.role)
            let run = try check("--db", db, "--tables", "\(scene.schema).t")
            #expect(run.status == 0)
            #expect(run.errors.isEmpty)
            #expect(run.output.hasSuffix("\n0 errors, 1 warning, 0 notes\n"))
            #expect(run.output.contains("warning[missing-primary-key] table \(scene.schema).t\n"))
            #expect(!run.output.contains("\u{1B}"))
        }

        @Test func withAnErrorItExits78AndItsJSONIsAsDocumented() async throws {
            let scene = try await Scene("")
            let db = scene.database.conninfo()
            let run = try check("--db", db, "--tables", "\(scene.schema).gone", "--json")
            #expect(run.status == 78)
            let report = try json(run.output)
            #expect(
                report.keys.sorted() == [
                    "counts", "database", "findings", "grants", "role", "server", "tables",
                    "version",
                ])
            #expect(report["version"] as? Int == 1)
            #expect(report["database"] as? String == "postgres")
            #expect(report["role"] as? String == "weir")
            #expect(report["tables"] as? [String] == ["\(scene.schema).gone"])
            #expect(report["counts"] as? [String: Int] == ["error": 1, "warning": 0, "note": 1])
            let findings = try #require(report["findings"] as? [[String: Any]])
            #expect(
                findings.map { $0["code"] as? String } == ["missing-table", "role-is-superuser"])
            #expect(
                findings[0].keys.sorted() == ["code", "fix", "object", "severity", "what", "why"])
            #expect(findings[0]["severity"] as? String == "error")
            #expect(
                findings[0]["object"] as? [String: String]
                    == ["kind": "table", "name": "\(scene.schema).gone"])
        }

        @Test func grantsStandInTheJSON() async throws {
            let scene = try await Scene("CREATE TABLE @t (id uuid PRIMARY KEY)")
            try await scene.execute("GRANT USAGE ON SCHEMA \(scene.schema) TO $role")
            let db = scene.database.conninfo(user: scene.role)
            let run = try check("--db", db, "--tables", "\(scene.schema).t", "--json")
            #expect(run.status == 78)
            let grants = try #require(try json(run.output)["grants"] as? [[String: Any]])
            #expect(grants.map { $0["held"] as? Bool } == [true, false, false, false, false])
            for grant in grants {
                try await scene.database.execute(try #require(grant["sql"] as? String))
            }
            #expect(try check("--db", db, "--tables", "\(scene.schema).t", "--json").status == 0)
        }

        @Test func theEnvironmentNamesTheDatabaseToo() async throws {
            let scene = try await Scene("CREATE TABLE @t (id uuid PRIMARY KEY)")
            let url = scene.database.conninfo()
            let run = try check("--tables", "\(scene.schema).t", environment: ["DATABASE_URL": url])
            #expect(run.status == 0)
        }

        /// What the program writes to a terminal.
        private func terminalOutput(_ arguments: [String], _ environment: [String: String]) throws
            -> String
        {
            var (terminal, slave): (Int32, Int32) = (-1, -1)
            try #require(openpty(&terminal, &slave, nil, nil, nil) == 0)
            defer { close(terminal) }
            let process = Process()
            process.executableURL = Self.program
            process.arguments = ["check"] + arguments
            process.environment = environment
            process.standardOutput = FileHandle(fileDescriptor: slave, closeOnDealloc: false)
            try process.run()
            close(slave)
            var bytes: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 4_096)
            while true {
                // Once nobody has the other end open, a read fails.
                let count = read(terminal, &buffer, buffer.count)
                guard count > 0 else { break }
                bytes += buffer[..<count]
            }
            process.waitUntilExit()
            return String(decoding: bytes, as: UTF8.self)
        }

        @Test func aTerminalGetsColourUnlessItIsRefused() async throws {
            let scene = try await Scene("CREATE TABLE @t (id uuid PRIMARY KEY)")
            let arguments = ["--db", scene.database.conninfo(), "--tables", "\(scene.schema).t"]
            let coloured = try terminalOutput(arguments, [:])
            #expect(coloured.contains("\u{1B}[1;36mnote\u{1B}[0m[role-is-superuser]"))
            let plain = try terminalOutput(arguments, ["NO_COLOR": "1"])
            #expect(plain.contains("note[role-is-superuser]"))
            #expect(!plain.contains("\u{1B}"))
        }

        @Test func anUnreachableDatabaseExits69() throws {
            let run = try check("--db", "host=/nowhere dbname=x", "--tables", "t", "--json")
            #expect(run.status == 69)
            #expect(run.output.isEmpty)
            #expect(run.errors.hasPrefix("weir: the database cannot be examined: "))
        }

        @Test(arguments: [
            [], ["--tables", ""], ["--tables", "a,a"], ["--tables", "a", "--connections", "0"],
            ["--tables", "a", "--unknown"],
        ])
        func wrongUsageExits64(_ arguments: [String]) throws {
            let process = Process()
            process.executableURL = Self.program
            process.arguments = ["check"] + arguments
            process.standardError = Pipe()
            process.standardOutput = Pipe()
            try process.run()
            process.waitUntilExit()
            #expect(process.terminationStatus == 64)
        }

        @Test func aPasswordInTheFlagExits78() throws {
            let run = try check("--db", "host=x password=hunter2", "--tables", "t")
            #expect(run.status == 78)
            #expect(!(run.output + run.errors).contains("hunter2"))
        }
    }
}

/// How findings are laid out.
@Suite struct ReportTests {
    private static let finding = Finding(
        "a-code", .error, .init(.table, "t\u{1B}[31m"),
        what: "one two three four five six seven eight",
        why: "Because.",
        fix:
            "ALTER TABLE a_name_that_is_very_long ALTER COLUMN b_is_long_too TYPE bigint;\nSELECT 1;"
    )

    private func result(_ findings: [Finding]) -> Examination.Result {
        var subject = Subject()
        subject.role = "app"
        subject.database = "shop"
        subject.version = "15.18"
        return Examination.Result(subject: subject, findings: findings)
    }

    @Test func linesAreWrappedAndFixesAreNot() {
        let text = HumanReport(width: 10, isColoured: false).text(result([Self.finding]))
        #expect(
            text == """
                app at database shop, PostgreSQL 15.18,
                0 tables

                error[a-code] table t\u{FFFD}[31m
                  one two three four five six seven
                  eight
                  Because.
                  fix:
                    ALTER TABLE a_name_that_is_very_long ALTER COLUMN b_is_long_too TYPE bigint;
                    SELECT 1;

                1 error, 0 warnings, 0 notes

                """)
    }

    @Test func coloursAreSetOnlyWhenAskedFor() {
        #expect(
            HumanReport(width: 80, isColoured: true).text(result([Self.finding])).contains(
                "\u{1B}[1;31merror"))
        #expect(
            !HumanReport(width: 80, isColoured: false).text(result([Self.finding])).contains(
                "\u{1B}"))
    }

    @Test func jsonEscapesWhatNamesHold() throws {
        let text = JSONReport.text(result([Self.finding]))
        let report = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        let findings = report?["findings"] as? [[String: Any]]
        #expect((findings?.first?["object"] as? [String: String])?["name"] == "t\u{1B}[31m")
    }
}
