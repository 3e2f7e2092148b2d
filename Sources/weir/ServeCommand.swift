import ArgumentParser
import Logging
import ServiceLifecycle
import UnixSignals
import Weir
import WeirAdmin
import WeirConfig
import WeirCore
import WeirHTTP
import WeirPostgres

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
              weir serve --db postgres:///app --tables orders --migrate
              weir serve --db postgres:///app --tables orders --replay-window off
              weir serve --config weir.yaml
              weir serve --config weir.yaml --tables orders --print-config
              weir serve --db "host=db dbname=app user=weir" --tables orders --connections 4
              PGSERVICE=app weir serve --tables orders --listen unix:/run/weir/api.sock

            Flags overrule WEIR_… variables, those the file, the file the defaults; --tables says
            which tables are exposed, and the file what may be done with them.

            A password comes from PGPASSFILE, PGPASSWORD or the file's database.password_file, never
            from a flag. SIGTERM drains: what is queued is written and answered; a second one exits
            at once.
            """)

    @Option(help: "The configuration file (YAML). Default: WEIR_CONFIG, else none.")
    var config: String?

    @Flag(help: "Print the effective configuration with each value's source, and exit.")
    var printConfig = false

    @Option(help: "The database, as libpq takes it. Default: PG* variables and DATABASE_URL.")
    var db: String?

    @Flag(help: "Start a private PostgreSQL from the installed server binaries, with a demo table.")
    var embedded = false

    @Argument(
        help:
            "With --embedded: where the private PostgreSQL keeps its data. Default: .weir/postgres."
    )
    var directory: String?

    @Option(
        help: """
            Tables that may be written: name or schema.name, with commas between. Default: the \
            configuration's.
            """)
    var tables: String?

    @Option(help: "The data API: host:port or unix:/path. Default: 127.0.0.1:8432.")
    var listen: String?

    @Option(help: "Probes and metrics: host:port or unix:/path. Default: 127.0.0.1:8433.")
    var admin: String?

    @Option(help: "Connections to the database. Default: derived from the server's limits.")
    var connections: String?

    @Option(help: "How long message IDs are remembered, at least: 24h, 7d, off. Default: 7d.")
    var replayWindow: String?

    @Flag(help: "First create or update the gateway's own tables, as weir migrate does.")
    var migrate = false

    @Option(help: "Threads that serve HTTP. Default: 1.")
    var threads: String?

    @Option(help: "trace, debug, info, notice, warning, error or critical. Default: info.")
    var logLevel: String?

    func validate() throws {
        if directory != nil && !embedded {
            throw ValidationError("a folder goes with --embedded only")
        }
        if embedded && db != nil { throw ValidationError("--embedded brings its own --db") }
    }

    func run() async throws {
        let source = configurationSource()
        let effective = try loadConfiguration(source)
        if printConfig { return print(effective.yaml, terminator: "") }
        let configuration = effective.configuration
        let signals = SignalExit()
        let level = LogLevel(configuration.logLevel)
        let logger = level.makeLogger(label: "weir")
        let isDemo = configuration.tables.isEmpty
        let server = embedded ? try await startEmbedded(isDemo: isDemo, logger) : nil
        do {
            try await serve(source, effective, server?.conninfo, level, logger)
        } catch {
            await server?.stop()
            throw error
        }
        await server?.stop()
        withExtendedLifetime(signals) {}
        logger.info("stopped")
    }

    private func startEmbedded(
        isDemo: Bool, _ logger: Logger
    ) async throws -> EmbeddedServer {
        do {
            let server = try await EmbeddedServer.start(
                .init(directory: directory ?? ".weir/postgres"))
            if isDemo { try server.execute(Demo.sql) }
            logger.info("private PostgreSQL running", metadata: ["conninfo": "\(server.conninfo)"])
            return server
        } catch {
            complain("\(error)")
            throw ExitCode.unreachable
        }
    }

    /// - Parameter conninfo: of the private server.
    private func serve(
        _ source: ConfigurationSource, _ effective: EffectiveConfiguration, _ conninfo: String?,
        _ level: LogLevel, _ logger: Logger
    ) async throws {
        let configuration = effective.configuration
        let writers = try writerConfiguration(effective, conninfo)
        try await prepareSchema(writers, isOwner: conninfo != nil, logger)
        var machine = Machine.Configuration(
            configuration, writersMax: ConnectionBudget.derivedMax)
        machine.seed = UInt64.random(in: .min ... .max)
        let coordinator = Coordinator(
            machine: machine, time: SystemTime(),
            replayRecordsMax: configuration.replay.memoryRecords, name: writers.origin,
            logger: logger)
        let pool = PostgresPool(
            writers, connections: configuration.database.connections, coordinator: coordinator,
            logger: logger)
        let isDemo = configuration.tables.isEmpty
        let data = try await DataServer(
            DataPlane(
                coordinator: coordinator,
                configuration: ServerConfiguration(configuration, version: weirVersion),
                logger: logger),
            onListening: { if isDemo { announce($0) } })
        let reloader = Reloader(
            effective,
            read: { () throws(ConfigurationError) in try source.read() }, level: level,
            policies: writers.policies, coordinator: coordinator, logger: logger)
        let adminServer = AdminServer(
            coordinator: coordinator, address: configuration.listen.admin, version: weirVersion,
            configuration: { reloader.json }, configurationHash: { reloader.hash },
            reload: { reloader.reload() },
            recordByteCountMax: configuration.limits.recordBytes, logger: logger)
        let hangUp = HangUp { _ = reloader.reload() }
        defer { withExtendedLifetime(hangUp) {} }

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
}
