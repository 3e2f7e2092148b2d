import Logging
import Testing
import Weir
import WeirCore
import WeirRecord
import WeirTesting

let w0 = WriterID(0)

let orders = TableSchema(
    number: 0, version: 1, name: "orders",
    columns: [
        Column(name: "id", type: .int8, typeName: "bigint", isNullable: false, hasDefault: true),
        Column(name: "qty", type: .int4, typeName: "integer", isNullable: true, hasDefault: false),
    ], primaryKey: [0])

let customers = TableSchema(
    number: 1, version: 2, name: "customers",
    columns: [
        Column(name: "id", type: .int8, typeName: "bigint", isNullable: false, hasDefault: true)
    ], primaryKey: [0])

let catalog = Catalog([.found(orders), .found(customers)])

let quietLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

extension Coordinator {
    func submit(_ submission: Submission) -> Result<Ticket?, Failure> {
        submit(each: [(submission, RecordOrigin(.said("test")))])[0]
    }
}

/// A coordinator on a manual clock, whose writers do what the test says.
struct Stage: Sendable {
    let clock = ManualClock()
    let coordinator: Coordinator
    let writers: [ScriptedWriter]
    let inbox = Inbox()

    var writer: ScriptedWriter { writers[0] }

    /// Runs `body` with every writer connected and the catalog read.
    static func connected(
        writers: Int = 1, answersChecks: Bool = true, logger: Logger = quietLogger,
        _ change: (inout Machine.Configuration) -> Void = { _ in },
        _ body: (Stage) async throws -> Void
    ) async throws {
        try await run(
            writers: writers, answersChecks: answersChecks, logger: logger, change
        ) { stage in
            for writer in stage.writers { await stage.connect(writer) }
            // The first look at idle connections is due at once; the next one in a second.
            stage.clock.advance(by: .zero)
            try await body(stage)
        }
    }

    /// Runs `body` with writers that have not been told anything yet, and lets them go after it.
    static func run(
        writers: Int = 1, answersChecks: Bool = true, logger: Logger = quietLogger,
        _ change: (inout Machine.Configuration) -> Void = { _ in },
        _ body: (Stage) async throws -> Void
    ) async throws {
        let stage = Stage(writers: writers, answersChecks, logger, change)
        try await withThrowingDiscardingTaskGroup { tasks in
            for (number, writer) in stage.writers.enumerated() {
                tasks.addTask { await writer.run(WriterID(number), for: stage.coordinator) }
            }
            defer {
                stage.coordinator.stop()
                for writer in stage.writers { writer.close() }
                tasks.cancelAll()
            }
            try await body(stage)
        }
    }

    /// Its writers do nothing by themselves.
    init(
        writers: Int = 1, _ answersChecks: Bool = true, _ logger: Logger = quietLogger,
        _ change: (inout Machine.Configuration) -> Void = { _ in }
    ) {
        var configuration = Machine.Configuration()
        configuration.writersMax = writers
        configuration.batch.recordsMax = 4
        configuration.retry.attemptsMax = 3
        configuration.retry.delayMin = .milliseconds(10)
        configuration.retry.delayMax = .milliseconds(10)
        change(&configuration)
        coordinator = Coordinator(
            machine: configuration, time: clock, ids: IDGenerator(seed: 1),
            logger: logger)
        self.writers = (0..<writers).map { ScriptedWriter($0, answersChecks: answersChecks) }
    }

    /// Answers what a writer asks when it starts; the first one reads the catalog.
    func connect(_ writer: ScriptedWriter) async {
        expect(await writer.nextCall(), .connect)
        let connected = coordinator.figures().gauges.connections
        writer.reply(.connected)
        if connected == 0 && coordinator.catalogStore.catalog == nil {
            expect(await writer.nextCall(), .loadCatalog)
            writer.reply(.catalog(catalog))
        }
        await reached {
            coordinator.catalogStore.catalog != nil
                && coordinator.figures().gauges.connections == connected + 1
        }
    }

    /// Returns once `condition` holds, which the writers' threads see to, or the test is cancelled.
    func reached(_ condition: () -> Bool) async {
        while !condition() && !Task.isCancelled { await Task.yield() }
    }

    // MARK: Records

    func submission(
        _ index: Int, key: Int? = nil, in table: TableSchema = orders, id: String? = nil,
        qty: Int? = nil, timeout: Nanoseconds = .seconds(5), group: Int = 0, to inbox: Inbox? = nil
    ) -> Coordinator.Submission {
        var members: [String] = []
        if let key { members.append("\"id\":\(key)") }
        if let qty { members.append("\"qty\":\(qty)") }
        let json = "{\(members.joined(separator: ","))}"
        guard let record = try? Record.decoded(json, for: table, messageID: id) else {
            preconditionFailure("the test's own record is malformed: \(json)")
        }
        return Coordinator.Submission(
            record: record, waiter: inbox ?? self.inbox, index: index,
            deadline: clock.now + timeout, group: group)
    }

    /// Submits one record; the code with which it was refused, if it was.
    @discardableResult
    func submit(
        _ index: Int, key: Int? = nil, in table: TableSchema = orders, id: String? = nil,
        qty: Int? = nil, timeout: Nanoseconds = .seconds(5), to inbox: Inbox? = nil
    ) -> ProblemCode? {
        let submission = submission(
            index, key: key, in: table, id: id, qty: qty, timeout: timeout, to: inbox)
        switch coordinator.submit(submission) {
        case .success: return nil
        case .failure(let failure): return failure.code
        }
    }

    /// The batch that a writer has been handed, as the keys of its records.
    func nextBatch(_ writer: ScriptedWriter? = nil) async throws -> WriteBatch {
        let call = await (writer ?? self.writer).nextCall()
        return try #require(call.batch, "expected a batch and not \(call)")
    }
}

/// The kinds of two calls are the same.
func expect(
    _ call: ScriptedWriter.Call, _ kind: ScriptedWriter.Call,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(call.name == kind.name, sourceLocation: sourceLocation)
}

extension ScriptedWriter.Call {
    var name: String {
        switch self {
        case .connect: "connect"
        case .write: "write"
        case .isAlive: "isAlive"
        case .mayDiffer: "mayDiffer"
        case .loadCatalog: "loadCatalog"
        case .lookUp: "lookUp"
        case .over: "over"
        }
    }
}

extension WriteBatch {
    /// `{"id":1}` of each record, in order; empty where the database makes the key.
    var keys: [String] {
        records.map { record in
            var json: [UInt8] = []
            if record.hasKey { record.appendKeyJSON(to: &json) }
            return String(decoding: json, as: UTF8.self)
        }
    }
}

extension BatchReport {
    /// Every record did the same to its row.
    static func committed(_ count: Int, _ effect: RowEffect = .inserted) -> BatchReport {
        var report = BatchReport(.committed)
        report.results = Array(repeating: RowResult(effect), count: count)
        return report
    }

    /// The database refused a record.
    static func refused(culprit: Int? = nil) -> BatchReport {
        var report = BatchReport(.recordError(culprit: culprit))
        report.error = DatabaseError(
            code: .uniqueViolation, sqlstate: "23505", message: "duplicate key",
            constraint: "orders_pkey")
        return report
    }

    static func lost(_ outcome: BatchOutcome) -> BatchReport {
        var report = BatchReport(outcome)
        report.isConnected = false
        return report
    }
}
