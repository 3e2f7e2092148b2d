/// After a transient failure: how often, and how long to wait.
package struct RetryPolicy: Sendable {
    package struct Configuration: Sendable, Equatable {
        /// Attempts in all, the first included. Past it: 503 `retries-exhausted`.
        package var attemptsMax = 8
        package var delayMin: Duration = .milliseconds(2)
        package var delayMax: Duration = .milliseconds(500)
        /// Between attempts to find out whether a batch committed, of which there is no last one.
        package var inquiryDelayMin: Duration = .milliseconds(10)
        package var inquiryDelayMax: Duration = .seconds(2)
        package init() {}
    }

    private let attemptsMax: Int
    private let backoff: Backoff
    private let inquiryBackoff: Backoff

    package init(_ configuration: Configuration) {
        precondition(configuration.attemptsMax >= 1, "a batch needs one attempt")
        attemptsMax = configuration.attemptsMax
        backoff = Backoff(min: configuration.delayMin, max: configuration.delayMax)
        inquiryBackoff = Backoff(
            min: configuration.inquiryDelayMin, max: configuration.inquiryDelayMax)
    }

    /// Whether the batch is halved instead of being tried again whole: a smaller one may fit into
    /// the timeout or the memory. One that ends its session time after time may hold a record that
    /// does, whose mates need not go with it; a server that restarts ends each session once.
    func divides(afterAttempt attempt: Int, _ reason: TransientReason) -> Bool {
        switch reason {
        case .statementTimeout, .resources: attempt >= attemptsMax
        case .connectionLost: attempt >= min(Self.lostSessionsMax, attemptsMax)
        default: false
        }
    }

    private static let lostSessionsMax = 3

    /// The wait before attempt `attempt + 1`, or `nil` when `attempt` was the last one.
    package func delay(
        afterAttempt attempt: Int, using random: inout SplitMix64
    ) -> Nanoseconds? {
        attempt < attemptsMax ? backoff.delay(attempt: attempt, using: &random) : nil
    }

    /// The wait before somebody is to find out for the `inquiry`th time.
    func delay(beforeInquiry inquiry: Int, using random: inout SplitMix64) -> Nanoseconds {
        inquiryBackoff.delay(attempt: inquiry, using: &random)
    }
}

/// Exponential backoff with full jitter: uniform in 0 ... min(max, min · 2^(attempt-1)), after
/// Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015). The floor is half of
/// `min`, because a delay of nothing at all meets the same lock again.
package struct Backoff: Sendable {
    private let min: Nanoseconds
    private let max: Nanoseconds

    package init(min: Duration, max: Duration) {
        self.min = Nanoseconds(min)
        self.max = Nanoseconds(max)
    }

    package func delay(attempt: Int, using random: inout SplitMix64) -> Nanoseconds {
        let exponent = Swift.min(Swift.max(attempt - 1, 0), 30)
        let (grown, overflow) = min.count.multipliedReportingOverflow(by: 1 << exponent)
        let ceiling = Swift.min(overflow ? max.count : grown, max.count)
        let floor = Swift.min(min.count / 2, ceiling)
        return Nanoseconds(floor + Int64(random.next() % UInt64(Swift.max(1, ceiling - floor + 1))))
    }
}

/// Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014). Not for
/// secrets.
package struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) {
        state = seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
