import WeirCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// When each call of an open loop is due. Fixed before the run: a slow server moves nothing, so
/// that the time a caller would have waited is in the figures (G. Tene, "coordinated omission").
package struct Schedule: Sendable, Equatable {
    /// One call.
    package struct Arrival: Sendable, Equatable {
        /// Nanoseconds after the run's start.
        package var at: Int64
        /// Which message it sends; calls that repeat it send the same one.
        package var message: UInt32
        package var phase: UInt8
        package var isPoison: Bool
        /// Not the first of its burst.
        package var isFollower: Bool
    }

    /// By time.
    package let arrivals: [Arrival]
    package let messageCount: Int

    /// A repeated message's copies follow its first call within this time: some while it is in
    /// flight, some after it was answered.
    static let repeatWindow = Nanoseconds.milliseconds(200)

    /// - Precondition: `plan.problems` is empty, and the loop is open.
    package init(_ plan: LoadPlan) {
        var arrivals: [Arrival] = []
        var message = 0
        var start: Int64 = 0
        for (index, phase) in plan.phases.enumerated() {
            // A generator for each, so that a change of one phase leaves the others as they are.
            var random = SplitMix64(seed: mixed(plan.seed, UInt64(index)))
            var chance = SplitMix64(seed: mixed(~plan.seed, UInt64(index)))
            Self.times(phase, &random) { offset, isFollower in
                guard message < LoadPlan.messagesMax else { return }
                let isPoison = phase.isPoison(message, seed: plan.seed)
                var arrival = Arrival(
                    at: start + offset, message: UInt32(message), phase: UInt8(index),
                    isPoison: isPoison, isFollower: isFollower)
                arrivals.append(arrival)
                message += 1
                guard phase.fanOut > 1,
                    chance.nextFraction() < phase.repeatedPercent / 100
                else { return }
                for _ in 1..<phase.fanOut {
                    let wait = chance.nextFraction() * Double(Self.repeatWindow.count)
                    arrival.at = start + offset + Int64(wait)
                    arrivals.append(arrival)
                }
            }
            start += phase.duration.count
        }
        // Equal times keep the order of their messages: the schedule is one and the same each time.
        arrivals.sort { ($0.at, $0.message) < ($1.at, $1.message) }
        self.arrivals = arrivals
        messageCount = message
    }

    private static func times(
        _ phase: Phase, _ random: inout SplitMix64,
        _ body: (_ at: Int64, _ isFollower: Bool) -> Void
    ) {
        let end = Double(phase.duration.count)
        switch phase.arrivals {
        case .poisson(let rate):
            // Distances of a Poisson process are exponential with mean 1/rate.
            var at = -log(1 - random.nextFraction()) / rate * 1e9
            while at < end {
                body(Int64(at), false)
                at += -log(1 - random.nextFraction()) / rate * 1e9
            }
        case .constant(let rate):
            var count = 0.0
            while count / rate * 1e9 < end {
                body(Int64(count / rate * 1e9), false)
                count += 1
            }
        case .bursts(let callers, let every):
            var at: Int64 = 0
            while at < phase.duration.count {
                for caller in 0..<callers { body(at, caller > 0) }
                at += every.count
            }
        case .closed: break
        }
    }

    /// FNV-1a over everything in it: two runs with one hash made the same calls at the same times.
    package var hash: UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for arrival in arrivals {
            let words = [
                UInt64(bitPattern: arrival.at), UInt64(arrival.message),
                UInt64(arrival.phase) << 1 | (arrival.isPoison ? 1 : 0),
            ]
            for word in words { hash = (hash ^ word) &* 0x0000_0100_0000_01B3 }
        }
        return hash
    }
}

extension SplitMix64 {
    /// At least 0 and below 1, with 53 bits.
    package mutating func nextFraction() -> Double { Double(next() >> 11) * 0x1p-53 }
}
