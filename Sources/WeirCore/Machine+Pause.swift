// A table cannot be written.
extension Machine {
    /// Nobody is rejected for a table that cannot be written: its records are told to come again,
    /// and the others of the batch go on.
    ///
    /// - Parameter isFirm: a commit does not end the pause before its time.
    mutating func pause(
        _ table: TableID, isFirm: Bool = false, _ run: inout BatchRun, now: Timestamp,
        into effects: inout Effects
    ) -> Next {
        pauses.fault(table, isFirm: isFirm, now: now)
        effects.pausedTables.append(table)
        let refusal = Refusal.tablePaused(
            retryAfter: pauses.remaining(table, now: now) ?? .seconds(1))
        var gone: Set<Int> = []
        for unit in units(run.current) + run.pieces.flatMap({ units($0.slots) })
        where unit.contains(where: { slots[$0].table == table }) {
            gone.formUnion(unit)
        }
        let all = run.members
        run.removeAll { gone.contains($0) }
        for slot in all where gone.contains(slot) {
            turnAway(slot)
            settle(slot, .refused(refusal), into: &effects)
        }
        refuseQueued(of: table, refusal, into: &effects)
        // Another table than those of the batch, a trigger's perhaps: repeated, but not for ever.
        if gone.isEmpty { return retry(.other, &run, now: now, into: &effects) }
        if run.current.isEmpty { return run.advance() ? .attempt : .settled }
        return .attempt
    }

    private mutating func refuseQueued(
        of table: TableID, _ refusal: Refusal, into effects: inout Effects
    ) {
        // Single records only: a group is met at the front of its lanes.
        for slot in 0..<slots.count
        where slots[slot].state == .queued && slots[slot].unitSize == 1
            && slots[slot].table == table
        {
            turnAway(slot)
            answer(slot, .refused(refusal), into: &effects)
            bury(slot)
        }
    }

    private mutating func turnAway(_ slot: Int) {
        let record = slots[slot]
        let hash = record.message?.identity.low ?? record.orderHash
        breaker.turnedAway(
            record.recordCount, hash.map { [$0] } ?? packKeys[slot]?.hashes ?? [],
            of: record.table)
    }
}
