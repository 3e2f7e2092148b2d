// What time brings: deadlines, lingering batches, batches that may try again.
extension Machine {
    /// Deadlines are told this late at most. Each sweep looks at every record held, so they are not
    /// looked at more often.
    private static let sweepInterval = Nanoseconds.milliseconds(10)

    /// When `timerFired` must be called next, if nothing else happens before.
    package mutating func nextDeadline(now: Timestamp) -> Timestamp? {
        var next = Timestamp.distantFuture
        if admission.records > 0 {
            next = max(earliestDeadline, lastSweep + Self.sweepInterval)
        }
        if !idle.isEmpty {
            for run in resting where mayBegin(run, now: now) { next = min(next, run.due) }
            switch decision(now: now) {
            case .at(let due): next = min(next, due)
            case .now: next = min(next, now)
            case nil: break
            }
        }
        return next == .distantFuture ? nil : next
    }

    package mutating func timerFired(now: Timestamp) -> Effects {
        var effects = Effects.none
        if earliestDeadline <= now && lastSweep + Self.sweepInterval <= now {
            sweep(now: now, into: &effects)
        }
        effects.append(dispatch(now: now))
        return effects
    }

    /// Answers every record whose deadline has come.
    private mutating func sweep(now: Timestamp, into effects: inout Effects) {
        lastSweep = now
        var earliest = Timestamp.distantFuture
        for slot in 0..<slots.count where slots[slot].state != .free && slots[slot].state != .dead {
            if slots[slot].deadline <= now {
                expire(slot, into: &effects)
            } else {
                earliest = min(earliest, slots[slot].deadline)
            }
        }
        earliestDeadline = earliest
        dropDeadFromResting()
    }

    private mutating func expire(_ slot: Int, into effects: inout Effects) {
        let notWritten = Verdict.refused(
            connectedCount == 0 ? .databaseUnavailable(retryAfter: .seconds(1)) : .deadlineExceeded)
        switch slots[slot].state {
        case .free, .dead:
            break
        case .queued:
            answer(slot, notWritten, into: &effects)
            // A group leaves the queue as a whole, when its leader's turn comes.
            if slots[slot].unitSize == 1 { bury(slot) }
        case .resting:
            // Members of a group share a deadline, so this never tears one.
            answer(slot, notWritten, into: &effects)
            slots[slot].state = .dead
        case .assigned, .unresolved, .joined:
            answerOnly(slot, .refused(.outcomeUnknown), into: &effects)
        }
    }

    mutating func dropDeadFromResting() {
        var index = 0
        while index < resting.count {
            let dead = resting[index].members.filter { slots[$0].state == .dead }
            if !dead.isEmpty {
                let gone = Set(dead)
                resting[index].removeAll { gone.contains($0) }
                for slot in dead { release(slot) }
            }
            if resting[index].current.isEmpty, !resting[index].advance() {
                lanes.free(resting[index].lanes)
                resting.remove(at: index)
            } else {
                index += 1
            }
        }
    }
}
