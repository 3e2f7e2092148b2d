import Weir
import WeirCore
import WeirPostgres
import WeirRecord

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

// The calls of one mode, with what has to run beside them.
extension LoadRun {
    /// What the calls are made with.
    struct Calls: Sendable {
        let job: Job
        let stage: Stage
        let desk: Desk
        let hand: Desk

        init(_ job: Job, _ stage: Stage, _ desk: Desk, _ hand: Desk) {
            self.job = job
            self.stage = stage
            self.desk = desk
            self.hand = hand
        }
    }

    /// What they came to, and what the server had counted before them.
    struct Sent: Sendable {
        var before: Desk.Figures
        /// Transactions of the harness's own until then.
        var ownBefore: Int
        var measured: Measured
        var connections: [Int]
        var killed: Int
        var middleProcessor: Nanoseconds?
    }

    func send(_ mode: Mode, _ calls: Calls) async throws -> Sent {
        switch mode {
        case .direct:
            let driver = DatabaseDriver(options.conninfo, .perCall)
            return try await send(calls) { job in try await driver.run(job) }
        case .pool:
            let driver = DatabaseDriver(options.conninfo, .pool(options.poolSize))
            return try await send(calls) { job in try await driver.run(job) }
        case .pgbouncer: return try await sendThroughPooler(calls)
        case .gateway: return try await sendThroughGateway(calls)
        }
    }

    private func sendThroughGateway(_ calls: Calls) async throws -> Sent {
        let most = options.connectionsMax
        let table = calls.stage.target.schema.publicName
        if let address = options.gateway {
            try await checkExposed(address, table)
            return try await send(calls) { job in
                try await GatewayDriver(address, connectionsMax: most).run(job)
            }
        }
        return try await withFolder { folder in
            let process = GatewayProcess(
                executable: options.executable,
                arguments: ["--db", options.database, "--tables", table]
                    + calls.stage.gatewayArguments, folder: folder)
            return try await process.run(exposing: table) { address, id in
                try await send(calls, process: id) { job in
                    try await GatewayDriver(address, connectionsMax: most).run(job)
                }
            }
        }
    }

    private func sendThroughPooler(_ calls: Calls) async throws -> Sent {
        @Sendable func driver(_ text: String) throws -> DatabaseDriver {
            DatabaseDriver(
                try Conninfo(text, statementTimeout: .seconds(10), lockTimeout: .seconds(10)),
                .perCall)
        }
        if let pooler = options.pooler {
            let driver = try driver(pooler)
            return try await send(calls) { job in try await driver.run(job) }
        }
        return try await withFolder { folder in
            let server = await calls.desk.destination
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
                return try await send(calls, process: process) { job in
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

    /// Drives the job while the connections are watched and the phases' disturbances happen.
    ///
    /// - Parameter process: of what stands between, where the harness started it.
    private func send(
        _ calls: Calls, process: Int32? = nil,
        _ drive: @escaping @Sendable (Job) async throws -> Measured
    ) async throws -> Sent {
        enum Part: Sendable {
            case measured(Measured, Nanoseconds?)
            case connections([Int])
            case killed(Int)
        }
        let job = calls.job
        let before = try await calls.desk.figures()
        let ownBefore = await calls.desk.transactions + calls.hand.transactions
        return try await withThrowingTaskGroup(of: Part.self) { group in
            group.addTask {
                let start = process.flatMap(ProcessTimes.process)
                let measured = try await drive(job)
                let end = process.flatMap(ProcessTimes.process)
                let used = start.flatMap { start in
                    end.map { Nanoseconds($0.count - start.count) }
                }
                return .measured(measured, used)
            }
            group.addTask { .connections(await Self.watch(job, calls.desk)) }
            group.addTask {
                .killed(await Disturbance(job, calls.stage.scratch, calls.hand).run())
            }
            var measured: (Measured, Nanoseconds?)?
            var (connections, killed): ([Int], Int) = ([], 0)
            for try await part in group {
                switch part {
                case .measured(let value, let used):
                    measured = (value, used)
                    group.cancelAll()
                case .connections(let value): connections = value
                case .killed(let value): killed = value
                }
            }
            guard let measured else { preconditionFailure("driving ends with figures or throws") }
            return Sent(
                before: before, ownBefore: ownBefore, measured: measured.0,
                connections: connections, killed: killed, middleProcessor: measured.1)
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
