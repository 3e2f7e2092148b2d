import Testing
import WeirCore

/// Records of tables that keep what they refuse.
@Suite struct DeadLetterTests {
    private let refused = BatchOutcome.recordError(culprit: 0)

    /// A machine with record 1, whose table keeps what it refuses, refused in batch 1.
    private func machine(
        _ entry: Entry = record(1, keepsDeadLetters: true), attempts: Int = 3
    ) -> (Machine, Ticket, Effects) {
        var machine = Machine.testing(attempts: attempts)
        let ticket = machine.queue(entry)
        let effects = machine.finished(w0, refused, now: .zero)
        return (machine, ticket, effects)
    }

    @Test func aRecordThatIsRefusedAloneIsHandedOutToBeKept() {
        let (_, ticket, effects) = machine()
        #expect(
            effects == .passes(.deadLettering(ticket))
                + .assigns(w0, b1, work: .deadLetter, [ticket]))
    }

    @Test func whatIsKeptIsCommitted() {
        var (machine, ticket, _) = machine()
        #expect(machine.finished(w0, .committed, now: at(1)) == .commits(ticket))
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func theKeyWaitsUntilItIsKept() {
        var (machine, _, _) = machine()
        let later = machine.queue(record(1, keepsDeadLetters: true))
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [[later]])
    }

    @Test func aTransientFailureRepeatsTheKeeping() {
        var (machine, ticket, _) = machine()
        #expect(
            machine.finished(w0, .transient(.lockTimeout), now: at(1))
                == .passes(.willRetry(b1, attempt: 2, .lockTimeout, after: .zero))
                + .assigns(w0, b1, attempt: 2, work: .deadLetter, [ticket]))
    }

    @Test func aRecordThatCannotBeKeptIsToldToComeAgain() {
        var (machine, ticket, _) = machine(attempts: 1)
        #expect(
            machine.finished(w0, .transient(.lockTimeout), now: at(1))
                == .refuses(ticket, as: .retriesExhausted))
    }

    @Test(arguments: [
        BatchOutcome.recordError(culprit: nil), .recordError(culprit: 0), .tableFault(customers),
    ])
    func aDeadLetterThatIsRefusedLeavesTheFirstRejection(_ outcome: BatchOutcome) {
        var (machine, ticket, _) = machine()
        #expect(machine.finished(w0, outcome, now: at(1)) == .resolves(ticket, as: .rejected))
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func whetherItIsKeptIsFoundOutLikeAnythingElse() {
        var (machine, ticket, _) = machine()
        #expect(
            machine.finished(w0, .unresolved, now: .zero)
                == .passes(.unresolved(b1, records: 1)))
        #expect(machine.timerFired(now: at(20)) == .assigns(w0, b1, work: .resolve, [ticket]))
        #expect(
            machine.finished(w0, .transient(.connectionLost), now: at(20))
                == .passes(.resolved(b1, .lost))
                + .passes(.willRetry(b1, attempt: 2, .connectionLost, after: .zero))
                + .assigns(w0, b1, attempt: 2, work: .deadLetter, [ticket]))
    }

    @Test func theNextPieceIsWrittenAgain() {
        var machine = Machine.busy()
        let a = machine.queue(record(1, keepsDeadLetters: true))
        let b = machine.queue(record(2, keepsDeadLetters: true))
        _ = machine.finished(w0, .committed, now: .zero)
        _ = machine.finished(w0, .recordError(culprit: nil), now: .zero)
        #expect(
            machine.finished(w0, refused, now: .zero)
                == .passes(.deadLettering(a)) + .assigns(w0, b2, work: .deadLetter, [a]))
        #expect(
            machine.finished(w0, .committed, now: .zero)
                == .commits(a) + .assigns(w0, b2, [b]))
    }

    @Test func aPackPassesOnThatItIsKept() {
        var machine = Machine.testing()
        _ = machine.admit(
            pack: record(nil, keepsDeadLetters: true), recordCount: 2, orderHashes: [1, 2],
            now: .zero)
        _ = machine.dispatch(now: .zero)
        let parts = machine.finished(w0, .recordError(culprit: nil), now: .zero).unpackings
            .flatMap(\.parts)
        #expect(
            machine.finished(w0, refused, now: .zero).assignments.map(\.work) == [.deadLetter])
        #expect(parts.count == 2)
    }

    @Test func aDryRunIsRejected() {
        let (_, ticket, effects) = machine(record(1, isExclusive: true, keepsDeadLetters: true))
        #expect(effects == .resolves(ticket, as: .rejected))
    }

    @Test func aGroupIsRejectedWhole() {
        var machine = Machine.testing()
        let pair = [record(1, keepsDeadLetters: true), record(2, keepsDeadLetters: true)]
        let group = machine.queue(group: pair)
        #expect(
            machine.finished(w0, .recordError(culprit: 1), now: .zero)
                == .resolves(group[0], as: .rolledBack) + .resolves(group[1], as: .rejected))
    }

    // MARK: A flood

    /// Has record after record refused; how many are kept before the table is paused.
    private func keptBeforePause(_ machine: inout Machine, now: Timestamp) -> Int {
        for count in 0..<1_000 {
            let entry = record(1, deadline: .distantFuture, keepsDeadLetters: true)
            let (admission, _) = machine.submit(entry, now: now)
            guard admission.ticket != nil else { return count }
            let effects = machine.finished(w0, refused, now: now)
            if !effects.pausedTables.isEmpty { return count }
            _ = machine.finished(w0, .committed, now: now)
        }
        return 1_000
    }

    @Test func aRowOfRefusalsPausesTheTableAndKeepsNoMore() {
        var machine = Machine.testing()
        #expect(keptBeforePause(&machine, now: .zero) == 20)
        #expect(
            machine.refusal(record(2, keepsDeadLetters: true))
                == .tablePaused(retryAfter: .seconds(1)))
        #expect(machine.gauges.recordsHeld == 0)
        // Many come: after the pause the first refusal is one too many.
        comeAgain(20, to: &machine)
        #expect(keptBeforePause(&machine, now: at(1_000)) == 0)
    }

    /// So many others are told that the table is paused.
    private func comeAgain(_ count: UInt64, to machine: inout Machine) {
        for key in 0..<count {
            #expect(
                machine.refusal(record(3 + key, keepsDeadLetters: true))
                    == .tablePaused(retryAfter: .seconds(1)))
        }
    }

    /// Somebody's bad record may be all that still comes.
    @Test func whereHardlyAnybodyComesOneIsKeptAfterEachPause() {
        var machine = Machine.testing()
        #expect(keptBeforePause(&machine, now: .zero) == 20)
        #expect(keptBeforePause(&machine, now: at(1_000)) == 1)
        #expect(keptBeforePause(&machine, now: at(3_000)) == 1)
    }

    @Test func afterAPauseAsManyAreKeptAsCameHoweverOftenTheyDid() {
        var machine = Machine.testing()
        #expect(keptBeforePause(&machine, now: .zero) == 20)
        for _ in 0..<50 { comeAgain(3, to: &machine) }
        #expect(keptBeforePause(&machine, now: at(1_000)) == 4)
        #expect(keptBeforePause(&machine, now: at(3_000)) == 1)
    }

    @Test func recordsThatNothingTellsFromOthersCountEachTime() {
        var machine = Machine.testing()
        #expect(keptBeforePause(&machine, now: .zero) == 20)
        for _ in 0..<20 { _ = machine.refusal(record(nil, keepsDeadLetters: true)) }
        #expect(keptBeforePause(&machine, now: at(1_000)) == 0)
    }

    @Test func whatIsUnderWayWhenTheTableIsPausedIsNotKept() {
        var machine = Machine.testing(writers: 2, batch: 1)
        _ = machine.queue(record(9, deadline: .distantFuture, keepsDeadLetters: true))
        for _ in 0..<20 {
            _ = machine.submit(record(1, keepsDeadLetters: true), now: .zero)
            _ = machine.finished(w1, refused, now: .zero)
            _ = machine.finished(w1, .committed, now: .zero)
        }
        _ = machine.submit(record(1, keepsDeadLetters: true), now: .zero)
        #expect(machine.finished(w1, refused, now: .zero).pausedTables == [orders])
        let effects = machine.finished(w0, refused, now: .zero)
        #expect(effects.assignments == [] && machine.gauges.recordsHeld == 0)
    }

    @Test func aRepetitionSaysNothingOfTheTable() {
        var machine = Machine.testing()
        #expect(keptBeforePause(&machine, now: .zero) == 20)
        let entry = record(1, deadline: .distantFuture, keepsDeadLetters: true)
        _ = machine.queue(entry, now: at(1_000))
        _ = machine.finished(w0, .committed, repetitions: [0], now: at(1_000))
        #expect(keptBeforePause(&machine, now: at(1_000)) == 1)
    }

    @Test func ofAPackOnlyWhatWasWrittenCounts() {
        var machine = Machine.testing()
        #expect(keptBeforePause(&machine, now: .zero) == 20)
        _ = machine.admit(
            pack: record(nil, deadline: .distantFuture, keepsDeadLetters: true), recordCount: 3,
            orderHashes: [2, 3, 4], now: at(1_000))
        _ = machine.dispatch(now: at(1_000))
        _ = machine.finished(w0, .committed, repetitions: [0, 2], now: at(1_000))
        #expect(keptBeforePause(&machine, now: at(1_000)) == 20)
    }

    @Test func aCommitEndsTheRow() {
        var machine = Machine.testing()
        #expect(keptBeforePause(&machine, now: .zero) == 20)
        let entry = record(1, deadline: .distantFuture, keepsDeadLetters: true)
        _ = machine.queue(entry, now: at(1_000))
        _ = machine.finished(w0, .committed, now: at(1_000))
        #expect(keptBeforePause(&machine, now: at(1_000)) == 20)
    }

    @Test func whatIsQueuedIsToldToComeAgain() {
        var machine = Machine.testing()
        for _ in 0..<20 {
            _ = machine.queue(record(1, keepsDeadLetters: true))
            _ = machine.finished(w0, refused, now: .zero)
            _ = machine.finished(w0, .committed, now: .zero)
        }
        let bad = machine.queue(record(1, keepsDeadLetters: true))
        let queued = machine.queue(record(2, keepsDeadLetters: true))
        #expect(
            machine.finished(w0, refused, now: .zero)
                == .pauses(orders)
                + .refuses(bad, queued, as: .tablePaused(retryAfter: .seconds(1))))
    }

    @Test func oneInTwentyIsTooManyOfTwoHundred() {
        var breaker = MassPoisonBreaker(.init())
        var refusals = 0
        while !breaker.refused(orders, now: .zero) {
            refusals += 1
            breaker.committed(18, of: orders, now: .zero)
        }
        #expect(refusals == 11)
    }

    @Test func oneInAHundredIsNot() {
        var breaker = MassPoisonBreaker(.init())
        for second in Int64(0)..<1_000 {
            breaker.committed(99, of: orders, now: at(second * 100))
            #expect(breaker.refused(orders, now: at(second * 100)) == false)
        }
    }

    @Test func whatIsLongPastCountsNoMore() {
        var breaker = MassPoisonBreaker(.init())
        for minute in Int64(0)..<100 {
            breaker.committed(150, of: orders, now: at(minute * 60_000))
            for _ in 0..<19 { #expect(breaker.refused(orders, now: at(minute * 60_000)) == false) }
        }
    }

    @Test func tablesAreLookedAtOneByOne() {
        var breaker = MassPoisonBreaker(.init())
        for _ in 0..<20 {
            #expect(breaker.refused(orders, now: .zero) == false)
            #expect(breaker.refused(customers, now: .zero) == false)
        }
        #expect(breaker.refused(orders, now: .zero) == true)
    }

    @Test func aCommitDoesNotEndThePauseBeforeItsTime() {
        var machine = Machine.testing(writers: 2, batch: 1)
        let entry = record(9, deadline: .distantFuture, keepsDeadLetters: true)
        // It is in flight while the others are refused.
        _ = machine.queue(entry)
        for _ in 0..<21 {
            _ = machine.submit(record(1, keepsDeadLetters: true), now: .zero)
            _ = machine.finished(w1, refused, now: .zero)
            guard machine.gauges.batchesInFlight == 2 else { break }
            _ = machine.finished(w1, .committed, now: .zero)
        }
        let paused = Refusal.tablePaused(retryAfter: .seconds(1))
        #expect(machine.refusal(entry) == paused)
        _ = machine.finished(w0, .committed, now: .zero)
        #expect(machine.refusal(entry) == paused)
    }
}
