import Foundation
import Testing
import Weir
import WeirCheck
import WeirPostgres

/// A real PgBouncer in between.
extension CheckTests {
    @Suite struct PoolerTests {
        /// - Parameter body: gets a connection string that leads through the pooler.
        private func withPooler(
            _ mode: String, _ settings: [String] = ["ignore_startup_parameters = options"],
            poolSize: Int = 20, user: String = "weir", _ body: (String) async throws -> Void
        ) async throws {
            let database = try #require(Database.current)
            let pooler = try await Pooler.start(
                in: database, settings + ["pool_mode = \(mode)", "default_pool_size = \(poolSize)"])
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(pooler.conninfo(user: user)))
            } catch {
                result = .failure(error)
            }
            await pooler.stop()
            try result.get()
        }

        @Test(arguments: ["transaction", "statement"])
        func aPoolerThatTakesTheBackendAwayIsFound(_ mode: String) async throws {
            try await withPooler(mode) { conninfo in
                let result = try await examine(conninfo, ["t"])
                let found = result.findings("pooler-transaction-mode")
                #expect(found.map(\.severity) == [.error])
                #expect(found.allSatisfy { $0.what.contains("in \(mode) mode") })
                #expect(result.findings("pooler-session-mode") == [])
                // It swallowed the gateway's settings, too.
                let lost = Set(result.findings("setting-not-applied").map(\.object.name))
                #expect(
                    lost.isSuperset(of: ["statement_timeout", "lock_timeout", "plan_cache_mode"]))
            }
        }

        @Test func aPoolerInSessionModeIsNoted() async throws {
            try await withPooler("session") { conninfo in
                let result = try await examine(conninfo, ["t"])
                #expect(result.findings("pooler-session-mode").map(\.severity) == [.note])
                #expect(result.findings("pooler-transaction-mode") == [])
            }
        }

        @Test func anExhaustedSessionPoolIsNotTakenForAnotherMode() async throws {
            try await withPooler("session", poolSize: 2) { conninfo in
                let result = try await examine(conninfo, ["t"], patience: .seconds(1))
                #expect(result.findings("pooler-session-mode").count == 1)
                #expect(result.findings("pooler-transaction-mode") == [])
            }
        }

        @Test func aBusyPoolOfOneIsCaughtToo() async throws {
            try await withPooler("transaction", poolSize: 1) { conninfo in
                let result = try await examine(conninfo, ["t"])
                #expect(result.findings("pooler-transaction-mode").count == 1)
            }
        }

        @Test func aPoolerThatRefusesTheSettingsIsFound() async throws {
            try await withPooler("transaction", []) { conninfo in
                let result = try await examine(conninfo, ["t"])
                #expect(result.findings("settings-refused").map(\.severity) == [.error])
                #expect(result.findings("pooler-transaction-mode").map(\.severity) == [.error])
                #expect(result.subject.manner == .plain)
            }
        }

        @Test func synchronousCommitThatIsOffInEffectIsFound() async throws {
            let scene = try await Scene("CREATE TABLE @t (id uuid PRIMARY KEY)")
            try await scene.grantWhatIsNeeded(["t"])
            try await scene.execute("ALTER ROLE $role SET synchronous_commit = off")
            try await withPooler("session", user: scene.role) { conninfo in
                let result = try await examine(conninfo, ["\(scene.schema).t"])
                let found = try #require(result.findings("synchronous-commit-off").first)
                #expect(found.severity == .error)
                try await scene.database.execute(found.fix)
            }
            try await withPooler("session", user: scene.role) { conninfo in
                let result = try await examine(conninfo, ["\(scene.schema).t"])
                #expect(result.findings("synchronous-commit-off") == [])
            }
        }

        @Test func thereIsNoneWithoutOne() async throws {
            let database = try #require(Database.current)
            let codes = try await examine(database.conninfo(), ["t"]).findings.map(\.code)
            #expect(codes.contains("missing-table"))
            #expect(!codes.contains { $0.hasPrefix("pooler") })
        }

        @Test func nothingStaysInAPoolersBackends() async throws {
            let database = try #require(Database.current)
            try await withPooler("transaction", poolSize: 1) { conninfo in
                _ = try await examine(conninfo, ["t"])
                let rows = try await database.query(
                    through: conninfo,
                    "SELECT current_setting('search_path'), current_setting('transaction_read_only')"
                )
                #expect(rows == [["\"$user\", public", "off"]])
            }
        }
    }
}

/// One PgBouncer process, on a socket beside the server's.
private struct Pooler: Sendable {
    private let process: Process
    private let folder: String

    func conninfo(user: String) -> String {
        "host=\(folder) port=6432 dbname=postgres user=\(user)"
    }

    static func start(in database: Database, _ settings: [String]) async throws -> Pooler {
        let paths = ["/usr/sbin", "/usr/bin", "/opt/homebrew/bin", "/usr/local/bin"]
        let program = try #require(
            paths.map { $0 + "/pgbouncer" }.first {
                FileManager.default.isExecutableFile(atPath: $0)
            },
            "pgbouncer is not installed; scripts/install-dependencies installs it")
        let server = database.server.conninfo.split(separator: " ")[0]
        let folder = String(server.dropFirst("host=".count))
        let file = folder + "/pgbouncer-\(Database.number()).ini"
        let users = file + ".users"
        let roles = try await database.query("SELECT rolname FROM pg_roles WHERE rolcanlogin")
        try roles.compactMap { $0[0] }.map { "\"\($0)\" \"\"\n" }.joined()
            .write(toFile: users, atomically: true, encoding: .utf8)
        let common = [
            "listen_addr =", "unix_socket_dir = \(folder)", "auth_type = trust",
            "auth_file = \(users)",
            "listen_port = 6432", "max_client_conn = 50",
        ]
        let lines = ["[databases]", "postgres = \(server)", "[pgbouncer]"] + common + settings
        try lines.joined(separator: "\n").write(toFile: file, atomically: true, encoding: .utf8)
        for path in [file, users] {
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        // PgBouncer, as PostgreSQL, refuses to run as root: it becomes the folder's owner.
        let owner = try FileManager.default.attributesOfItem(atPath: folder)[.ownerAccountName]
        let isRoot = NSUserName() == "root"
        process.arguments = (isRoot ? ["-u", "\(owner ?? "")"] : []) + [file]
        let log = Pipe()
        process.standardError = log
        process.standardOutput = log
        try process.run()
        let reader = LogReader(log.fileHandleForReading)
        let isUp = await reader.waits(for: "process up")
        let text = await reader.text
        try #require(isUp, "\(text)")
        return Pooler(process: process, folder: folder)
    }

    /// Kills: the threads that start processes block signals, and the process inherits that.
    func stop() async {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}

/// Waits on a thread of its own for what a process writes.
private actor LogReader {
    private let handle: FileHandle
    private(set) var text = ""
    private let executor = BlockingExecutor(label: "log")

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    init(_ handle: FileHandle) {
        self.handle = handle
    }

    /// Whether this comes before the end.
    func waits(for words: String) -> Bool {
        while !text.contains(words) {
            let data = handle.availableData
            if data.isEmpty { return false }
            text += String(decoding: data, as: UTF8.self)
        }
        return true
    }
}
