import Testing
import WeirCore

/// Two keys for one record, and tables that are strict about order.
@Suite struct OrderTests {
    private let refused = BatchOutcome.recordError(culprit: 0)

    // MARK: A second key

    @Test func aRecordWithTwoKeysWaitsForBoth() {
        var machine = Machine.testing(writers: 2)
        _ = machine.queue(record(1))
        let both = machine.queue(record(2, second: 1))
        let behind = machine.queue(record(2))
        #expect(machine.timerFired(now: at(50)) == .none)
        #expect(machine.finished(w0, .committed, now: at(51)).assigned == [[both, behind]])
    }

    @Test func recordsOfOneOrderKeyKeepTheirOrder() {
        var machine = Machine.testing(writers: 2, batch: 1)
        let a = machine.queue(record(1, second: 9))
        let b = machine.queue(record(2, second: 9))
        #expect(machine.finished(w0, .committed, now: at(1)) == .commits(a) + .assigns(w0, b2, [b]))
    }

    @Test func anOrderKeyAloneIsAKey() {
        var machine = Machine.testing(writers: 2, batch: 1)
        _ = machine.queue(record(nil, second: 9))
        let b = machine.queue(record(nil, second: 9))
        #expect(machine.timerFired(now: at(50)) == .none)
        #expect(machine.finished(w0, .committed, now: at(51)).assigned == [[b]])
    }

    @Test func equalKeysAreOne() {
        var machine = Machine.testing()
        let a = machine.queue(record(1, second: 1))
        #expect(machine.finished(w0, .committed, now: at(1)) == .commits(a))
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func aGroupStandsInTheLanesOfAllItsKeys() {
        var machine = Machine.testing(writers: 2)
        _ = machine.queue(record(9))
        let group = machine.queue(group: [record(1), record(nil, second: 9), record()])
        let behind = machine.queue(record(1))
        #expect(machine.timerFired(now: at(50)) == .none)
        #expect(machine.finished(w0, .committed, now: at(51)).assigned == [group + [behind]])
    }

    @Test func aRecordWithTwoKeysExpiresInTheQueue() {
        var machine = Machine.busy()
        let a = machine.queue(record(1, deadline: at(20), second: 2))
        #expect(machine.timerFired(now: at(20)) == .refuses(a, as: .deadlineExceeded))
        _ = machine.finished(w0, .committed, now: at(21))
        #expect(machine.gauges.recordsHeld == 0)
        #expect(machine.violations(now: at(21)) == [])
    }

    // MARK: Strict

    @Test func aRefusedRecordHoldsBackWhatIsQueuedBehindIt() {
        var machine = Machine.testing()
        let a = machine.queue(record(1, isStrict: true))
        let b = machine.queue(record(1, isStrict: true))
        let other = machine.queue(record(2, isStrict: true))
        #expect(
            machine.finished(w0, refused, now: at(1))
                == .resolves(a, as: .rejected) + .refuses(b, as: .orderBlocked)
                + .assigns(w0, b2, [other]))
        #expect(machine.violations(now: at(1)) == [])
        // Its caller knows: what comes now is sent with that knowledge.
        let later = machine.queue(record(1, isStrict: true), now: at(2))
        #expect(machine.finished(w0, .committed, now: at(3)).assigned == [[later]])
    }

    @Test func aRefusedRecordHoldsBackWhatStandsBehindItInItsBatch() {
        var machine = Machine.busy()
        let t = machine.queue([
            record(1, isStrict: true), record(2, isStrict: true), record(1, isStrict: true),
        ])
        _ = machine.finished(w0, .committed, now: at(1))
        _ = machine.finished(w0, .recordError(culprit: nil), suspect: 0, now: at(2))
        _ = machine.finished(w0, .committed, now: at(3))
        #expect(
            machine.finished(w0, refused, now: at(4))
                == .resolves(t[0], as: .rejected) + .refuses(t[2], as: .orderBlocked))
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func otherwiseNobodyIsHeldBack() {
        var machine = Machine.testing()
        let a = machine.queue(record(1))
        let b = machine.queue(record(1))
        #expect(
            machine.finished(w0, refused, now: at(1))
                == .resolves(a, as: .rejected) + .assigns(w0, b2, [b]))
    }

    @Test func anOrderKeyHoldsBackOtherRowsOfStrictTables() {
        var machine = Machine.testing()
        let a = machine.queue(record(1, second: 9, isStrict: true))
        let b = machine.queue(record(2, second: 9, isStrict: true))
        let lenient = machine.queue(record(3, table: customers, second: 9))
        #expect(
            machine.finished(w0, refused, now: at(1))
                == .resolves(a, as: .rejected) + .refuses(b, as: .orderBlocked)
                + .assigns(w0, b2, [lenient]))
    }

    @Test func aGroupIsHeldBackWhole() {
        var machine = Machine.testing()
        let a = machine.queue(record(1, isStrict: true))
        let group = machine.queue(group: [record(2), record(1, isStrict: true)])
        #expect(
            machine.finished(w0, refused, now: at(1))
                == .resolves(a, as: .rejected)
                + .refuses(group[0], group[1], as: .orderBlocked))
        #expect(machine.gauges.recordsHeld == 0)
        #expect(machine.violations(now: at(1)) == [])
    }

    @Test func aGroupThatIsRolledBackHoldsBackTheKeysOfAllItsMembers() {
        var machine = Machine.testing()
        let pair = [record(1, isStrict: true), record(2, isStrict: true)]
        let group = machine.queue(group: pair)
        let behind = machine.queue([record(1, isStrict: true), record(2, isStrict: true)])
        #expect(
            machine.finished(w0, .recordError(culprit: 0), now: at(1))
                == .resolves(group[0], as: .rejected) + .resolves(group[1], as: .rolledBack)
                + .refuses(behind[0], behind[1], as: .orderBlocked))
    }

    @Test func aDeadLetterHoldsNobodyBack() {
        var machine = Machine.testing()
        let a = machine.queue(record(1, keepsDeadLetters: true, isStrict: true))
        let b = machine.queue(record(1, keepsDeadLetters: true, isStrict: true))
        _ = machine.finished(w0, refused, now: at(1))
        #expect(
            machine.finished(w0, .committed, now: at(2)) == .commits(a) + .assigns(w0, b2, [b]))
    }

    @Test func whoeverJoinedIsHeldBackToo() throws {
        var machine = Machine.testing()
        let a = machine.queue(record(1, isStrict: true))
        let b = machine.queue(record(1, id: 5, isStrict: true))
        let again = try #require(
            machine.submit(record(1, id: 5, isStrict: true), now: .zero).0.ticket)
        #expect(
            machine.finished(w0, refused, now: at(1))
                == .resolves(a, as: .rejected) + .refuses(b, again, as: .orderBlocked))
        #expect(machine.gauges.recordsHeld == 0)
    }
}
