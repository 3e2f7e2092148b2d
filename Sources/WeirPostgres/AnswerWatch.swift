internal import CPlatform
package import WeirCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// When to look for the answer to a single record without going to sleep.
///
/// A database near by answers punctually: most of the time goes into one flush of its log. Being
/// woken by the answer would take a good tenth of that time, and PostgreSQL's process would have to
/// do the waking. So the thread sleeps until shortly before the answer is due, looks for it from
/// then on, and goes to sleep again if it is late (docs/decisions/0004-writers-block.md).
package struct AnswerWatch {
    /// Before and behind the moment at which the answer is due. Anything from 40 to 55 µs does;
    /// less comes too late where a core takes 20 to wake up, and more only costs.
    package static let margin = Nanoseconds(45_000)
    /// Answers that take longer are slept for: they are less punctual, and gain less.
    package static let dueMax = Nanoseconds(400_000)
    /// Answers that are slept for after one that was late: twice as many each time.
    package static let restsMax = 64

    /// The database may need the only core.
    private static let hasCores = sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1

    /// Whether this thread can be awake on time.
    static var isPossible: Bool { hasCores && weir_wake_on_time() == 1 }

    /// How long an answer takes: most take as long or a little longer.
    private var due: Nanoseconds?
    private var rests = 0
    private var nextRests = 1

    package init() {}

    /// From when to when the next answer is worth looking for, after it was asked for.
    package var window: (begin: Nanoseconds, end: Nanoseconds)? {
        guard rests == 0, let due, due <= Self.dueMax else { return nil }
        return (
            Nanoseconds(max(due.count - Self.margin.count, 0)),
            Nanoseconds(due.count + Self.margin.count)
        )
    }

    /// An answer took as long as this.
    package mutating func note(_ took: Nanoseconds) {
        if let window {
            let isLate = took > window.end
            rests = isLate ? nextRests : 0
            nextRests = isLate ? min(nextRests * 2, Self.restsMax) : 1
        } else if rests > 0 {
            rests -= 1
        }
        guard let due else { return due = took }
        // Followed at once where answers come sooner, lest the thread be asleep when they come; and
        // one that takes long says little about the next.
        let change = took.count - due.count
        self.due = Nanoseconds(
            due.count + (change < 0 ? change / 8 : min(change / 16, Self.margin.count / 8)))
    }
}
