import Testing
import WeirCore

@Suite struct RetryTests {
    @Test(arguments: TransientReason.allCases)
    func aTransientFailureRepeatsTheWholeBatch(_ reason: TransientReason) {
        var machine = Machine.busy()
        let t = machine.queue([record(1), record(2)])
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [t])
        #expect(
            machine.finished(w0, .transient(reason), now: at(2))
                == .passes(.willRetry(b2, attempt: 2, reason, after: .zero))
                + .assigns(w0, b2, attempt: 2, t))
        #expect(machine.finished(w0, .committed, now: at(3)) == .commits(t[0], t[1]))
    }

    @Test func aBatchRestsBeforeItsNextAttempt() throws {
        var machine = Machine.testing(retryDelay: .milliseconds(10))
        let a = machine.queue(record(1))
        var random = SplitMix64(seed: 0)
        let delay = Backoff(min: .milliseconds(10), max: .milliseconds(10))
            .delay(attempt: 1, using: &random)
        #expect(
            machine.finished(w0, .transient(.deadlock), now: at(1))
                == .passes(.willRetry(b1, attempt: 2, .deadlock, after: delay)))
        #expect(machine.gauges.batchesResting == 1)
        let due = at(1) + delay
        #expect(machine.nextDeadline(now: at(1)) == due)
        #expect(machine.timerFired(now: at(2)) == .none)
        #expect(machine.timerFired(now: due) == .assigns(w0, b1, attempt: 2, [a]))
    }

    @Test func otherRecordsGoWhileABatchRests() {
        var machine = Machine.testing(retryDelay: .milliseconds(10))
        _ = machine.queue(record(1))
        let b = machine.queue(record(2))
        #expect(machine.finished(w0, .transient(.deadlock), now: at(1)).assigned == [[b]])
    }

    @Test func aBatchThatIsDueGoesBeforeNewRecords() {
        var machine = Machine.testing(retryDelay: .milliseconds(10))
        let a = machine.queue(record(1))
        let b = machine.queue(record(2))
        _ = machine.finished(w0, .transient(.deadlock), now: at(1))
        let c = machine.queue(record(3), now: at(2))
        #expect(
            machine.finished(w0, .committed, now: at(20)) == .commits(b)
                + .assigns(w0, b1, attempt: 2, [a]))
        #expect(machine.finished(w0, .committed, now: at(21)).assigned == [[c]])
    }

    @Test func retriesThatAreExhaustedRefuseTheBatch() {
        var machine = Machine.testing(attempts: 2)
        let a = machine.queue(record(1))
        _ = machine.finished(w0, .transient(.deadlock), now: at(1))
        #expect(
            machine.finished(w0, .transient(.deadlock), now: at(2))
                == .refuses(a, as: .retriesExhausted))
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test(arguments: [TransientReason.statementTimeout, .resources])
    func aBatchThatIsTooHeavyIsHalvedWhenItsRetriesAreExhausted(_ reason: TransientReason) {
        var machine = Machine.busy(attempts: 1)
        let t = machine.queue([record(1), record(2)])
        _ = machine.finished(w0, .committed, now: at(1))
        #expect(
            machine.finished(w0, .transient(reason), now: at(2))
                == .passes(.halved(b2, records: 1)) + .assigns(w0, b2, [t[0]]))
        #expect(
            machine.finished(w0, .committed, now: at(3))
                == .commits(t[0]) + .assigns(w0, b2, [t[1]]))
        #expect(
            machine.finished(w0, .transient(reason), now: at(4))
                == .refuses(t[1], as: .retriesExhausted))
    }

    @Test func aBatchThatMeetsLocksIsNotHalved() {
        var machine = Machine.busy(attempts: 1)
        let t = machine.queue([record(1), record(2)])
        _ = machine.finished(w0, .committed, now: at(1))
        #expect(
            machine.finished(w0, .transient(.lockTimeout), now: at(2))
                == .refuses(t[0], t[1], as: .retriesExhausted))
    }

    @Test func aLostConnectionRepeatsTheBatchOnTheNextOne() {
        var machine = Machine.testing()
        let a = machine.queue(record(1))
        #expect(
            machine.finished(w0, .transient(.connectionLost), isConnected: false, now: at(1))
                == .passes(.willRetry(b1, attempt: 2, .connectionLost, after: .zero)))
        #expect(machine.writerReady(w0, now: at(2)) == .assigns(w0, b1, attempt: 2, [a]))
    }

    // MARK: Unknown outcomes

    @Test func anUnknownOutcomeIsToldAndNotRepeated() {
        var machine = Machine.busy()
        let t = machine.queue([record(1), record(2)])
        _ = machine.finished(w0, .committed, now: at(1))
        #expect(
            machine.finished(w0, .unknown, isConnected: false, now: at(2))
                == .refuses(t[0], t[1], as: .outcomeUnknown))
        #expect(machine.writerReady(w0, now: at(3)) == .none)
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func theOtherHalfGoesOnAfterAnUnknownOutcome() {
        var machine = Machine.busy()
        let t = machine.queue([record(1), record(2)])
        _ = machine.finished(w0, .committed, now: at(1))
        _ = machine.finished(w0, .recordError(culprit: nil), now: at(2))
        #expect(
            machine.finished(w0, .unknown, isConnected: false, now: at(3))
                == .refuses(t[0], as: .outcomeUnknown))
        #expect(machine.writerReady(w0, now: at(4)) == .assigns(w0, b2, [t[1]]))
    }
}

@Suite struct LostSessionTests {
    /// Loses the connection in the attempt, and has it again at once.
    private func lose(_ machine: inout Machine) -> Effects {
        machine.finished(w0, .transient(.connectionLost), isConnected: false, now: at(1))
            + machine.writerReady(w0, now: at(1))
    }

    @Test func aBatchThatEndsItsSessionTimeAfterTimeIsHalved() {
        var machine = Machine.testing(batch: 4, attempts: 8)
        let tickets = [record(1), record(2)].compactMap { machine.admit($0, now: .zero).ticket }
        #expect(machine.dispatch(now: .zero).assigned == [tickets])
        #expect(lose(&machine).assigned == [tickets])
        #expect(lose(&machine).assigned == [tickets])
        #expect(lose(&machine).assigned == [[tickets[0]]])
        #expect(machine.finished(w0, .committed, now: at(2)).assigned == [[tickets[1]]])
    }

    @Test func aRecordThatEndsItsSessionIsGivenUpAfterTheLastAttempt() {
        var machine = Machine.testing(attempts: 4)
        let ticket = machine.queue(record(1))
        for _ in 0..<3 { #expect(lose(&machine).assigned == [[ticket]]) }
        let last = machine.finished(
            w0, .transient(.connectionLost), isConnected: false, now: at(1))
        #expect(last == .refuses(ticket, as: .retriesExhausted))
    }
}
