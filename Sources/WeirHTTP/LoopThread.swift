internal import CPlatform
package import WeirCore

/// The thread of an event loop, and where it runs. Used on that thread only.
///
/// Where the kernel does not count what it takes to decide that, the thread runs where the kernel
/// likes.
package struct LoopThread {
    private let counters: KernelCounters
    private var affinity = CoreAffinity()
    private var seenAt: Timestamp
    private var ran: Int64 = 0
    private var waited: Int64 = 0
    private var idle: [Int: Int64] = [:]
    /// Where it may run: as it was started, or as somebody has set it since.
    private var allowed = weir_cores()
    private var chosen = weir_cores()

    package init(_ counters: KernelCounters = .system, now: Timestamp) {
        self.counters = counters
        seenAt = now
    }

    /// Decides anew where the thread runs, if that is due.
    package mutating func review(now: Timestamp) {
        let span = now - seenAt
        guard span >= CoreAffinity.interval else { return }
        seenAt = now
        var current = weir_cores()
        guard let (ran, waited) = counters.thread(), weir_get_cores(&current) == 1 else { return }
        if weir_are_equal(&current, &chosen) == 0 { allowed = current }
        var seen = CoreAffinity.Observation(
            span: span, ran: Nanoseconds(ran - self.ran),
            waited: Nanoseconds(waited - self.waited), core: Int(weir_current_core()))
        // The kernel adds up all cores and their interrupts for whoever asks: who waits does.
        let idle = seen.isWaiting ? counters.idle() : [:]
        for (core, time) in idle where weir_has_core(&allowed, Int32(core)) == 1 {
            guard let before = self.idle[core] else { continue }
            seen.idle[core] = Double(time - before) / Double(span.count)
        }
        (self.ran, self.waited, self.idle) = (ran, waited, idle)
        affinity.note(seen)
        switch affinity.place {
        case .anywhere: chosen = allowed
        case .core(let core): chosen = weir_one_core(Int32(core))
        }
        if weir_are_equal(&current, &chosen) == 0 { _ = weir_set_cores(&chosen) }
    }
}
