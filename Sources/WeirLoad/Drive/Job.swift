import Synchronization
package import WeirCore

/// What the loops of a run share: what is to be sent, and whether to go on.
package final class Job: Sendable {
    package let plan: LoadPlan
    package let templates: Templates
    /// Empty in a closed loop.
    package let schedule: Schedule
    /// Loops that share the work: loop i has every n-th call, or every n-th message.
    package let loops: Int
    package let progress: Progress
    private let stop = Atomic<Bool>(false)
    private let startTime = Atomic<Int64>(.max)

    package init(_ plan: LoadPlan, _ templates: Templates, loops: Int) {
        self.plan = plan
        self.templates = templates
        self.loops = loops
        schedule = Schedule(plan)
        progress = Progress()
    }

    /// The moment from which arrivals count; set once, when every loop is ready.
    package func begin(at time: Timestamp) {
        startTime.store(time.nanoseconds, ordering: .releasing)
    }
    package var start: Timestamp {
        Timestamp(nanoseconds: startTime.load(ordering: .acquiring))
    }

    package var hasBegun: Bool { start != .distantFuture }

    /// Asks for an early end: nothing more is sent, what is in flight is waited for.
    package func interrupt() { stop.store(true, ordering: .relaxed) }
    package var isInterrupted: Bool { stop.load(ordering: .relaxed) }
}

/// How far a run is, for the line that people watch.
package final class Progress: Sendable {
    package struct Figures: Sendable {
        package var sent = 0
        package var acknowledged = 0
        package var failed = 0
        package var inFlight = 0
        /// Response of the last span, at the 99th percentile; nanoseconds.
        package var p99: UInt64 = 0

        package init() {}
    }

    private let loops = Mutex<[Int: Figures]>([:])

    func publish(_ loop: Int, _ figures: Figures) { loops.withLock { $0[loop] = figures } }

    package var figures: Figures {
        loops.withLock { loops in
            var sum = Figures()
            for figures in loops.values {
                sum.sent += figures.sent
                sum.acknowledged += figures.acknowledged
                sum.failed += figures.failed
                sum.inFlight += figures.inFlight
                sum.p99 = max(sum.p99, figures.p99)
            }
            return sum
        }
    }
}
