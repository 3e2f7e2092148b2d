// After an attempt: settle, halve, repeat, pause or give up; then the writer's next batch in the
// same step.
extension Machine {
    /// An attempt ended.
    ///
    /// - Parameter isConnected: whether the writer can go on at once. A writer that cannot says
    ///   `writerReady` when it has a connection again.
    package mutating func finished(
        _ writer: WriterID, _ outcome: BatchOutcome, isConnected: Bool = true, now: Timestamp
    ) -> Effects {
        guard case .busy(var run) = writers[writer.number] else {
            preconditionFailure("only a writer with a batch can finish one")
        }
        var effects = Effects.none
        writers[writer.number] = .disconnected
        busyCount -= 1

        let next = follow(outcome, &run, now: now, into: &effects)
        switch next {
        case .attempt where isConnected && !run.current.isEmpty:
            begin(run, on: writer, into: &effects)
            return effects
        case .attempt, .rest:
            rest(run, into: &effects)
        case .settled:
            lanes.free(run.lanes)
        }
        if isConnected {
            writers[writer.number] = .idle
            idle.append(writer)
        } else {
            connectedCount -= 1
        }
        effects.append(dispatch(now: now))
        return effects
    }

    private enum Next {
        case attempt
        case rest
        case settled
    }

    private mutating func follow(
        _ outcome: BatchOutcome, _ run: inout BatchRun, now: Timestamp, into effects: inout Effects
    ) -> Next {
        switch outcome {
        case .committed:
            var position = 0
            for slot in run.current {
                let recordCount = slots[slot].recordCount
                pauses.clear(slots[slot].table)
                settle(slot, .committed(position: position), into: &effects)
                position += recordCount
            }
            admission.settled(position, now: now)
            return run.advance() ? .attempt : .settled
        case .recordError(let culprit):
            return refuse(culprit, of: &run, into: &effects)
        case .transient(let reason):
            return retry(reason, &run, now: now, into: &effects)
        case .tableFault(let table):
            return pause(table, &run, now: now, into: &effects)
        case .unknown:
            for slot in run.current { settle(slot, .refused(.outcomeUnknown), into: &effects) }
            return run.advance() ? .attempt : .settled
        }
    }

    /// One record of the attempt was refused: find it by halves, and reject it when it stands
    /// alone.
    private mutating func refuse(
        _ culprit: Int?, of run: inout BatchRun, into effects: inout Effects
    ) -> Next {
        unpack(&run, into: &effects)
        let lead = run.current[0]
        guard slots[lead].unitSize == run.current.count else {
            run.halve(at: middle(of: run.current))
            effects.transitions.append(.halved(run.number, records: run.current.count))
            return .attempt
        }
        let isGroup = run.current.count > 1
        if isGroup && culprit == nil && !run.isIsolated {
            run.isIsolated = true
            return .attempt
        }
        for (position, slot) in run.current.enumerated() {
            // Without a culprit the group failed at COMMIT, as a whole.
            let isGuilty = !isGroup || culprit == nil || culprit == position
            settle(slot, isGuilty ? .rejected : .rolledBack, into: &effects)
        }
        return run.advance() ? .attempt : .settled
    }

    /// Takes the packs of the attempt apart, so that it can be halved anywhere: each of their
    /// records gets a slot of its own.
    private mutating func unpack(_ run: inout BatchRun, into effects: inout Effects) {
        guard run.current.contains(where: { slots[$0].recordCount > 1 }) else { return }
        run.current = run.current.flatMap { slot in
            slots[slot].recordCount > 1 ? unpack(slot, into: &effects) : [slot]
        }
    }

    private mutating func unpack(_ pack: Int, into effects: inout Effects) -> [Int] {
        let ticket = slots.ticket(pack)
        let whole = slots[pack]
        // The pack knows only the sum of its records' bytes.
        let (share, rest) = whole.byteCount.quotientAndRemainder(dividingBy: whole.recordCount)
        let parts = (0..<whole.recordCount).map { index in
            let slot = slots.split(off: pack, byteCount: index == 0 ? share + rest : share)
            admission.hold(bytes: slots[slot].byteCount)
            return slot
        }
        release(pack)
        effects.unpackings.append(Unpacking(ticket, into: parts.map(slots.ticket)))
        return parts
    }

    /// Where to halve: at a unit's start, as near to the middle as there is one.
    private func middle(of current: [Int]) -> Int {
        var start = 0
        while true {
            let next = start + slots[current[start]].unitSize
            if next >= current.count { return start }
            if next * 2 >= current.count { return start + next >= current.count ? start : next }
            start = next
        }
    }

    private mutating func retry(
        _ reason: TransientReason, _ run: inout BatchRun, now: Timestamp,
        into effects: inout Effects
    ) -> Next {
        let delay = retryPolicy.delay(afterAttempt: run.attempt, using: &random)
        if retryPolicy.divides(afterAttempt: run.attempt, reason) {
            unpack(&run, into: &effects)
            if slots[run.current[0]].unitSize < run.current.count {
                run.halve(at: middle(of: run.current))
                effects.transitions.append(.halved(run.number, records: run.current.count))
                return .attempt
            }
        }
        guard let delay else {
            for slot in run.current { settle(slot, .refused(.retriesExhausted), into: &effects) }
            return run.advance() ? .attempt : .settled
        }
        run.attempt += 1
        run.due = now + delay
        run.reason = reason
        effects.transitions.append(
            .willRetry(run.number, attempt: run.attempt, reason, after: delay))
        return .rest
    }

    /// Nobody is rejected for a table that cannot be written: its records are told to come again,
    /// and the others of the batch go on.
    private mutating func pause(
        _ table: TableID, _ run: inout BatchRun, now: Timestamp, into effects: inout Effects
    ) -> Next {
        pauses.fault(table, now: now)
        effects.pausedTables.append(table)
        let refusal = Refusal.tablePaused(
            retryAfter: pauses.remaining(table, now: now) ?? .seconds(1))
        var gone: Set<Int> = []
        for unit in units(run.current) + run.pieces.flatMap(units)
        where unit.contains(where: { slots[$0].table == table }) {
            gone.formUnion(unit)
        }
        let all = run.current + run.pieces.flatMap { $0 }
        run.removeAll { gone.contains($0) }
        for slot in all where gone.contains(slot) {
            settle(slot, .refused(refusal), into: &effects)
        }
        refuseQueued(of: table, refusal, into: &effects)
        // Another table than those of the batch, a trigger's perhaps: repeated, but not for ever.
        if gone.isEmpty { return retry(.other, &run, now: now, into: &effects) }
        if run.current.isEmpty { return run.advance() ? .attempt : .settled }
        return .attempt
    }

    private func units(_ members: [Int]) -> [[Int]] {
        var result: [[Int]] = []
        var start = 0
        while start < members.count {
            let end = start + slots[members[start]].unitSize
            result.append(Array(members[start..<end]))
            start = end
        }
        return result
    }

    private mutating func refuseQueued(
        of table: TableID, _ refusal: Refusal, into effects: inout Effects
    ) {
        // Single records only: a group is met at the front of its lanes.
        for slot in 0..<slots.count
        where slots[slot].state == .queued && slots[slot].unitSize == 1
            && slots[slot].table == table
        {
            answer(slot, .refused(refusal), into: &effects)
            bury(slot)
        }
    }

    /// Puts the batch aside until its next attempt is due. It is certainly not written.
    private mutating func rest(_ run: BatchRun, into effects: inout Effects) {
        for slot in run.current + run.pieces.joined() {
            slots[slot].state = .resting
            // A deadline that passed during the attempt takes the record out now.
            earliestDeadline = min(earliestDeadline, slots[slot].deadline)
        }
        resting.append(run)
    }

    // MARK: Settling

    /// Tells the fate of a record and forgets it.
    mutating func settle(_ slot: Int, _ verdict: Verdict, into effects: inout Effects) {
        answer(slot, verdict, into: &effects)
        release(slot)
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
