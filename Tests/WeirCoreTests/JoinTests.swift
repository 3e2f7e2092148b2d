import Testing
import WeirCore

@Suite struct JoinTests {
    @Test func aRepeatedMessageGetsTheSameAnswer() {
        var machine = Machine.busy()
        let a = machine.queue(record(1, id: 5))
        let (admission, effects) = machine.submit(record(1, id: 5), now: at(1))
        let again = Ticket(slot: a.slot + 1, generation: 0)
        #expect(admission == .joined(again, to: a))
        #expect(effects == .none)
        #expect(machine.finished(w0, .committed, now: at(2)).assigned == [[a]])
        #expect(
            machine.finished(w0, .committed, now: at(3))
                == .resolves(a, again, as: .committed(position: 0)))
        #expect(machine.gauges.recordsHeld == 0)
    }

    @Test func aMessageInFlightIsJoinedToo() throws {
        var machine = Machine.testing()
        let a = machine.queue(record(1, id: 5))
        let again = try #require(machine.submit(record(1, id: 5), now: at(1)).0.ticket)
        #expect(
            machine.finished(w0, .recordError(culprit: 0), now: at(2))
                == .resolves(a, again, as: .rejected))
    }

    @Test func anotherPayloadUnderTheSameMessageIDIsRefused() {
        var machine = Machine.testing()
        let a = machine.queue(record(1, id: 5))
        #expect(machine.refusal(record(1, id: 5, fingerprint: 8)) == .messageIDReused)
        #expect(machine.finished(w0, .committed, now: at(1)) == .commits(a))
    }

    @Test func aMessageThatWasAnsweredIsNewAgain() {
        var machine = Machine.testing()
        let a = machine.queue(record(1, id: 5))
        #expect(machine.finished(w0, .committed, now: at(1)) == .commits(a))
        // The database's replay table answers from here on.
        let (admission, effects) = machine.submit(record(1, id: 5), now: at(2))
        #expect(effects == .assigns(w0, b2, [admission.ticket].compactMap { $0 }))
    }

    @Test func joiningCostsARecordAndNoBytes() throws {
        var machine = Machine.testing(queue: 2, queueBytes: 15)
        _ = machine.queue(record(1, id: 5))
        _ = try #require(machine.submit(record(1, id: 5), now: .zero).0.ticket)
        #expect(machine.gauges.recordsHeld == 2)
        #expect(machine.gauges.bytesHeld == 10)
        #expect(machine.refusal(record(1, id: 5)) == .overloaded(retryAfter: .seconds(1)))
    }

    @Test func aRecordWhoseCallerLeftIsWrittenForTheOneWhoJoined() throws {
        var machine = Machine.busy()
        let a = machine.queue(record(1, id: 5))
        let again = try #require(machine.submit(record(1, id: 5), now: at(1)).0.ticket)
        machine.cancel(a)
        #expect(machine.finished(w0, .committed, now: at(2)).assigned == [[a]])
        #expect(machine.finished(w0, .committed, now: at(3)) == .commits(again))
    }

    @Test func aDryRunNeitherGivesItsAnswerNorTakesOne() {
        var machine = Machine.testing(writers: 2)
        _ = machine.queue(record(1, id: 5, isExclusive: true))
        _ = machine.queue(record(2, id: 5))
        _ = machine.queue(record(3, id: 5, isExclusive: true))
        #expect(machine.gauges.recordsHeld == 3)
        #expect(machine.violations(now: .zero) == [])
    }

    // MARK: Groups

    @Test func aRepeatedGroupJoinsMemberByMember() {
        var machine = Machine.testing()
        let entries = [record(1, id: 5), record(2, id: 6)]
        let group = machine.queue(group: entries)
        let again = [2, 3].map { Ticket(slot: $0, generation: 0) }
        #expect(
            machine.admit(group: entries, now: .zero)
                == .success([.joined(again[0], to: group[0]), .joined(again[1], to: group[1])]))
        #expect(
            machine.finished(w0, .recordError(culprit: 1), now: at(1))
                == .resolves(group[0], again[0], as: .rolledBack)
                + .resolves(group[1], again[1], as: .rejected))
    }

    /// Some members have no message ID; those of a group that has one are known by it.
    @Test(arguments: [0, 1, 2]) func aRepeatedGroupJoinsWhollyByTheIDOfOne(_ named: Int) {
        var machine = Machine.testing(batch: 5)
        let entries = (0..<3).map { record(UInt64($0), id: $0 == named ? 5 : nil) }
        let group = machine.queue(group: entries)
        let again = [3, 4, 5].map { Ticket(slot: $0, generation: 0) }
        #expect(
            machine.admit(group: entries, now: .zero)
                == .success(zip(again, group).map { .joined($0, to: $1) }))
        #expect(
            machine.refusal(group: Array(entries.reversed()))
                == (named == 1 ? nil : .messageIDReused))
        let part = Array(entries.dropLast())
        #expect(machine.refusal(group: part) == (named == 2 ? nil : .messageIDReused))
        var other = entries
        other[(named + 1) % 3] = record(9, id: 7)
        #expect(machine.refusal(group: other) == .messageIDReused)
    }

    @Test func aGroupThatOverlapsAnotherIsRefused() {
        var machine = Machine.testing(batch: 5)
        _ = machine.queue(group: [record(1, id: 5), record(2, id: 6)])
        #expect(machine.refusal(group: [record(1, id: 5)]) == .messageIDReused)
        #expect(machine.refusal(group: [record(1, id: 5), record(3)]) == .messageIDReused)
        #expect(machine.refusal(group: [record(2, id: 6), record(1, id: 5)]) == .messageIDReused)
        let other = record(2, id: 6, fingerprint: 8)
        #expect(machine.refusal(group: [record(1, id: 5), other]) == .messageIDReused)
        #expect(machine.gauges.recordsHeld == 2)
    }

    @Test func aGroupDoesNotJoinMembersOfTwoGroups() {
        var machine = Machine.testing()
        _ = machine.queue(group: [record(1, id: 5), record(2, id: 6)])
        _ = machine.queue(group: [record(3, id: 7), record(4, id: 8)])
        let mixture = [record(1, id: 5), record(4, id: 8)]
        #expect(machine.refusal(group: mixture) == .messageIDReused)
    }

    @Test func aGroupHoldsEachMessageOnce() {
        var machine = Machine.testing()
        let twins = [record(1, id: 5), record(1, id: 5)]
        #expect(machine.refusal(group: twins) == .messageIDReused)
    }

    @Test func aSingleRecordMayJoinAMemberOfAGroup() throws {
        var machine = Machine.testing()
        let group = machine.queue(group: [record(1, id: 5), record(2, id: 6)])
        let again = try #require(machine.submit(record(2, id: 6), now: .zero).0.ticket)
        #expect(
            machine.finished(w0, .recordError(culprit: 0), now: at(1))
                == .resolves(group[0], as: .rejected)
                + .resolves(group[1], again, as: .rolledBack))
    }
}
