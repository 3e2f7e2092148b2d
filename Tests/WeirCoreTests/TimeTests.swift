import Testing
import WeirCore

@Suite struct TimeTests {
    @Test func timestampsSaturate() {
        #expect(at(5) + .distant == .distantFuture)
        #expect(Timestamp.distantFuture + .milliseconds(1) == .distantFuture)
        #expect(Timestamp.distantFuture - Timestamp(nanoseconds: -1) == .distant)
        #expect(at(7) - at(5) == .milliseconds(2))
    }

    @Test func durationsBecomeNanoseconds() {
        #expect(Nanoseconds(.milliseconds(5)) == .milliseconds(5))
        #expect(Nanoseconds(.nanoseconds(1)) == Nanoseconds(1))
        #expect(Nanoseconds(.milliseconds(-1)) == .milliseconds(-1))
    }

    @Test(arguments: [
        Duration.seconds(Int64.max), .seconds(9_223_372_036) + .milliseconds(999),
    ])
    func durationsSaturate(_ duration: Duration) {
        #expect(Nanoseconds(duration) == .distant)
        #expect(Nanoseconds(.zero - duration) == Nanoseconds(.min))
    }

    @Test func anAbsurdLingerIsForever() {
        var configuration = Machine.Configuration()
        configuration.writersMax = 2
        configuration.batch.lingerMax = .seconds(Int64.max)
        var machine = Machine(configuration)
        _ = machine.writerReady(w0, now: at(1))
        _ = machine.writerReady(w1, now: at(1))
        _ = machine.queue([record(1), record(2)], now: at(1))
        #expect(machine.nextDeadline(now: at(1)) == at(1_000))
    }

    // MARK: Backoff

    @Test(arguments: 1...100)
    func aDelayIsWithinItsBounds(_ attempt: Int) {
        let backoff = Backoff(min: .milliseconds(2), max: .milliseconds(500))
        let ceiling = min(500.0, 2 * Double(1 << min(attempt - 1, 20)))
        for seed in UInt64(0)..<50 {
            var random = SplitMix64(seed: seed)
            let delay = backoff.delay(attempt: attempt, using: &random).milliseconds
            #expect(delay >= 1 && delay <= ceiling)
        }
    }

    @Test func delaysAreSpreadOverTheirRange() {
        let backoff = Backoff(min: .milliseconds(2), max: .milliseconds(512))
        var random = SplitMix64(seed: 1)
        let delays = (0..<1_000).map { _ in backoff.delay(attempt: 9, using: &random).milliseconds }
        let mean = delays.reduce(0, +) / 1_000
        #expect(mean > 230 && mean < 280)
    }

    @Test func absurdDelaysDoNotOverflow() {
        let backoff = Backoff(min: .seconds(Int64.max), max: .seconds(Int64.max))
        var random = SplitMix64(seed: 1)
        #expect(backoff.delay(attempt: 64, using: &random) > .seconds(1))
        let none = Backoff(min: .zero, max: .zero)
        #expect(none.delay(attempt: 1, using: &random) == .zero)
    }

    @Test func aDelayIsNeverLongerThanItsMaximum() {
        let backoff = Backoff(min: .seconds(10), max: .seconds(1))
        var random = SplitMix64(seed: 1)
        #expect(backoff.delay(attempt: 1, using: &random) <= .seconds(1))
    }

    @Test func theLastAttemptHasNoDelay() {
        var configuration = RetryPolicy.Configuration()
        configuration.attemptsMax = 3
        let policy = RetryPolicy(configuration)
        var random = SplitMix64(seed: 1)
        #expect(policy.delay(afterAttempt: 2, using: &random) != nil)
        #expect(policy.delay(afterAttempt: 3, using: &random) == nil)
    }
}

extension Nanoseconds {
    fileprivate static let distant = Nanoseconds(.max)
}
