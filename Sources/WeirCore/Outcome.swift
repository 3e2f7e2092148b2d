/// What became of one attempt to write a batch. The writer classifies; the machine decides what
/// follows.
package enum BatchOutcome: Equatable, Sendable {
    /// The server has said that it is (or rolled back, for a dry run).
    case committed
    /// The database refused a record; everything rolled back. `culprit` is its position in the
    /// attempt, when one statement held only that record.
    case recordError(culprit: Int?)
    /// Nothing was written and the same batch may succeed later.
    case transient(TransientReason)
    /// One table cannot be written at all (missing, renamed, no privilege); everything rolled back.
    case tableFault(TableID)
    /// COMMIT was sent and its answer never came: the batch may be written or not, and there is no
    /// way to find out.
    case unknown
    /// As `unknown`, and it can be found out: the batch is handed out again, to be resolved.
    case unresolved
}

/// What a writer is to do with the records of a batch.
package enum BatchWork: Sendable {
    case write
    /// Find out whether the attempt before, whose COMMIT was not answered, committed, and make sure
    /// that it cannot do so later if it has not. The outcome is `committed`, `transient` (certainly
    /// not written), `unknown` (nobody can find out any more, and it cannot commit later; both
    /// count only from a writer that is still connected) or anything else: not found out yet.
    case resolve
    /// The database refused these records: keep them, and what was said, with the dead letters.
    case deadLetter
}

/// Why an attempt may be repeated. The raw value is the metric label.
package enum TransientReason: String, CaseIterable, Sendable {
    case deadlock
    case serialization
    case lockTimeout = "lock_timeout"
    case statementTimeout = "statement_timeout"
    case connectionLost = "connection_lost"
    case resources
    case other
}
