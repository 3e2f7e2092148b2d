import Histogram
import Testing
import WeirCore
import WeirLoad

@Suite struct StatisticsTests {
    private func time(_ milliseconds: Double) -> Timestamp {
        Timestamp(nanoseconds: Int64(milliseconds * 1e6))
    }

    /// A server that stalls for a second: a thousand calls are due meanwhile, and each waits.
    @Test func aStallShowsInTheResponseAndNotInTheService() {
        var latency = LatencyRecorder()
        for number in 0..<2_000 {
            let intended = Double(number)
            // One connection: what is due during the stall is sent after it, and served in 1 ms.
            let sent = number < 1_000 ? intended : max(intended, 2_000)
            latency.record(
                intended: time(intended), sent: time(sent), done: time(sent + 1),
                isAcknowledged: true)
        }
        #expect(latency.service.valueAtPercentile(99.9) < 1_100_000)
        let p75 = Double(latency.response.valueAtPercentile(75))
        #expect(abs(p75 / 501e6 - 1) < 0.01, "half of the second half waited 500 ms and more")
        #expect(abs(Double(latency.response.maxRecorded) / 1_001e6 - 1) < 0.001)
        #expect(latency.lag.maxRecorded >= 999_000_000)
    }

    /// A hundred calls at once are sent one after the other.
    @Test func whoFollowsInABurstDoesNotLag() {
        var latency = LatencyRecorder()
        for number in 0..<100 {
            latency.record(
                intended: time(0), sent: time(Double(number) / 10), done: time(20),
                isAcknowledged: true, isFollower: number > 0)
        }
        #expect(latency.lag.totalCount == 1 && latency.lag.maxRecorded < 1_001)
        #expect(latency.fanOut.totalCount == 99)
        #expect(abs(Double(latency.fanOut.maxRecorded) / 9.9e6 - 1) < 0.001)
        #expect(latency.response.valueAtPercentile(0) >= 20_000_000)
    }

    @Test func percentilesAreThoseOfTheSortedValues() throws {
        var latency = LatencyRecorder()
        var random = SplitMix64(seed: 7)
        var spans: [Int64] = []
        for _ in 0..<20_000 {
            // From 1 µs to 10 s, evenly in the logarithm's bits.
            let span = Int64(1_000 + random.next() >> (30 + random.next() % 24))
            spans.append(span)
            latency.record(
                intended: .zero, sent: .zero, done: Timestamp(nanoseconds: span),
                isAcknowledged: true)
        }
        spans.sort()
        for percentile in [1.0, 25, 50, 90, 99, 99.9, 100] {
            // In thousandths: 99.9 has no exact double.
            let exact = spans[(Int((percentile * 10).rounded()) * 20_000 + 999) / 1_000 - 1]
            let told = try #require(latency.response.span(atPercentile: percentile)).count
            #expect(abs(Double(told - exact)) <= max(Double(exact) * 0.001, 1_100), "\(percentile)")
        }
    }

    @Test func loopsAddUp() {
        var (one, other) = (Tally(), Tally())
        one.record(
            Answer(.acknowledged, batchRecords: 4), intended: time(1), sent: time(1), done: time(3))
        for _ in 0..<3 {
            other.record(
                Answer(.acknowledged, batchRecords: 4), intended: time(0), sent: time(0),
                done: time(9))
        }
        other.record(
            Answer(.rejected, code: "23514"), intended: time(5), sent: time(5), done: time(6))
        other.record(
            Answer(.unknown, code: "lost"), intended: time(5), sent: time(5), done: time(6))
        one.add(other)
        #expect(one.calls == 6 && one.failed == 2 && one.acknowledged == 4)
        #expect(one.errors == ["23514": 1, "lost": 1])
        #expect(one.batches == 1, "four answers speak of one batch of four")
        #expect(one.first == time(0) && one.last == time(9))
        #expect(one.latency.response.totalCount == 4 && one.latency.failed.totalCount == 2)
    }

    @Test func codesAreBounded() {
        var tally = Tally()
        for number in 0..<1_000 {
            tally.record(
                Answer(.rejected, code: "c\(number)"), intended: .zero, sent: .zero, done: .zero)
        }
        #expect(tally.errors.count == 101 && tally.errors["other"] == 900)
    }

    @Test func recoveryIsTheFirstGoodSecond() {
        var series = TimeSeries(duration: .seconds(10))
        #expect(series.width == .milliseconds(100))
        for at in stride(from: 0.0, to: 10_000, by: 10) {
            let isSlow = at >= 2_000 && at < 4_050
            series.finished(
                Nanoseconds(Int64(at * 1e6)), isAcknowledged: true,
                response: .milliseconds(isSlow ? 500 : 5))
        }
        let recovery = series.recovery(after: .seconds(3), limit: .milliseconds(6))
        #expect(recovery == .milliseconds(1_100), "the bin of 4.0 s still holds slow ones")
        #expect(series.recovery(after: .seconds(3), limit: .milliseconds(4)) == nil)
    }
}

@Suite struct VerdictTests {
    private func evidence(
        lag: Nanoseconds, p50: Nanoseconds, isClosed: Bool = false
    ) -> RunVerdict.Evidence {
        .init(isClosed: isClosed, lagP99: lag, responseP50: p50, calls: 1)
    }

    @Test func aLagThatShowsVoidsTheRun() {
        #expect(!RunVerdict(evidence(lag: Nanoseconds(900_000), p50: .milliseconds(1))).isVoid)
        #expect(RunVerdict(evidence(lag: Nanoseconds(1_100_000), p50: .milliseconds(1))).isVoid)
        #expect(!RunVerdict(evidence(lag: .milliseconds(4), p50: .milliseconds(100))).isVoid)
        #expect(RunVerdict(evidence(lag: .milliseconds(6), p50: .milliseconds(100))).isVoid)
        #expect(
            !RunVerdict(evidence(lag: .milliseconds(60), p50: .milliseconds(1), isClosed: true))
                .isVoid
        )
    }

    @Test func eachReasonIsSaid() {
        var evidence = evidence(lag: .zero, p50: .milliseconds(1))
        evidence.waitedForConnection = 3
        evidence.processorShare = 0.93
        evidence.unsent = 2
        let reasons = RunVerdict(evidence).reasons
        #expect(reasons.count == 3)
        #expect(reasons[0].contains("3 calls waited") && reasons[1].contains("93 %"))
        evidence.calls = 0
        #expect(RunVerdict(evidence).reasons.count == 4)
    }
}

@Suite struct ThresholdTests {
    private func tally() -> Tally {
        var tally = Tally()
        for number in 1...1_000 {
            let isFailed = number > 990
            tally.record(
                Answer(isFailed ? .rejected : .acknowledged, code: isFailed ? "x" : ""),
                intended: .zero, sent: Timestamp(nanoseconds: 100_000),
                done: Timestamp(nanoseconds: Int64(number) * 1_000_000))
        }
        return tally
    }

    @Test(
        arguments: [
            ("p99<990ms", true), ("p99<900ms", false), ("p50 < 0.6s", true), ("max<=1s", true),
            ("failed<1%", false), ("failed<=1%", true), ("failed<11", true), ("rate>98", true),
            ("rate>=100/s", false), ("mean<500ms", true), ("service.p50<495ms", true),
            ("lag.p99<1ms", true),
            ("lag.max<50us", false), ("p99.9>1h", nil), ("", nil), ("p99", nil), ("p101<1s", nil),
            ("p99<fast", nil), ("p99<5", nil), ("speed>1s", nil), ("failed<-1%", nil),
            ("rate>nan", nil),
        ] as [(String, Bool?)])
    func boundsAreJudged(_ text: String, _ isKept: Bool?) throws {
        guard let isKept else {
            #expect(throws: Threshold.Malformed.self) { try Threshold(text) }
            return
        }
        #expect(try Threshold(text).judge(tally(), seconds: 10).isKept == isKept)
    }

    @Test func aModeMayBeNamed() throws {
        let threshold = try Threshold("gateway:p99<50ms")
        #expect(threshold.mode == "gateway" && threshold.metric == .percentile(99))
    }

    @Test func whatWasNotMeasuredKeepsNoBound() throws {
        let (value, isKept) = try Threshold("p99<1s").judge(Tally(), seconds: 1)
        #expect(value == "n/a" && !isKept)
    }

    @Test(
        arguments: [
            (999, "999 ns"), (1_500, "1.50 µs"), (99_960, "100 µs"), (12_345_678, "12.3 ms"),
            (999_600_000, "1.00 s"), (61_000_000_000, "61.0 s"),
        ] as [(Int64, String)])
    func spansReadWell(_ count: Int64, _ text: String) {
        #expect(Nanoseconds(count).text == text)
    }

    @Test func numbersReadWell() {
        #expect(grouped(1_234_567) == "1,234,567" && grouped(-999) == "-999" && grouped(0) == "0")
        #expect(fixed(1.005, 1) == "1.0" && fixed(-0.04, 1) == "0.0" && fixed(.nan, 2) == "n/a")
    }
}
