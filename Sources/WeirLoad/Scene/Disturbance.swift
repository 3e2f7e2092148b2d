import Weir
import WeirCore
import WeirRecord

/// What the phases of a run do to the database while the calls go on.
struct Disturbance: Sendable {
    private let job: Job
    private let scratch: ScratchTable?
    private let hand: Desk

    init(_ job: Job, _ scratch: ScratchTable?, _ hand: Desk) {
        self.job = job
        self.scratch = scratch
        self.hand = hand
    }

    /// Runs beside the calls until all phases are over or the task is cancelled.
    ///
    /// - Returns: connections that were ended.
    func run() async -> Int {
        var ended = 0
        var start = Nanoseconds.zero
        for phase in job.plan.phases {
            let end = Nanoseconds(start.count + phase.duration.count)
            guard await wait(until: start) else { break }
            if phase.delay > .zero {
                try? await scratch?.setDelay(seconds: phase.delay.seconds, on: hand)
            }
            if phase.stall > .zero {
                // In the middle, so that the phase shows the way in and out of it.
                let middle = Nanoseconds(
                    start.count + (phase.duration.count - phase.stall.count) / 2)
                if await wait(until: middle) {
                    try? await scratch?.stall(seconds: phase.stall.seconds, on: hand)
                }
            }
            if let every = phase.killEvery {
                var next = start
                while next < end, await wait(until: next) {
                    let table = job.templates.target.schema.name
                    ended += (try? await hand.endWriters(of: table)) ?? 0
                    next.count += every.count
                }
            }
            _ = await wait(until: end)
            if phase.delay > .zero { try? await scratch?.setDelay(seconds: 0, on: hand) }
            start = end
        }
        return ended
    }

    /// - Returns: false when the run is over before.
    private func wait(until time: Nanoseconds) async -> Bool {
        while !Task.isCancelled && !job.isInterrupted {
            let now = SystemTime().now
            let left = job.hasBegun ? (job.start + time) - now : .milliseconds(5)
            if left <= .zero { return true }
            try? await Task.sleep(for: .nanoseconds(min(left.count, 50_000_000)))
        }
        return false
    }
}
