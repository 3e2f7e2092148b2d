// An attempt whose COMMIT was not answered. Nobody guesses: the batch stays, with its lanes, and
// writers are sent to find out until one has. docs/decisions/0014-unknown-outcomes.md says why.
extension Machine {
    /// Puts the batch aside until somebody is to find out, for the first time or again: as often as
    /// it takes, since the lanes can neither go on nor be given up before that is known, or nobody
    /// can know it any more.
    mutating func inquire(_ run: inout BatchRun, now: Timestamp) -> Next {
        run.inquiries += 1
        run.due = now + retryPolicy.delay(beforeInquiry: run.inquiries, using: &random)
        return .rest
    }

    mutating func followInquiry(
        _ outcome: BatchOutcome, _ repetitions: [Int], _ run: inout BatchRun, isConnected: Bool,
        now: Timestamp, into effects: inout Effects
    ) -> Next {
        switch outcome {
        case .committed:
            run.inquiries = 0
            effects.transitions.append(.resolved(run.number, .committed))
            return commit(&run, repetitions, now: now, into: &effects)
        case .transient(let reason) where isConnected:
            run.inquiries = 0
            effects.transitions.append(.resolved(run.number, .lost))
            return goOn(after: reason, &run, now: now, into: &effects)
        case .unknown where isConnected:
            run.inquiries = 0
            effects.transitions.append(.resolved(run.number, .forgotten))
            return giveUp(&run, into: &effects)
        case .transient, .recordError, .tableFault, .unknown, .unresolved:
            // A writer that lost its connection on the way says nothing of the attempt that it was
            // to ask about, and an error of the inquiry is no record's.
            return inquire(&run, now: now)
        }
    }

    /// Nobody can find out whether the attempt was written.
    mutating func giveUp(_ run: inout BatchRun, into effects: inout Effects) -> Next {
        for slot in run.current { settle(slot, .refused(.outcomeUnknown), into: &effects) }
        return run.advance() ? .attempt : .settled
    }

    /// The attempt was not written and never will be: the batch goes on like any other that failed.
    private mutating func goOn(
        after reason: TransientReason, _ run: inout BatchRun, now: Timestamp,
        into effects: inout Effects
    ) -> Next {
        // Before slots become free: a part of a pack must not get the slot of a record that is
        // answered in the same step.
        if retryPolicy.divides(afterAttempt: run.attempt, reason) { unpack(&run, into: &effects) }
        drop(from: &run, into: &effects) { machine, unit in
            machine.isLate(unit, now: now) || unit.allSatisfy(machine.isForgotten)
        }
        if run.current.isEmpty { return run.advance() ? .attempt : .settled }
        return retry(reason, &run, now: now, into: &effects)
    }

    /// Takes out of the attempts to come whose deadline has passed. False when nothing is left.
    ///
    /// Their callers were told that nobody knows, or are told now that it was not written, and may
    /// send it again: written later, it could come after what they sent since.
    mutating func dropLate(
        _ run: inout BatchRun, now: Timestamp, into effects: inout Effects
    ) -> Bool {
        // What may have been written is not known to be late.
        guard run.work != .resolve else { return true }
        repeat {
            drop(from: &run, into: &effects) { $0.isLate($1, now: now) }
            if !run.current.isEmpty { return true }
        } while run.advance()
        return false
    }

    private mutating func drop(
        from run: inout BatchRun, into effects: inout Effects,
        where isGone: (Machine, [Int]) -> Bool
    ) {
        let gone = Set(units(run.current).filter { isGone(self, $0) }.flatMap { $0 })
        guard !gone.isEmpty else { return }
        let all = run.current
        run.current.removeAll { gone.contains($0) }
        for slot in all where gone.contains(slot) {
            settle(slot, .refused(.deadlineExceeded), into: &effects)
        }
    }

    private func isLate(_ unit: [Int], now: Timestamp) -> Bool {
        slots[unit[0]].deadline <= now
    }

    /// Nobody waits for the record: neither its own caller nor one who joined.
    private func isForgotten(_ slot: Int) -> Bool {
        var next = slot
        while next >= 0 {
            if !slots[next].isAnswered { return false }
            next = slots[next].joined
        }
        return true
    }

    /// The time to drain is over: everybody is told what is known of their record. What is queued
    /// is never sent; what may have been written goes on until it is settled or the process ends.
    package mutating func abandon(now: Timestamp) -> Effects {
        isDraining = true
        var effects = Effects.none
        for slot in 0..<slots.count {
            switch slots[slot].state {
            case .free, .dead, .joined: break
            case .queued:
                answer(slot, .refused(.draining), into: &effects)
                bury(slot)
            case .resting:
                answer(slot, .refused(.draining), into: &effects)
                slots[slot].state = .dead
            case .assigned, .unresolved:
                answerOnly(slot, .refused(.outcomeUnknown), into: &effects)
            }
        }
        // Those who joined a record that is queued or at rest have been told the same by now.
        for slot in 0..<slots.count where slots[slot].state == .joined {
            answerOnly(slot, .refused(.outcomeUnknown), into: &effects)
        }
        dropDeadFromResting()
        effects.append(dispatch(now: now))
        return effects
    }
}
