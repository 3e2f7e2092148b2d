import Subprocess
import SystemPackage
import Weir

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A PgBouncer in transaction mode for one measurement, on a socket in a folder of ours.
struct PgBouncer: Sendable {
    /// What it connects to; found out from a connection that stands.
    struct Server: Sendable {
        var host: String
        var port: String
        var database: String
        var user: String
        var password: String
    }

    private let program: String
    let folder: String
    private let server: Server
    private let poolSize: Int
    private static let port = 6_432

    /// - Returns: `nil` where PgBouncer is not installed.
    init?(folder: String, server: Server, poolSize: Int) {
        let places = ["/usr/sbin", "/usr/bin", "/opt/homebrew/bin", "/usr/local/bin"]
        guard let place = places.first(where: { access($0 + "/pgbouncer", X_OK) == 0 }) else {
            return nil
        }
        program = place + "/pgbouncer"
        self.folder = folder
        self.server = server
        self.poolSize = poolSize
    }

    var conninfo: String {
        "host=\(folder) port=\(Self.port) dbname=weir_load user=\(Self.quoted(server.user))"
    }

    /// In libpq's and PgBouncer's connection strings.
    private static func quoted(_ text: String) -> String {
        "'" + text.replacing("\\", with: "\\\\").replacing("'", with: "\\'") + "'"
    }

    /// Names and passwords in pgbouncer.ini double their quotes.
    private static func quotedForFile(_ text: String) -> String {
        "'" + text.replacing("'", with: "''") + "'"
    }

    private var configuration: String {
        var target = "host=\(Self.quotedForFile(server.host)) port=\(server.port)"
        target += " dbname=\(Self.quotedForFile(server.database))"
        target += " user=\(Self.quotedForFile(server.user))"
        if !server.password.isEmpty {
            target += " password=\(Self.quotedForFile(server.password))"
        }
        return """
            [databases]
            weir_load = \(target)
            [pgbouncer]
            listen_addr =
            unix_socket_dir = \(folder)
            listen_port = \(Self.port)
            auth_type = any
            pool_mode = transaction
            default_pool_size = \(poolSize)
            max_client_conn = 60000
            ignore_startup_parameters = options,extra_float_digits
            logfile = \(folder)/pgbouncer.log
            pidfile = \(folder)/pgbouncer.pid

            """
    }

    /// Runs it while `body` runs.
    func run<Value: Sendable>(
        _ body: (String, Int32) async throws -> Value
    ) async throws -> Value {
        let file = folder + "/pgbouncer.ini"
        let ini = try FileDescriptor.open(
            FilePath(file), .writeOnly, options: [.create, .truncate], permissions: .ownerReadWrite)
        try ini.closeAfter { _ = try ini.writeAll(configuration.utf8) }
        var words = [file]
        if geteuid() == 0 {
            // As PostgreSQL, it refuses to run as root.
            // getpwnam answers in one place: the second question would overwrite the first answer.
            let names: [String] = ["postgres", "nobody"]
            guard let name = names.first(where: { getpwnam($0) != nil }),
                let account = getpwnam(name)
            else {
                throw LoadRun.Failure(
                    .failure, "PgBouncer does not run as root, and there is no other account")
            }
            chown(folder, account.pointee.pw_uid, account.pointee.pw_gid)
            chown(file, account.pointee.pw_uid, account.pointee.pw_gid)
            words = ["-u", name, file]
        }
        var options = PlatformOptions()
        options.processGroupID = 0
        let outcome = try await Subprocess.run(
            .path(FilePath(program)), arguments: Arguments(["-q"] + words),
            platformOptions: options,
            input: .none, output: .discarded, error: .discarded
        ) { execution -> Result<Value, any Error> in
            let process = execution.processIdentifier.value
            let result: Result<Value, any Error>
            do {
                try await waitUntilReady(process)
                result = .success(try await body(conninfo, process))
            } catch {
                result = .failure(error)
            }
            await execution.teardown(using: [
                .send(signal: .interrupt, allowedDurationToNextStep: .seconds(3))
            ])
            return result
        }
        return try outcome.closureResult.get()
    }

    private func waitUntilReady(_ process: Int32) async throws {
        for _ in 0..<100 {
            if access("\(folder)/.s.PGSQL.\(Self.port)", F_OK) == 0 { return }
            if kill(process, 0) != 0 { break }
            try await Task.sleep(for: .milliseconds(50))
        }
        let log = (try? SmallFile.read(folder + "/pgbouncer.log", byteCountMax: 1 << 20)) ?? []
        let last = String(decoding: log, as: UTF8.self).split(separator: "\n").suffix(3)
        throw LoadRun.Failure(
            .failure, "PgBouncer did not start:\n  " + last.joined(separator: "\n  "))
    }
}
