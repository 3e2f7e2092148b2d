import Logging
import Synchronization
package import WeirCore
import WeirRecord

// Who waits for what the database says of dead letters. One question at a time is with a writer:
// however many ask, writing is held up by one small transaction between two batches.
struct DeadLetterDesk: Sendable {
    typealias Resume = @Sendable (Result<DeadLetterReply, Failure>) -> Void

    struct Waiter: Sendable {
        let question: DeadLetterQuestion
        let deadline: Timestamp
        let resume: Resume
    }

    static let waitersMax = 100

    /// How often the letters are counted, for the figures.
    static let countInterval = Nanoseconds.seconds(15)

    private var waiting: [Waiter] = []
    private var asked: Waiter?
    private var nextCount = Timestamp.zero
    /// How many there were lately, by table.
    private(set) var counts: [(table: String, count: Int64)] = []

    /// Has the letters counted, if it is time to.
    mutating func wantCount(now: Timestamp) {
        guard nextCount <= now else { return }
        nextCount = now + Self.countInterval
        _ = add(Waiter(question: .counts, deadline: now + Self.countInterval) { _ in })
    }

    /// Takes notice of what was answered.
    mutating func note(_ reply: DeadLetterReply) {
        switch reply {
        case .counts(let counts): self.counts = counts
        case .none: nextCount = .distantFuture
        default: break
        }
    }

    /// False when there are too many.
    mutating func add(_ waiter: Waiter) -> Bool {
        guard waiting.count < Self.waitersMax else { return false }
        waiting.append(waiter)
        return true
    }

    var hasWaiters: Bool { !waiting.isEmpty }

    /// Somebody waits, and nobody is asking.
    var isDue: Bool { asked == nil && !waiting.isEmpty }

    /// What a writer is to ask. It is taken to have begun.
    mutating func begin() -> DeadLetterQuestion? {
        guard isDue else { return nil }
        asked = waiting.removeFirst()
        return asked?.question
    }

    /// The question has been answered, or could not be put.
    mutating func ended() -> Waiter? {
        defer { asked = nil }
        return asked
    }

    mutating func expire(now: Timestamp) -> [Waiter] {
        let late = waiting.filter { $0.deadline <= now }
        waiting.removeAll { $0.deadline <= now }
        return late
    }

    /// Nobody can ask now.
    mutating func giveUp() -> [Waiter] {
        defer { waiting = [] }
        return waiting
    }

    var nextDeadline: Timestamp {
        waiting.reduce(.distantFuture) { min($0, $1.deadline) }
    }
}

extension Coordinator {
    /// Has a writer answer the question, as soon as one is free.
    package func ask(
        _ question: DeadLetterQuestion, within limit: Nanoseconds = .seconds(10)
    ) async throws(Failure) -> DeadLetterReply {
        let deadline = time.now + limit
        let result = await withCheckedContinuation { continuation in
            act(time.now) { state, actions in
                let waiter = DeadLetterDesk.Waiter(question: question, deadline: deadline) {
                    continuation.resume(returning: $0)
                }
                if !state.desk.add(waiter) {
                    let failure = Failure(.overloaded(retryAfter: .seconds(1)), table: "")
                    actions.told.append { waiter.resume(.failure(failure)) }
                }
                return .none
            }
        }
        return try result.get()
    }

    /// How many there were when they were last counted, by table.
    package var deadLetterCounts: [(table: String, count: Int64)] {
        state.withLock { $0.desk.counts }
    }

    package func answered(_ reply: DeadLetterReply) {
        act(time.now) { state, actions in
            state.desk.note(reply)
            if let waiter = state.desk.ended() {
                actions.told.append { waiter.resume(.success(reply)) }
            }
            return .none
        }
    }

    func askFailed(_ failure: ConnectFailure) {
        logger.warning(
            "cannot ask about dead letters", metadata: ["reason": "\(failure.reason)"])
        act(time.now) { state, actions in
            let refusal = Failure(.databaseUnavailable(retryAfter: .seconds(1)), table: "")
            if let waiter = state.desk.ended() {
                actions.told.append { waiter.resume(.failure(refusal)) }
            }
            return .none
        }
    }

    /// Counts what became of a record that was sent again.
    package func countRedrive(_ outcome: RedriveLine.Result) {
        state.withLock { $0.metrics.countRedrive(outcome) }
    }
}

extension Coordinator.State {
    /// Has the next question asked, if that can be done now, and ends those that wait in vain.
    mutating func tendDesk(now: Timestamp, _ actions: inout Coordinator.Actions) {
        guard desk.hasWaiters else { return }
        var gone: [DeadLetterDesk.Waiter] = []
        var refusal = Refusal.databaseUnavailable(retryAfter: .seconds(1))
        if isStopping {
            gone = desk.giveUp()
            refusal = .draining
        } else if machine.gauges.connections == 0 {
            gone = desk.giveUp()
        } else {
            gone = desk.expire(now: now)
        }
        let failure = Failure(refusal, table: "")
        for waiter in gone { actions.told.append { waiter.resume(.failure(failure)) } }
        guard !isStopping, desk.isDue,
            let writer = isParked.indices.first(where: { isParked[$0] && tasks[$0] == nil }),
            let question = desk.begin()
        else { return }
        _ = wake(writer, .deadLetters(question), &actions)
    }
}

extension Coordinator {
    package func log(_ summary: RedriveSummary) {
        guard !summary.isDryRun else { return }
        logger.notice(
            "dead letters redriven",
            metadata: [
                "redriven": "\(summary.count(of: .redriven))", "of": "\(summary.total)",
                "stopped": "\(summary.stopped?.rawValue ?? "no")",
            ])
    }

    /// Who threw something away finds that in the log.
    package func log(discarded count: Int, of table: String) {
        logger.notice(
            "dead letters discarded", metadata: ["table": "\(table)", "count": "\(count)"])
    }
}
