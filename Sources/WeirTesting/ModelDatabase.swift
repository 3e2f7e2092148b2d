import WeirCore

/// A database as small as it can be: which records took effect, in which order, and which tables
/// can be written. It says at once when an effect breaks a promise.
struct ModelDatabase {
    enum Poison {
        case none
        /// Its own statement fails.
        case atStatement
        /// A deferred constraint fails at COMMIT, which names no record.
        case atCommit
    }

    struct Record {
        /// Position in admission order, over all records of the history.
        let sequence: Int
        let entry: Entry
        let poison: Poison
        /// The group it belongs to, or -1.
        let group: Int
        var timesApplied = 0
        /// As a dead letter.
        var timesKept = 0
        /// Applied now, or found in the replay table. Never true for a dry run.
        var isEffective = false
        /// The database has refused it at least once.
        var hasOffended = false
        /// A caller was told that it is not written and will not be.
        var isDenied = false
        var wasAssigned = false
    }

    private struct Replay {
        let fingerprint: UInt64
    }

    var records: [Record] = []
    var isBroken: [Bool]
    private var replays: [MessageKey.Identity: Replay] = [:]
    private var lastOfKey: [UInt64: Int] = [:]
    private(set) var failure: String?

    init(tableCount: Int) {
        isBroken = Array(repeating: false, count: tableCount)
    }

    /// The first table of the attempt that cannot be written.
    func brokenTable(in attempt: [Int]) -> TableID? {
        attempt.lazy.map { records[$0].entry.table }.first { isBroken[$0.number] }
    }

    /// Positions of the records that the database refuses; it remembers that it did.
    mutating func offenders(in attempt: [Int]) -> [Int] {
        var found: [Int] = []
        for (position, record) in attempt.enumerated() where isOffending(record) {
            records[record].hasOffended = true
            found.append(position)
        }
        return found
    }

    /// A message that committed with another payload is refused like any bad record; one that
    /// committed as it is does nothing.
    private func isOffending(_ record: Int) -> Bool {
        if let message = records[record].entry.message, let replay = replays[message.identity] {
            return replay.fingerprint != message.fingerprint
        }
        return records[record].poison != .none
    }

    /// Keeps a record that was refused with the dead letters: that is its effect, and has its place
    /// in the order of its keys.
    mutating func keep(_ index: Int) {
        records[index].isEffective = true
        if let message = records[index].entry.message {
            if replays[message.identity] != nil { return }
            replays[message.identity] = Replay(fingerprint: message.fingerprint)
        }
        records[index].timesKept += 1
        let record = records[index]
        if record.timesKept > 1 { fail("record \(index) is kept twice") }
        if record.timesApplied > 0 { fail("record \(index) was applied and is kept") }
        if !record.hasOffended { fail("9: record \(index) is kept and was not refused") }
        if record.isDenied { fail("record \(index) is kept after it was denied") }
        takePlace(index)
    }

    /// Commits an attempt: effects in the order in which its records stand.
    mutating func commit(_ attempt: [Int]) {
        for record in attempt where !records[record].entry.isExclusive {
            records[record].isEffective = true
            if let message = records[record].entry.message {
                if replays[message.identity] != nil { continue }
                replays[message.identity] = Replay(fingerprint: message.fingerprint)
            }
            apply(record)
        }
    }

    /// The effect of one record, whether or not it should have one.
    mutating func apply(_ index: Int) {
        records[index].timesApplied += 1
        let record = records[index]
        if record.timesApplied > 1 { fail("7: record \(index) was applied twice") }
        if record.poison != .none { fail("record \(index) is poison and was applied") }
        if record.isDenied { fail("record \(index) was applied after it was denied") }
        takePlace(index)
    }

    private mutating func takePlace(_ index: Int) {
        let record = records[index]
        for key in record.entry.keys {
            if let last = lastOfKey[key], last >= record.sequence {
                fail("6: key \(key): record \(index) took effect after record \(last)")
            }
            lastOfKey[key] = record.sequence
        }
    }

    private mutating func fail(_ text: String) {
        if failure == nil { failure = text }
    }
}
