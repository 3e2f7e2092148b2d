import Testing
import WeirCore

@Suite struct PauseTests {
    private let second = Refusal.tablePaused(retryAfter: .seconds(1))

    @Test func aTableFaultRejectsNobodyAndTheOtherTablesGoOn() {
        var machine = Machine.busy()
        let t = machine.queue([record(1), record(2, table: customers), record(3)])
        _ = machine.finished(w0, .committed, now: .zero)
        #expect(
            machine.finished(w0, .tableFault(orders), now: .zero)
                == .pauses(orders) + .refuses(t[0], t[2], as: second)
                + .assigns(w0, b2, [t[1]]))
        #expect(machine.finished(w0, .committed, now: at(1)) == .commits(t[1]))
    }

    @Test func theQueueOfAPausedTableIsAnsweredAtOnce() {
        var machine = Machine.testing()
        let a = machine.queue(record(1))
        let b = machine.queue(record(1))
        let c = machine.queue(record(1, table: customers))
        #expect(
            machine.finished(w0, .tableFault(orders), now: .zero)
                == .pauses(orders) + .refuses(a, b, as: second) + .assigns(w0, b2, [c]))
        #expect(machine.gauges.recordsHeld == 1)
    }

    @Test func aGroupWithAPausedTableIsRefusedWhenItsTurnComes() {
        var machine = Machine.testing()
        let a = machine.queue(record(1))
        let group = machine.queue(group: [record(1, table: customers), record(2)])
        #expect(
            machine.finished(w0, .tableFault(orders), now: .zero)
                == .pauses(orders) + .refuses(a, as: second)
                + .refuses(group[0], group[1], as: second))
    }

    @Test func aGroupInTheBatchIsRefusedAsAWhole() {
        var machine = Machine.busy()
        let group = machine.queue(group: [record(1, table: customers), record(2)])
        let other = machine.queue(record(3, table: customers))
        _ = machine.finished(w0, .committed, now: .zero)
        #expect(
            machine.finished(w0, .tableFault(orders), now: .zero)
                == .pauses(orders) + .refuses(group[0], group[1], as: second)
                + .assigns(w0, b2, [other]))
    }

    @Test func aPausedTableRefusesAtTheDoorUntilItsTimeIsUp() {
        var machine = Machine.busy()
        _ = machine.finished(w0, .tableFault(orders), now: .zero)
        #expect(
            machine.refusal(record(1), now: at(400))
                == .tablePaused(retryAfter: .milliseconds(600)))
        #expect(machine.refusal(record(1, table: customers), now: at(400)) == nil)
        #expect(machine.refusal(record(1, deadline: at(5_000)), now: at(1_000)) == nil)
    }

    /// As many pauses as asked for, each caused by the first record after the last one.
    private func pauses(_ count: Int) -> [Refusal?] {
        var machine = Machine.testing()
        var now = Timestamp.zero
        return (0..<count).map { _ in
            _ = machine.queue(record(1, deadline: .distantFuture), now: now)
            _ = machine.finished(w0, .tableFault(orders), now: now)
            let refusal = machine.refusal(record(1), now: now)
            if case .tablePaused(let span) = refusal { now = now + span }
            return refusal
        }
    }

    @Test func eachFaultInARowDoublesThePauseUpToHalfAMinute() {
        let seconds = [1, 2, 4, 8, 16, 30, 30].map(Int64.init)
        #expect(pauses(7) == seconds.map { .tablePaused(retryAfter: .seconds($0)) })
    }

    @Test func batchesThatMeetOneFaultAtATimePauseTheTableOnce() {
        var machine = Machine.testing(writers: 2, batch: 1)
        _ = machine.queue([record(1), record(2)])
        _ = machine.finished(w0, .tableFault(orders), now: .zero)
        _ = machine.finished(w1, .tableFault(orders), now: .zero)
        #expect(machine.refusal(record(3)) == second)
    }

    @Test func aCommitEndsTheRowOfFaults() {
        var machine = Machine.busy()
        _ = machine.finished(w0, .tableFault(orders), now: .zero)
        _ = machine.queue(record(deadline: .distantFuture), now: at(1_000))
        _ = machine.finished(w0, .committed, now: at(1_001))
        _ = machine.queue(record(deadline: .distantFuture), now: at(1_002))
        _ = machine.finished(w0, .tableFault(orders), now: at(1_002))
        #expect(machine.refusal(record(1), now: at(1_002)) == second)
    }

    @Test func aTableMayBeResumedBeforeItsTime() {
        var machine = Machine.busy()
        _ = machine.finished(w0, .tableFault(orders), now: .zero)
        #expect(machine.resume(orders, now: at(1)) == .none)
        #expect(machine.refusal(record(1), now: at(1)) == nil)
    }

    @Test func aFaultOfATableThatIsNotInTheBatchIsATransientFailure() {
        var machine = Machine.testing(attempts: 2)
        let a = machine.queue(record(1))
        #expect(
            machine.finished(w0, .tableFault(customers), now: .zero)
                == .pauses(customers) + .passes(.willRetry(b1, attempt: 2, .other, after: .zero))
                + .assigns(w0, b1, attempt: 2, [a]))
        #expect(
            machine.finished(w0, .tableFault(customers), now: .zero)
                == .pauses(customers) + .refuses(a, as: .retriesExhausted))
    }
}
