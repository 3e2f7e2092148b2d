import Logging
import ServiceLifecycle
import Testing
import Weir
import WeirAdmin
import WeirCore
import WeirHTTP
import WeirRecord
import WeirTesting

/// A gateway on real sockets whose database is the test: for answers that a database gives seldom.
struct ScriptedGateway: Sendable {
    let port: Int
    let adminPort: Int
    let coordinator: Coordinator
    let writer: ScriptedWriter

    func client() throws -> Client { try Client(port: port) }
    func adminClient() throws -> Client { try Client(port: adminPort) }

    /// The batch that the writer has been handed.
    func nextBatch() async throws -> WriteBatch {
        let call = await writer.nextCall()
        return try #require(call.batch, "expected a batch and not \(call)")
    }

    /// Sends one request, and answers the batch that it leads to.
    func request(
        _ method: String, _ target: String, _ body: String,
        headers: [String: String] = ["Content-Type": "application/json"],
        _ report: @Sendable (WriteBatch) -> BatchReport
    ) async throws -> Client.Response {
        let client = try client()
        async let response = client.request(method, target, body, headers: headers)
        writer.reply(.report(report(try await nextBatch())))
        return try await response
    }
}

/// `orders(id bigint default, qty integer)`.
let scriptedOrders = TableSchema(
    number: 0, version: 1, name: "orders",
    columns: [
        Column(name: "id", type: .int8, typeName: "bigint", isNullable: false, hasDefault: true),
        Column(name: "qty", type: .int4, typeName: "integer", isNullable: true, hasDefault: false),
    ], primaryKey: [0])

func withScriptedGateway(
    _ tables: [TableSchema] = [scriptedOrders],
    machine change: (inout Machine.Configuration) -> Void = { _ in }, threads: Int? = nil,
    logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
    _ body: (ScriptedGateway) async throws -> Void
) async throws {
    var machine = Machine.Configuration()
    machine.writersMax = 1
    change(&machine)
    let coordinator = Coordinator(
        machine: machine, time: SystemTime(), ids: IDGenerator(seed: 1), logger: logger)
    var configuration = ServerConfiguration()
    configuration.address = .tcp(host: "127.0.0.1", port: 0)
    configuration.version = "test"
    if let threads { configuration.threads = threads }
    let (port, adminPort) = (Promise<Int>(), Promise<Int>())
    let data = try await DataServer(
        DataPlane(coordinator: coordinator, configuration: configuration, logger: logger),
        onListening: { port.fulfil(Int($0.split(separator: ":").last ?? "") ?? 0) })
    let admin = AdminServer(
        coordinator: coordinator, address: .tcp(host: "127.0.0.1", port: 0), version: "test",
        logger: logger, onRunning: { adminPort.fulfil($0 ?? 0) })
    let group = ServiceGroup(
        configuration: .init(
            services: [
                .init(service: admin),
                .init(service: data, successTerminationBehavior: .gracefullyShutdownGroup),
            ], logger: logger))
    let writer = ScriptedWriter()
    coordinator.markStarted()
    try await withThrowingTaskGroup { tasks in
        tasks.addTask { await writer.run(WriterID(0), for: coordinator) }
        tasks.addTask { try await group.run() }
        #expect(await writer.nextCall().isConnect)
        writer.reply(.connected)
        _ = await writer.nextCall()
        writer.reply(.catalog(Catalog(tables.map { .found($0) })))
        while coordinator.catalogStore.catalog == nil { await Task.yield() }
        let gateway = ScriptedGateway(
            port: await port.value, adminPort: await adminPort.value, coordinator: coordinator,
            writer: writer)
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(gateway))
        } catch {
            result = .failure(error)
        }
        coordinator.stop()
        writer.close()
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
        try result.get()
    }
}

extension ScriptedWriter.Call {
    fileprivate var isConnect: Bool { if case .connect = self { true } else { false } }
}

extension BatchReport {
    static func committed(_ results: [RowResult]) -> BatchReport {
        var report = BatchReport(.committed)
        report.results = results
        return report
    }
}
