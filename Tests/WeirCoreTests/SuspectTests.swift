import Testing
import WeirCore

/// An error that seems to speak of one record.
@Suite struct SuspectTests {
    private let refused = BatchOutcome.recordError(culprit: nil)

    /// A machine with these records in batch 1.
    private func machine(_ keys: [UInt64?]) -> (Machine, [Ticket]) {
        var machine = Machine.testing(batch: 20)
        let tickets = keys.compactMap { machine.admit(record($0), now: .zero).ticket }
        _ = machine.dispatch(now: .zero)
        return (machine, tickets)
    }

    @Test func theOthersGoFirstAndTheSuspectAlone() {
        var (machine, t) = machine([1, 2, 3, 4, 5])
        #expect(
            machine.finished(w0, refused, suspect: 2, now: at(1))
                == .passes(.suspected(b1, records: 1))
                + .assigns(w0, b1, [t[0], t[1], t[3], t[4]]))
        #expect(
            machine.finished(w0, .committed, now: at(2))
                == .commits(t[0], t[1], t[3], t[4]) + .assigns(w0, b1, [t[2]]))
        #expect(
            machine.finished(w0, .recordError(culprit: 0), now: at(3))
                == .resolves(t[2], as: .rejected))
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func whatIsOfTheSuspectsKeyComesBehindIt() {
        var machine = Machine.testing(batch: 20)
        let t = [1, 2, 1, nil, 1, 2].compactMap { machine.admit(record($0), now: .zero).ticket }
        // A batch is in the order of each key, not of all records.
        let batch = machine.dispatch(now: .zero).assigned.first ?? []
        let rest = batch.filter { $0 != t[2] && $0 != t[4] }
        let effects = machine.finished(
            w0, refused, suspect: batch.firstIndex(of: t[2]), now: at(1))
        #expect(effects.assigned == [rest])
        #expect(rest.count == 4)
        #expect(machine.finished(w0, .committed, now: at(2)).assigned == [[t[2]]])
        #expect(
            machine.finished(w0, refused, now: at(3))
                == .resolves(t[2], as: .rejected) + .assigns(w0, b1, [t[4]]))
        #expect(machine.finished(w0, .committed, now: at(4)) == .commits(t[4]))
    }

    @Test func whatStandsBehindWhatStandsBehindItComesLaterToo() {
        var machine = Machine.testing(batch: 20)
        let a = machine.admit(record(1), now: .zero).ticket
        let b = machine.admit(record(1, second: 9), now: .zero).ticket
        let c = machine.admit(record(2, second: 9), now: .zero).ticket
        let d = machine.admit(record(3), now: .zero).ticket
        let t = [a, b, c, d].compactMap { $0 }
        _ = machine.dispatch(now: .zero)
        #expect(machine.finished(w0, refused, suspect: 0, now: at(1)).assigned == [[t[3]]])
        #expect(machine.finished(w0, .committed, now: at(2)).assigned == [[t[0]]])
        #expect(machine.finished(w0, .committed, now: at(3)).assigned == [[t[1], t[2]]])
    }

    @Test func aSuspectWithNothingBesidesItsFollowersGoesAtOnce() {
        var (machine, t) = machine([1, 1, 1])
        #expect(machine.finished(w0, refused, suspect: 0, now: at(1)).assigned == [[t[0]]])
        #expect(machine.finished(w0, refused, now: at(2)).assigned == [[t[1], t[2]]])
    }

    @Test func aGroupIsSuspectedWhole() {
        var machine = Machine.busy(batch: 20)
        let a = machine.queue(record(1))
        let group = machine.queue(group: [record(2), record(3)])
        let b = machine.queue(record(3))
        _ = machine.finished(w0, .committed, now: at(1))
        #expect(machine.finished(w0, refused, suspect: 2, now: at(2)).assigned == [[a]])
        #expect(machine.finished(w0, .committed, now: at(3)).assigned == [group])
        #expect(
            machine.finished(w0, refused, now: at(4))
                == .assigns(w0, b2, group, isIsolated: true))
        #expect(
            machine.finished(w0, .recordError(culprit: 1), now: at(5)).assigned == [[b]])
    }

    @Test func whatFailsASecondTimeIsHalvedAsWell() {
        var (machine, t) = machine([1, 2, 3, 4, 5, 6])
        _ = machine.finished(w0, refused, suspect: 0, now: at(1))
        let again = machine.finished(w0, refused, suspect: 0, now: at(2))
        #expect(again.assigned == [[t[2], t[3]]])
        #expect(machine.finished(w0, .committed, now: at(3)).assigned == [[t[4], t[5]]])
        #expect(machine.finished(w0, .committed, now: at(4)).assigned == [[t[1]]])
        #expect(machine.finished(w0, refused, now: at(5)).assigned == [[t[0]]])
    }

    @Test func aWrongSuspicionIsTheLastOneOfItsBatch() {
        var (machine, t) = machine([1, 2, 2, 2, 2])
        #expect(machine.finished(w0, refused, suspect: 1, now: at(1)).assigned == [[t[0]]])
        #expect(machine.finished(w0, .committed, now: at(2)).assigned == [[t[1]]])
        #expect(machine.finished(w0, .committed, now: at(3)).assigned == [[t[2], t[3], t[4]]])
        let effects = machine.finished(w0, refused, suspect: 0, now: at(4))
        #expect(
            effects == .passes(.halved(b1, records: 1)) + .assigns(w0, b1, [t[2]])
                || effects == .passes(.halved(b1, records: 2)) + .assigns(w0, b1, [t[2], t[3]]))
    }

    @Test(arguments: [-1, 4, Int.max])
    func aPositionThatNobodyHasIsNoSuspicion(_ position: Int) {
        var (machine, t) = machine([1, 2, 3, 4])
        #expect(
            machine.finished(w0, refused, suspect: position, now: at(1))
                == .passes(.halved(b1, records: 2)) + .assigns(w0, b1, [t[0], t[1]]))
    }

    @Test func positionsCountTheRecordsOfPacks() {
        var machine = Machine.testing(batch: 10)
        _ = machine.admit(record(9), now: .zero)
        _ = machine.admit(
            pack: record(nil), recordCount: 3, orderHashes: [1, 7, 1, 8],
            hashEnds: [1, 2, 4], now: .zero)
        _ = machine.dispatch(now: .zero)
        let effects = machine.finished(w0, refused, suspect: 1, now: at(1))
        let parts = effects.unpackings.first?.parts ?? []
        #expect(parts.count == 3)
        #expect(effects.assigned.first?.last == parts[1])
        #expect(effects.assigned.first?.count == 2)
        #expect(machine.finished(w0, .committed, now: at(2)).assigned == [[parts[0]]])
        #expect(machine.finished(w0, refused, now: at(3)).assigned == [[parts[2]]])
    }

    @Test func aPackWhoseKeysCannotBeToldApartIsHalved() {
        var machine = Machine.testing(batch: 10)
        _ = machine.admit(pack: record(nil), recordCount: 3, orderHashes: [1, 2], now: .zero)
        _ = machine.dispatch(now: .zero)
        let effects = machine.finished(w0, refused, suspect: 1, now: at(1))
        #expect(effects.transitions.count == 1)
        #expect(effects.assigned.map(\.count) == [1])
        #expect(effects.transitions == [.halved(b1, records: 1)])
    }

    /// How many attempts a batch of `size` takes of which these records are bad, when the database
    /// names the first bad one each time, or a guiltless one.
    private func attempts(_ size: Int, bad: Set<Int>, isMisled: Bool = false) -> Int {
        var configuration = Machine.Configuration()
        configuration.batch.recordsMax = size
        var machine = Machine(configuration)
        _ = machine.writerReady(w0, now: .zero)
        let tickets = (0..<size).compactMap {
            machine.admit(record(UInt64($0)), now: .zero).ticket
        }
        let guilty = Set(bad.map { tickets[$0] })
        var attempt = machine.dispatch(now: .zero).assignments.first
        var count = 0
        while let tickets = attempt?.tickets, count < 10 * size {
            count += 1
            let isBad = tickets.map { guilty.contains($0) }
            let outcome = isBad.contains(true) ? refused : .committed
            let suspect = isBad.firstIndex(of: !isMisled)
            attempt = machine.finished(w0, outcome, suspect: suspect, now: at(1)).assignments.first
        }
        #expect(machine.gauges.recordsHeld == 0)
        return count
    }

    @Test func oneBadRecordCostsTwoAttemptsMore() {
        #expect(attempts(1_000, bad: []) == 1)
        #expect(attempts(1_000, bad: [617]) == 3)
    }

    @Test func manyBadRecordsCostAFewAttemptsEach() {
        let bad = Set((0..<50).map { $0 * 97 % 1_000 })
        #expect(attempts(1_000, bad: bad) <= 4 * bad.count)
    }

    @Test func aBatchEndsHoweverWrongTheSuspicionsAre() {
        #expect(attempts(64, bad: [13, 40], isMisled: true) <= 4 * 12)
        #expect(attempts(64, bad: Set(0..<64)) <= 3 * 64)
    }
}
