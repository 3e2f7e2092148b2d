package import WeirCore

/// Everything about a run that is decided before it begins.
package struct LoadPlan: Sendable {
    package enum Operation: String, CaseIterable, Sendable {
        case insert
        case upsert
        case patch
    }

    package var phases: [Phase]
    package var operation = Operation.insert
    /// Rows that one call writes as one unit: all or none.
    package var rowsPerCall = 1
    /// Rows that edits choose from.
    package var hotKeys = 50
    package var seed: UInt64 = 42
    /// A call that has no answer by then is given up: its outcome is unknown.
    package var timeout = Nanoseconds.seconds(10)
    /// Whether every call carries an `Idempotency-Key`. Repeated messages always do.
    package var sendsMessageIDs = false
    /// A closed loop ends after so many calls; `nil` after its phases.
    package var callsMax: Int?

    package init(phases: [Phase]) {
        self.phases = phases
    }

    /// Arrivals and what became of messages are kept: 17 bytes for each.
    package static let messagesMax = 20_000_000
    package static let rateMax = 1_000_000.0

    package var isClosed: Bool { phases.contains { $0.arrivals.isClosed } }
    package var duration: Nanoseconds { Nanoseconds(phases.reduce(0) { $0 + $1.duration.count }) }
    package var usesMessageIDs: Bool { sendsMessageIDs || phases.contains { $0.fanOut > 1 } }

    /// The phase in force at a time after the start, by position; the last one at its end.
    package func phase(at time: Nanoseconds) -> Int {
        var end: Int64 = 0
        for (index, phase) in phases.enumerated() {
            end += phase.duration.count
            if time.count < end { return index }
        }
        return max(phases.count - 1, 0)
    }

    /// What makes the plan impossible, one line for each reason.
    package var problems: [String] {
        var problems: [String] = []
        if phases.isEmpty { problems.append("there is no phase") }
        if phases.count > 200 { problems.append("\(phases.count) phases; at most 200") }
        for phase in phases { problems += Self.problems(phase) }
        let closed = phases.count { $0.arrivals.isClosed }
        if closed > 0 && closed < phases.count {
            problems.append(
                "phases with a rate and phases with clients cannot be mixed: one is an open loop, "
                    + "the other a closed one")
        }
        let calls = phases.reduce(0.0) {
            let repeats = 1 + $1.repeatedPercent / 100 * Double($1.fanOut - 1)
            return $0 + ($1.messagesExpected ?? 0) * repeats
        }
        if calls > Double(Self.messagesMax) * 0.95 {
            problems.append(
                "about \(Int(min(calls, 1e15))) calls; at most \(Self.messagesMax) are kept "
                    + "for the audit: lower the rate or the duration")
        } else if calls < 1 && closed == 0 && !phases.isEmpty {
            problems.append("fewer than one call would be made: raise the rate or the duration")
        }
        if rowsPerCall > hotKeys && operation != .insert {
            problems.append("\(rowsPerCall) rows a call, but only \(hotKeys) keys to choose from")
        }
        return problems
    }

    private static func problems(_ phase: Phase) -> [String] {
        var problems: [String] = []
        let name = "phase \(phase.name): "
        if phase.duration.count < 1_000_000 || phase.duration > .seconds(86_400) {
            problems.append(name + "a duration is from 1ms to 1d")
        }
        switch phase.arrivals {
        case .poisson(let rate), .constant(let rate):
            if !(rate > 0 && rate <= rateMax) {
                problems.append(name + "a rate is more than 0 and at most \(Int(rateMax)) a second")
            }
        case .bursts(let callers, let every):
            if !(1...100_000).contains(callers) {
                problems.append(name + "a burst has 1 to 100000 callers")
            }
            if every.count < 1_000_000 { problems.append(name + "a burst every 1ms at most") }
        case .closed(let callers):
            if !(1...10_000).contains(callers) {
                problems.append(name + "a closed loop has 1 to 10000 clients")
            }
            if phase.fanOut > 1 {
                problems.append(name + "repeated messages need a rate: an open loop")
            }
        }
        for percent in [phase.poisonPercent, phase.repeatedPercent]
        where !(percent >= 0 && percent <= 100) {
            problems.append(name + "a percentage is from 0 to 100")
        }
        if !(1...100).contains(phase.fanOut) { problems.append(name + "fan_out is from 1 to 100") }
        if phase.stall > phase.duration {
            problems.append(name + "the stall is longer than the phase")
        }
        return problems
    }
}

/// One number from two, the same on every machine.
package func mixed(_ seed: UInt64, _ number: UInt64) -> UInt64 {
    var random = SplitMix64(seed: seed ^ (number &* 0xD6E8_FEB8_6659_FD93))
    return random.next()
}

extension Phase {
    /// Whether a message of this phase is one that the table refuses.
    package func isPoison(_ message: Int, seed: UInt64) -> Bool {
        guard poisonPercent > 0 else { return false }
        let drawn = Double(mixed(seed ^ 0x706F_6973_6F6E, UInt64(message)) >> 11) * 0x1p-53
        return drawn < poisonPercent / 100
    }
}
