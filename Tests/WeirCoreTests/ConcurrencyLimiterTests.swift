import Testing
import WeirCore

@Suite struct ConcurrencyLimiterTests {
    /// Keeps as many large batches in flight as the limiter allows, on a server that writes `rate`
    /// records per second with so many at once, and counts the batches that left under each limit.
    private static func run(
        _ limiter: inout ConcurrencyLimiter, batches: Int, now: inout Timestamp,
        rate: (Int) -> Double
    ) -> [Int: Int] {
        var counts: [Int: Int] = [:]
        for _ in 0..<batches {
            let inFlight = limiter.limit
            counts[inFlight, default: 0] += 1
            let gap = Int64(5_000 / rate(inFlight) * 1e9)
            now = now + Nanoseconds(gap)
            limiter.observe(
                recordCount: 5_000, took: Nanoseconds(gap * Int64(inFlight)), now: now)
        }
        return counts
    }

    private static func share(
        limitMax: Int, rate: (Int) -> Double
    ) -> [Int: Double] {
        var limiter = ConcurrencyLimiter(limitMax: limitMax)
        var now = Timestamp.zero
        _ = run(&limiter, batches: 4_000, now: &now, rate: rate)
        let counts = run(&limiter, batches: 4_000, now: &now, rate: rate)
        return counts.mapValues { Double($0) / 4_000 }
    }

    @Test func oneLargeBatchAtATimeIsTheBeginning() {
        #expect(ConcurrencyLimiter(limitMax: 8).limit == 1)
    }

    @Test func aServerThatOneBatchKeepsBusyGetsOne() {
        let share = Self.share(limitMax: 8) { $0 == 1 ? 400_000 : 380_000 }
        #expect(share[1, default: 0] > 0.95)
    }

    @Test func aServerThatDoesMoreWithMoreGetsMore() {
        let share = Self.share(limitMax: 8) { 200_000 * Double(min($0, 4)) }
        #expect(share[4, default: 0] > 0.9)
        #expect(share[1, default: 0] == 0)
    }

    @Test func aTwentiethMoreIsNotWorthAnotherTransaction() {
        let share = Self.share(limitMax: 4) { 400_000 * (1 + 0.05 * Double($0 - 1)) }
        #expect(share[1, default: 0] > 0.9)
    }

    @Test func noMoreThanTheConnectionsAreTried() {
        let share = Self.share(limitMax: 2) { 200_000 * Double($0) }
        #expect(share.keys.sorted() == [1, 2])
        #expect(share[2, default: 0] > 0.9)
        #expect(Self.share(limitMax: 1) { _ in 200_000 } == [1: 1])
    }

    @Test func aServerThatBecomesNarrowIsNoticed() {
        var limiter = ConcurrencyLimiter(limitMax: 8)
        var now = Timestamp.zero
        _ = Self.run(&limiter, batches: 2_000, now: &now) { 100_000 * Double(min($0, 4)) }
        #expect(limiter.limit >= 3)
        _ = Self.run(&limiter, batches: 8_000, now: &now) { _ in 100_000 }
        #expect(limiter.limit <= 2)
    }

    @Test func pausesOfCallersSayNothingOfTheServer() {
        // Whatever was measured over a pause would make the number before it look bad.
        var limiter = ConcurrencyLimiter(limitMax: 8)
        var now = Timestamp.zero
        for _ in 0..<500 {
            _ = Self.run(&limiter, batches: 10, now: &now) { _ in 400_000 }
            now = now + .seconds(1)
        }
        #expect(limiter.limit == 1)
    }

    // MARK: In the machine

    private static func machine() -> Machine {
        var configuration = Machine.Configuration()
        configuration.writersMax = 2
        configuration.batch.recordsMax = 400
        configuration.admission.recordsMax = 10_000
        var machine = Machine(configuration)
        for number in [1, 0] { _ = machine.writerReady(WriterID(number), now: .zero) }
        return machine
    }

    private static func pack(_ machine: inout Machine, now: Timestamp) -> Effects {
        let entry = Entry(
            table: orders, orderHash: nil, byteCount: 4_000, deadline: at(100_000))
        _ = machine.admit(pack: entry, recordCount: 400, orderHashes: [], now: now)
        return machine.dispatch(now: now)
    }

    @Test func aSecondLargeBatchWaitsForTheFirst() {
        var machine = Self.machine()
        #expect(Self.pack(&machine, now: .zero).assignments.map(\.writer) == [w0])
        #expect(Self.pack(&machine, now: at(1)).assignments.isEmpty)
        #expect(
            machine.finished(w0, .committed, now: at(3)).assignments.map(\.writer) == [w0])
    }

    @Test func aLargeBatchThatTakesTooLongHoldsNobodyBack() {
        var machine = Self.machine()
        _ = Self.pack(&machine, now: .zero)
        _ = Self.pack(&machine, now: at(1))
        // Twice what one took lately, and never less than the longest linger.
        #expect(machine.nextDeadline(now: at(1)) == at(5))
        #expect(machine.timerFired(now: at(4)).assignments.isEmpty)
        #expect(machine.timerFired(now: at(5)).assignments.map(\.writer) == [w1])
    }

    @Test func patienceIsTwiceWhatALargeBatchTook() {
        var machine = Self.machine()
        _ = Self.pack(&machine, now: .zero)
        _ = machine.finished(w0, .committed, now: at(20))
        _ = Self.pack(&machine, now: at(20))
        _ = Self.pack(&machine, now: at(21))
        #expect(machine.nextDeadline(now: at(21)) == at(60))
    }
}
