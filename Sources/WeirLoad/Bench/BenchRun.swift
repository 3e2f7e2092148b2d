import Weir
import WeirCore
package import WeirPostgres
package import WeirRecord

/// Carries a benchmark out against a database: sets the scratch table up, makes the visits that the
/// sweep asks for, and leaves nothing behind.
package struct BenchRun: Sendable {
    package struct Options: Sendable {
        package var plan: BenchPlan
        package var conninfo: Conninfo
        /// What the scratch table is to be like; `nil` for the harness's own.
        package var table: TableName?
        package var version = ""

        package init(plan: BenchPlan, conninfo: Conninfo) {
            self.plan = plan
            self.conninfo = conninfo
        }
    }

    package typealias Failure = LoadRun.Failure

    let options: Options
    let control: BenchControl

    package init(_ options: Options, control: BenchControl) {
        self.options = options
        self.control = control
    }

    /// Bytes of one transaction's records: `batch.max_bytes` has this default.
    private static let batchBytesMax = 4 << 20
    /// How much further a replica may fall behind.
    static let lagGrowthMax = 256 << 20

    /// - Returns: with what was measured before something went wrong, if anything was.
    /// - Throws: `Failure`. Nothing of the run is left in the database then either.
    package func run() async throws -> BenchReport {
        do {
            return try await prepareAndMeasure()
        } catch {
            throw LoadRun.failure(error, mayUseReal: false)
        }
    }

    private func prepareAndMeasure() async throws -> BenchReport {
        let name = "weir bench \(String(UInt32.random(in: .min ... .max), radix: 36))"
        let desk = try await open(name + " desk")
        let watch = try await BenchWatch(try await open(name + " watch"), name: name)
        var report = BenchReport(
            plan: options.plan, version: options.version,
            startedUnixSeconds: SystemTime().unixNanoseconds / 1_000_000_000)
        report.facts = try await ServerFacts.read(
            desk, watch, most: options.plan.connectionsMax)
        if let refusal = report.facts.refusal(foreignMax: options.plan.foreignMax) {
            throw Failure(.busy, refusal)
        }
        try checkInterrupt()
        let scratch = try await makeTable(desk, &report)
        do {
            try await measure(scratch, desk, watch, name, &report)
        } catch {
            await drop(scratch, desk)
            let failure = LoadRun.failure(error, mayUseReal: false)
            guard report.sweep?.visits.isEmpty == false else { throw failure }
            report.failure = failure
            report.conclude(isInterrupted: control.isInterrupted)
            return report
        }
        await drop(scratch, desk)
        report.conclude(isInterrupted: control.isInterrupted)
        return report
    }

    private func checkInterrupt() throws {
        guard !control.isInterrupted else {
            throw Failure(.failure, "interrupted before anything was measured")
        }
    }

    private func open(_ name: String) async throws -> Desk {
        do {
            return try await Desk(options.conninfo.named(name))
        } catch {
            let reason = (error as? ConnectFailure)?.reason ?? "\(error)"
            throw Failure(.unreachable, "the database cannot be reached: \(reason)")
        }
    }

    private func makeTable(_ desk: Desk, _ report: inout BenchReport) async throws -> ScratchTable {
        var model: TableSchema?
        if let name = options.table {
            guard let found = try await desk.table(name) else {
                throw Failure(.configuration, LoadRun.unknownTable(name))
            }
            model = found.schema
            report.table = found.schema.publicName
        }
        return try await ScratchTable.create(
            on: desk, like: model, number: Int32.random(in: .min ... .max), .bench)
    }

    /// Over another connection where the first one is gone: whoever ended it may have left the
    /// server alone.
    private func drop(_ scratch: ScratchTable, _ desk: Desk) async {
        if (try? await scratch.drop()) != nil { return }
        if let other = try? await open("weir bench") { try? await scratch.drop(on: other) }
    }

    private func measure(
        _ scratch: ScratchTable, _ desk: Desk, _ watch: BenchWatch, _ name: String,
        _ report: inout BenchReport
    ) async throws {
        guard let (schema, unique) = try await desk.table(scratch.name) else {
            throw Failure(.failure, "the scratch table cannot be seen")
        }
        let target = try Target(
            schema, marker: nil, columnsInUniqueIndexes: unique,
            nonce: UInt64.random(in: .min ... .max), needsKeys: false, isAudited: false)
        var records = LoadPlan(phases: [])
        records.seed = options.plan.seed
        let supply = try RecordSupply(try Templates(target, records))
        report.recordBytes = supply.recordBytes
        var plan = options.plan
        plan.rowsMax = max(
            BenchPlan.rowsRange.lowerBound,
            min(plan.rowsMax, Self.batchBytesMax / max(supply.recordBytes, 1)))
        var sweep = Sweep(plan, connectionsMax: report.facts.connections)
        report.sweep = sweep
        let writers = try await connect(sweep.most, scratch.name, name)
        defer { _ = writers }
        try checkInterrupt()

        let time = SystemTime()
        let begun = time.now
        let first = try await watch.gauges()
        var last = first
        while !control.isInterrupted {
            let elapsed = (time.now - begun).seconds
            report.seconds = elapsed
            report.walBytes = last.walBytes - first.walBytes
            if let ending = ending(report, last.lagBytes - first.lagBytes) {
                report.ending = ending
                return
            }
            guard let step = sweep.next(elapsed: elapsed) else { break }
            let visiting = Visiting(
                step: step, variedRows: step.variesRows ? sweep.heldRows(step.cell) : nil,
                writers: Array(writers.prefix(step.cell.connections)), supply: supply,
                scratch: scratch, watch: watch, control: control,
                seed: mixed(plan.seed, UInt64(sweep.visits.count)))
            let progress = BenchControl.Progress(
                phase: step.phase, cell: step.cell, rate: sweep.visits.last?.rate ?? 0,
                elapsed: elapsed, seconds: plan.seconds)
            let before = last
            guard let made = try await visiting.make(at: elapsed, progress) else { break }
            last = try await watch.gauges()
            var visit = made.visit
            visit.walBytes = last.walBytes - before.walBytes
            visit.hadCheckpoint = last.checkpoints > before.checkpoints
            report.repeated += made.repeated
            sweep.take(visit, of: step, log: made.log)
            report.sweep = sweep
        }
        report.sweep = sweep
        report.seconds = (time.now - begun).seconds
        report.walBytes = last.walBytes - first.walBytes
    }

    /// Why it must end before its time, if so.
    private func ending(_ report: BenchReport, _ lagGrowth: Int) -> String? {
        let plan = options.plan
        if report.walBytes > plan.walBytesMax {
            return "it had written \(report.walBytes >> 20) MiB of WAL: more than --max-wal allows"
        }
        if lagGrowth > Self.lagGrowthMax {
            return "a replica fell \(lagGrowth >> 20) MiB further behind"
        }
        let secondsMax = plan.seconds * BenchReport.secondsMaxFactor + 30
        if report.seconds > secondsMax {
            return "it had taken \(Int(report.seconds)) s: batches take too long to be counted; "
                + "say a longer -z"
        }
        return nil
    }

    private func connect(
        _ count: Int, _ table: TableName, _ name: String
    ) async throws -> [PostgresWriter] {
        var configuration = PostgresWriter.Configuration(
            conninfo: options.conninfo.named(name), tables: [table])
        configuration.connectTimeout = .seconds(10)
        let writers = (0..<count).map { PostgresWriter(configuration, number: $0) }
        for (number, writer) in writers.enumerated() {
            do {
                try await writer.connect()
            } catch {
                throw Failure(
                    .unreachable,
                    "connection \(number + 1) of \(count) was refused: \(error.reason); lower "
                        + "--max-connections")
            }
        }
        return writers
    }
}
