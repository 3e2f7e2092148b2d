import Weir
import WeirCore
import WeirRecord

/// Finds out what became of an attempt whose COMMIT was not answered, and sees to it that nothing
/// more can.
///
/// The attempt's marker decides. Whoever looks for it first puts a fence in its place: if that
/// succeeds, the attempt has not committed, and meets the fence should it ever go on; if it does
/// not, the marker is there, and the attempt has committed. While the attempt's transaction is open
/// somewhere, the unique index makes the inquiry wait for its end.
struct AttemptInquiry {
    let batch: WriteBatch
    let unresolved: Unresolved
    let session: Session
    let ledger: ReplayLedger
    let configuration: PostgresWriter.Configuration
    let deadline: Timestamp

    func run() -> BatchReport {
        do {
            return try inquire()
        } catch {
            var report = BatchReport(.unknown)
            report.unresolved = unresolved
            if case .server(let error) = error { report.error = DatabaseError(error) }
            // What the session still has to say belongs to this.
            report.isConnected = false
            return report
        }
    }

    private func inquire() throws(Session.Failure) -> BatchReport {
        // Another gateway may have closed the generation since this connection looked.
        for _ in 0..<3 {
            do throws(Session.Failure) {
                return try fence()
            } catch {
                guard case .server(let refusal) = error else { throw error }
                try session.query("ROLLBACK", by: deadline)
                switch ReplayLedger.refusal(of: .marker, refusal) {
                case .generationClosed: try ledger.update(on: session, by: deadline)
                case .ordinary where refusal.sqlstate == "55P03":
                    try endForgottenProcess()
                    return stillUnknown(refusal)
                case .ordinary: return stillUnknown(refusal)
                case .messageMet, .letterGone, .broken: throw error
                }
            }
        }
        return stillUnknown(nil)
    }

    /// Below what the server and this side allow for the whole.
    private var lockTimeout: Duration {
        min(configuration.inquiryTimeout, configuration.statementTimeout / 2)
    }

    private func fence() throws(Session.Failure) -> BatchReport {
        let id = unresolved.id.hexadecimal
        let half = ledger.generation.current
        let origin = configuration.origin
        let rows = try session.query(
            """
            BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
            SET LOCAL lock_timeout = \(milliseconds(lockTimeout));
            INSERT INTO \(half.attempts) (id, attempt, records, outcome, instance, version)
            VALUES ('\(id)', \(batch.attempt), \(batch.records.count), 1,
                \(quotedLiteral(origin.instance)), \(quotedLiteral(origin.version)))
            ON CONFLICT DO NOTHING;
            SELECT pg_catalog.pg_logical_emit_message(true, 'weir', 'inquiry');
            SELECT pg_catalog.min(outcome), (SELECT number FROM weir.generation) FROM (
                SELECT outcome FROM \(half.attempts) WHERE id = '\(id)'
                UNION ALL SELECT outcome FROM \(half.other.attempts) WHERE id = '\(id)') AS m
            """, by: deadline)
        // What is not durable yet is not known yet: neither the fence nor, where a standby has to
        // confirm, the attempt itself, which the message above comes after.
        try session.query("COMMIT", by: deadline)
        switch rows.first?.first {
        case "0":
            configuration.lostAttempts.settle(unresolved.id)
            var report = BatchReport(.committed)
            report.results = unresolved.results
            return report
        case "1":
            guard let generation = rows.first?[1].flatMap({ Int64($0) }) else {
                return stillUnknown(nil)
            }
            configuration.lostAttempts.settle(unresolved.id)
            return BatchReport(
                isRemembered(at: generation) ? .transient(.connectionLost) : .unknown)
        default:
            return stillUnknown(nil)
        }
    }

    /// Whether a marker of the attempt would still be there: two generations later it would not.
    /// Nobody can know then, and the attempt is over all the same: its transaction would have kept
    /// the generation from being emptied, and one that has yet to begin meets the fence.
    private func isRemembered(at generation: Int64) -> Bool {
        generation <= unresolved.generation + 1
    }

    private func stillUnknown(_ error: ServerError?) -> BatchReport {
        var report = BatchReport(.unknown)
        report.unresolved = unresolved
        report.error = error.map(DatabaseError.init)
        return report
    }

    /// Ends the process that has the attempt's transaction open, if it is time to. It is this
    /// gateway's own: its role's, and begun when that connection was.
    private func endForgottenProcess() throws(Session.Failure) {
        guard let backend = configuration.lostAttempts.waited(for: unresolved.id) else { return }
        try session.query(
            """
            SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
            WHERE pid = \(backend.processID) AND backend_start = \(quotedLiteral(backend.start))
            """, by: deadline)
    }
}
