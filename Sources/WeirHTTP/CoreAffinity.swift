package import WeirCore

/// Where a busy thread runs best.
///
/// On a machine that is nearly busy Linux looks for no idle core when it wakes a thread (SIS_UTIL,
/// kernel/sched/fair.c): PostgreSQL's process waits behind this thread, or this thread behind it,
/// while another core has nothing to do. So a thread that is busy goes where there is room, and
/// stays there; any other is better off wherever it is woken
/// (docs/decisions/0021-busy-loops-stay.md).
package struct CoreAffinity {
    package enum Place: Equatable { case anywhere, core(Int) }

    /// What the kernel counted since the observation before.
    package struct Observation {
        package var span: Nanoseconds
        /// How long the thread ran, and how long it could have run and had no core.
        package var ran: Nanoseconds
        package var waited: Nanoseconds
        /// Where it runs.
        package var core: Int
        /// The share of the time for which each of the cores was idle that the thread may run on;
        /// empty where that was not looked at.
        package var idle: [Int: Double] = [:]

        package init(span: Nanoseconds, ran: Nanoseconds, waited: Nanoseconds, core: Int) {
            self.span = span
            self.ran = ran
            self.waited = waited
            self.core = core
        }

        fileprivate func share(_ part: Nanoseconds) -> Double {
            Double(part.count) / Double(max(span.count, 1))
        }

        /// Whether it matters how idle other cores are.
        package var isWaiting: Bool { share(waited) > CoreAffinity.waitingShare }
    }

    /// How often it is decided anew.
    package static let interval = Nanoseconds.milliseconds(250)
    // Shares of the time. The decision has what they were measured with.
    /// A thread that ran for more is busy, until it runs for less than the other.
    package static let busyShare = 0.7
    package static let idlingShare = 0.6
    /// One that waited for more than this, while another core was idle for more than that, goes
    /// there.
    package static let waitingShare = 0.05
    package static let idleShare = 0.15
    /// One that waited for more, and there is no such core, is the kernel's to place.
    package static let crowdedShare = 0.25

    package private(set) var place = Place.anywhere

    package init() {}

    package mutating func note(_ seen: Observation) {
        let least = place == .anywhere ? Self.busyShare : Self.idlingShare
        let others = seen.idle.filter { $0.key != seen.core && $0.value > Self.idleShare }
        if seen.share(seen.ran) <= least {
            place = .anywhere
        } else if seen.isWaiting, let idlest = others.max(by: { $0.value < $1.value }) {
            place = .core(idlest.key)
        } else {
            place = seen.share(seen.waited) > Self.crowdedShare ? .anywhere : .core(seen.core)
        }
    }
}
