// A record of the attempt was refused: which one, and what becomes of it.
extension Machine {
    /// One record of the attempt was refused: find it by halves, and reject it when it stands
    /// alone.
    mutating func refuse(
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
    mutating func unpack(_ run: inout BatchRun, into effects: inout Effects) {
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
