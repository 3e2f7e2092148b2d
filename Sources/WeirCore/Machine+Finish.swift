// After an attempt: settle, halve, repeat, pause, find out or give up; then the writer's next batch
// in the same step.
extension Machine {
    /// An attempt ended.
    ///
    /// - Parameters:
    ///   - suspect: with a record error, the position of the record that it seems to speak of.
    ///   - repetitions: of a committed attempt, the positions of records that had been written
    ///     before, and were not now; ascending.
    ///   - isConnected: whether the writer can go on at once. A writer that cannot says
    ///     `writerReady` when it has a connection again.
    package mutating func finished(
        _ writer: WriterID, _ outcome: BatchOutcome, suspect: Int? = nil, repetitions: [Int] = [],
        isConnected: Bool = true, now: Timestamp
    ) -> Effects {
        guard case .busy(var run) = writers[writer.number] else {
            preconditionFailure("only a writer with a batch can finish one")
        }
        var effects = Effects.none
        writers[writer.number] = .disconnected
        busyCount -= 1
        if run.isLarge {
            if outcome == .committed && run.failures == 0 {
                limiter.observe(
                    recordCount: recordCount(run.current), took: now - run.startedAt, now: now)
            }
            largeCount -= 1
        }

        var next =
            run.work == .resolve
            ? followInquiry(
                outcome, repetitions, &run, isConnected: isConnected, now: now, into: &effects)
            : follow(outcome, suspect: suspect, repetitions, &run, now: now, into: &effects)
        if next != .settled && !dropLate(&run, now: now, into: &effects) { next = .settled }
        switch next {
        case .attempt where isConnected && !run.current.isEmpty:
            begin(run, on: writer, now: now, into: &effects)
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

    /// What a batch does after an attempt.
    enum Next {
        case attempt
        case rest
        case settled
    }

    private mutating func follow(
        _ outcome: BatchOutcome, suspect: Int?, _ repetitions: [Int], _ run: inout BatchRun,
        now: Timestamp, into effects: inout Effects
    ) -> Next {
        switch outcome {
        case .committed:
            return commit(&run, repetitions, now: now, into: &effects)
        case .recordError where run.purpose == .deadLetter,
            .tableFault where run.purpose == .deadLetter:
            return rejectAfterAll(&run, into: &effects)
        case .recordError(let culprit):
            return refuse(culprit, suspect: suspect, of: &run, now: now, into: &effects)
        case .transient(let reason):
            if reason == .lockTimeout, let suspect, run.purpose == .write {
                part(from: suspect, &run, now: now, into: &effects)
            }
            return retry(reason, &run, now: now, into: &effects)
        case .tableFault(let table):
            return pause(table, &run, now: now, into: &effects)
        case .unknown:
            return giveUp(&run, into: &effects)
        case .unresolved:
            effects.transitions.append(.unresolved(run.number, records: recordCount(run.current)))
            return inquire(&run, now: now)
        }
    }

    mutating func commit(
        _ run: inout BatchRun, _ repetitions: [Int], now: Timestamp, into effects: inout Effects
    ) -> Next {
        // What was kept as a dead letter says nothing of its table.
        let isWritten = run.purpose == .write
        if run.isSuspect && isWritten { run.isMisled = true }
        var repetitions = repetitions[...]
        var position = 0
        var kept: (table: TableID, count: Int)?
        for slot in run.current {
            let recordCount = slots[slot].recordCount
            let table = slots[slot].table
            let end = position + recordCount
            // Nor does what had been written before.
            let repeated = repetitions.prefix { $0 < end }.count
            repetitions = repetitions.dropFirst(repeated)
            if isWritten && repeated < recordCount {
                pauses.committed(table, now: now)
                locks.committed(table)
                if slots[slot].keepsDeadLetters {
                    if let other = kept, other.table != table {
                        breaker.committed(other.count, of: other.table, now: now)
                        kept = nil
                    }
                    kept = (table, (kept?.count ?? 0) + recordCount - repeated)
                }
            }
            settle(slot, .committed(position: position), into: &effects)
            position = end
        }
        if let kept { breaker.committed(kept.count, of: kept.table, now: now) }
        admission.settled(position, now: now)
        return run.advance() ? .attempt : .settled
    }

    func recordCount(_ members: [Int]) -> Int {
        members.reduce(0) { $0 + slots[$1].recordCount }
    }

    mutating func retry(
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
        effects.transitions.append(
            .willRetry(run.number, attempt: run.attempt, reason, after: delay))
        return .rest
    }

    /// Puts the batch aside until its next attempt is due. What has not been sent, or was
    /// rolled back, is certainly not written.
    mutating func rest(_ run: BatchRun, into effects: inout Effects) {
        let isUnresolved = run.work == .resolve
        for slot in run.current { slots[slot].state = isUnresolved ? .unresolved : .resting }
        for piece in run.pieces { for slot in piece.slots { slots[slot].state = .resting } }
        for slot in run.members {
            // A deadline that passed during the attempt takes the record out now.
            earliestDeadline = min(earliestDeadline, slots[slot].deadline)
        }
        resting.append(run)
    }
}
