// A table that another session has locked holds up its own records and no others: they go in
// batches of their own, which leave connections to the rest. docs/decisions/0019-locked-tables.md
// says why.
extension Machine {
    /// The attempt waited in vain for a lock on a table: what has nothing to do with that table
    /// goes on at once, as a batch of its own with its own lanes.
    ///
    /// - Parameter position: of a record in the statement that waited.
    mutating func part(
        from position: Int, _ run: inout BatchRun, now: Timestamp, into effects: inout Effects
    ) {
        guard let table = table(at: position, in: run.current) else { return }
        locks.met(table, now: now)
        run.lockedTable = table
        // Nobody knows the keys of all records.
        guard !run.isMisled else { return }
        let parts = parts(of: run, lockedBy: table)
        guard !parts.free.isEmpty else { return }
        let split = lanes.split(run.lanes, parts.keys)
        run.lanes = split.others
        run.current = parts.locked
        batchCount += 1
        var free = BatchRun(number: BatchNumber(batchCount), lanes: split.own, current: parts.free)
        free.due = now
        effects.transitions.append(.parted(run.number, records: recordCount(parts.free)))
        rest(free, into: &effects)
    }

    private func table(at position: Int, in members: [Int]) -> TableID? {
        var end = 0
        for slot in members {
            end += slots[slot].recordCount
            if position < end { return slots[slot].table }
        }
        return nil
    }

    /// The attempt's records that neither write the table nor share a key with one that does, or
    /// with one that shares a key with those, and so on; and the keys of these. What stands behind
    /// the attempt stays with the table.
    private func parts(
        of run: BatchRun, lockedBy table: TableID
    ) -> (locked: [Int], free: [Int], keys: Set<UInt64>) {
        var lockedKeys: Set<UInt64> = []
        for slot in run.pieces.flatMap(\.slots) { lockedKeys.formUnion(allKeys(of: slot)) }
        var free: [[Int]] = []
        var isLocked: [Bool] = []
        let units = units(run.current)
        for unit in units {
            isLocked.append(unit.contains { slots[$0].table == table })
        }
        for (unit, isLocked) in zip(units, isLocked) where isLocked {
            for slot in unit { lockedKeys.formUnion(allKeys(of: slot)) }
        }
        var hasChanged = !lockedKeys.isEmpty
        while hasChanged {
            hasChanged = false
            for (index, unit) in units.enumerated() where !isLocked[index] {
                let keys = unit.flatMap(allKeys)
                guard keys.contains(where: lockedKeys.contains) else { continue }
                isLocked[index] = true
                hasChanged = true
                lockedKeys.formUnion(keys)
            }
        }
        var locked: [Int] = []
        var keys: Set<UInt64> = []
        for (unit, isLocked) in zip(units, isLocked) {
            if isLocked {
                locked += unit
            } else {
                free.append(unit)
                for slot in unit { keys.formUnion(allKeys(of: slot)) }
            }
        }
        return (locked, free.flatMap { $0 }, keys)
    }

    private func allKeys(of slot: Int) -> [UInt64] {
        slots[slot].recordCount > 1 ? packKeys[slot]?.hashes ?? [] : keys(of: slot)
    }

    // MARK: Waiting

    /// Writers that may wait for locked tables at a time: the others' are for other tables.
    private var lockedRunsMax: Int { max(1, writers.count / 2) }

    /// Whether the batch may have a writer now.
    func mayBegin(_ run: BatchRun, now: Timestamp) -> Bool {
        guard let table = run.lockedTable, run.work != .resolve, locks.isLocked(table, now: now)
        else { return true }
        var count = 0
        for case .busy(let other) in writers where other.lockedTable != nil { count += 1 }
        return count < lockedRunsMax
    }

    /// A table of the unit that is locked.
    func lockedTable(of unit: LaneScheduler.Unit, now: Timestamp) -> TableID? {
        guard !locks.isEmpty else { return nil }
        var found: TableID?
        unit.forEach { slot in
            if found == nil, locks.isLocked(slots[slot].table, now: now) {
                found = slots[slot].table
            }
        }
        return found
    }

    /// Takes the unit at the front out of the queue, into a batch that waits for `table`. False
    /// where it has to come behind what is in the batch being formed.
    mutating func takeAside(
        _ unit: LaneScheduler.Unit, lockedBy table: TableID, now: Timestamp,
        into effects: inout Effects
    ) -> Bool {
        guard let taken = lanes.takeApart(unit) else { return false }
        var records = 0
        var bytes = 0
        var members: [Int] = []
        unit.forEach {
            members.append($0)
            records += slots[$0].recordCount
            bytes += slots[$0].byteCount
        }
        queuedBytes -= bytes
        if !slots[unit.lead].isExclusive,
            let index = resting.firstIndex(where: {
                $0.isGathering && $0.lockedTable == table
                    && $0.gathered.records + records <= former.recordsMax
                    && $0.gathered.bytes + bytes <= former.bytesMax
            })
        {
            for slot in members { slots[slot].state = .resting }
            resting[index].current += members
            resting[index].lanes += taken
            resting[index].gathered.records += records
            resting[index].gathered.bytes += bytes
            return true
        }
        batchCount += 1
        var run = BatchRun(number: BatchNumber(batchCount), lanes: taken, current: members)
        run.lockedTable = table
        run.isGathering = !slots[unit.lead].isExclusive
        run.gathered = (records, bytes)
        run.due = now
        rest(run, into: &effects)
        return true
    }
}
