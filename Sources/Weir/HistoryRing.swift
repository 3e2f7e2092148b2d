package import WeirCore
package import WeirRecord

/// What became of the newest messages: a bounded memory, written once for each record or pack, in
/// the order in which they ended. The newest entry takes the place of the oldest.
///
/// Entries are found by message ID or by minted ID. Each is the head of a chain of those before it
/// that fell into the same place of a small table; a chain ends where it leads to an entry that has
/// been written over. So nothing is ever unlinked, and an entry costs two writes.
package struct HistoryRing: Sendable {
    package struct Entry: Sendable {
        /// Of the caller's message ID, if there was one.
        package var identity: MessageKey.Identity?
        /// The first of the minted IDs; 0 where none was minted.
        package var tick: UInt64
        /// How many records the entry stands for: one, or neighbours that met the same fate.
        package var count: Int32
        package var outcome: MessageHistory.Outcome
        package var reason: TransientReason?
        package var attempts: Int32
        /// The exposed table's number.
        package var table: Int32
        package var receivedAt: Timestamp
        package var batchedAt: Timestamp
        package var endedAt: Timestamp
        package var batchID: UUID7?
        package var origin: RecordOrigin?
        package var ticket: Ticket

        package init(
            identity: MessageKey.Identity?, tick: UInt64, count: Int,
            outcome: MessageHistory.Outcome, table: Int, receivedAt: Timestamp, endedAt: Timestamp,
            ticket: Ticket
        ) {
            self.identity = identity
            self.tick = tick
            self.count = Int32(clamping: count)
            self.outcome = outcome
            attempts = 0
            self.table = Int32(clamping: table)
            self.receivedAt = receivedAt
            batchedAt = receivedAt
            self.endedAt = endedAt
            self.ticket = ticket
        }

        func isOf(_ tick: UInt64) -> Bool {
            self.tick != 0 && self.tick <= tick && tick - self.tick < UInt64(count)
        }
    }

    /// Some 3 MB.
    package static let entriesMax = 16_384
    /// Minted IDs that share a chain: those of a millisecond, as their bits have it.
    private static let ticksPerPlace: UInt64 = 4_096

    private let entriesMax: Int
    private var ring: [Entry] = []
    /// By position: the number of the entry before it in its chain, plus one; 0 ends the chain.
    private var previous: [UInt64] = []
    /// Numbers of the newest entries of the chains, plus one.
    private var heads: [UInt64]
    /// Entries written so far; their numbers count from 0.
    private var written: UInt64 = 0

    package init(entriesMax: Int = HistoryRing.entriesMax) {
        self.entriesMax = max(entriesMax, 1)
        var places = 16
        while places < self.entriesMax * 2 { places *= 2 }
        heads = Array(repeating: 0, count: places)
    }

    package mutating func insert(_ entry: Entry) {
        let place = entry.identity.map(place) ?? self.place(entry.tick / Self.ticksPerPlace)
        let position = Int(written % UInt64(entriesMax))
        if position == ring.count {
            ring.append(entry)
            previous.append(heads[place])
        } else {
            ring[position] = entry
            previous[position] = heads[place]
        }
        written += 1
        heads[place] = written
    }

    /// The newest entry of the message.
    package func find(_ identity: MessageKey.Identity) -> Entry? {
        newest(from: place(identity)) { $0.identity == identity }?.entry
    }

    /// The newest entry of the minted ID.
    ///
    /// - Parameter countMax: how many IDs an entry may stand for.
    package func find(minted tick: UInt64, countMax: Int) -> Entry? {
        var found: (number: UInt64, entry: Entry)?
        var bucket = tick / Self.ticksPerPlace
        // An entry hangs where its first ID falls, which may be some places before this one's.
        for _ in 0...(countMax / Int(Self.ticksPerPlace) + 1) {
            if let other = newest(from: place(bucket), where: { $0.isOf(tick) }),
                found.map({ $0.number < other.number }) ?? true
            {
                found = other
            }
            if bucket == 0 { break }
            bucket -= 1
        }
        return found?.entry
    }

    private func newest(
        from place: Int, where isWanted: (Entry) -> Bool
    ) -> (number: UInt64, entry: Entry)? {
        var next = heads[place]
        while next > 0 {
            let number = next - 1
            guard number + UInt64(entriesMax) >= written else { return nil }
            let position = Int(number % UInt64(entriesMax))
            if isWanted(ring[position]) { return (number, ring[position]) }
            next = previous[position]
        }
        return nil
    }

    private func place(_ identity: MessageKey.Identity) -> Int {
        Int(truncatingIfNeeded: identity.low) & (heads.count - 1)
    }

    private func place(_ bucket: UInt64) -> Int {
        Int(truncatingIfNeeded: (bucket &* 0x9E37_79B9_7F4A_7C15) >> 20) & (heads.count - 1)
    }
}
