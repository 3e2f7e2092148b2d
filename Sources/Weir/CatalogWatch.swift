package import WeirCore

/// When the catalog is read, and who waits for that: once a second, after a fault of a table, and
/// before a record is refused for something that the catalog says.
///
/// One reading is on its way at a time. What is wanted while it is counts for the next one: the
/// reading may have begun before the change that it is wanted for.
package struct CatalogWatch: Sendable {
    package enum Reading: Equatable, Sendable {
        /// Has anything changed? If so, all is read.
        case look
        /// Everything is read, changed or not.
        case load
    }

    /// Somebody who may not go on before the catalog has been looked at.
    package struct Waiter: Sendable {
        package let since: Timestamp
        package let deadline: Timestamp
        let resume: @Sendable (Failure?) -> Void

        package init(
            since: Timestamp, deadline: Timestamp, resume: @escaping @Sendable (Failure?) -> Void
        ) {
            self.since = since
            self.deadline = deadline
            self.resume = resume
        }
    }

    /// Between looks that waiters ask for: a stream of bad records costs the database one small
    /// query in this time, and no more.
    package static let spacing = Nanoseconds.milliseconds(10)
    /// Each holds a request with its body.
    package static let waitersMax = 1_000

    private var wanted: Reading?
    private var begunAt: Timestamp?
    private var notBefore = Timestamp.zero
    private var hasFailed = false
    private(set) var waiters: [Waiter] = []

    package init() {}

    package mutating func want(_ reading: Reading) {
        if wanted != .load { wanted = reading }
    }

    /// False when there are too many.
    package mutating func add(_ waiter: Waiter) -> Bool {
        guard waiters.count < Self.waitersMax else { return false }
        waiters.append(waiter)
        return true
    }

    /// Once a second.
    package mutating func check(isMissingTable: Bool) {
        // The reading that is on its way will do.
        guard begunAt == nil else { return }
        want(hasFailed || isMissingTable ? .load : .look)
        hasFailed = false
    }

    /// What a writer should read now. It is taken to have begun.
    package mutating func begin(now: Timestamp) -> Reading? {
        guard isDue(now: now) else { return nil }
        defer { wanted = nil }
        begunAt = now
        notBefore = now + Self.spacing
        return wanted ?? .look
    }

    package func isDue(now: Timestamp) -> Bool {
        guard begunAt == nil else { return false }
        return wanted != nil || (!waiters.isEmpty && notBefore <= now)
    }

    /// The catalog is known as it was when the reading began, or when one began that nobody asked
    /// for here. Returns who may go on.
    package mutating func succeeded() -> [Waiter] {
        guard let begun = begunAt else { return [] }
        begunAt = nil
        let (settled, rest) = waiters.split { $0.since <= begun }
        waiters = rest
        return settled
    }

    /// The next check asks again, not at once: the reason may last.
    package mutating func failed(now: Timestamp) {
        begunAt = nil
        wanted = nil
        hasFailed = true
        notBefore = now + Coordinator.checkInterval
    }

    /// Those who have waited long enough.
    package mutating func expire(now: Timestamp) -> [Waiter] {
        guard waiters.contains(where: { $0.deadline <= now }) else { return [] }
        let (expired, rest) = waiters.split { $0.deadline <= now }
        waiters = rest
        return expired
    }

    /// Everybody: the catalog cannot be read any more.
    package mutating func giveUp() -> [Waiter] {
        defer { waiters = [] }
        return waiters
    }

    /// When something is due if nothing else happens.
    package var nextDeadline: Timestamp {
        guard !waiters.isEmpty else { return .distantFuture }
        let expiry = waiters.reduce(Timestamp.distantFuture) { min($0, $1.deadline) }
        return begunAt == nil ? min(expiry, notBefore) : expiry
    }
}

extension [CatalogWatch.Waiter] {
    fileprivate func split(_ isFirst: (Element) -> Bool) -> (Self, Self) {
        (filter(isFirst), filter { !isFirst($0) })
    }
}
