import Testing
import WeirCore

/// COMMIT was sent and not answered, and what became of it can be found out.
@Suite struct ResolveTests {
    /// Batch 1 holds a record for each entry, its COMMIT was not answered, and writer 0 is back.
    private func unresolved(
        _ entries: [Entry], writers: Int = 1, attempts: Int = 3
    ) -> (Machine, [Ticket]) {
        var machine = Machine.testing(writers: writers, attempts: attempts)
        let tickets = entries.compactMap { machine.admit($0, now: .zero).ticket }
        _ = machine.dispatch(now: .zero)
        _ = machine.finished(w0, .unresolved, isConnected: false, now: .zero)
        _ = machine.writerReady(w0, now: .zero)
        return (machine, tickets)
    }

    /// Later than the first wait, and before the first deadline.
    private let soon = at(20)

    @Test func nobodyIsAnsweredBeforeItIsKnown() {
        var machine = Machine.testing()
        let a = machine.queue(record(1))
        #expect(
            machine.finished(w0, .unresolved, isConnected: false, now: .zero)
                == .passes(.unresolved(b1, records: 1)))
        #expect(machine.gauges.batchesUnresolved == 1)
        #expect(machine.writerReady(w0, now: .zero) == .none)
        #expect(machine.timerFired(now: soon) == .assigns(w0, b1, work: .resolve, [a]))
        #expect(machine.violations(now: soon) == [])
    }

    @Test func whatHadCommittedIsCommitted() {
        var (machine, t) = unresolved([record(1), record(2)])
        #expect(machine.timerFired(now: soon).assigned == [t])
        #expect(
            machine.finished(w0, .committed, now: soon)
                == .commits(t[0], t[1]) + .passes(.resolved(b1, .committed)))
        #expect(machine.gauges.recordsHeld == 0)
        #expect(machine.gauges.batchesUnresolved == 0)
    }

    @Test func whatHadNotCommittedIsWrittenAsTheNextAttempt() {
        var (machine, t) = unresolved([record(1), record(2)])
        _ = machine.timerFired(now: soon)
        #expect(
            machine.finished(w0, .transient(.connectionLost), now: soon)
                == .passes(.resolved(b1, .lost))
                + .passes(.willRetry(b1, attempt: 2, .connectionLost, after: .zero))
                + .assigns(w0, b1, attempt: 2, t))
        #expect(machine.finished(w0, .committed, now: soon) == .commits(t[0], t[1]))
    }

    @Test func whatIsNotFoundOutIsAskedAgainWithoutAnEnd() {
        var (machine, t) = unresolved([record(1, deadline: .distantFuture)], attempts: 2)
        var now = Timestamp.zero
        for inquiry in 1...20 {
            now = now + .seconds(2)
            #expect(
                machine.timerFired(now: now)
                    == .assigns(w0, b1, attempt: inquiry, work: .resolve, t))
            #expect(machine.finished(w0, .unresolved, now: now) == .none)
            #expect(machine.violations(now: now) == [])
        }
    }

    @Test func inquiriesAreNeverMoreThanTwoSecondsApart() throws {
        var (machine, _) = unresolved([record(1, deadline: .distantFuture)])
        var now = Timestamp.zero
        for _ in 1...30 {
            let next = machine.nextDeadline(now: now)
            let due = try #require(next)
            #expect(due - now <= .seconds(2))
            now = due
            #expect(machine.timerFired(now: now).assignments.map(\.work) == [.resolve])
            _ = machine.finished(w0, .unresolved, now: now)
        }
    }

    @Test(arguments: [
        BatchOutcome.recordError(culprit: 0), .tableFault(orders), .unresolved,
    ])
    func anErrorOfTheInquiryJudgesNobody(_ outcome: BatchOutcome) {
        var (machine, _) = unresolved([record(1)])
        _ = machine.timerFired(now: soon)
        #expect(machine.finished(w0, outcome, now: soon) == .none)
        #expect(machine.gauges.batchesUnresolved == 1)
    }

    @Test(arguments: [BatchOutcome.transient(.connectionLost), .unknown])
    func aWriterThatLostItsConnectionCannotSayThatNothingIsToCome(_ outcome: BatchOutcome) {
        var (machine, _) = unresolved([record(1)])
        _ = machine.timerFired(now: soon)
        #expect(machine.finished(w0, outcome, isConnected: false, now: soon) == .none)
        #expect(machine.gauges.batchesUnresolved == 1)
    }

    @Test func whatNobodyCanFindOutAnyMoreIsToldAndItsKeyGoesOn() {
        var (machine, t) = unresolved([record(1)])
        let same = machine.queue(record(1), now: at(1))
        _ = machine.timerFired(now: soon)
        let effects = machine.finished(w0, .unknown, now: soon)
        #expect(effects.transitions == [.resolved(b1, .forgotten)])
        #expect(effects.resolutions == [Resolution(t[0], .refused(.outcomeUnknown))])
        #expect(effects.assigned == [[same]])
        #expect(machine.gauges.batchesUnresolved == 0)
        #expect(machine.violations(now: soon) == [])
    }

    @Test func theKeyWaitsAndOthersGoOn() {
        var (machine, t) = unresolved([record(1)], writers: 2)
        let same = machine.queue(record(1), now: at(1))
        let other = machine.queue(record(2), now: at(1))
        #expect(machine.gauges.batchesInFlight == 1)
        let effects = machine.timerFired(now: at(6))
        #expect(!effects.assigned.contains([same]))
        _ = machine.finished(w0, .committed, now: at(7))
        let inquiry = machine.timerFired(now: soon)
        #expect(inquiry.assigned == [t])
        #expect(machine.finished(w0, .committed, now: soon).assigned == [[same]])
        #expect(!machine.holds(other))
    }

    @Test func anyIdleWriterMayFindOut() {
        var machine = Machine.testing(writers: 2)
        let a = machine.queue(record(1))
        _ = machine.finished(w0, .unresolved, isConnected: false, now: .zero)
        #expect(machine.timerFired(now: soon) == .assigns(w1, b1, work: .resolve, [a]))
    }

    @Test func aPackStaysWhole() {
        var machine = Machine.testing()
        let pack = record(nil)
        guard
            case .queued(let ticket) = machine.admit(
                pack: pack, recordCount: 3, orderHashes: [1, 2, 3], now: .zero)
        else {
            Issue.record("the pack was refused")
            return
        }
        _ = machine.dispatch(now: .zero)
        _ = machine.finished(w0, .unresolved, now: .zero)
        #expect(machine.timerFired(now: soon) == .assigns(w0, b1, work: .resolve, [ticket]))
    }

    // MARK: Callers

    @Test func aCallerIsToldAtItsDeadlineAndTheInquiryGoesOn() {
        var (machine, t) = unresolved([record(1, deadline: at(50))])
        #expect(
            machine.timerFired(now: at(50))
                == .refuses(t[0], as: .outcomeUnknown) + .assigns(w0, b1, work: .resolve, t))
        #expect(machine.gauges.recordsHeld == 1)
        #expect(
            machine.finished(w0, .committed, now: at(51))
                == .passes(.resolved(b1, .committed)))
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func whatItsCallerWasToldIsUnknownIsNotWrittenLater() {
        var (machine, t) = unresolved([record(1, deadline: at(50)), record(2)])
        _ = machine.timerFired(now: at(50))
        #expect(
            machine.finished(w0, .transient(.connectionLost), now: at(51))
                == .passes(.resolved(b1, .lost))
                + .passes(.willRetry(b1, attempt: 2, .connectionLost, after: .zero))
                + .assigns(w0, b1, attempt: 2, [t[1]]))
    }

    @Test func whatWasNotWrittenAndNobodyWaitsForIsDropped() {
        var (machine, t) = unresolved([record(1)])
        machine.cancel(t[0])
        _ = machine.timerFired(now: soon)
        #expect(
            machine.finished(w0, .transient(.connectionLost), now: soon)
                == .passes(.resolved(b1, .lost)))
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func aGroupIsDroppedWholeOrNotAtAll() {
        var machine = Machine.testing()
        let group = machine.queue(group: [record(1), record(2)])
        _ = machine.finished(w0, .unresolved, now: .zero)
        machine.cancel(group[0])
        _ = machine.timerFired(now: soon)
        let lost = machine.finished(w0, .transient(.connectionLost), now: soon)
        #expect(lost.assigned == [group])
    }

    @Test func whoeverJoinsGetsTheSameAnswer() throws {
        var (machine, t) = unresolved([record(1, deadline: at(50), id: 5)])
        let again = try #require(machine.submit(record(1, id: 5), now: at(1)).0.ticket)
        #expect(
            machine.timerFired(now: at(50))
                == .refuses(t[0], as: .outcomeUnknown) + .assigns(w0, b1, work: .resolve, t))
        #expect(
            machine.finished(w0, .committed, now: at(60)).resolutions
                == [Resolution(again, .committed(position: 0))])
    }

    @Test func whatAJoinedCallerWaitsForIsWrittenForIt() throws {
        var (machine, t) = unresolved([record(1, id: 5)])
        let again = try #require(machine.submit(record(1, id: 5), now: at(1)).0.ticket)
        machine.cancel(t[0])
        _ = machine.timerFired(now: soon)
        let lost = machine.finished(w0, .transient(.connectionLost), now: soon)
        #expect(lost.assigned == [t])
        #expect(
            machine.finished(w0, .committed, now: soon).resolutions
                == [Resolution(again, .committed(position: 0))])
    }

    // MARK: Drain

    @Test func aDrainWaitsForWhatIsUnknown() {
        var (machine, t) = unresolved([record(1)])
        #expect(machine.drain(now: .zero) == .none)
        #expect(machine.timerFired(now: soon) == .assigns(w0, b1, work: .resolve, t))
        #expect(
            machine.finished(w0, .committed, now: soon)
                == .commits(t[0]) + .passes(.resolved(b1, .committed)) + .passes(.drained))
    }

    @Test func whenADrainIsAbandonedEverybodyIsToldWhatIsKnown() {
        var (machine, t) = unresolved([record(1)])
        let busy = machine.queue(record(2))
        let queued = machine.queue(record(1))
        let group = machine.queue(group: [record(1), record(2)])
        #expect(machine.timerFired(now: at(1)) == .none)
        #expect(
            machine.abandon(now: at(1))
                == .refuses(t[0], busy, as: .outcomeUnknown)
                + .refuses(queued, group[0], group[1], as: .draining))
        #expect(machine.abandon(now: at(2)) == .none)
        // What was sent is still followed to its end; nothing new is.
        #expect(machine.finished(w0, .committed, now: soon).assignments.map(\.work) == [.resolve])
        let last = machine.finished(w0, .committed, now: soon)
        #expect(last.assignments == [])
        #expect(last.transitions.last == .drained)
    }

    @Test func aBatchAtRestIsNotWrittenAfterAnAbandonedDrain() {
        var machine = Machine.testing(retryDelay: .milliseconds(100))
        let a = machine.queue(record(1))
        _ = machine.finished(w0, .transient(.deadlock), now: .zero)
        #expect(
            machine.abandon(now: at(1))
                == .refuses(a, as: .draining) + .passes(.drained))
        #expect(machine.timerFired(now: at(200)) == .none)
    }
}
