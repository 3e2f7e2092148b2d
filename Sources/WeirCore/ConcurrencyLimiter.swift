/// How many large transactions at once? More of them share the server's cores, disk and locks, and
/// the gateway's: where one keeps them busy, a second one makes both slower, and smaller. Which is
/// the case is not known beforehand, so it is measured: records per second, with one more and with
/// one less now and then.
///
/// One more is kept if it is worth a tenth of the throughput, one less if it costs no tenth. A
/// trial that was in vain is repeated after twice as many batches as before. Small batches are not
/// limited: they carry single records, whose callers wait, and seldom overlap (`BatchFormer`).
/// docs/decisions/0020-large-batches.md has the figures.
package struct ConcurrencyLimiter: Sendable {
    private enum Phase: Equatable, Sendable {
        /// At a number that has proved itself, for this many more windows.
        case holding(windows: Int)
        /// At a number that is to prove itself against another one.
        case trying(against: Int)
    }

    /// Batches that are measured together.
    private static let windowCount = 16
    private static let holdMin = 2
    private static let holdMax = 64

    private let limitMax: Int
    /// Large batches that may be in flight.
    package private(set) var limit = 1
    private var phase = Phase.holding(windows: ConcurrencyLimiter.holdMin)
    private var hold = ConcurrencyLimiter.holdMin
    private var triesLess = false
    /// Records per second when the last window closed before the trial.
    private var rate: UInt64 = 0

    private var windowStart: Timestamp?
    private var batches = 0
    private var records = 0
    private var lastEnd = Timestamp.zero
    /// Batches that began under another limit, and are not measured.
    private var skipped = 0
    /// How long a large batch takes, in nanoseconds; a moving average.
    private var duration: UInt64 = 0

    package init(limitMax: Int) {
        precondition(limitMax >= 1, "a batch may leave")
        self.limitMax = limitMax
    }

    /// A large batch that has been under way for longer than this waits for something that others
    /// need not wait for, a lock mostly: it does not hold them back any more.
    package var patience: Nanoseconds { Nanoseconds(Int64(clamping: duration &* 2)) }

    /// A large batch was committed at its first attempt, `took` after it had been handed out.
    package mutating func observe(recordCount: Int, took: Nanoseconds, now: Timestamp) {
        let nanoseconds = UInt64(clamping: took.count)
        duration = duration == 0 ? nanoseconds : (duration &* 7 &+ nanoseconds) / 8
        // Callers paused: what a window says would be about them.
        if now - lastEnd > patience { windowStart = nil }
        lastEnd = now
        guard limitMax > 1 else { return }
        guard let windowStart, skipped == 0 else {
            skipped = max(skipped - 1, 0)
            beginWindow(now)
            return
        }
        batches += 1
        records += recordCount
        guard batches >= Self.windowCount else { return }
        let elapsed = UInt64(max((now - windowStart).count, 1))
        close(rate: UInt64(records) &* 1_000_000_000 / elapsed)
        beginWindow(now)
    }

    private mutating func beginWindow(_ now: Timestamp) {
        windowStart = now
        batches = 0
        records = 0
    }

    private mutating func close(rate: UInt64) {
        switch phase {
        case .holding(let windows):
            self.rate = rate
            if windows > 1 { phase = .holding(windows: windows - 1) } else { beginTrial() }
        case .trying(let other):
            let (more, fewer) = limit > other ? (rate, self.rate) : (self.rate, rate)
            let isWorthMore = more * 10 >= fewer * 11
            if isWorthMore == (limit > other) {
                hold = Self.holdMin
            } else {
                limit = other
                skipped = limitMax
                hold = min(hold * 2, Self.holdMax)
            }
            phase = .holding(windows: hold)
        }
    }

    private mutating func beginTrial() {
        phase = .trying(against: limit)
        triesLess = limit == limitMax || (limit > 1 && !triesLess)
        limit += triesLess ? -1 : 1
        skipped = limit
    }
}
