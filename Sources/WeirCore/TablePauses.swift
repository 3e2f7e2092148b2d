/// Tables that cannot be written at present, each until a time at which one batch may try again.
struct TablePauses: Sendable {
    private struct Pause {
        var until: Timestamp
        var spell: Int
        var isFirm: Bool
    }

    private var pauses: [TableID: Pause] = [:]
    private let spellMin = Nanoseconds.seconds(1)
    private let spellMax = Nanoseconds.seconds(30)

    /// Each fault in a row doubles the pause. A fault during a pause comes from a batch that was
    /// sent before it, and says nothing new.
    ///
    /// - Parameter isFirm: that something commits does not end this one: so it may where the table
    ///   refuses too much, and not where it cannot be written at all.
    mutating func fault(_ table: TableID, isFirm: Bool = false, now: Timestamp) {
        guard remaining(table, now: now) == nil else { return }
        // Of definitions that nobody writes any more.
        pauses = pauses.filter { $0.value.until + spellMax > now || $0.key == table }
        let spell = (pauses[table]?.spell ?? 0) + 1
        let length = min(spellMin.count << min(spell - 1, 10), spellMax.count)
        pauses[table] = Pause(until: now + Nanoseconds(length), spell: spell, isFirm: isFirm)
    }

    mutating func committed(_ table: TableID, now: Timestamp) {
        guard !pauses.isEmpty, let pause = pauses[table], !pause.isFirm || pause.until <= now
        else { return }
        pauses[table] = nil
    }

    mutating func clear(_ table: TableID) {
        if !pauses.isEmpty { pauses[table] = nil }
    }

    /// How long `table` stays paused, or `nil` when it may be written.
    func remaining(_ table: TableID, now: Timestamp) -> Nanoseconds? {
        guard !pauses.isEmpty, let pause = pauses[table], pause.until > now else { return nil }
        return pause.until - now
    }
}
