import ArgumentParser
import Logging
import ServiceLifecycle
import UnixSignals
import Weir
import WeirAdmin
import WeirCore
import WeirHTTP
import WeirPostgres
import WeirRecord

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// `weir serve`: puts the parts together and runs them until a signal.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Run the gateway.",
        discussion: """
            EXAMPLES
              weir serve --embedded
              weir serve --embedded /var/tmp/demo
              weir serve --db postgres:///app --tables orders,customers
              weir serve --db "host=db dbname=app user=weir" --tables orders --connections 4
              PGSERVICE=app weir serve --tables orders --listen unix:/run/weir/api.sock

            A password comes from PGPASSFILE or PGPASSWORD, never from a flag. SIGTERM drains: what
            is queued is written and answered; a second one exits at once.
            """)

    @Option(help: "The database, as libpq takes it. Default: PG* variables and DATABASE_URL.")
    var db: String?

    @Flag(help: "Start a private PostgreSQL from the installed server binaries, with a demo table.")
    var embedded = false

    @Argument(
        help:
            "With --embedded: where the private PostgreSQL keeps its data. Default: .weir/postgres."
    )
    var directory: String?

    @Option(help: "Tables that may be written: name or schema.name, with commas between.")
    var tables: String?

    @Option(help: "The data API: host:port or unix:/path.")
    var listen = "127.0.0.1:8432"

    @Option(help: "Probes and metrics: host:port or unix:/path.")
    var admin = "127.0.0.1:8433"

    @Option(help: "Connections to the database. Default: derived from the server's limits.")
    var connections: Int?

    @Option(help: "Threads that serve HTTP.")
    var threads = 1

    @Option(help: "trace, debug, info, warning or error.")
    var logLevel = "info"

    func validate() throws {
        if let connections, !(1...1_000).contains(connections) {
            throw ValidationError("--connections takes a number from 1 to 1000")
        }
        guard (1...64).contains(threads) else {
            throw ValidationError("--threads takes a number from 1 to 64")
        }
        guard Logger.Level(rawValue: logLevel) != nil else {
            throw ValidationError("--log-level takes trace, debug, info, warning or error")
        }
        if directory != nil && !embedded {
            throw ValidationError("a folder goes with --embedded only")
        }
        if embedded && db != nil { throw ValidationError("--embedded brings its own --db") }
        guard embedded || tables != nil else {
            throw ValidationError("say which tables may be written: --tables orders,customers")
        }
    }

    func run() async throws {
        let signals = SignalExit()
        var logger = Logger(label: "weir") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = Logger.Level(rawValue: logLevel) ?? .info
        let server = embedded ? try await startEmbedded(logger) : nil
        do {
            try await serve(conninfo: server?.conninfo ?? db ?? "", logger)
        } catch {
            await server?.stop()
            throw error
        }
        await server?.stop()
        withExtendedLifetime(signals) {}
        logger.info("stopped")
    }

    private func startEmbedded(_ logger: Logger) async throws -> EmbeddedServer {
        do {
            let server = try await EmbeddedServer.start(
                .init(directory: directory ?? ".weir/postgres"))
            if tables == nil { try server.execute(Demo.sql) }
            logger.info("private PostgreSQL running", metadata: ["conninfo": "\(server.conninfo)"])
            return server
        } catch {
            complain("\(error)")
            throw ExitCode.unreachable
        }
    }

    private func serve(conninfo: String, _ logger: Logger) async throws {
        let names = try tableNames()
        let writers = try writerConfiguration(conninfo, names)
        var machine = Machine.Configuration()
        machine.writersMax = connections ?? ConnectionBudget.derivedMax
        machine.seed = UInt64.random(in: .min ... .max)
        let coordinator = Coordinator(machine: machine, time: SystemTime(), logger: logger)
        let pool = PostgresPool(
            writers, connections: connections, coordinator: coordinator, logger: logger)
        let data = try await DataServer(
            DataPlane(
                coordinator: coordinator, configuration: try dataConfiguration(), logger: logger),
            onListening: announce)
        let adminServer = AdminServer(
            coordinator: coordinator, address: try adminAddress(), version: weirVersion,
            logger: logger)

        // Shutdown runs from the last to the first: drain, let the connections go, then the probes.
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: adminServer), .init(service: pool),
                    .init(service: data, successTerminationBehavior: .gracefullyShutdownGroup),
                ],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet(logger)))
        do {
            try await group.run()
        } catch {
            complain("\(error)")
            throw ExitCode.failure
        }
    }

    private func quiet(_ logger: Logger) -> Logger {
        var quiet = logger
        quiet.logLevel = .warning
        return quiet
    }

    /// Says how to make a first write, once one can be made.
    private func announce(_ address: String) {
        guard embedded && tables == nil else { return }
        let target =
            address.hasPrefix("unix:")
            ? "--unix-socket \(address.dropFirst(5)) http://weir" : "http://\(address)"
        let text = """
            A first write:

              curl -X POST \(target)/v1/tables/\(Demo.table)/records \\
                -H 'Content-Type: application/json' -d '{"customer_id":7,"qty":2,"note":"hello"}'

            """
        // Not through a buffer: whoever reads a pipe waits for this line.
        let bytes = Array(text.utf8)
        _ = write(STDOUT_FILENO, bytes, bytes.count)
    }

    // MARK: Options

    private func tableNames() throws -> [TableName] {
        let texts = (tables ?? Demo.table).split(separator: ",").map { $0.filter { $0 != " " } }
        let names = texts.filter { !$0.isEmpty }.map { TableName(String($0)) }
        guard !names.isEmpty, Set(names).count == names.count else {
            throw ValidationError("--tables takes each table once, with commas between")
        }
        return names
    }

    private func writerConfiguration(
        _ conninfo: String, _ names: [TableName]
    ) throws -> PostgresWriter.Configuration {
        do {
            let info = try Conninfo(
                conninfo, statementTimeout: .seconds(10), lockTimeout: .seconds(2))
            return PostgresWriter.Configuration(conninfo: info, tables: names)
        } catch {
            complain("--db: \(error.reason)")
            throw ExitCode.configuration
        }
    }

    private func dataConfiguration() throws -> ServerConfiguration {
        guard let address = ServerConfiguration.Address(listen) else {
            throw ValidationError("--listen takes host:port or unix:/path")
        }
        var configuration = ServerConfiguration()
        configuration.address = address
        configuration.threads = threads
        configuration.version = weirVersion
        return configuration
    }

    private func adminAddress() throws -> AdminServer.Address {
        switch ServerConfiguration.Address(admin) {
        case .tcp(let host, let port)?: return .tcp(host: host, port: port)
        case .unix(let path)?: return .unix(path: path)
        case nil: throw ValidationError("--admin takes host:port or unix:/path")
        }
    }
}
