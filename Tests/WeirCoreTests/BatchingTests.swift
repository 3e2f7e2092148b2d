import Testing
import WeirCore

@Suite struct BatchingTests {
    // MARK: When a batch leaves

    @Test func anIdleGatewaySendsARecordAtOnce() {
        var machine = Machine.testing()
        let (admission, effects) = machine.submit(record(1), now: .zero)
        let a = Ticket(slot: 0, generation: 0)
        #expect(admission == .queued(a))
        #expect(effects == .assigns(w0, b1, [a]))
    }

    @Test func recordsGatherBehindABusyConnectionAndLeaveTogether() {
        var machine = Machine.testing()
        let a = machine.queue(record(1))
        let b = machine.queue(record(2))
        let c = machine.queue(record(3))
        #expect(
            machine.finished(w0, .committed, now: at(1)) == .commits(a) + .assigns(w0, b2, [b, c]))
        #expect(machine.finished(w0, .committed, now: at(2)) == .commits(b, c))
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func aRecordDoesNotOpenASecondTransactionAtOnce() {
        var machine = Machine.busy(writers: 2)
        #expect(machine.submit(record(1), now: at(1)).1 == .none)
        #expect(machine.nextDeadline(now: at(1)) == at(6))
    }

    @Test func aRecordThatHasLingeredOpensASecondTransaction() {
        var machine = Machine.busy(writers: 2)
        let a = machine.queue(record(1), now: at(1))
        #expect(machine.timerFired(now: at(5)) == .none)
        #expect(machine.timerFired(now: at(6)) == .assigns(w1, b2, [a]))
    }

    @Test func aFullBatchLeavesWithoutLingering() {
        var machine = Machine.busy(writers: 2, batch: 2)
        let a = machine.queue(record(1), now: at(1))
        let (admission, effects) = machine.submit(record(2), now: at(1))
        #expect(effects == .assigns(w1, b2, [a] + [admission.ticket].compactMap { $0 }))
    }

    @Test func aBatchThatIsFullByBytesLeavesWithoutLingering() {
        var machine = Machine.busy(writers: 2, batchBytes: 100)
        let a = machine.queue(record(1, bytes: 60), now: at(1))
        let effects = machine.submit(record(2, bytes: 60), now: at(1)).1
        // Both do not fit, and the second has not lingered yet.
        #expect(effects == .assigns(w1, b2, [a]))
    }

    @Test func theLastWriterUsedIsTheFirstToBeUsedAgain() {
        var machine = Machine.testing(writers: 2)
        let a = machine.queue(record(1))
        #expect(machine.finished(w0, .committed, now: .zero) == .commits(a))
        let (admission, effects) = machine.submit(record(2), now: .zero)
        #expect(effects == .assigns(w0, b2, [admission.ticket].compactMap { $0 }))
    }

    @Test func anAdmittedRecordLeavesWithTheNextDispatch() {
        var machine = Machine.testing()
        let a = machine.admit(record(1), now: .zero).ticket
        let b = machine.admit(record(2), now: .zero).ticket
        #expect(machine.dispatch(now: .zero) == .assigns(w0, b1, [a, b].compactMap { $0 }))
    }

    // MARK: What a batch holds

    @Test func aBatchHoldsNoMoreRecordsThanItsBound() {
        var machine = Machine.busy(batch: 2)
        let tickets = machine.queue([record(1), record(2), record(3)])
        let effects = machine.finished(w0, .committed, now: at(1))
        #expect(effects.assigned == [[tickets[0], tickets[1]]])
        #expect(machine.finished(w0, .committed, now: at(2)).assigned == [[tickets[2]]])
    }

    @Test func aBatchHoldsNoMoreBytesThanItsBound() {
        var machine = Machine.busy(batchBytes: 100)
        let tickets = machine.queue([record(1, bytes: 60), record(2, bytes: 40), record(3)])
        let effects = machine.finished(w0, .committed, now: at(1))
        #expect(effects.assigned == [[tickets[0], tickets[1]]])
    }

    @Test func aRecordLargerThanABatchGoesAlone() {
        var machine = Machine.busy(batchBytes: 100)
        let tickets = machine.queue([record(1, bytes: 500), record(2)])
        let effects = machine.finished(w0, .committed, now: at(1))
        #expect(effects.assigned == [[tickets[0]]])
    }

    @Test func recordsThatAreNotToBeWrittenDoNotCutABatchShort() {
        var machine = Machine.busy()
        let a = machine.queue(record(1))
        let late = machine.queue(record(2, deadline: at(20)))
        let gone = machine.queue(record(3))
        let b = machine.queue(record(4))
        machine.cancel(gone)
        let effects = machine.finished(w0, .committed, now: at(30))
        #expect(effects.assigned == [[a, b]])
        #expect(effects.resolutions.last == Resolution(late, .refused(.deadlineExceeded)))
        #expect(machine.gauges.recordsHeld == 2)
        #expect(machine.violations(now: at(30)) == [])
    }

    // MARK: Dry runs

    @Test func aDryRunIsAloneInItsBatch() {
        var machine = Machine.busy()
        let a = machine.queue(record(1))
        let dry = machine.queue(record(2, isExclusive: true))
        let b = machine.queue(record(3))
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [[a]])
        #expect(
            machine.finished(w0, .committed, now: at(2)) == .commits(a) + .assigns(w0, b3, [dry]))
        #expect(machine.finished(w0, .committed, now: at(3)).assigned == [[b]])
    }

    @Test func aGroupWithADryRunIsADryRun() {
        var machine = Machine.busy()
        let a = machine.queue(record(1))
        let group = machine.queue(group: [record(2), record(3, isExclusive: true)])
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [[a]])
        #expect(machine.finished(w0, .committed, now: at(2)).assigned == [group])
    }
}
