import Weir
import WeirCore
import WeirPostgres
import WeirRecord

// One mode of a run, from its table to its audit.
extension LoadRun {
    func measure(
        _ mode: Mode, _ desk: Desk, _ hand: Desk
    ) async throws -> (ModeResult, table: String, remarks: [String]) {
        let stage: Stage
        do {
            stage = try await prepare(desk, mode)
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

    private func measure(
        _ mode: Mode, _ stage: Stage, _ desk: Desk, _ hand: Desk
    ) async throws -> ModeResult {
        let job = Job(options.plan, stage.templates, loops: options.threads)
        control.begin(mode, job)
        defer { control.end() }
        let sent = try await send(mode, Calls(job, stage, desk, hand))
        // What the harness started has ended by now: its connections have handed in their counters,
        // and nothing more of it will be written.
        let after = try await desk.figures(settles: true)
        let own = await desk.transactions + hand.transactions - sent.ownBefore
        let measured = sent.measured
        var result = ModeResult(
            mode: mode, measured: measured,
            verdict: verdict(measured), rowsPerCall: options.plan.rowsPerCall,
            seconds: measured.spanSeconds(options.plan, isInterrupted: job.isInterrupted))
        result.connections = sent.connections
        result.killed = sent.killed
        // Backends of a gateway that goes on may keep their counters to themselves; its answers
        // say how many batches there were.
        let isExternal = mode == .gateway && options.gateway != nil
        result.transactions =
            isExternal
            ? Int(measured.total.batches.rounded())
            : max(0, after.transactions - sent.before.transactions - own)
        result.deadlocks = after.deadlocks - sent.before.deadlocks
        if let end = after.walBytes, let start = sent.before.walBytes {
            result.walBytes = end - start
        }
        if let end = after.processor, let start = sent.before.processor {
            result.databaseProcessor = Nanoseconds(end.count - start.count)
        }
        result.middleProcessor = sent.middleProcessor
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
}
