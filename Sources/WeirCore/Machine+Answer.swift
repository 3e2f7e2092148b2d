// Who is told what, once; and what is forgotten then.
extension Machine {
    /// Tells the fate of a record and forgets it.
    mutating func settle(_ slot: Int, _ verdict: Verdict, into effects: inout Effects) {
        answer(slot, verdict, into: &effects)
        release(slot)
    }

    /// Answers a caller whose record goes on: others may still join it or wait for it.
    mutating func answerOnly(_ slot: Int, _ verdict: Verdict, into effects: inout Effects) {
        guard !slots[slot].isAnswered else { return }
        slots[slot].isAnswered = true
        effects.resolutions.append(Resolution(slots.ticket(slot), verdict))
    }

    /// Tells the fate of a record to its caller and to all who joined it.
    mutating func answer(_ slot: Int, _ verdict: Verdict, into effects: inout Effects) {
        if !slots[slot].isAnswered {
            slots[slot].isAnswered = true
            effects.resolutions.append(Resolution(slots.ticket(slot), verdict))
        }
        inFlight.remove(slots[slot].message)
        slots[slot].message = nil
        var joined = slots[slot].joined
        slots[slot].joined = -1
        while joined >= 0 {
            let next = slots[joined].joined
            slots[joined].joined = -1
            settle(joined, verdict, into: &effects)
            joined = next
        }
    }

    mutating func release(_ slot: Int) {
        admission.release(slots[slot].recordCount, bytes: slots[slot].byteCount)
        inFlight.remove(slots[slot].message)
        if slots[slot].recordCount > 1 { packKeys[slot] = nil }
        slots.release(slot)
    }

    /// A queued record was answered, or its caller left: it stays linked until its turn.
    mutating func bury(_ slot: Int) {
        inFlight.remove(slots[slot].message)
        slots[slot].message = nil
        slots[slot].state = .dead
        queuedBytes -= slots[slot].byteCount
        lanes.kill(slot)
    }

    mutating func reportDrained(into effects: inout Effects) {
        guard isDraining, !hasReportedDrained, admission.records == 0 else { return }
        hasReportedDrained = true
        effects.transitions.append(.drained)
    }
}
