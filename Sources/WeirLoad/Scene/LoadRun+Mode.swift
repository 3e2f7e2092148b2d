import Weir
import WeirCore
import WeirPostgres
import WeirRecord

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

// One mode of a run, from its table to its audit.
extension LoadRun {
    func measure(
        _ mode: Mode, _ desk: Desk, _ hand: Desk
    ) async throws -> (ModeResult, table: String, remarks: [String]) {
        let stage: Stage
        do {
            stage = try await prepare(desk)
        } catch {
            throw Self.failure(error)
        }
        do {
            let result = try await measure(mode, stage, desk, hand)
            try await clear(stage, desk)
            return (result, stage.target.schema.publicName, stage.remarks)
        } catch {
            try? await clear(stage, desk)
            throw Self.failure(error)
        }
    }

    // MARK: Sending

    private func measure(
        _ mode: Mode, _ stage: Stage, _ desk: Desk, _ hand: Desk
    ) async throws -> ModeResult {
        switch mode {
        case .gateway:
            if let address = options.gateway {
                try await checkExposed(address, stage.target.schema.publicName)
                return try await measure(mode, stage, desk, hand, process: nil) { job in
                    try await GatewayDriver(address, connectionsMax: options.connectionsMax).run(
                        job)
                }
            }
            return try await withFolder { folder in
                let table = stage.target.schema.publicName
                let process = GatewayProcess(
                    executable: options.executable,
                    arguments: ["--db", options.database, "--tables", table]
                        + options.gatewayArguments, folder: folder)
                return try await process.run(exposing: table) { address, id in
                    try await measure(mode, stage, desk, hand, process: id) { job in
                        try await GatewayDriver(address, connectionsMax: options.connectionsMax)
                            .run(job)
                    }
                }
            }
        case .direct:
            let driver = DatabaseDriver(options.conninfo, .perCall)
            return try await measure(mode, stage, desk, hand, process: nil) { job in
                try await driver.run(job)
            }
        case .pool:
            let driver = DatabaseDriver(options.conninfo, .pool(options.poolSize))
            return try await measure(mode, stage, desk, hand, process: nil) { job in
                try await driver.run(job)
            }
        case .pgbouncer: return try await measurePooler(stage, desk, hand)
        }
    }

    private func measurePooler(
        _ stage: Stage, _ desk: Desk, _ hand: Desk
    ) async throws -> ModeResult {
        @Sendable func driver(_ text: String) throws -> DatabaseDriver {
            DatabaseDriver(
                try Conninfo(text, statementTimeout: .seconds(10), lockTimeout: .seconds(10)),
                .perCall)
        }
        if let pooler = options.pooler {
            let driver = try driver(pooler)
            return try await measure(.pgbouncer, stage, desk, hand, process: nil) { job in
                try await driver.run(job)
            }
        }
        return try await withFolder { folder in
            let server = await desk.destination
            guard
                let pooler = PgBouncer(
                    folder: folder, server: server, poolSize: options.poolSize)
            else {
                throw Failure(
                    .configuration,
                    "PgBouncer is not installed here (apt-get install pgbouncer); name one that "
                        + "runs with --pooler, or leave pgbouncer out of --compare")
            }
            return try await pooler.run { conninfo, process in
                let driver = try driver(conninfo)
                return try await measure(.pgbouncer, stage, desk, hand, process: process) { job in
                    try await driver.run(job)
                }
            }
        }
    }

    private func checkExposed(_ address: ListenAddress, _ table: String) async throws {
        let answer: (status: Int, body: String)
        do {
            answer = try await GatewayProbe.get(address, "/v1/tables/\(percentEncoded(table))")
        } catch {
            throw Failure(.unreachable, "no gateway answers at \(address.text): \(error)")
        }
        guard answer.status == 200 else {
            throw Failure(
                .configuration,
                "the gateway at \(address.text) does not expose \(table) (status \(answer.status))")
        }
    }

    private func withFolder<Value>(_ body: (String) async throws -> Value) async throws -> Value {
        var template = Array("/tmp/weir-load-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw Failure(.failure, "no folder can be made below /tmp")
        }
        let folder = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            for name in [
                "gateway.sock", "admin.sock", "gateway.log", "pgbouncer.ini",
                "pgbouncer.log", "pgbouncer.pid", ".s.PGSQL.6432", ".s.PGSQL.6432.lock",
            ] {
                unlink(folder + "/" + name)
            }
            rmdir(folder)
        }
        return try await body(folder)
    }

    // MARK: Measuring

    private func measure(
        _ mode: Mode, _ stage: Stage, _ desk: Desk, _ hand: Desk, process: Int32?,
        _ drive: @escaping @Sendable (Job) async throws -> Measured
    ) async throws -> ModeResult {
        let job = Job(options.plan, stage.templates, loops: options.threads)
        control.begin(mode, job)
        defer { control.end() }
        let before = try await desk.figures()
        let ownBefore = await desk.transactions + hand.transactions
        let middleBefore = process.flatMap(ProcessTimes.process)
        let (measured, connections, killed) = try await send(job, stage, desk, hand, drive)
        let middle = process.flatMap(ProcessTimes.process)
        let after = try await desk.figures(settles: true)
        let own = await desk.transactions + hand.transactions - ownBefore
        let isExternal = mode == .gateway && options.gateway != nil
        var result = ModeResult(
            mode: mode, measured: measured,
            verdict: verdict(measured), rowsPerCall: options.plan.rowsPerCall,
            seconds: measured.spanSeconds(options.plan, isInterrupted: job.isInterrupted))
        result.connections = connections
        result.killed = killed
        // Backends of a gateway that goes on may keep their counters to themselves; its answers
        // say how many batches there were.
        result.transactions =
            isExternal
            ? Int(measured.total.batches.rounded())
            : max(0, after.transactions - before.transactions - own)
        result.deadlocks = after.deadlocks - before.deadlocks
        if let end = after.walBytes, let start = before.walBytes { result.walBytes = end - start }
        if let end = after.processor, let start = before.processor {
            result.databaseProcessor = Nanoseconds(end.count - start.count)
        }
        if let middle, let middleBefore {
            result.middleProcessor = Nanoseconds(middle.count - middleBefore.count)
        }
        result.recovery = recovery(measured)
        do {
            var ledger = measured.ledger
            try await AuditReader(desk, stage.templates, stage.scratch).read(into: &ledger)
            result.audit = ledger.result
        } catch {
            result.auditFailure = Self.failure(error).reason
        }
        return result
    }

    private func verdict(_ measured: Measured) -> RunVerdict {
        let total = measured.total
        return RunVerdict(
            .init(
                isClosed: options.plan.isClosed, lagP99: total.latency.lag.span(atPercentile: 99),
                responseP50: total.latency.response.span(atPercentile: 50),
                waitedForConnection: total.waitedForConnection, calls: total.calls,
                processorShare: measured.processorShare,
                unsent: control.isInterrupted ? 0 : measured.unsent))
    }

    /// From the start of the last recovery: until p99 is at most 1.2 times that of the first
    /// phase, and nothing fails.
    private func recovery(_ measured: Measured) -> ModeResult.Recovery? {
        let phases = options.plan.phases
        guard let last = phases.lastIndex(where: { $0.shape == .recover }), last > 0,
            let steady = measured.tallies[0].latency.response.span(atPercentile: 99)
        else { return nil }
        let start = phases[..<last].reduce(Int64(0)) { $0 + $1.duration.count }
        let limit = Nanoseconds(Int64(Double(steady.count) * 1.2))
        guard let span = measured.series.recovery(after: Nanoseconds(start), limit: limit) else {
            return .never
        }
        return .after(span)
    }

    /// Drives the job while the connections are watched and the phases' disturbances happen.
    private func send(
        _ job: Job, _ stage: Stage, _ desk: Desk, _ hand: Desk,
        _ drive: @escaping @Sendable (Job) async throws -> Measured
    ) async throws -> (Measured, connections: [Int], killed: Int) {
        enum Part: Sendable {
            case measured(Measured)
            case connections([Int])
            case killed(Int)
        }
        return try await withThrowingTaskGroup(of: Part.self) { group in
            group.addTask { .measured(try await drive(job)) }
            group.addTask { .connections(await Self.watch(job, desk)) }
            group.addTask { .killed(await Disturbance(job, stage.scratch, hand).run()) }
            var measured: Measured?
            var (connections, killed): ([Int], Int) = ([], 0)
            for try await part in group {
                switch part {
                case .measured(let value):
                    measured = value
                    group.cancelAll()
                case .connections(let value): connections = value
                case .killed(let value): killed = value
                }
            }
            guard let measured else { preconditionFailure("driving ends with figures or throws") }
            return (measured, connections, killed)
        }
    }

    private static func watch(_ job: Job, _ desk: Desk) async -> [Int] {
        var counts: [Int] = []
        while !Task.isCancelled {
            if job.hasBegun {
                counts.append(await desk.connections())
            }
            let wait = job.hasBegun ? ModeResult.connectionsEvery.count : 5_000_000
            try? await Task.sleep(for: .nanoseconds(wait))
        }
        return counts
    }
}
