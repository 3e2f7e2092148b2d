import WeirCore

/// Who waits for what the database remembers of a message. Questions are put together, one handful
/// at a time: however many ask, writing is held up by one small query between two batches.
struct LookUps: Sendable {
    typealias Resume = @Sendable (Result<StoredMessage?, Failure>) -> Void

    struct Waiter: Sendable {
        let identity: MessageKey.Identity
        let deadline: Timestamp
        let resume: Resume
    }

    static let waitersMax = 1_000
    /// Questions of one query.
    static let togetherMax = 64

    private var waiting: [Waiter] = []
    private var asked: [Waiter] = []

    /// False when there are too many.
    mutating func add(_ waiter: Waiter) -> Bool {
        guard waiting.count < Self.waitersMax else { return false }
        waiting.append(waiter)
        return true
    }

    var isEmpty: Bool { waiting.isEmpty && asked.isEmpty }

    /// Somebody waits, and nobody is asking.
    var isDue: Bool { asked.isEmpty && !waiting.isEmpty }

    /// What a writer is to ask. It is taken to have begun.
    mutating func begin() -> [MessageKey.Identity]? {
        guard isDue else { return nil }
        asked = Array(waiting.prefix(Self.togetherMax))
        waiting.removeFirst(asked.count)
        return asked.map(\.identity)
    }

    /// The question has been answered, or could not be put: who put it.
    mutating func ended() -> [Waiter] {
        defer { asked = [] }
        return asked
    }

    /// Those who have waited long enough, and have not been asked for yet: a question that has been
    /// put is answered within the connection's own bound.
    mutating func expire(now: Timestamp) -> [Waiter] {
        guard nextDeadline <= now else { return [] }
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
