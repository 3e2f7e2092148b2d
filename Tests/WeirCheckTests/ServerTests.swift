import Foundation
import Testing
import WeirCheck
import WeirPostgres

/// The server, the database and the role: each state on a real server.
extension CheckTests {
    @Suite struct ServerTests {
        private func database() throws -> Database { try #require(Database.current) }

        // MARK: Encodings and collations

        @Test(arguments: ["LATIN1", "SQL_ASCII", "EUC_JP"])
        func anEncodingOtherThanUTF8IsFound(_ encoding: String) async throws {
            let database = try database()
            let name = "enc_\(encoding.lowercased())"
            try await database.execute(
                "CREATE DATABASE \(name) ENCODING '\(encoding)' TEMPLATE template0")
            try await database.execute("CREATE TABLE t (id uuid PRIMARY KEY)", in: name)
            let result = try await examine(database.conninfo(database: name), ["t"])
            #expect(result.errors.map(\.code) == ["server-encoding"])
            #expect(result.errors[0].what.contains(encoding))
            // The new database's part of the fix works as it stands.
            let create = result.errors[0].fix.split(separator: "\n")[0]
            try await database.execute(String(create))
            let mended = try await database.query(
                "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = '\(name)_utf8'"
            )
            #expect(mended == [["UTF8"]])
        }

        @Test func anEncodingThatCannotBecomeUTF8IsFound() async throws {
            let database = try database()
            try await database.execute(
                "CREATE DATABASE mule ENCODING 'MULE_INTERNAL' TEMPLATE template0")
            let result = try await examine(database.conninfo(database: "mule"), ["nothing"])
            #expect(result.findings("client-encoding").map(\.severity) == [.error])
            #expect(result.findings("server-encoding").map(\.severity) == [.error])
            #expect(result.findings("settings-refused") == [])
            #expect(result.subject.manner == .bare)
        }

        @Test func aDatabasesCollationVersionIsFoundAndMended() async throws {
            let database = try database()
            try await database.execute(
                """
                CREATE DATABASE aged LOCALE_PROVIDER icu ICU_LOCALE 'de' TEMPLATE template0;
                """)
            try await database.execute("CREATE TABLE t (name text PRIMARY KEY)", in: "aged")
            let conninfo = database.conninfo(database: "aged")
            #expect(try await examine(conninfo, ["t"]).findings("database-collation-version") == [])
            try await database.execute(
                "UPDATE pg_database SET datcollversion = '0' WHERE datname = 'aged'")
            let found = try await examine(conninfo, ["t"]).findings("database-collation-version")
            try #require(found.map(\.severity) == [.error])
            #expect(found[0].what.contains("public.t"))
            // Of no key of the exposed tables: less urgent.
            try await database.execute("CREATE TABLE u (id uuid PRIMARY KEY)", in: "aged")
            let other = try await examine(conninfo, ["u"]).findings("database-collation-version")
            #expect(other.map(\.severity) == [.warning])
            try await database.executeLines(found[0].fix, in: "aged")
            #expect(try await examine(conninfo, ["t"]).findings("database-collation-version") == [])
        }

        // MARK: Limits

        @Test func aRolesConnectionLimitIsFoundAndMended() async throws {
            let scene = try await Scene("CREATE TABLE @t (id uuid PRIMARY KEY)")
            try await scene.grantWhatIsNeeded(["t"])
            try await scene.execute("ALTER ROLE $role CONNECTION LIMIT 3")
            let derived = try await scene.examine(["t"])
            #expect(derived.findings("role-connection-limit").map(\.severity) == [.warning])
            let asked = try await scene.examine(["t"], connections: 5)
            let found = try #require(asked.findings("role-connection-limit").first)
            #expect(found.severity == .error)
            try await scene.database.execute(found.fix)
            #expect(try await scene.examine(["t"], connections: 5).findings == [])
        }

        @Test func whatCannotBeLookedAtIsSaid() async throws {
            let scene = try await Scene("CREATE TABLE @t (id uuid PRIMARY KEY)")
            try await scene.grantWhatIsNeeded(["t"])
            // The second connection, with the role's own settings, is one too many.
            try await scene.execute("ALTER ROLE $role CONNECTION LIMIT 1")
            let result = try await scene.examine(["t"])
            let found = try #require(result.findings("check-incomplete").first)
            #expect(found.severity == .warning)
            #expect(found.what.contains("default-overridden"))
        }

        @Test func aDatabasesConnectionLimitIsFoundAndMended() async throws {
            let scene = try await Scene("CREATE TABLE @t (id uuid PRIMARY KEY)")
            try await scene.database.execute("CREATE DATABASE narrow CONNECTION LIMIT 4")
            try await scene.database.execute("CREATE TABLE t (id uuid PRIMARY KEY)", in: "narrow")
            let conninfo = scene.database.conninfo(user: scene.role, database: "narrow")
            let result = try await examine(conninfo, ["t"], connections: 8)
            let found = try #require(result.findings("database-connection-limit").first)
            #expect(found.severity == .error)
            try await scene.database.execute(found.fix)
            let mended = try await examine(conninfo, ["t"], connections: 8)
            #expect(mended.findings("database-connection-limit") == [])
        }

        @Test func aServersLimitIsFound() async throws {
            let scene = try await Scene("CREATE TABLE @t (id uuid PRIMARY KEY)")
            let found = try await scene.examine(["t"], connections: 200).findings("max-connections")
            #expect(found.map(\.severity) == [.error])
            #expect(
                try await scene.examine(["t"], connections: 50).findings("max-connections") == [])
        }

        // MARK: Settings of the role

        @Test(arguments: [
            ("statement_timeout = '50ms'", "default-overridden", Finding.Severity.note),
            ("lock_timeout = '50ms'", "default-overridden", .note),
            ("idle_in_transaction_session_timeout = '50ms'", "default-overridden", .note),
            ("synchronous_commit = off", "default-overridden", .note),
            ("default_transaction_read_only = on", "default-read-only", .warning),
            ("idle_session_timeout = '1min'", "idle-session-timeout", .warning),
        ])
        func aRolesSettingIsFoundAndMended(
            _ setting: String, _ code: String, _ severity: Finding.Severity
        ) async throws {
            let scene = try await Scene("CREATE TABLE @t (id uuid PRIMARY KEY)")
            try await scene.grantWhatIsNeeded(["t"])
            try await scene.execute("ALTER ROLE $role SET \(setting)")
            let result = try await scene.examine(["t"])
            try #require(result.findings.map(\.code) == [code])
            #expect(result.findings[0].severity == severity)
            #expect(setting.hasPrefix(result.findings[0].object.name))
            try await scene.database.execute(result.findings[0].fix)
            #expect(try await scene.examine(["t"]).findings == [])
        }

        @Test func longerTimeoutsAndNoneAreNotFound() async throws {
            let scene = try await Scene("CREATE TABLE @t (id uuid PRIMARY KEY)")
            try await scene.grantWhatIsNeeded(["t"])
            try await scene.execute("ALTER ROLE $role SET statement_timeout = '1min'")
            #expect(try await scene.examine(["t"]).findings == [])
        }

        @Test func anUnreachableDatabaseIsAFailureAndNoFinding() async throws {
            let conninfo = try database().conninfo(database: "nowhere")
            await #expect(throws: (any Error).self) { try await examine(conninfo, ["t"]) }
        }
    }
}

/// A server that loses what it committed, and then only reads.
@Suite(.timeLimit(.minutes(2))) struct FrailServerTests {
    @Test func aServerThatForgetsAndAStandbyAreFound() async throws {
        let database = try await Database.start(["fsync": "off", "full_page_writes": "off"])
        let result: Result<Void, any Error>
        do {
            try await look(database)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await database.server.remove()
        try result.get()
    }

    private func look(_ database: Database) async throws {
        try await database.execute("CREATE TABLE t (id uuid PRIMARY KEY)")
        let frail = try await examine(database.conninfo(), ["t"])
        #expect(frail.errors.map(\.code) == ["fsync-off", "full-page-writes-off"])

        await database.server.stop()
        let signal = database.configuration.directory + "/data/standby.signal"
        try Data().write(to: URL(fileURLWithPath: signal))
        try await database.server.startAgain(database.configuration)
        let standby = try await examine(database.conninfo(), ["t"])
        #expect(standby.errors.map(\.code) == ["in-recovery", "fsync-off", "full-page-writes-off"])
    }
}

/// What no server at hand can show: the judgement of its answers.
@Suite struct JudgementTests {
    @Test(arguments: [(110_022, true), (90_624, true), (120_000, false), (150_018, false)])
    func anOldServerIsRefused(_ number: Int, _ isRefused: Bool) {
        var subject = Subject()
        subject.versionNumber = number
        subject.version = "that old"
        let finding = Examination.versionFinding(subject)
        #expect((finding?.code == "server-version") == isRefused)
        #expect((finding?.severity == .error) == isRefused)
    }

    @Test(arguments: [("0", 0), ("5000", 1), ("19999", 1), ("20000", 0)])
    func aTransactionTimeoutThatCutsBatchesIsFound(_ value: String, _ count: Int) {
        var subject = Subject()
        subject.settingsWanted = ["statement_timeout": "10000"]
        let check = Checks.all.filter { $0.codes.contains("transaction-timeout") }
        let rows = [Row(["transaction_timeout", value])]
        let findings = check.flatMap { $0.findings(rows, subject) }
        #expect(findings.count == count)
        #expect(findings.allSatisfy { $0.code == "transaction-timeout" && $0.severity == .error })
    }

    @Test func everyCheckTakesNoRowsForNoFinding() {
        for check in Checks.all { #expect(check.findings([], Subject()) == []) }
    }

    @Test func everyCodeIsDocumentedAndNoOther() throws {
        let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let text = try String(
            contentsOf: root.appendingPathComponent("docs/CHECKS.md"), encoding: .utf8)
        let documented = text.split(separator: "\n").compactMap { line -> String? in
            guard line.hasPrefix("| `") else { return nil }
            return line.dropFirst(3).split(separator: "`").first.map(String.init)
        }
        #expect(documented.filter { $0.contains("-") }.sorted() == Checks.codes)
        #expect(Set(Checks.codes).count == Checks.codes.count)
    }
}
