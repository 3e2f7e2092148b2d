internal import CPlatform
package import WeirCore

/// The thread of an event loop, and where it runs. Used on that thread only.
///
/// Where the kernel does not count what it takes to decide that, the thread runs where the kernel
/// likes.
package struct LoopThread {
    private let facts: ThreadFacts
    private var affinity = CoreAffinity()
    private var seenAt: Timestamp
    private var ran: Int64 = 0
    private var waited: Int64 = 0
    private var idle: [Int: Int64] = [:]
    /// Where it may run: as it was started, or as somebody has set it since.
    private var allowed = weir_cores()
    private var chosen = weir_cores()
    /// Threads of this process that have been seen to be free, or placed by somebody else.
    private var others: Set<Int32> = []

    package init(_ facts: ThreadFacts = .system, now: Timestamp) {
        self.facts = facts
        seenAt = now
    }

    /// Decides anew where the thread runs, if that is due.
    package mutating func review(now: Timestamp) {
        let span = now - seenAt
        guard span >= CoreAffinity.interval else { return }
        seenAt = now
        var current = weir_cores()
        guard let (ran, waited) = facts.times(), weir_get_cores(0, &current) == 1 else { return }
        if weir_are_equal(&current, &chosen) == 0 { allowed = current }
        var seen = CoreAffinity.Observation(
            span: span, ran: Nanoseconds(ran - self.ran),
            waited: Nanoseconds(waited - self.waited), core: Int(weir_current_core()))
        // The kernel adds up all cores and their interrupts for whoever asks: who waits does.
        let idle = seen.isWaiting ? facts.idle() : [:]
        for (core, time) in idle where weir_has_core(&allowed, Int32(core)) == 1 {
            guard let before = self.idle[core] else { continue }
            seen.idle[core] = Double(time - before) / Double(span.count)
        }
        (self.ran, self.waited, self.idle) = (ran, waited, idle)
        let wasFree = affinity.place == .anywhere
        affinity.note(seen)
        if !wasFree || affinity.place != .anywhere { releaseHeirs() }
        switch affinity.place {
        case .anywhere: chosen = allowed
        case .core(let core): chosen = weir_one_core(Int32(core))
        }
        if weir_are_equal(&current, &chosen) == 0 { _ = weir_set_cores(0, &chosen) }
    }

    /// A thread that is begun by this one, by whichever library, may run where this one may: lets
    /// those go that have been begun since.
    private mutating func releaseHeirs() {
        let threads = Set(facts.threads())
        for thread in threads.subtracting(others) {
            var cores = weir_cores()
            guard weir_get_cores(thread, &cores) == 1, weir_are_equal(&cores, &chosen) == 1 else {
                continue
            }
            _ = weir_set_cores(thread, &allowed)
        }
        others = threads
    }
}
