import Testing
import WeirCore

@Suite struct GroupTests {
    // MARK: One unit

    @Test func aGroupIsOneUnitAcrossLanes() {
        var machine = Machine.testing(writers: 2)
        let a = machine.queue(record(1))
        let group = machine.queue(group: [record(1), record(2)])
        // Key 2 is free and its member waits all the same.
        #expect(machine.timerFired(now: at(50)) == .none)
        #expect(
            machine.finished(w0, .committed, now: at(51)) == .commits(a) + .assigns(w0, b2, group))
    }

    @Test func aKeyBehindAGroupWaitsForIt() {
        var machine = Machine.testing(writers: 2)
        _ = machine.queue(record(1))
        let group = machine.queue(group: [record(1), record(2)])
        let behind = machine.queue(record(2))
        #expect(machine.timerFired(now: at(50)) == .none)
        #expect(machine.finished(w0, .committed, now: at(51)).assigned == [group + [behind]])
    }

    @Test func aGroupIsNotSplitByTheBoundOnRecords() {
        var machine = Machine.busy(batch: 3)
        let single = machine.queue([record(1), record(2)])
        let group = machine.queue(group: [record(3), record(4)])
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [single])
        #expect(machine.finished(w0, .committed, now: at(2)).assigned == [group])
    }

    @Test func aGroupIsNotSplitByTheBoundOnBytes() {
        var machine = Machine.busy(batchBytes: 100)
        let single = machine.queue(record(1, bytes: 60))
        let group = machine.queue(group: [record(2, bytes: 60), record(3, bytes: 60)])
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [[single]])
        #expect(machine.finished(w0, .committed, now: at(2)).assigned == [group])
    }

    @Test func twoGroupsThatOverlapKeepTheirOrderAndDoNotDeadlock() {
        var machine = Machine.busy(batch: 2)
        let first = machine.queue(group: [record(1), record(2)])
        let second = machine.queue(group: [record(2), record(1)])
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [first])
        #expect(machine.finished(w0, .committed, now: at(2)).assigned == [second])
        #expect(machine.finished(w0, .committed, now: at(3)).assignments == [])
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func aChainOfGroupsComesThroughInOrder() {
        var machine = Machine.busy(batch: 2)
        let groups = (UInt64(1)...4).map { machine.queue(group: [record($0), record($0 + 1)]) }
        var seen: [[Ticket]] = []
        for time in Int64(1)...10 {
            let effects = machine.finished(w0, .committed, now: at(time))
            seen += effects.assigned
            if effects.assignments.isEmpty { break }
        }
        #expect(seen == groups)
    }

    @Test func aMemberWithoutAKeyGoesWithItsGroup() {
        var machine = Machine.testing()
        _ = machine.queue(record(1))
        let group = machine.queue(group: [record(), record(1), record()])
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [group])
    }

    @Test func aGroupWithoutKeysNeverWaitsForALane() {
        var machine = Machine.busy(writers: 2)
        let group = machine.queue(group: [record(), record()])
        #expect(machine.timerFired(now: at(5)) == .assigns(w1, b2, group))
    }

    @Test func aGroupMayHoldOneKeyTwice() {
        var machine = Machine.busy()
        let group = machine.queue(group: [record(1), record(1)])
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [group])
        #expect(machine.finished(w0, .committed, now: at(2)) == .commits(group[0], group[1]))
    }

    // MARK: One answer at the door

    @Test func aGroupIsRefusedAsAWhole() {
        var machine = Machine.testing(batch: 2, queue: 3)
        _ = machine.queue([record(1), record(2)])
        let pair = [record(3), record(4)]
        #expect(machine.refusal(group: pair) == .overloaded(retryAfter: .seconds(1)))
        #expect(machine.refusal(group: pair + [record(5)]) == .groupTooLarge)
        #expect(machine.gauges.recordsHeld == 2)
        _ = machine.drain(now: .zero)
        #expect(machine.refusal(group: [record(3)]) == .draining)
    }

    @Test func aGroupThatCanNeverFitIsTooLarge() {
        var machine = Machine.testing(queueBytes: 100)
        let pair = [record(1, bytes: 60), record(2, bytes: 60)]
        #expect(machine.refusal(group: pair) == .groupTooLarge)
    }

    @Test func aGroupWithAPausedTableIsRefusedAsAWhole() {
        var machine = Machine.busy()
        _ = machine.finished(w0, .tableFault(orders), now: .zero)
        let pair = [record(1, table: customers), record(2)]
        #expect(machine.refusal(group: pair) == .tablePaused(retryAfter: .seconds(1)))
    }

    @Test func anEmptyGroupIsNothing() {
        var machine = Machine.testing()
        #expect(machine.admit(group: [], now: .zero) == .success([]))
    }

    // MARK: One fate

    @Test func theCulpritIsRejectedAndItsGroupRolledBack() {
        var machine = Machine.testing()
        let group = machine.queue(group: [record(1), record(2), record(3)])
        #expect(
            machine.finished(w0, .recordError(culprit: nil), now: at(1))
                == .assigns(w0, b1, group, isIsolated: true))
        #expect(
            machine.finished(w0, .recordError(culprit: 1), now: at(2))
                == .resolves(group[0], as: .rolledBack) + .resolves(group[1], as: .rejected)
                + .resolves(group[2], as: .rolledBack))
    }

    @Test func aCulpritThatIsKnownNeedsNoIsolatedAttempt() {
        var machine = Machine.testing()
        let group = machine.queue(group: [record(1), record(2)])
        #expect(
            machine.finished(w0, .recordError(culprit: 0), now: at(1))
                == .resolves(group[0], as: .rejected) + .resolves(group[1], as: .rolledBack))
    }

    @Test func aGroupThatFailsAtCommitIsRejectedAsAWhole() {
        var machine = Machine.testing()
        let group = machine.queue(group: [record(1), record(2)])
        _ = machine.finished(w0, .recordError(culprit: nil), now: at(1))
        #expect(
            machine.finished(w0, .recordError(culprit: nil), now: at(2))
                == .resolves(group[0], group[1], as: .rejected))
    }

    @Test func anIsolatedAttemptIsRepeatedIsolated() {
        var machine = Machine.testing()
        let group = machine.queue(group: [record(1), record(2)])
        _ = machine.finished(w0, .recordError(culprit: nil), now: at(1))
        #expect(
            machine.finished(w0, .transient(.deadlock), now: at(2))
                == .passes(.willRetry(b1, attempt: 2, .deadlock, after: .zero))
                + .assigns(w0, b1, attempt: 2, group, isIsolated: true))
    }

    @Test func aGroupIsNotSplitByHalving() {
        var machine = Machine.busy(batch: 5)
        let a = machine.queue(record(1))
        let group = machine.queue(group: [record(2), record(3), record(4)])
        let b = machine.queue(record(5))
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [[a] + group + [b]])
        let halved = machine.finished(w0, .recordError(culprit: nil), now: at(2))
        #expect(
            halved == .passes(.halved(b2, records: 1)) + .assigns(w0, b2, [a])
                || halved == .passes(.halved(b2, records: 4)) + .assigns(w0, b2, [a] + group))
    }
}
