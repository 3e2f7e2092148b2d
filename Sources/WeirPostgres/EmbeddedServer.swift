import Subprocess
import SystemPackage
import Weir
import WeirCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A private PostgreSQL, made from the installed server's programs: its own folder, its own unix
/// socket, no TCP port, and nothing of any other cluster touched. PostgreSQL refuses to run as
/// root, so that under root it runs as the account `postgres`, or `nobody`.
package struct EmbeddedServer: Sendable {
    package struct Configuration: Sendable {
        /// Where the cluster is kept; made when it does not exist.
        package var directory: String
        /// Lines for the server's configuration, beyond the defaults here.
        package var settings: [String: String] = [:]
        /// False trades the cluster's life after a crash for speed: for tests.
        package var isDurable = true

        package init(directory: String) {
            self.directory = directory
        }
    }

    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    private let binaries: String
    private let directory: String
    private let socketDirectory: String
    private let account: Account?
    /// Whether this process started the server, and so stops it.
    private let isOwner: Bool

    /// The account to run as, where this process is root.
    private struct Account {
        let name: String
        let user: uid_t
        let group: gid_t
    }

    /// For libpq. The folder's path has neither spaces nor quotes in it, or `start` had refused it.
    package var conninfo: String { "host=\(socketDirectory) dbname=postgres user=weir" }

    /// Starts the server, creating its cluster first where there is none. Does nothing to one that
    /// runs.
    package static func start(_ configuration: Configuration) async throws -> EmbeddedServer {
        guard let binaries = ServerBinaries.find() else {
            throw Failure(
                description: "no PostgreSQL server is installed here; on Debian or Ubuntu: "
                    + "apt-get install postgresql; with Homebrew: brew install postgresql@16")
        }
        let account = runningAccount()
        let directory = try prepare(configuration.directory, account)
        let socketDirectory =
            directory.utf8.count <= 80 ? directory + "/run" : "/tmp/weir-" + stableName(directory)
        try makeFolder(socketDirectory, account)
        let data = directory + "/data"
        let server = { (isOwner: Bool) in
            EmbeddedServer(
                binaries: binaries, directory: directory, socketDirectory: socketDirectory,
                account: account, isOwner: isOwner)
        }
        if !exists(data + "/PG_VERSION") {
            try await server(true).initialize(isDurable: configuration.isDurable)
        }
        let isRunning = try await server(false).control(["status"]).isSuccess
        if !isRunning { try await server(true).launch(configuration) }
        return server(!isRunning)
    }

    /// Stops the server, if this process started it: open transactions are rolled back.
    package func stop() async {
        guard isOwner else { return }
        _ = try? await control(["stop", "-m", "fast", "-w", "-t", "30"])
    }

    /// Stops the server and removes its cluster: for those in temporary folders.
    package func remove() async {
        await stop()
        _ = try? await Subprocess.run(
            .path("/bin/rm"), arguments: ["-rf", directory, socketDirectory], output: .discarded)
    }

    /// Ends the server as a crash would.
    package func kill() async throws {
        _ = try await control(["stop", "-m", "immediate", "-w", "-t", "30"])
    }

    /// Starts a server that was stopped or killed.
    package func startAgain(_ configuration: Configuration) async throws {
        try await launch(configuration)
    }

    /// Runs statements as the cluster's owner.
    package func execute(_ sql: String) throws {
        _ = try query(sql)
    }

    /// The rows of the last of these statements, as text.
    package func query(_ sql: String) throws -> [[String?]] {
        try openSession().query(sql)
    }

    /// A connection of the cluster's owner that stays open, for transactions.
    package func openSession() throws -> OwnerSession {
        try OwnerSession(conninfo)
    }

    /// A plain connection, outside the gateway. It blocks its caller, and is used from one thread
    /// at a time.
    package final class OwnerSession {
        private let session: Session

        package init(_ conninfo: String) throws {
            let limit = Duration.seconds(60)
            let info = try Conninfo(conninfo, statementTimeout: limit, lockTimeout: limit)
            session = try Session.connect(info, by: SystemTime().now + Nanoseconds(limit))
        }

        package func execute(_ sql: String) throws {
            _ = try query(sql)
        }

        package func query(_ sql: String) throws -> [[String?]] {
            do {
                return try session.query(sql, by: SystemTime().now + .seconds(60))
            } catch {
                throw Failure(description: "\(error)")
            }
        }
    }

    // MARK: Programs

    private func initialize(isDurable: Bool) async throws {
        var arguments = [
            "-D", directory + "/data", "-U", "weir", "-A", "trust", "-E", "UTF8", "--no-locale",
        ]
        if !isDurable { arguments.append("--no-sync") }
        try check(await run("initdb", arguments), "initdb")
    }

    private func launch(_ configuration: Configuration) async throws {
        var settings = [
            "listen_addresses": "", "unix_socket_directories": socketDirectory,
            "unix_socket_permissions": "0700",
        ]
        if !configuration.isDurable {
            settings["fsync"] = "off"
            settings["full_page_writes"] = "off"
        }
        settings.merge(configuration.settings) { $1 }
        let options = settings.sorted { $0.key < $1.key }.map { "-c \($0.key)='\($0.value)'" }
        let arguments = [
            "start", "-w", "-t", "60", "-l", directory + "/server.log", "-o",
            options.joined(separator: " "),
        ]
        let result = try await control(arguments)
        guard result.isSuccess else {
            throw Failure(
                description:
                    "PostgreSQL did not start; see \(directory)/server.log: \(result.output)")
        }
    }

    private struct Run {
        var isSuccess: Bool
        var output: String
    }

    private func control(_ arguments: [String]) async throws -> Run {
        try await run("pg_ctl", ["-D", directory + "/data"] + arguments)
    }

    private func run(_ program: String, _ arguments: [String]) async throws -> Run {
        // As another account by way of runuser: a child that changes its own account after fork
        // shares the parent's pipes with every child forked meanwhile, and PostgreSQL never closes
        // them.
        var words = [binaries + "/" + program] + arguments
        if let account { words = ["/usr/sbin/runuser", "-u", account.name, "--"] + words }
        // Its own environment: PGDATA and the like would name somebody else's cluster.
        let environment = Environment.custom(["PATH": "/usr/bin:/bin", "LC_ALL": "C"])
        let result = try await Subprocess.run(
            .path(FilePath(words[0])), arguments: Arguments(Array(words.dropFirst())),
            environment: environment, workingDirectory: "/", output: .string(limit: 1 << 20),
            error: .string(limit: 1 << 20))
        let text = result.standardOutput + result.standardError
        return Run(isSuccess: result.terminationStatus.isSuccess, output: text)
    }

    private func check(_ run: Run, _ program: String) throws {
        guard run.isSuccess else { throw Failure(description: "\(program) failed: \(run.output)") }
    }

    // MARK: Folders

    private static func runningAccount() -> Account? {
        guard geteuid() == 0 else { return nil }
        for name in ["postgres", "nobody"] {
            if let entry = unsafe getpwnam(name) {
                return Account(
                    name: name, user: unsafe entry.pointee.pw_uid,
                    group: unsafe entry.pointee.pw_gid)
            }
        }
        return nil
    }

    /// The folder as an absolute path, made and given to the account that runs the server. Under
    /// root a folder that this account cannot reach is replaced by one under /var/tmp.
    private static func prepare(_ directory: String, _ account: Account?) throws -> String {
        var path = directory
        if !path.hasPrefix("/") {
            guard let current = unsafe getcwd(nil, 0) else {
                throw Failure(description: "the current folder cannot be read")
            }
            defer { unsafe free(current) }
            path = unsafe String(cString: current) + "/" + path
        }
        if account != nil && !isReachable(path) { path = "/var/tmp/weir-" + stableName(path) }
        guard path.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x27 && $0 != 0x5C }) else {
            throw Failure(
                description: "the folder's path has a space, a quote or a backslash: \(path)")
        }
        var parent = ""
        for part in path.split(separator: "/").dropLast() {
            parent += "/" + part
            if !exists(parent) { _ = unsafe mkdir(parent, 0o755) }
        }
        try makeFolder(path, account)
        return path
    }

    private static func makeFolder(_ path: String, _ account: Account?) throws {
        if !exists(path), unsafe mkdir(path, 0o700) != 0 {
            let reason = unsafe String(cString: strerror(errno))
            throw Failure(description: "cannot make the folder \(path): \(reason)")
        }
        if let account, unsafe chown(path, account.user, account.group) != 0 {
            throw Failure(description: "cannot give \(path) to the account that runs PostgreSQL")
        }
    }

    private static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    /// Whether any account may pass through the folders above `path`.
    private static func isReachable(_ path: String) -> Bool {
        var parent = ""
        for part in path.split(separator: "/").dropLast() {
            parent += "/" + part
            var status = stat()
            guard unsafe stat(parent, &status) == 0 else { return true }
            if status.st_mode & 0o001 == 0 { return false }
        }
        return true
    }

    private static func stableName(_ text: String) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return String(hash, radix: 16)
    }
}
