package import WeirCore

/// A stretch of a run: what arrives, how fast, and what is done to the database meanwhile.
package struct Phase: Sendable, Equatable {
    package enum Shape: String, CaseIterable, Sendable {
        case steady
        case spike
        case bulkEdit = "bulk-edit"
        case duplicateStorm = "duplicate-storm"
        case poison
        case slowDatabase = "slow-db"
        case kill
        case recover
    }

    /// When callers come.
    package enum Arrivals: Sendable, Equatable {
        /// Independently of each other, so many a second on average.
        case poisson(rate: Double)
        /// At equal distances.
        case constant(rate: Double)
        /// So many at once, again and again: one bulk edit is one burst.
        case bursts(callers: Int, every: Nanoseconds)
        /// Each of so many callers when its last call was answered: a closed loop.
        case closed(callers: Int)

        package var isClosed: Bool { if case .closed = self { true } else { false } }
    }

    package var name: String
    package var shape: Shape
    package var duration: Nanoseconds
    package var arrivals: Arrivals
    /// Messages that are sent again, in per cent of all, and how often each of them is sent in all.
    package var repeatedPercent = 0.0
    package var fanOut = 1
    /// Messages that the table refuses, in per cent of all.
    package var poisonPercent = 0.0
    /// What each writing statement waits in the database.
    package var delay = Nanoseconds.zero
    /// For how long nothing can be written, in the middle of the phase.
    package var stall = Nanoseconds.zero
    /// How often the writers' connections are ended by force; `nil` never.
    package var killEvery: Nanoseconds?

    package init(name: String, shape: Shape, duration: Nanoseconds, arrivals: Arrivals) {
        self.name = name
        self.shape = shape
        self.duration = duration
        self.arrivals = arrivals
    }

    /// Messages that arrive in it, on average; `nil` in a closed loop, where nobody knows.
    package var messagesExpected: Double? {
        switch arrivals {
        case .poisson(let rate), .constant(let rate): rate * duration.seconds
        case .bursts(let callers, let every):
            Double(callers) * (duration.seconds / every.seconds).rounded(.up)
        case .closed: nil
        }
    }

    /// Whether the phase needs a table of ours, with a trigger that waits.
    package var slowsDatabase: Bool { delay > .zero || stall > .zero }
}

extension Phase {
    /// What the command line says of all phases of a shape.
    package struct Base: Sendable {
        package var duration: Nanoseconds
        /// Messages a second.
        package var rate: Double
        package var isConstant = false
        /// Set for a closed loop.
        package var closedCallers: Int?
        /// Callers of one bulk edit, and how often one happens.
        package var callers: Int
        package var every: Nanoseconds

        package init(
            duration: Nanoseconds, rate: Double, callers: Int = 100,
            every: Nanoseconds = .seconds(1)
        ) {
            self.duration = duration
            self.rate = rate
            self.callers = callers
            self.every = every
        }

        func arrivals(factor: Double = 1) -> Arrivals {
            if let closedCallers { return .closed(callers: closedCallers) }
            return isConstant ? .constant(rate: rate * factor) : .poisson(rate: rate * factor)
        }

        func phase(
            _ shape: Shape, name: String? = nil, part: Double = 1, factor: Double = 1
        ) -> Phase {
            Phase(
                name: name ?? shape.rawValue, shape: shape,
                duration: Nanoseconds(Int64(Double(duration.count) * part)),
                arrivals: arrivals(factor: factor))
        }
    }

    /// One phase of a shape, with the shape's own habits.
    package static func single(_ shape: Shape, _ base: Base) -> Phase {
        var phase = base.phase(shape)
        switch shape {
        case .steady, .recover: break
        case .spike: phase.arrivals = base.arrivals(factor: spikeFactor)
        case .bulkEdit:
            phase.arrivals = .bursts(callers: base.callers, every: base.every)
        case .duplicateStorm:
            phase.repeatedPercent = 20
            phase.fanOut = 5
        case .poison: phase.poisonPercent = 0.5
        case .slowDatabase:
            phase.delay = .milliseconds(50)
            phase.stall = Nanoseconds(min(Nanoseconds.seconds(5).count, phase.duration.count / 2))
        case .kill: phase.killEvery = .milliseconds(500)
        }
        return phase
    }

    /// How much more than its rate a spike brings.
    package static let spikeFactor = 3.0

    /// The phases of a shape: one that disturbs stands between a steady one and a recovery.
    package static func phases(of shape: Shape, _ base: Base) -> [Phase] {
        switch shape {
        case .steady, .bulkEdit, .duplicateStorm, .poison: return [single(shape, base)]
        case .spike, .slowDatabase, .kill, .recover:
            var outer = base
            outer.duration = Nanoseconds(base.duration.count / 4)
            var inner = base
            inner.duration = Nanoseconds(base.duration.count / 2)
            let middle = shape == .recover ? .slowDatabase : shape
            return [single(.steady, outer), single(middle, inner), single(.recover, outer)]
        }
    }
}
