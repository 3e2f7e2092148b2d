// A record of the attempt was refused: which one, and what becomes of it.
extension Machine {
    /// One record of the attempt was refused: find it, by suspicion or by halves, and reject it
    /// when it stands alone.
    mutating func refuse(
        _ culprit: Int?, suspect: Int?, of run: inout BatchRun, now: Timestamp,
        into effects: inout Effects
    ) -> Next {
        unpack(&run, into: &effects)
        let lead = run.current[0]
        guard slots[lead].unitSize == run.current.count else {
            divide(&run, suspect: suspect, into: &effects)
            return .attempt
        }
        let isGroup = run.current.count > 1
        if isGroup && culprit == nil && !run.isIsolated {
            run.isIsolated = true
            return .attempt
        }
        // A group is rejected whole, and none of it kept: its members mean nothing without each
        // other. Nor is a dry run, which leaves nothing behind.
        if !isGroup && slots[lead].keepsDeadLetters && !slots[lead].isExclusive {
            return keep(&run, now: now, into: &effects)
        }
        reject(culprit, of: &run, into: &effects)
        return run.advance() ? .attempt : .settled
    }

    private mutating func reject(
        _ culprit: Int?, of run: inout BatchRun, into effects: inout Effects
    ) {
        let unit = run.current
        let blocked = strictKeys(of: unit)
        for (position, slot) in unit.enumerated() {
            // Without a culprit the group failed at COMMIT, as a whole.
            let isGuilty = unit.count == 1 || culprit == nil || culprit == position
            settle(slot, isGuilty ? .rejected : .rolledBack, into: &effects)
        }
        run.current = []
        block(blocked, in: &run, into: &effects)
    }

    // MARK: Dead letters

    /// The record that was refused alone is to be kept, unless so many are that the fault must be
    /// the table's: then nobody is, and the table is paused.
    private mutating func keep(
        _ run: inout BatchRun, now: Timestamp, into effects: inout Effects
    ) -> Next {
        let slot = run.current[0]
        let table = slots[slot].table
        // What was under way when the table was paused is a part of the flood.
        if pauses.remaining(table, now: now) != nil || breaker.refused(table, now: now) {
            return pause(table, isFirm: true, &run, now: now, into: &effects)
        }
        run.purpose = .deadLetter
        run.attempt = 1
        effects.transitions.append(.deadLettering(slots.ticket(slot)))
        return .attempt
    }

    /// The dead letter was refused as well: its caller is told what the database had said of the
    /// record.
    mutating func rejectAfterAll(_ run: inout BatchRun, into effects: inout Effects) -> Next {
        reject(nil, of: &run, into: &effects)
        return run.advance() ? .attempt : .settled
    }

    // MARK: Dividing

    /// Several units failed together. The one that the database seems to speak of is put behind the
    /// others, so that one bad record costs one attempt more and not one for each halving. Who is
    /// bad is not known before it has failed alone. What fails a second time is halved as well:
    /// there may be many, and the suspicion may be wrong.
    private mutating func divide(
        _ run: inout BatchRun, suspect: Int?, into effects: inout Effects
    ) {
        let hasFailedBefore = run.failures > 0
        if let suspect, !run.isMisled, run.current.indices.contains(suspect) {
            let parts = parts(of: run.current, around: suspect)
            run.setAside(parts.suspect, before: parts.followers, after: parts.rest)
            effects.transitions.append(.suspected(run.number, records: parts.suspect.count))
            let isOneUnit = slots[run.current[0]].unitSize == run.current.count
            if parts.rest.isEmpty || !hasFailedBefore || isOneUnit { return }
        }
        run.halve(at: middle(of: run.current))
        effects.transitions.append(.halved(run.number, records: run.current.count))
    }

    /// The suspect's unit, what must come after it to keep the order of every key, and the rest.
    private func parts(
        of current: [Int], around position: Int
    ) -> (rest: [Int], suspect: [Int], followers: [Int]) {
        var rest: [Int] = []
        var suspect: [Int] = []
        var followers: [Int] = []
        var keys: Set<UInt64> = []
        var start = 0
        while start < current.count {
            let end = start + slots[current[start]].unitSize
            let unit = current[start..<end]
            if (start..<end).contains(position) {
                suspect = Array(unit)
                unit.forEach { keys.formUnion(self.keys(of: $0)) }
            } else if unit.contains(where: { !keys.isDisjoint(with: self.keys(of: $0)) }) {
                followers += unit
                unit.forEach { keys.formUnion(self.keys(of: $0)) }
            } else {
                rest += unit
            }
            start = end
        }
        return (rest, suspect, followers)
    }

    func keys(of slot: Int) -> [UInt64] {
        [slots[slot].orderHash, slots[slot].orderKeyHash].compactMap { $0 }
    }

    /// Takes the packs of the attempt apart, so that it can be halved anywhere: each of their
    /// records gets a slot of its own.
    mutating func unpack(_ run: inout BatchRun, into effects: inout Effects) {
        guard run.current.contains(where: { slots[$0].recordCount > 1 }) else { return }
        var members: [Int] = []
        for slot in run.current {
            if slots[slot].recordCount > 1 {
                members += unpack(slot, of: &run, into: &effects)
            } else {
                members.append(slot)
            }
        }
        run.current = members
    }

    private mutating func unpack(
        _ pack: Int, of run: inout BatchRun, into effects: inout Effects
    ) -> [Int] {
        let ticket = slots.ticket(pack)
        let whole = slots[pack]
        let packKeys = packKeys[pack]
        // The pack knows only the sum of its records' bytes.
        let (share, rest) = whole.byteCount.quotientAndRemainder(dividingBy: whole.recordCount)
        let parts = (0..<whole.recordCount).map { index in
            let keys = packKeys?.keys(of: index, in: whole.recordCount)
            // Without their keys, nobody can say what has to come after a suspect.
            if keys == nil { run.isMisled = true }
            let slot = slots.split(
                off: pack, byteCount: index == 0 ? share + rest : share, keys: keys ?? (nil, nil))
            admission.hold(bytes: slots[slot].byteCount)
            return slot
        }
        release(pack)
        effects.unpackings.append(Unpacking(ticket, into: parts.map(slots.ticket)))
        return parts
    }

    /// Where to halve: at a unit's start, as near to the middle as there is one.
    func middle(of current: [Int]) -> Int {
        var start = 0
        while true {
            let next = start + slots[current[start]].unitSize
            if next >= current.count { return start }
            if next * 2 >= current.count { return start + next >= current.count ? start : next }
            start = next
        }
    }

    func units(_ members: [Int]) -> [[Int]] {
        var result: [[Int]] = []
        var start = 0
        while start < members.count {
            let end = start + slots[members[start]].unitSize
            result.append(Array(members[start..<end]))
            start = end
        }
        return result
    }
}
