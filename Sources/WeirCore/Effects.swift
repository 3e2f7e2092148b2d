/// What the shell must do after a step of the machine: values, so that a test can compare them
/// whole.
package struct Effects: Equatable, Sendable {
    /// To be carried out before the others, which speak of the new tickets.
    package var unpackings: [Unpacking] = []
    package var assignments: [Assignment] = []
    package var resolutions: [Resolution] = []
    /// Tables that were found unwritable in this step: their catalog entries are stale.
    package var pausedTables: [TableID] = []
    package var transitions: [Transition] = []

    package static let none = Effects()

    package init() {}

    package mutating func append(_ other: Effects) {
        unpackings += other.unpackings
        assignments += other.assignments
        resolutions += other.resolutions
        pausedTables += other.pausedTables
        transitions += other.transitions
    }
}

/// A batch, handed to a writer. Tickets of one key are in admission order; each group's are
/// adjacent. A pack's ticket stands for all its records.
package struct Assignment: Equatable, Sendable {
    package var writer: WriterID
    package var batch: BatchNumber
    /// 1 for the first attempt, and with the work `resolve` for the first try to find out.
    package var attempt: Int
    package var work: BatchWork
    package var tickets: [Ticket]
    /// Write one record per statement, so that a failure names its record: the batch is one group.
    package var isIsolated: Bool

    package init(
        writer: WriterID, batch: BatchNumber, attempt: Int = 1, work: BatchWork = .write,
        tickets: [Ticket], isIsolated: Bool = false
    ) {
        self.writer = writer
        self.batch = batch
        self.attempt = attempt
        self.work = work
        self.tickets = tickets
        self.isIsolated = isIsolated
    }
}

/// The records of a pack go on one by one. The tickets are theirs, in order; the pack's own is void
/// and never resolved.
package struct Unpacking: Equatable, Sendable {
    package var pack: Ticket
    package var parts: [Ticket]
    package init(_ pack: Ticket, into parts: [Ticket]) {
        self.pack = pack
        self.parts = parts
    }
}

/// The fate of one ticket. Each ticket gets exactly one.
package struct Resolution: Equatable, Sendable {
    package var ticket: Ticket
    package var verdict: Verdict
    package init(_ ticket: Ticket, _ verdict: Verdict) {
        self.ticket = ticket
        self.verdict = verdict
    }
}

package enum Verdict: Equatable, Sendable {
    /// Committed; the result stands at this position of the attempt that was just finished, in
    /// records. Those of a pack begin there.
    case committed(position: Int)
    /// The database refused this very record; the error is the attempt's.
    case rejected
    /// Another member of its group was refused.
    case rolledBack
    case refused(Refusal)
}

/// What is found out about an attempt whose COMMIT was not answered.
package enum Finding: Equatable, Sendable {
    case committed
    case lost
    /// What would have told is gone.
    case forgotten
}

/// Changes worth counting or logging that answer nobody.
package enum Transition: Equatable, Sendable {
    case halved(BatchNumber, records: Int)
    case willRetry(BatchNumber, attempt: Int, TransientReason, after: Nanoseconds)
    /// So many records go on as a batch of their own, because another session has locked a table
    /// that they do not write.
    case parted(BatchNumber, records: Int)
    /// A part of the batch goes on by itself, because the error seemed to speak of it.
    case suspected(BatchNumber, records: Int)
    /// The record was refused alone, and its next attempt keeps it as a dead letter.
    case deadLettering(Ticket)
    /// Whether the batch committed has to be found out.
    case unresolved(BatchNumber, records: Int)
    /// It has been found out, or cannot be any more.
    case resolved(BatchNumber, Finding)
    /// The last record has been answered after `drain`.
    case drained
}
