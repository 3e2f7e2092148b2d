// Strict order: a record that was refused holds back those that stand behind it, so that its caller
// may put it right and send them all again. docs/decisions/0015-order.md says what that is worth.
extension Machine {
    /// The ordering keys of those of the records whose tables are strict.
    func strictKeys(of unit: [Int]) -> Set<UInt64> {
        var found: Set<UInt64> = []
        for slot in unit where slots[slot].isStrict { found.formUnion(keys(of: slot)) }
        return found
    }

    /// Refuses what is held of the keys, in the batch and in the queue, where its table is strict.
    mutating func block(_ blocked: Set<UInt64>, in run: inout BatchRun, into effects: inout Effects)
    {
        guard !blocked.isEmpty else { return }
        var gone: Set<Int> = []
        for piece in run.pieces.reversed() {
            for unit in units(piece.slots) where isBlocked(unit, by: blocked) {
                gone.formUnion(unit)
                for slot in unit { settle(slot, .refused(.orderBlocked), into: &effects) }
            }
        }
        if !gone.isEmpty { run.removeAll { gone.contains($0) } }
        // Sorted, because the order of a set is another one in every process.
        for hash in blocked.sorted() {
            for unit in lanes.units(of: hash) {
                var members: [Int] = []
                unit.forEach { members.append($0) }
                guard slots[unit.lead].state == .queued, isBlocked(members, by: blocked) else {
                    continue
                }
                for slot in members {
                    answer(slot, .refused(.orderBlocked), into: &effects)
                    bury(slot)
                }
            }
        }
    }

    private func isBlocked(_ unit: [Int], by blocked: Set<UInt64>) -> Bool {
        unit.contains { slots[$0].isStrict && !blocked.isDisjoint(with: keys(of: $0)) }
    }
}
