import Logging
import ServiceLifecycle
import Synchronization
import Testing
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

/// A private PostgreSQL in a temporary folder.
func withServer(_ body: (EmbeddedServer) async throws -> Void) async throws {
    let directory = "/tmp/weir-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    var configuration = EmbeddedServer.Configuration(directory: directory)
    configuration.isDurable = false
    let server = try await EmbeddedServer.start(configuration)
    let result: Result<Void, any Error>
    do {
        result = .success(try await body(server))
    } catch {
        result = .failure(error)
    }
    await server.remove()
    try result.get()
}

extension EmbeddedServer {
    /// For starting it again: fast, and forgetful only if the machine crashes.
    var testConfiguration: Configuration {
        var configuration = Configuration(directory: "")
        configuration.isDurable = false
        return configuration
    }
}

/// A whole gateway in this process, on ports of its own.
struct Gateway: Sendable {
    let port: Int
    let adminPort: Int
    let coordinator: Coordinator
    let policies: PolicyStore
    let shutdown: @Sendable () async -> Void

    func client() throws -> Client { try Client(port: port) }
    func adminClient() throws -> Client { try Client(port: adminPort) }
}

/// Something that becomes known once.
final class Promise<Value: Sendable>: Sendable {
    private enum State {
        case waiting([CheckedContinuation<Value, Never>])
        case known(Value)
    }
    private let state = Mutex(State.waiting([]))

    func fulfil(_ value: Value) {
        let waiters = state.withLock { state in
            defer { state = .known(value) }
            if case .waiting(let waiters) = state { return waiters }
            return []
        }
        for waiter in waiters { waiter.resume(returning: value) }
    }

    var value: Value {
        get async {
            await withCheckedContinuation { continuation in
                let known = state.withLock { state -> Value? in
                    switch state {
                    case .known(let value): return value
                    case .waiting(let waiters):
                        state = .waiting(waiters + [continuation])
                        return nil
                    }
                }
                if let known { continuation.resume(returning: known) }
            }
        }
    }
}

/// Runs `body` against a gateway, and shuts it down as SIGTERM would.
func withGateway(
    conninfo: String, tables: [String], policies: [String: TablePolicy] = [:],
    connections: Int? = 2,
    _ change: (inout ServerConfiguration) -> Void = { _ in },
    machine changeMachine: (inout Machine.Configuration) -> Void = { _ in },
    writers changeWriters: (inout PostgresWriter.Configuration) -> Void = { _ in },
    _ body: (Gateway) async throws -> Void
) async throws {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    var machine = Machine.Configuration()
    machine.writersMax = connections ?? ConnectionBudget.derivedMax
    changeMachine(&machine)
    let coordinator = Coordinator(machine: machine, time: SystemTime(), logger: logger)
    var configuration = ServerConfiguration()
    configuration.address = .tcp(host: "127.0.0.1", port: 0)
    configuration.version = "test"
    change(&configuration)
    let port = Promise<Int>()
    let adminPort = Promise<Int>()
    let data = try await DataServer(
        DataPlane(coordinator: coordinator, configuration: configuration, logger: logger),
        onListening: { port.fulfil(Int($0.split(separator: ":").last ?? "") ?? 0) })
    let admin = AdminServer(
        coordinator: coordinator, address: .tcp(host: "127.0.0.1", port: 0), version: "test",
        logger: logger, onRunning: { adminPort.fulfil($0 ?? 0) })
    let info = try Conninfo(conninfo, statementTimeout: .seconds(10), lockTimeout: .seconds(2))
    var writers = PostgresWriter.Configuration(
        conninfo: info, tables: tables.map { TableName($0) })
    writers.policies = PolicyStore(
        Dictionary(uniqueKeysWithValues: policies.map { (TableName($0), $1) }))
    changeWriters(&writers)
    let pool = PostgresPool(
        writers, connections: connections, coordinator: coordinator, logger: logger)
    let group = ServiceGroup(
        configuration: .init(
            services: [
                .init(service: admin), .init(service: pool),
                .init(service: data, successTerminationBehavior: .gracefullyShutdownGroup),
            ], logger: logger))
    try await withThrowingTaskGroup { tasks in
        tasks.addTask { try await group.run() }
        let gateway = Gateway(
            port: await port.value, adminPort: await adminPort.value, coordinator: coordinator,
            policies: writers.policies, shutdown: { await group.triggerGracefulShutdown() })
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(gateway))
        } catch {
            result = .failure(error)
        }
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
        try result.get()
    }
}

/// One cluster for all tests of a suite, each of which gets a database of its own.
struct ClusterTrait: SuiteTrait, TestScoping {
    @TaskLocal static var server: EmbeddedServer?

    @concurrent func provideScope(
        for test: Test, testCase: Test.Case?,
        performing function: @Sendable @concurrent () async throws -> Void
    ) async throws {
        try await withServer { server in
            try await Self.$server.withValue(server) { try await function() }
        }
    }
}

extension Trait where Self == ClusterTrait {
    static var cluster: ClusterTrait { ClusterTrait() }
}

/// A database of its own on the suite's cluster.
struct Database {
    let server: EmbeddedServer
    let conninfo: String

    init() throws {
        server = try #require(ClusterTrait.server, "the suite lacks the trait .cluster")
        let name = "t\(UInt64.random(in: 0 ... .max))"
        try server.execute("CREATE DATABASE \(name)")
        conninfo = server.conninfo + " dbname=\(name)"
    }

    func openSession() throws -> EmbeddedServer.OwnerSession {
        try EmbeddedServer.OwnerSession(conninfo)
    }
    func execute(_ sql: String) throws { try openSession().execute(sql) }
    func query(_ sql: String) throws -> [[String?]] { try openSession().query(sql) }
}

/// A database with one table of many kinds of columns, and a gateway before it.
func withOrders(
    _ change: (inout ServerConfiguration) -> Void = { _ in },
    machine: (inout Machine.Configuration) -> Void = { _ in },
    tables: [String] = ["orders", "lines"], policies: [String: TablePolicy] = [:],
    sql: String = ordersSQL,
    _ body: (Gateway, Database) async throws -> Void
) async throws {
    let database = try Database()
    try database.execute(sql)
    try await withGateway(
        conninfo: database.conninfo, tables: tables, policies: policies, change, machine: machine
    ) { gateway in
        try await body(gateway, database)
    }
}

let ordersSQL = """
    CREATE TABLE orders (
        id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
        qty integer NOT NULL DEFAULT 1 CONSTRAINT orders_qty_check CHECK (qty >= 0),
        note text, code varchar(5), price numeric(6,2), flag boolean,
        attributes jsonb NOT NULL DEFAULT '{}',
        doubled integer GENERATED ALWAYS AS (qty * 2) STORED);
    CREATE TABLE lines (
        order_id bigint NOT NULL REFERENCES orders, line integer NOT NULL, text text,
        PRIMARY KEY (order_id, line));
    """
