import Testing
import WeirCore

@Suite struct LaneTests {
    @Test func aKeyIsNeverInTwoBatches() {
        var machine = Machine.testing(writers: 2)
        _ = machine.queue(record(1))
        let b = machine.queue(record(1))
        #expect(machine.timerFired(now: at(100)) == .none)
        #expect(machine.finished(w0, .committed, now: at(101)).assigned == [[b]])
    }

    @Test func recordsOfOneKeyMayShareABatchInTheirOrder() {
        var machine = Machine.busy()
        let tickets = machine.queue([record(1), record(1), record(1)])
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [tickets])
    }

    @Test func aKeyKeepsItsOrderOverBatches() {
        var machine = Machine.busy(batch: 2)
        let tickets = machine.queue([record(1), record(1), record(1)])
        #expect(
            machine.finished(w0, .committed, now: at(1)).assigned == [[tickets[0], tickets[1]]])
        #expect(machine.finished(w0, .committed, now: at(2)).assigned == [[tickets[2]]])
    }

    @Test func anotherKeyPassesAKeyThatIsHeldUp() {
        var machine = Machine.testing(writers: 2)
        _ = machine.queue(record(1))
        _ = machine.queue(record(1))
        let other = machine.queue(record(2))
        #expect(machine.timerFired(now: at(5)) == .assigns(w1, b2, [other]))
    }

    @Test func recordsWithoutAKeyNeverWaitForALane() {
        var machine = Machine.testing(writers: 2)
        _ = machine.queue(record())
        let b = machine.queue(record())
        #expect(machine.timerFired(now: at(5)) == .assigns(w1, b2, [b]))
    }

    @Test func aKeyThatAwaitsARetryIsNotOvertaken() {
        var machine = Machine.testing(writers: 2, retryDelay: .milliseconds(10))
        let a = machine.queue(record(1))
        let b = machine.queue(record(1))
        #expect(machine.finished(w0, .transient(.deadlock), now: at(1)).assigned == [])
        #expect(machine.timerFired(now: at(3)).assigned == [])
        #expect(machine.timerFired(now: at(11)).assigned == [[a]])
        #expect(
            machine.finished(w0, .committed, now: at(12)) == .commits(a) + .assigns(w0, b2, [b]))
    }

    @Test func aKeyIsNotOvertakenByTheHalvesOfItsBatch() {
        var machine = Machine.busy(writers: 2)
        let tickets = machine.queue([record(1), record(2)])
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [tickets])
        let later = machine.queue(record(2), now: at(1))
        _ = machine.finished(w0, .recordError(culprit: nil), now: at(2))
        // The left half is in flight and the right one, with key 2, stands behind it.
        #expect(machine.timerFired(now: at(50)) == .none)
        #expect(machine.finished(w0, .committed, now: at(51)).assigned == [[tickets[1]]])
        #expect(machine.finished(w0, .committed, now: at(52)).assigned == [[later]])
    }

    /// However their hashes crowd the directory, and in whatever order they come and go.
    @Test(arguments: [0, 6, 40]) func distinctKeysNeverWaitForEachOther(shift: Int) {
        var machine = Machine.testing(writers: 4, batch: 50, queue: 1_000)
        var keys = (UInt64(0)..<200).map { $0 << UInt64(shift) }
        for round in 0..<6 {
            let first = machine.queue(record(keys[0]))
            let others = machine.queue(keys.dropFirst().prefix(150).map { record($0) })
            // Three writers are free, and no key is in the batch of the first.
            let sent = machine.timerFired(now: at(Int64(round) * 10 + 5))
            #expect(machine.gauges.recordsHeld == 151)
            #expect(machine.gauges.batchesInFlight == 4)
            for number in 0..<4 {
                _ = machine.finished(WriterID(number), .committed, now: at(Int64(round) * 10 + 6))
            }
            #expect(machine.gauges.recordsHeld == 0)
            #expect(!sent.assigned.joined().contains(first))
            #expect(others.count == 150)
            keys = Array(keys[37...] + keys[..<37])
        }
    }

    @Test func aCancelledRecordDoesNotHoldUpItsKey() {
        var machine = Machine.testing()
        _ = machine.queue(record(1))
        machine.cancel(machine.queue(record(1)))
        let c = machine.queue(record(1))
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [[c]])
    }
}
