import Weir
import WeirCore
import WeirRecord

// What an attempt comes to.
extension BatchTransaction {
    var committed: BatchReport {
        var report = BatchReport(.committed)
        report.results = results
        return report
    }

    /// A record whose row did not come about, where that must not be committed.
    func findFailure() -> BatchReport? {
        for (position, result) in results.enumerated() where result.effect == .notFound {
            let record = batch.records[position]
            // A dead letter whose record met no row is not to go.
            let isMember =
                record.redriven != nil || batch.groups.contains { $0.contains(position) }
            let lacked = record.lackedColumn
            let isDropped =
                lacked == nil
                && (record.options.operation == .insert || record.options.operation == .upsert)
            guard isMember || isDropped else { continue }
            // Of rows that were inserted by one statement nobody says which one is missing.
            let isNamed =
                !isDropped
                || steps.contains { $0.plan.positions == [position] }
            var report = BatchReport(.recordError(culprit: isNamed ? position : nil))
            report.error =
                isDropped
                ? DatabaseError(
                    code: .triggerException, sqlstate: "",
                    message: "a trigger or rule of the table kept the row from being written")
                : lacked.map(Self.notNull)
                    ?? DatabaseError(
                        code: .recordNotFound, sqlstate: "02000", message: "no row has this key")
            return report
        }
        return nil
    }

    private static func notNull(_ column: Column) -> DatabaseError {
        DatabaseError(
            code: .notNullViolation, sqlstate: "23502",
            message: "no row has this key, and a new one needs column \"\(column.name)\"",
            column: column.name)
    }

    func classified(_ trouble: Trouble, _ cache: inout StatementCache) -> BatchReport {
        if let report = classifiedByLedger(trouble) { return report }
        let outcome: BatchOutcome
        switch ErrorClass(trouble.error) {
        case .record:
            let positions = trouble.step.map { steps[$0].plan.positions } ?? []
            outcome = .recordError(culprit: positions.count == 1 ? positions[0] : nil)
        case .transient(let reason):
            if reason == .other { forgetStatements(&cache) }
            outcome = .transient(reason)
        case .table:
            forgetStatements(&cache)
            let table = trouble.step.map { steps[$0].plan.table } ?? batch.records[0].table
            outcome = .tableFault(table.id)
        case .stop:
            outcome = .transient(.other)
        }
        var report = BatchReport(outcome)
        report.error = DatabaseError(trouble.error)
        if outcome == .recordError(culprit: nil) { report.suspect = trouble.suspect }
        if outcome == .transient(.lockTimeout) {
            // Any record of the statement names the table.
            report.suspect = trouble.step.flatMap { steps[$0].plan.positions.first }
        }
        report.isConnected =
            ErrorClass(trouble.error) != .stop && outcome != .transient(.connectionLost)
        return report
    }

    /// The tables of this batch may have changed under their statements.
    private func forgetStatements(_ cache: inout StatementCache) {
        for step in plan.steps { cache.forget(step.shape) }
    }

    /// The connection is gone. Without COMMIT sent, or with an error that came before the last
    /// statement's answer, nothing is written; otherwise that is not known.
    func lost(_ failure: Session.Failure) -> BatchReport {
        let isCertain = !isCommitSent || (trouble != nil && completedSteps < steps.count)
        var report = BatchReport(isCertain ? .transient(.connectionLost) : .unknown)
        if let trouble { report.error = DatabaseError(trouble.error) }
        if !isCertain && ledger != nil {
            report.unresolved = Unresolved(id: batch.id, results: results)
        }
        report.isConnected = false
        return report
    }
}
