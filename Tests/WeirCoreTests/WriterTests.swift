import Testing
import WeirCore

@Suite struct WriterTests {
    private let unavailable = Refusal.databaseUnavailable(retryAfter: .seconds(1))

    @Test func withoutAConnectionRecordsAreRefused() {
        var machine = Machine.testing(connected: 0)
        #expect(machine.refusal(record(1)) == unavailable)
        #expect(machine.refusal(group: [record(1)]) == unavailable)
        #expect(machine.writerReady(w0, now: at(1)) == .none)
        #expect(machine.refusal(record(1), now: at(1)) == nil)
    }

    @Test func aWriterThatIsLostGetsNothing() {
        var machine = Machine.testing(writers: 2)
        machine.writerLost(w0)
        #expect(machine.gauges.connections == 1)
        let (admission, effects) = machine.submit(record(1), now: .zero)
        #expect(effects == .assigns(w1, b1, [admission.ticket].compactMap { $0 }))
    }

    @Test func aWriterThatIsBusyIsNotLost() {
        var machine = Machine.testing()
        let a = machine.queue(record(1))
        machine.writerLost(w0)
        #expect(machine.gauges.connections == 1)
        #expect(machine.finished(w0, .committed, now: at(1)) == .commits(a))
    }

    @Test func aWriterThatFinishesWithoutAConnectionGetsNothing() {
        var machine = Machine.testing()
        let a = machine.queue(record(1))
        let b = machine.queue(record(2))
        #expect(machine.finished(w0, .committed, isConnected: false, now: at(1)) == .commits(a))
        #expect(machine.gauges.connections == 0)
        #expect(machine.violations(now: at(1)) == [])
        #expect(machine.writerReady(w0, now: at(2)) == .assigns(w0, b2, [b]))
    }

    @Test func whatWaitsWhenTheDatabaseGoesIsToldSoAtItsDeadline() {
        var machine = Machine.testing()
        _ = machine.queue(record(1))
        let b = machine.queue(record(2, deadline: at(50)))
        _ = machine.finished(w0, .committed, isConnected: false, now: at(1))
        #expect(machine.timerFired(now: at(50)) == .refuses(b, as: unavailable))
        #expect(machine.writerReady(w0, now: at(60)) == .none)
        #expect(machine.gauges.recordsHeld == 0)
    }
}
