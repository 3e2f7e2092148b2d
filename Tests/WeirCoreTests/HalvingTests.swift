import Testing
import WeirCore

@Suite struct HalvingTests {
    /// A machine with these records in batch 1.
    private func machine(_ entries: [Entry], attempts: Int = 3) -> (Machine, [Ticket]) {
        var machine = Machine.testing(batch: 10, attempts: attempts)
        let tickets = entries.compactMap { machine.admit($0, now: .zero).ticket }
        _ = machine.dispatch(now: .zero)
        return (machine, tickets)
    }

    @Test func aBadRecordAloneIsRejected() {
        var (machine, t) = machine([record(1)])
        #expect(
            machine.finished(w0, .recordError(culprit: 0), now: at(1))
                == .resolves(t[0], as: .rejected))
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func theMatesOfABadRecordCommit() {
        var (machine, t) = machine([record(1), record(2), record(3), record(4)])
        let refused = BatchOutcome.recordError(culprit: nil)
        // The third is bad.
        #expect(
            machine.finished(w0, refused, now: at(1))
                == .passes(.halved(b1, records: 2)) + .assigns(w0, b1, [t[0], t[1]]))
        #expect(
            machine.finished(w0, .committed, now: at(2))
                == .commits(t[0], t[1]) + .assigns(w0, b1, [t[2], t[3]]))
        #expect(
            machine.finished(w0, refused, now: at(3))
                == .passes(.halved(b1, records: 1)) + .assigns(w0, b1, [t[2]]))
        #expect(
            machine.finished(w0, refused, now: at(4))
                == .resolves(t[2], as: .rejected) + .assigns(w0, b1, [t[3]]))
        #expect(machine.finished(w0, .committed, now: at(5)) == .commits(t[3]))
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func aKeyKeepsItsOrderWhenItsBatchIsHalved() {
        var (machine, t) = machine([record(1), record(1), record(1), record(1)])
        _ = machine.finished(w0, .recordError(culprit: nil), now: at(1))
        let later = machine.queue(record(1), now: at(1))
        #expect(machine.finished(w0, .committed, now: at(2)).assigned == [[t[2], t[3]]])
        #expect(machine.finished(w0, .committed, now: at(3)).assigned == [[later]])
    }

    @Test func halvesOfHalvesComeInOrder() {
        var (machine, t) = machine([record(1), record(1), record(1), record(1)])
        let refused = BatchOutcome.recordError(culprit: nil)
        #expect(machine.finished(w0, refused, now: at(1)).assigned == [[t[0], t[1]]])
        #expect(machine.finished(w0, refused, now: at(2)).assigned == [[t[0]]])
        #expect(machine.finished(w0, .committed, now: at(3)).assigned == [[t[1]]])
        #expect(machine.finished(w0, .committed, now: at(4)).assigned == [[t[2], t[3]]])
    }

    @Test func whatStandsBehindAnIsolatedGroupIsNotIsolated() {
        var machine = Machine.busy()
        let group = machine.queue(group: [record(1), record(2)])
        let pair = machine.queue([record(3), record(4)])
        let refused = BatchOutcome.recordError(culprit: nil)
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [group + pair])
        #expect(machine.finished(w0, refused, now: at(2)).assigned == [group])
        #expect(
            machine.finished(w0, refused, now: at(3))
                == .assigns(w0, b2, group, isIsolated: true))
        #expect(
            machine.finished(w0, .recordError(culprit: 0), now: at(4))
                == .resolves(group[0], as: .rejected) + .resolves(group[1], as: .rolledBack)
                + .assigns(w0, b2, pair))
    }

    @Test func aBatchIsHalvedAtTheStartOfAUnitNearestToTheMiddle() {
        var machine = Machine.testing(batch: 10)
        var tickets = (UInt64(1)...4).compactMap { machine.admit(record($0), now: .zero).ticket }
        let entries = (UInt64(5)...9).map { record($0) }
        guard case .success(let group) = machine.admit(group: entries, now: .zero) else {
            Issue.record("the group was refused")
            return
        }
        tickets += group.compactMap(\.ticket)
        tickets += [machine.admit(record(10), now: .zero).ticket].compactMap { $0 }
        #expect(machine.dispatch(now: .zero).assigned == [tickets])
        let halved = machine.finished(w0, .recordError(culprit: nil), now: at(1))
        #expect(halved.assigned == [Array(tickets[..<4])])
    }

    @Test func eachHalfHasItsOwnAttempts() {
        var (machine, t) = machine([record(1), record(2)], attempts: 2)
        _ = machine.finished(w0, .transient(.deadlock), now: at(1))
        #expect(
            machine.finished(w0, .recordError(culprit: nil), now: at(2))
                == .passes(.halved(b1, records: 1)) + .assigns(w0, b1, [t[0]]))
        #expect(
            machine.finished(w0, .transient(.deadlock), now: at(3))
                == .passes(.willRetry(b1, attempt: 2, .deadlock, after: .zero))
                + .assigns(w0, b1, attempt: 2, [t[0]]))
    }

    @Test func aHalfGoesOnWithAnotherConnection() {
        var machine = Machine.testing(writers: 2)
        let tickets = [record(1), record(2)].compactMap { machine.admit($0, now: .zero).ticket }
        _ = machine.dispatch(now: .zero)
        let effects = machine.finished(
            w0, .recordError(culprit: nil), isConnected: false, now: at(1))
        #expect(
            effects == .passes(.halved(b1, records: 1)) + .assigns(w1, b1, [tickets[0]]))
    }
}
