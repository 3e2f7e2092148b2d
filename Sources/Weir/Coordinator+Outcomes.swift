import WeirCore
import WeirRecord

// The end of an attempt.
extension Coordinator.State {
    /// Tells the core how an attempt ended, and keeps what it will be asked about later.
    mutating func finished(
        _ writer: WriterID, _ batch: WriteBatch, _ report: BatchReport, now: Timestamp,
        _ actions: inout Coordinator.Actions
    ) -> Effects {
        var report = report
        if connections.isOutdated(writer) { doubt(&report, of: batch) }
        metrics.count(report, of: batch)
        inline.note(report, of: batch)
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
        if batch.work == .deadLetter { actions.refusal = batch.refusal }
        if !report.isConnected { loseConnection() }
        let effects = machine.finished(
            writer, outcome, suspect: report.suspect,
            repetitions: outcome == .committed ? report.repetitions(of: batch) : [],
            isConnected: report.isConnected, now: now)
        writeLate(writer, outcome, effects, now: now, &actions)
        return effects
    }

    /// The writer's connection leads to a server that has been replaced, as far as others have
    /// found: what it committed may be missing from the database that they write, and what it
    /// found out may be true of that server alone. So somebody else has to find out.
    private func doubt(_ report: inout BatchReport, of batch: WriteBatch) {
        let counts = batch.work == .resolve || report.outcome == .committed
        guard counts else { return }
        if report.outcome == .committed { report.unresolved?.results = report.results }
        report.outcome = .unknown
        report.unresolved = report.unresolved ?? batch.unresolved
        report.results = []
    }

    /// What an inquiry brought. The attempt that had committed is the one that callers are told.
    private mutating func learn(
        _ report: inout BatchReport, _ batch: WriteBatch, _ id: inout UUID7
    ) -> BatchOutcome {
        guard let finding = report.finding else { return .unresolved }
        guard let known = unresolved.removeValue(forKey: batch.number) else {
            preconditionFailure("only what is unresolved is found out")
        }
        guard finding == .committed else { return report.outcome }
        id = known.id
        if report.results.isEmpty { report.results = known.results }
        return .committed
    }
}

extension BatchReport {
    /// Positions of records that the batch found written before, and did not write.
    fileprivate func repetitions(of batch: WriteBatch) -> [Int] {
        // Only a message ID can have been seen before.
        if batch.messages.isEmpty { return [] }
        return results.indices.filter {
            results[$0].effect == .replayed || results[$0].effect == .messageIDReused
        }
    }
}
