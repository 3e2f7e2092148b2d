import Testing
import WeirCore

@Suite struct AdmissionTests {
    @Test func theQueueHoldsNoMoreRecordsThanItsBound() {
        var machine = Machine.testing(queue: 2)
        let a = machine.queue(record(1))
        let b = machine.queue(record(2))
        #expect(machine.refusal(record(3)) == .overloaded(retryAfter: .seconds(1)))
        // Records in flight count until they are answered.
        #expect(machine.finished(w0, .committed, now: at(1)) == .commits(a) + .assigns(w0, b2, [b]))
        #expect(machine.refusal(record(3), now: at(1)) == nil)
    }

    @Test func theQueueHoldsNoMoreBytesThanItsBound() {
        var machine = Machine.testing(queueBytes: 100)
        _ = machine.queue(record(1, bytes: 60))
        #expect(machine.refusal(record(2, bytes: 41)) == .overloaded(retryAfter: .seconds(1)))
        #expect(machine.refusal(record(2, bytes: 40)) == nil)
        #expect(machine.gauges.bytesHeld == 100)
    }

    @Test func bytesAreGivenBackWithTheAnswer() {
        var machine = Machine.testing(queueBytes: 100)
        let a = machine.queue(record(1, bytes: 60))
        #expect(
            machine.finished(w0, .recordError(culprit: 0), now: at(1))
                == .resolves(a, as: .rejected))
        #expect(machine.gauges.bytesHeld == 0)
        #expect(machine.refusal(record(2, bytes: 100), now: at(1)) == nil)
    }

    @Test func retryAfterIsTheTimeThatTheQueueNeedsAtItsPace() {
        var machine = Machine.testing(batch: 10, queue: 50)
        // Ten records every ten seconds: from 1,000 a second the pace falls towards one.
        var now = Timestamp.zero
        for _ in 0..<60 {
            let room = 50 - machine.gauges.recordsHeld
            for _ in 0..<room {
                _ = machine.admit(record(deadline: .distantFuture), now: now)
            }
            _ = machine.dispatch(now: now)
            now = now + .seconds(10)
            _ = machine.finished(w0, .committed, now: now)
        }
        for _ in 0..<10 { _ = machine.admit(record(deadline: .distantFuture), now: now) }
        guard case .overloaded(let span) = machine.refusal(record(), now: now) else {
            Issue.record("fifty are held and the next one is admitted")
            return
        }
        // Fifty at one a second would be 50 s; nobody is sent away for longer than half a minute.
        #expect(span == .seconds(30))
    }

    @Test func aRecordThatWasRefusedLeavesNoTrace() {
        var machine = Machine.testing(queue: 1)
        _ = machine.queue(record(1))
        let before = machine.gauges
        _ = machine.refusal(record(2, id: 5))
        #expect(machine.gauges == before)
        _ = machine.finished(w0, .committed, now: at(1))
        // Not in flight, so another payload is no mistake.
        #expect(machine.refusal(record(2, id: 5, fingerprint: 8), now: at(1)) == nil)
    }
}
