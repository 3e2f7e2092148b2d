import WeirCore
import WeirRecord

// The end of an attempt.
extension Coordinator.State {
    /// Tells the core how an attempt ended, and keeps what it will be asked about later.
    mutating func finished(
        _ writer: WriterID, _ batch: WriteBatch, _ report: BatchReport, now: Timestamp,
        _ actions: inout Coordinator.Actions
    ) -> Effects {
        metrics.count(report, of: batch)
        var report = report
        var id = batch.id
        var outcome = report.outcome
        if batch.work == .resolve {
            outcome = learn(&report, batch, &id)
        } else if outcome == .unknown, let found = report.unresolved {
            unresolved[batch.number] = found
            outcome = .unresolved
        }
        actions.receipt = BatchReceipt(
            id: id, recordCount: batch.records.count, assignedAt: assignedAt[writer.number],
            finishedAt: now, databaseTime: report.databaseTime, refusal: batch.refusal)
        actions.report = report
        actions.isRemembered = epochs[writer.number] == windowEpoch
        if !report.isConnected { window.suspend() }
        let effects = machine.finished(
            writer, outcome, isConnected: report.isConnected, now: now)
        writeLate(writer, outcome, effects, now: now, &actions)
        return effects
    }

    /// What an inquiry brought. The attempt that had committed is the one that callers are told.
    private mutating func learn(
        _ report: inout BatchReport, _ batch: WriteBatch, _ id: inout UUID7
    ) -> BatchOutcome {
        if report.isCertainlyLost {
            unresolved[batch.number] = nil
            return report.outcome
        }
        guard report.outcome == .committed else { return .unresolved }
        guard let known = unresolved.removeValue(forKey: batch.number) else {
            preconditionFailure("only what is unresolved is found out")
        }
        id = known.id
        if report.results.isEmpty { report.results = known.results }
        return .committed
    }
}
