import Testing
import WeirCore

/// Somebody has locked the table `orders`.
@Suite struct LockTests {
    /// A writer that waits for the lock with `entries`, and what it waits with.
    private func waiting(
        _ entries: [Entry], writers: Int = 1, attempts: Int = 3
    ) -> (Machine, [Ticket]) {
        var machine = Machine.busy(
            writers: writers, batch: 6, attempts: attempts, retryDelay: .milliseconds(50))
        let tickets = machine.queue(entries)
        // A key that two records share may change their order in the batch, and not that of the key.
        let assigned = machine.finished(w0, .committed, now: at(1)).assigned
        #expect(assigned.map { $0.sorted { $0.slot < $1.slot } } == [tickets])
        return (machine, tickets)
    }

    private func timeOut(_ machine: inout Machine, at position: Int, now: Timestamp) -> Effects {
        machine.finished(w0, .transient(.lockTimeout), suspect: position, now: now)
    }

    @Test func recordsOfOtherTablesGoOnWithoutIt() {
        var (machine, t) = waiting([
            record(1), record(2, table: customers), record(3), record(4, table: customers),
        ])
        #expect(timeOut(&machine, at: 0, now: at(2)).assigned == [[t[1], t[3]]])
        #expect(machine.finished(w0, .committed, now: at(3)) == .commits(t[1], t[3]))
        #expect(machine.timerFired(now: at(60)).assigned == [[t[0], t[2]]])
        #expect(machine.finished(w0, .committed, now: at(61)) == .commits(t[0], t[2]))
    }

    @Test func keysAreFreeAgainAsSoonAsTheirRecordsAre() {
        var (machine, t) = waiting([record(1), record(2, table: customers)])
        #expect(timeOut(&machine, at: 0, now: at(2)).assigned == [[t[1]]])
        #expect(machine.finished(w0, .committed, now: at(3)) == .commits(t[1]))
        let next = record(2, table: customers)
        let (admission, effects) = machine.submit(next, now: at(4))
        #expect(effects.assigned == [[admission.ticket].compactMap { $0 }])
        // Nothing of the other key may pass.
        _ = machine.finished(w0, .committed, now: at(5))
        #expect(machine.submit(record(1, table: customers), now: at(6)).1.assigned == [])
    }

    @Test func whatSharesAKeyWithItStaysWithIt() {
        var (machine, t) = waiting([
            record(1, second: 9), record(2, table: customers, second: 9),
            record(2, table: customers), record(3, table: customers),
        ])
        #expect(timeOut(&machine, at: 0, now: at(2)).assigned == [[t[3]]])
        _ = machine.finished(w0, .committed, now: at(3))
        #expect(machine.timerFired(now: at(60)).assigned == [[t[0], t[1], t[2]]])
    }

    @Test func aGroupStaysWhole() {
        var machine = Machine.busy(batch: 6, retryDelay: .milliseconds(50))
        let group = machine.queue(group: [record(1), record(2, table: customers)])
        let other = machine.queue(record(3, table: customers))
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [group + [other]])
        #expect(timeOut(&machine, at: 0, now: at(2)).assigned == [[other]])
        _ = machine.finished(w0, .committed, now: at(3))
        #expect(machine.timerFired(now: at(60)).assigned == [group])
    }

    @Test func thePositionCountsTheRecordsOfAPack() {
        var machine = Machine.busy(batch: 6, retryDelay: .milliseconds(50))
        let pack = machine.queue(pack: [], recordCount: 3, table: customers)
        let a = machine.queue(record(1))
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [[pack, a]])
        #expect(timeOut(&machine, at: 3, now: at(2)).assigned == [[pack]])
    }

    @Test func whatComesLaterForTheTableWaitsBesideTheOthers() {
        var (machine, t) = waiting([record(1), record(2, table: customers)])
        #expect(timeOut(&machine, at: 0, now: at(2)).assigned == [[t[1]]])
        let late = machine.queue([record(5), record(6)], now: at(3))
        let other = machine.queue(record(7, table: customers), now: at(3))
        // Of those that wait for the table, the new ones are due first, and none goes with another.
        #expect(machine.finished(w0, .committed, now: at(4)).assigned == [[other]])
        #expect(machine.finished(w0, .committed, now: at(5)).assigned == [late])
        // Once something has committed there, it is a table like any other.
        _ = machine.finished(w0, .committed, now: at(6))
        let mixed = [record(8), record(9, table: customers)]
        _ = machine.queue(record(10), now: at(6))
        let both = machine.queue(mixed, now: at(6))
        #expect(machine.finished(w0, .committed, now: at(7)).assigned == [both])
    }

    @Test func onlyHalfOfTheWritersWaitForLockedTables() {
        var machine = Machine.testing(writers: 2, batch: 1)
        _ = machine.queue(record(1))
        _ = machine.finished(w0, .transient(.lockTimeout), suspect: 0, now: at(1))
        #expect(machine.gauges.batchesInFlight == 1)
        _ = machine.queue(record(2), now: at(10))
        #expect(machine.gauges.batchesInFlight == 1)
        #expect(machine.gauges.batchesResting == 1)
        let (admission, effects) = machine.submit(record(3, table: customers), now: at(10))
        #expect(
            (effects + machine.timerFired(now: at(20))).assigned
                == [[admission.ticket].compactMap { $0 }])
    }

    @Test func aDryRunOfTheTableWaitsAlone() {
        var (machine, t) = waiting([record(1), record(2, table: customers)])
        #expect(timeOut(&machine, at: 0, now: at(2)).assigned == [[t[1]]])
        let dry = machine.queue(record(5, isExclusive: true), now: at(3))
        let late = machine.queue(record(6), now: at(3))
        #expect(machine.finished(w0, .committed, now: at(4)).assigned == [[dry]])
        #expect(machine.finished(w0, .committed, now: at(5)).assigned == [[late]])
    }

    @Test func aDeadlineTakesRecordsOutThatWaitForTheTable() {
        var (machine, t) = waiting([record(1, deadline: at(100)), record(2, table: customers)])
        _ = timeOut(&machine, at: 0, now: at(2))
        _ = machine.finished(w0, .committed, now: at(3))
        #expect(
            machine.timerFired(now: at(60)).assigned == [[t[0]]])
        _ = timeOut(&machine, at: 0, now: at(70))
        #expect(machine.timerFired(now: at(100)) == .refuses(t[0], as: .deadlineExceeded))
        #expect(machine.violations(now: at(100)) == [])
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func aLockThatNoStatementMetDividesNothing() {
        var (machine, t) = waiting([record(1), record(2, table: customers)])
        #expect(
            machine.finished(w0, .transient(.lockTimeout), now: at(2)).assigned == [])
        #expect(machine.timerFired(now: at(60)).assigned == [t])
    }
}
