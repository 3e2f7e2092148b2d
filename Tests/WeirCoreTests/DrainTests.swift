import Testing
import WeirCore

@Suite struct DrainTests {
    @Test func anEmptyGatewayIsDrainedAtOnceAndSaysSoOnce() {
        var machine = Machine.testing()
        #expect(machine.drain(now: .zero) == .passes(.drained))
        #expect(machine.drain(now: at(1)) == .none)
        #expect(machine.timerFired(now: at(2)) == .none)
    }

    @Test func drainingRefusesNewRecords() {
        var machine = Machine.busy()
        _ = machine.queue(record(1, id: 5))
        #expect(machine.drain(now: .zero) == .none)
        #expect(machine.refusal(record(2)) == .draining)
        #expect(machine.refusal(record(1, id: 5)) == .draining)
    }

    @Test func drainingSendsWhatWaitsWithoutLingering() {
        var machine = Machine.busy(writers: 2)
        let a = machine.queue(record(1))
        #expect(machine.drain(now: .zero) == .assigns(w1, b2, [a]))
    }

    @Test func drainedIsToldAfterTheLastAnswer() {
        var machine = Machine.testing()
        let a = machine.queue(record(1))
        let b = machine.queue(record(1))
        #expect(machine.drain(now: .zero) == .none)
        #expect(machine.finished(w0, .committed, now: at(1)) == .commits(a) + .assigns(w0, b2, [b]))
        #expect(
            machine.finished(w0, .committed, now: at(2)) == .commits(b) + .passes(.drained))
    }

    @Test func drainingWaitsForABatchThatRests() {
        var machine = Machine.testing(retryDelay: .milliseconds(10))
        let a = machine.queue(record(1))
        _ = machine.finished(w0, .transient(.deadlock), now: .zero)
        #expect(machine.drain(now: .zero) == .none)
        #expect(machine.timerFired(now: at(20)) == .assigns(w0, b1, attempt: 2, [a]))
        #expect(
            machine.finished(w0, .committed, now: at(21)) == .commits(a) + .passes(.drained))
    }

    // MARK: Without a database

    private let unavailable = Refusal.databaseUnavailable(retryAfter: .seconds(1))

    @Test func drainingWithoutADatabaseEndsWithTheLastDeadline() {
        var machine = Machine.busy()
        let a = machine.queue(record(1, deadline: at(50)))
        _ = machine.finished(w0, .unknown, isConnected: false, now: .zero)
        #expect(machine.drain(now: .zero) == .none)
        #expect(
            machine.timerFired(now: at(50)) == .refuses(a, as: unavailable) + .passes(.drained))
    }

    @Test func aGroupThatRestsDoesNotHoldUpADrainWithoutADatabase() {
        var machine = Machine.testing()
        let pair = [record(1, deadline: at(50)), record(2, deadline: at(50))]
        let group = machine.queue(group: pair)
        _ = machine.finished(w0, .transient(.connectionLost), isConnected: false, now: .zero)
        _ = machine.drain(now: .zero)
        #expect(
            machine.timerFired(now: at(50))
                == .refuses(group[0], group[1], as: unavailable) + .passes(.drained))
    }

    @Test func aRecordWhoseCallerLeftDoesNotHoldUpADrainWithoutADatabase() {
        var machine = Machine.testing()
        machine.cancel(machine.queue(record(1, deadline: at(50))))
        _ = machine.finished(w0, .transient(.connectionLost), isConnected: false, now: .zero)
        _ = machine.drain(now: .zero)
        #expect(machine.timerFired(now: at(50)) == .passes(.drained))
    }

    @Test func aRecordThatExpiredInFlightDoesNotHoldUpADrainWithoutADatabase() {
        var machine = Machine.testing()
        _ = machine.queue(record(1, deadline: at(50)))
        _ = machine.timerFired(now: at(50))
        _ = machine.finished(w0, .transient(.connectionLost), isConnected: false, now: at(55))
        #expect(machine.drain(now: at(55)) == .passes(.drained))
    }
}
