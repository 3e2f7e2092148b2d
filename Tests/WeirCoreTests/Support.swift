import Testing
import WeirCore

let w0 = WriterID(0)
let w1 = WriterID(1)
let orders = TableID(0)
let customers = TableID(1)
let b1 = BatchNumber(1)
let b2 = BatchNumber(2)
let b3 = BatchNumber(3)

/// Milliseconds on the test's clock.
func at(_ milliseconds: Int64) -> Timestamp {
    .zero + .milliseconds(milliseconds)
}

func record(
    _ key: UInt64? = nil, table: TableID = orders, bytes: Int = 10,
    deadline: Timestamp = at(1_000), id: UInt64? = nil, fingerprint: UInt64 = 7,
    isExclusive: Bool = false, second: UInt64? = nil, keepsDeadLetters: Bool = false,
    isStrict: Bool = false
) -> Entry {
    let message = id.map {
        MessageKey(identity: .init(high: 0, low: $0), fingerprint: fingerprint)
    }
    return Entry(
        table: table, orderHash: key, orderKeyHash: second, byteCount: bytes, deadline: deadline,
        message: message, isExclusive: isExclusive, keepsDeadLetters: keepsDeadLetters,
        isStrict: isStrict)
}

extension Machine {
    /// Small bounds; every writer is connected and idle.
    static func testing(
        writers: Int = 1, connected: Int? = nil, batch: Int = 4, batchBytes: Int = 1_000,
        queue: Int = 100, queueBytes: Int = 10_000, attempts: Int = 3,
        retryDelay: Duration = .zero
    ) -> Machine {
        var configuration = Machine.Configuration()
        configuration.writersMax = writers
        configuration.admission.recordsMax = queue
        configuration.admission.bytesMax = queueBytes
        configuration.batch.recordsMax = batch
        configuration.batch.bytesMax = batchBytes
        configuration.batch.lingerMax = .milliseconds(5)
        configuration.retry.attemptsMax = attempts
        configuration.retry.delayMin = retryDelay
        configuration.retry.delayMax = retryDelay
        var machine = Machine(configuration)
        // The last writer that becomes idle is the first that is used.
        for number in (0..<(connected ?? writers)).reversed() {
            _ = machine.writerReady(WriterID(number), now: .zero)
        }
        return machine
    }

    /// With writer 0 in a batch of one record without a key, so that what comes next has to wait.
    static func busy(
        writers: Int = 1, batch: Int = 4, batchBytes: Int = 1_000, attempts: Int = 3,
        retryDelay: Duration = .zero
    ) -> Machine {
        var machine = testing(
            writers: writers, batch: batch, batchBytes: batchBytes, attempts: attempts,
            retryDelay: retryDelay)
        _ = machine.queue(record())
        return machine
    }

    /// Submits and returns the ticket of a record that must be queued.
    mutating func queue(_ entry: Entry, now: Timestamp = .zero) -> Ticket {
        let (admission, _) = submit(entry, now: now)
        guard case .queued(let ticket) = admission else {
            Issue.record("\(entry) was not queued: \(admission)")
            return Ticket(slot: -1, generation: 0)
        }
        return ticket
    }

    /// The tickets of records that must be queued, in order.
    mutating func queue(_ entries: [Entry], now: Timestamp = .zero) -> [Ticket] {
        entries.map { queue($0, now: now) }
    }

    /// The tickets of a group that must be queued.
    mutating func queue(group entries: [Entry], now: Timestamp = .zero) -> [Ticket] {
        guard case .success(let admissions) = admit(group: entries, now: now) else {
            Issue.record("the group was refused")
            return []
        }
        _ = dispatch(now: now)
        return admissions.compactMap(\.ticket)
    }

    /// The refusal at the door.
    mutating func refusal(_ entry: Entry, now: Timestamp = .zero) -> Refusal? {
        guard case .refused(let refusal) = submit(entry, now: now).0 else { return nil }
        return refusal
    }

    mutating func refusal(group entries: [Entry], now: Timestamp = .zero) -> Refusal? {
        guard case .failure(let refusal) = admit(group: entries, now: now) else { return nil }
        return refusal.refusal
    }
}

extension Effects {
    static func assigns(
        _ writer: WriterID, _ batch: BatchNumber, attempt: Int = 1, work: BatchWork = .write,
        _ tickets: [Ticket], isIsolated: Bool = false
    ) -> Effects {
        var effects = Effects.none
        effects.assignments = [
            Assignment(
                writer: writer, batch: batch, attempt: attempt, work: work, tickets: tickets,
                isIsolated: isIsolated)
        ]
        return effects
    }

    static func resolves(_ tickets: Ticket..., as verdict: Verdict) -> Effects {
        var effects = Effects.none
        effects.resolutions = tickets.map { Resolution($0, verdict) }
        return effects
    }

    static func refuses(_ tickets: Ticket..., as refusal: Refusal) -> Effects {
        var effects = Effects.none
        effects.resolutions = tickets.map { Resolution($0, .refused(refusal)) }
        return effects
    }

    /// A whole attempt committed.
    static func commits(_ tickets: Ticket...) -> Effects {
        var effects = Effects.none
        effects.resolutions = tickets.enumerated().map {
            Resolution($0.element, .committed(position: $0.offset))
        }
        return effects
    }

    static func pauses(_ table: TableID) -> Effects {
        var effects = Effects.none
        effects.pausedTables = [table]
        return effects
    }

    static func passes(_ transition: Transition) -> Effects {
        var effects = Effects.none
        effects.transitions = [transition]
        return effects
    }

    static func + (left: Effects, right: Effects) -> Effects {
        var effects = left
        effects.append(right)
        return effects
    }

    var assigned: [[Ticket]] { assignments.map(\.tickets) }
}
