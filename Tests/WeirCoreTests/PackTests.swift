import Testing
import WeirCore

@Suite struct PackTests {
    @Test func aPackIsOneTicket() {
        var machine = Machine.testing(batch: 4)
        let pack = machine.queue(pack: [1, 2, 3])
        #expect(machine.gauges.recordsHeld == 3)
        #expect(machine.dispatch(now: .zero) == .assigns(w0, b1, [pack]))
        #expect(machine.finished(w0, .committed, now: at(1)) == .commits(pack))
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func positionsCountRecords() {
        var machine = Machine.testing(batch: 10)
        let first = machine.queue(pack: [1, 2, 3])
        guard case .queued(let second) = machine.admit(record(9), now: .zero) else {
            Issue.record("a record was not queued")
            return
        }
        _ = machine.dispatch(now: .zero)
        #expect(
            machine.finished(w0, .committed, now: at(1))
                == .resolves(first, as: .committed(position: 0))
                + .resolves(second, as: .committed(position: 3)))
    }

    @Test func aBatchHoldsAsManyRecordsAsItMay() {
        var machine = Machine.busy(batch: 4)
        let packs = [machine.queue(pack: [1, 2, 3]), machine.queue(pack: [4, 5])]
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [[packs[0]]])
        #expect(machine.finished(w0, .committed, now: at(2)).assigned == [[packs[1]]])
    }

    @Test func aPackWaitsForAllItsKeys() {
        var machine = Machine.testing(writers: 2)
        let first = machine.queue(record(2))
        let pack = machine.queue(pack: [1, 2])
        let later = machine.queue(record(1), now: at(6))
        // The writer that is free may not have it, nor what stands behind it.
        #expect(machine.timerFired(now: at(6)) == .none)
        #expect(
            machine.finished(w0, .committed, now: at(7))
                == .commits(first) + .assigns(w0, b2, [pack, later]))
    }

    @Test func packsWithoutKeysWaitForNobody() {
        var machine = Machine.testing(writers: 2, batch: 2)
        let packs = [
            machine.queue(pack: [], recordCount: 2), machine.queue(pack: [], recordCount: 2),
        ]
        #expect(machine.dispatch(now: .zero).assigned == [[packs[0]], [packs[1]]])
    }

    @Test func aKeyThatAPackHasTwiceIsOneLane() {
        var machine = Machine.testing(batch: 4)
        let pack = machine.queue(pack: [1, 1, 2])
        #expect(machine.dispatch(now: .zero).assigned == [[pack]])
        let later = machine.queue(record(1))
        #expect(machine.finished(w0, .committed, now: at(1)).assigned == [[later]])
    }

    @Test func aPackWithABadRecordComesApart() {
        var machine = Machine.testing(batch: 4)
        let pack = machine.queue(pack: [1, 2])
        _ = machine.dispatch(now: .zero)
        let effects = machine.finished(w0, .recordError(culprit: nil), now: at(1))
        let parts = effects.unpackings.first?.parts ?? []
        #expect(effects.unpackings == [Unpacking(pack, into: parts)])
        #expect(parts.count == 2)
        #expect(effects.assigned == [[parts[0]]])
        #expect(machine.gauges.recordsHeld == 2)
        #expect(
            machine.finished(w0, .recordError(culprit: 0), now: at(2))
                == .resolves(parts[0], as: .rejected) + .assigns(w0, b1, [parts[1]]))
        #expect(machine.finished(w0, .committed, now: at(3)) == .commits(parts[1]))
        #expect(machine.gauges.recordsHeld == 0)
        #expect(machine.gauges.bytesHeld == 0)
    }

    @Test func aPackThatIsTooSlowComesApart() {
        var machine = Machine.testing(batch: 4, attempts: 1)
        _ = machine.queue(pack: [1, 2])
        _ = machine.dispatch(now: .zero)
        let effects = machine.finished(w0, .transient(.statementTimeout), now: at(1))
        #expect(effects.unpackings.count == 1)
        #expect(effects.assigned.map(\.count) == [1])
    }

    @Test func aPackIsTriedAgainWhole() {
        var machine = Machine.testing(batch: 4)
        let pack = machine.queue(pack: [1, 2])
        _ = machine.dispatch(now: .zero)
        let effects =
            machine.finished(w0, .transient(.deadlock), now: at(1)) + machine.timerFired(now: at(1))
        #expect(effects.assigned == [[pack]])
    }

    @Test func aPackExpiresWhole() {
        var machine = Machine.busy()
        let pack = machine.queue(pack: [1, 2], deadline: at(20))
        #expect(machine.timerFired(now: at(20)) == .refuses(pack, as: .deadlineExceeded))
        _ = machine.finished(w0, .committed, now: at(21))
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func whoWasAnsweredIsNotAnsweredAgainInParts() {
        var machine = Machine.testing(batch: 4)
        let pack = machine.queue(pack: [1, 2], deadline: at(20))
        _ = machine.dispatch(now: .zero)
        #expect(machine.timerFired(now: at(20)) == .refuses(pack, as: .outcomeUnknown))
        let effects = machine.finished(w0, .recordError(culprit: nil), now: at(21))
        #expect(effects.unpackings.count == 1)
        #expect(effects.resolutions == [])
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func theQueueTakesAPackWholeOrNotAtAll() {
        var machine = Machine.testing(batch: 4, queue: 3)
        _ = machine.queue(pack: [1, 2])
        var pack = record(nil)
        pack.byteCount = 20
        let admission = machine.admit(
            pack: pack, recordCount: 2, orderHashes: [3, 4], now: .zero)
        #expect(admission == .refused(.overloaded(retryAfter: .seconds(1))))
        #expect(machine.gauges.recordsHeld == 2)
    }
}

extension Machine {
    /// The ticket of a pack that must be queued; it is not dispatched.
    mutating func queue(
        pack keys: [UInt64], recordCount: Int? = nil, table: TableID = orders,
        deadline: Timestamp = at(1_000)
    ) -> Ticket {
        let admission = admit(
            pack: record(nil, table: table, deadline: deadline),
            recordCount: recordCount ?? keys.count,
            orderHashes: keys, now: .zero)
        guard case .queued(let ticket) = admission else {
            Issue.record("a pack was not queued: \(admission)")
            return Ticket(slot: -1, generation: 0)
        }
        return ticket
    }
}
