import Testing
import WeirCore

@Suite struct DeadlineTests {
    @Test func aQueuedRecordIsRefusedAtItsDeadline() {
        var machine = Machine.busy()
        let a = machine.queue(record(1, deadline: at(50)))
        #expect(machine.nextDeadline(now: .zero) == at(50))
        #expect(machine.timerFired(now: at(49)) == .none)
        #expect(machine.timerFired(now: at(50)) == .refuses(a, as: .deadlineExceeded))
        #expect(machine.finished(w0, .committed, now: at(51)).assigned == [])
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func aRecordThatComesTooLateIsNeverSent() throws {
        var machine = Machine.testing()
        let (admission, effects) = machine.submit(record(1, deadline: at(50)), now: at(50))
        let a = try #require(admission.ticket)
        #expect(effects == .refuses(a, as: .deadlineExceeded))
    }

    @Test func aRecordInFlightIsUnknownAtItsDeadline() {
        var machine = Machine.testing()
        let a = machine.queue(record(1, deadline: at(50)))
        #expect(machine.timerFired(now: at(50)) == .refuses(a, as: .outcomeUnknown))
        #expect(machine.violations(now: at(50)) == [])
        // Answered already: its commit is news to nobody.
        #expect(machine.finished(w0, .committed, now: at(60)) == .none)
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func aRecordThatIsUnknownCanStillBeJoined() throws {
        var machine = Machine.testing()
        _ = machine.queue(record(1, deadline: at(50), id: 5))
        _ = machine.timerFired(now: at(50))
        let again = try #require(machine.submit(record(1, id: 5), now: at(51)).0.ticket)
        #expect(machine.finished(w0, .committed, now: at(60)) == .commits(again))
    }

    @Test func aRestingRecordIsRefusedAtItsDeadlineAndNeverSentAgain() {
        var machine = Machine.testing(retryDelay: .milliseconds(100))
        let a = machine.queue(record(1, deadline: at(40)))
        _ = machine.finished(w0, .transient(.deadlock), now: at(1))
        #expect(machine.timerFired(now: at(40)) == .refuses(a, as: .deadlineExceeded))
        #expect(machine.timerFired(now: at(200)) == .none)
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func aRestingBatchGoesOnWithoutTheRecordsThatExpired() {
        var machine = Machine.busy(retryDelay: .milliseconds(100))
        let a = machine.queue(record(1, deadline: at(40)))
        let b = machine.queue(record(2))
        _ = machine.finished(w0, .committed, now: at(1))
        _ = machine.finished(w0, .transient(.deadlock), now: at(2))
        #expect(machine.timerFired(now: at(40)) == .refuses(a, as: .deadlineExceeded))
        #expect(machine.timerFired(now: at(200)) == .assigns(w0, b2, attempt: 2, [b]))
    }

    @Test func aRestingGroupIsRefusedAsAWhole() {
        var machine = Machine.testing(retryDelay: .milliseconds(100))
        let group = machine.queue(group: [record(1), record(2, deadline: at(40))])
        _ = machine.finished(w0, .transient(.deadlock), now: at(1))
        #expect(
            machine.timerFired(now: at(40)) == .refuses(group[0], group[1], as: .deadlineExceeded))
        #expect(machine.timerFired(now: at(200)) == .none)
        #expect(machine.gauges.recordsHeld == 0)
    }

    /// Its caller was told that nobody knows, and may have sent it again by now.
    @Test func aRecordWhoseCallerWasToldIsNotTriedAgain() {
        var machine = Machine.testing(retryDelay: .zero)
        let a = machine.queue(record(1, deadline: at(40)))
        #expect(machine.timerFired(now: at(40)) == .refuses(a, as: .outcomeUnknown))
        let effects = machine.finished(w0, .transient(.deadlock), now: at(41))
        #expect(effects.assigned == [])
        #expect(machine.timerFired(now: at(41)).assigned == [])
        #expect(machine.gauges.recordsHeld == 0)
        #expect(machine.violations(now: at(41)) == [])
    }

    @Test func aRecordThatGotLateBehindTheAttemptIsNotTried() {
        var machine = Machine.busy(retryDelay: .milliseconds(10))
        let a = machine.queue(record(1))
        let b = machine.queue(record(2, deadline: at(40)))
        _ = machine.finished(w0, .committed, now: at(1))
        _ = machine.finished(w0, .recordError(culprit: nil), now: at(2))
        _ = machine.finished(w0, .transient(.deadlock), now: at(3))
        #expect(machine.timerFired(now: at(20)) == .assigns(w0, b2, attempt: 2, [a]))
        #expect(machine.timerFired(now: at(40)) == .refuses(b, as: .outcomeUnknown))
        #expect(machine.violations(now: at(40)) == [])
        #expect(machine.finished(w0, .committed, now: at(41)).assigned == [])
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func aGroupExpiresWithItsEarliestMember() {
        var machine = Machine.busy()
        let group = machine.queue(group: [record(1), record(2, deadline: at(50))])
        #expect(
            machine.timerFired(now: at(50)) == .refuses(group[0], group[1], as: .deadlineExceeded))
        #expect(machine.finished(w0, .committed, now: at(51)).assigned == [])
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func whoeverJoinedMayExpireAlone() throws {
        var machine = Machine.busy()
        let a = machine.queue(record(1, id: 5))
        let hasty = record(1, deadline: at(50), id: 5)
        let again = try #require(machine.submit(hasty, now: at(1)).0.ticket)
        #expect(machine.timerFired(now: at(50)) == .refuses(again, as: .outcomeUnknown))
        #expect(machine.finished(w0, .committed, now: at(51)).assigned == [[a]])
        #expect(machine.finished(w0, .committed, now: at(52)) == .commits(a))
    }

    @Test func deadlinesAreLookedAtAHundredTimesASecond() {
        var machine = Machine.busy()
        let t = machine.queue([record(1, deadline: at(50)), record(2, deadline: at(51))])
        #expect(machine.timerFired(now: at(50)) == .refuses(t[0], as: .deadlineExceeded))
        #expect(machine.nextDeadline(now: at(51)) == at(60))
        #expect(machine.timerFired(now: at(51)) == .none)
        #expect(machine.timerFired(now: at(60)) == .refuses(t[1], as: .deadlineExceeded))
    }

    @Test func aRecordMayWaitForever() {
        var machine = Machine.testing()
        let a = machine.queue(record(1, deadline: .distantFuture))
        #expect(machine.nextDeadline(now: at(1)) == nil)
        #expect(machine.violations(now: at(1)) == [])
        #expect(machine.finished(w0, .committed, now: .distantFuture) == .commits(a))
    }

    // MARK: Cancelling

    @Test func aQueuedRecordIsDroppedWhenItsCallerLeaves() {
        var machine = Machine.busy()
        let a = machine.queue(record(1))
        machine.cancel(a)
        machine.cancel(a)
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [])
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func aRecordInFlightIsWrittenAllTheSame() {
        var machine = Machine.testing()
        let a = machine.queue(record(1))
        machine.cancel(a)
        #expect(machine.gauges.recordsHeld == 1)
        #expect(machine.finished(w0, .committed, now: at(1)) == .none)
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func aGroupIsWrittenWhenOneCallerLeaves() {
        var machine = Machine.busy()
        let group = machine.queue(group: [record(1), record(2)])
        machine.cancel(group[0])
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [group])
        #expect(
            machine.finished(w0, .committed, now: at(2))
                == .resolves(group[1], as: .committed(position: 1)))
    }

    @Test func aMessageWhoseCallerLeftTheQueueIsNewAgain() {
        var machine = Machine.busy()
        machine.cancel(machine.queue(record(1, id: 5)))
        let again = machine.queue(record(1, id: 5, fingerprint: 8))
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [[again]])
    }

    @Test func anOldTicketDoesNotCancelTheNewRecordOfItsSlot() {
        var machine = Machine.testing()
        let old = machine.queue(record(1))
        #expect(machine.finished(w0, .committed, now: at(1)) == .commits(old))
        let new = machine.queue(record(2))
        #expect(new == Ticket(slot: old.slot, generation: old.generation + 1))
        machine.cancel(old)
        #expect(machine.finished(w0, .committed, now: at(2)) == .commits(new))
    }
}
