// From the queue to a writer: which batch leaves, and when.
extension Machine {
    /// A writer has a connection and nothing to do.
    package mutating func writerReady(_ writer: WriterID, now: Timestamp) -> Effects {
        guard case .disconnected = writers[writer.number] else {
            preconditionFailure("a writer connects once at a time")
        }
        writers[writer.number] = .idle
        idle.append(writer)
        connectedCount += 1
        return dispatch(now: now)
    }

    /// An idle writer lost its connection.
    package mutating func writerLost(_ writer: WriterID) {
        guard case .idle = writers[writer.number] else { return }
        writers[writer.number] = .disconnected
        idle.removeAll { $0 == writer }
        connectedCount -= 1
    }

    /// Hands batches to idle writers for as long as any is due.
    package mutating func dispatch(now: Timestamp) -> Effects {
        var effects = Effects.none
        if isDraining { _ = nextUnit(now: now, into: &effects) }
        while let writer = idle.last {
            if var run = nextResting(now: now) {
                if dropLate(&run, now: now, into: &effects) {
                    idle.removeLast()
                    begin(run, on: writer, now: now, into: &effects)
                } else {
                    lanes.free(run.lanes)
                }
                continue
            }
            guard nextUnit(now: now, into: &effects) != nil, decision(now: now) == .now else {
                break
            }
            // What was at the front may have been put aside to wait for its table.
            guard let run = formBatch(now: now, into: &effects) else { continue }
            idle.removeLast()
            begin(run, on: writer, now: now, into: &effects)
        }
        reportDrained(into: &effects)
        return effects
    }

    /// Whether a batch should leave now, or when; `nil` when nothing may leave.
    mutating func decision(now: Timestamp) -> BatchFormer.Decision? {
        guard let unit = lanes.front() else { return nil }
        return former.decide(
            waiting: lanes.waiting, bytes: queuedBytes, oldest: slots[unit.lead].admittedAt,
            active: busyCount, largeUntil: largeUntil(now: now), isDraining: isDraining, now: now)
    }

    /// How long as many large batches are in flight as may be. Those that take too long do not
    /// count: they wait for something that others need not wait for.
    private func largeUntil(now: Timestamp) -> Timestamp {
        guard largeCount >= limiter.limit else { return .zero }
        let patience = max(limiter.patience, former.linger)
        var until: [Timestamp] = []
        for writer in writers {
            guard case .busy(let run) = writer, run.isLarge else { continue }
            let end = run.startedAt + patience
            if end > now { until.append(end) }
        }
        guard until.count >= limiter.limit else { return .zero }
        until.sort()
        return until[until.count - limiter.limit]
    }

    private mutating func nextResting(now: Timestamp) -> BatchRun? {
        guard !resting.isEmpty else { return nil }
        var first: Int?
        for (index, run) in resting.enumerated() where run.due <= now {
            let isFirst = first.map { run.due < resting[$0].due } ?? true
            if isFirst && mayBegin(run, now: now) { first = index }
        }
        return first.map { resting.remove(at: $0) }
    }

    mutating func begin(
        _ run: BatchRun, on writer: WriterID, now: Timestamp, into effects: inout Effects
    ) {
        var run = run
        run.isGathering = false
        run.startedAt = now
        run.isLarge = isLarge(run)
        if run.isLarge { largeCount += 1 }
        let state: SlotTable.State = run.work == .resolve ? .unresolved : .assigned
        for slot in run.current { slots[slot].state = state }
        // What stands behind the attempt leaves with it: no deadline takes it out of a busy batch.
        for piece in run.pieces { for slot in piece.slots { slots[slot].state = .assigned } }
        writers[writer.number] = .busy(run)
        busyCount += 1
        effects.assignments.append(assignment(of: run, to: writer))
    }

    private func isLarge(_ run: BatchRun) -> Bool {
        var (records, bytes) = (0, 0)
        for slot in run.current {
            records += slots[slot].recordCount
            bytes += slots[slot].byteCount
        }
        return run.work != .resolve && former.isLarge(records: records, bytes: bytes)
    }

    func assignment(of run: BatchRun, to writer: WriterID) -> Assignment {
        Assignment(
            writer: writer, batch: run.number,
            attempt: run.work == .resolve ? run.inquiries : run.attempt, work: run.work,
            tickets: run.current.map(slots.ticket), isIsolated: run.isIsolated)
    }

    /// The unit whose turn it is. What must not be written is dropped on the way to it.
    private mutating func nextUnit(
        now: Timestamp, into effects: inout Effects
    ) -> LaneScheduler.Unit? {
        while let unit = lanes.front() {
            if slots[unit.lead].state != .dead {
                guard let refusal = lateRefusal(unit, now: now) else { return unit }
                unit.forEach {
                    answer($0, .refused(refusal), into: &effects)
                    bury($0)
                }
            }
            lanes.discard()
            unit.forEach { release($0) }
        }
        return nil
    }

    /// Why a unit that was admitted must not be written after all.
    private func lateRefusal(_ unit: LaneScheduler.Unit, now: Timestamp) -> Refusal? {
        if slots[unit.lead].deadline <= now { return .deadlineExceeded }
        var refusal: Refusal?
        unit.forEach {
            if let remaining = pauses.remaining(slots[$0].table, now: now) {
                refusal = .tablePaused(retryAfter: remaining)
            }
        }
        return refusal
    }

    /// The next batch, if more may leave than what waits for a locked table.
    private mutating func formBatch(now: Timestamp, into effects: inout Effects) -> BatchRun? {
        var members: [Int] = []
        var records = 0
        var bytes = 0
        while let unit = nextUnit(now: now, into: &effects) {
            if let table = lockedTable(of: unit, now: now) {
                guard takeAside(unit, lockedBy: table, now: now, into: &effects) else { break }
                continue
            }
            let isExclusive = slots[unit.lead].isExclusive
            var unitRecords = 0
            var unitBytes = 0
            unit.forEach {
                unitRecords += slots[$0].recordCount
                unitBytes += slots[$0].byteCount
            }
            if !members.isEmpty {
                let isFull =
                    records + unitRecords > former.recordsMax
                    || bytes + unitBytes > former.bytesMax
                if isFull || isExclusive { break }
            }
            lanes.take(unit)
            unit.forEach { members.append($0) }
            records += unitRecords
            bytes += unitBytes
            if isExclusive { break }
        }
        guard !members.isEmpty else { return nil }
        queuedBytes -= bytes
        batchCount += 1
        return BatchRun(
            number: BatchNumber(batchCount), lanes: lanes.closeBatch(), current: members)
    }
}
