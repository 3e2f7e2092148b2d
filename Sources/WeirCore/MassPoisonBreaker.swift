/// Is it the records, or the table? A flood of refusals mostly means that a definition has changed,
/// and thousands of dead letters would help nobody. Looked at only for tables that keep them.
///
/// After a flood a table has to prove itself by a commit. Where hardly anybody asks for it, what
/// comes may be the bad records alone, again and again: so that each is told something at last, as
/// many are kept after a pause as came during it.
package struct MassPoisonBreaker: Sendable {
    package struct Configuration: Sendable, Equatable {
        /// Refusals without a commit between them. Past it: 503 `table-paused`.
        package var rowMax = 20
        /// Refusals in a hundred records, once `countMin` of them were seen in `window`. Past it:
        /// the same.
        package var percentMax = 5
        package var countMin = 200
        /// What is older than this counts no more; what is younger than half of it counts.
        package var window: Duration = .seconds(60)
        package init() {}
    }

    private struct Tally {
        var row = 0
        var refused = 0
        var total = 0
        /// Of the half window before.
        var refusedBefore = 0
        var totalBefore = 0
        var since: Timestamp
        /// What came since the flood; `nil` when something has committed since.
        var flood: Flood?
    }

    private struct Flood {
        /// Records that were told to come again later, each once however often it came: hashes.
        var turnedAway: Set<UInt64> = []
        /// Those that nothing tells from others.
        var strangers = 0
        /// How many may be kept before the next pause; `nil` while there is one.
        var allowance: Int?

        var count: Int { turnedAway.count + strangers }
    }

    private let configuration: Configuration
    private let half: Nanoseconds
    private var tallies: [TableID: Tally] = [:]

    package init(_ configuration: Configuration) {
        self.configuration = configuration
        half = Nanoseconds(Nanoseconds(configuration.window).count / 2)
    }

    package mutating func committed(_ count: Int, of table: TableID, now: Timestamp) {
        var tally = tally(of: table, now: now)
        tally.row = 0
        tally.flood = nil
        tally.total += count
        tallies[table] = tally
    }

    /// Records of a table were told to come again, because it is paused.
    ///
    /// - Parameter hashes: of each of the records, the same each time that it comes; or of none.
    mutating func turnedAway(_ count: Int, _ hashes: [UInt64], of table: TableID) {
        guard var flood = tallies[table]?.flood else { return }
        if hashes.count == count {
            for hash in hashes where flood.count <= configuration.rowMax {
                flood.turnedAway.insert(hash)
            }
        } else {
            flood.strangers += count
        }
        tallies[table]?.flood = flood
    }

    /// A record of the table was refused alone. True when that is one too many: the table is to be
    /// paused, and a refusal after the pause says so at once.
    package mutating func refused(_ table: TableID, now: Timestamp) -> Bool {
        var tally = tally(of: table, now: now)
        if let flood = tally.flood {
            let count = flood.count
            let allowance = flood.allowance ?? (count <= configuration.rowMax ? max(count, 1) : 0)
            let isKept = allowance > 0
            tally.flood = Flood(allowance: isKept ? allowance - 1 : nil)
            tallies[table] = tally
            return !isKept
        }
        tally.row += 1
        tally.refused += 1
        tally.total += 1
        let refused = tally.refused + tally.refusedBefore
        let total = tally.total + tally.totalBefore
        let isMany =
            total >= configuration.countMin && refused * 100 > configuration.percentMax * total
        let isTripped = tally.row > configuration.rowMax || isMany
        if isTripped { tally = Tally(since: now, flood: Flood()) }
        tallies[table] = tally
        return isTripped
    }

    private mutating func tally(of table: TableID, now: Timestamp) -> Tally {
        guard var tally = tallies[table] else {
            // Of definitions that nobody writes any more.
            let window = Nanoseconds(half.count * 2)
            tallies = tallies.filter { $0.value.since + window > now }
            return Tally(since: now)
        }
        let age = now - tally.since
        if age < half { return tally }
        let isNext = age < Nanoseconds(half.count * 2)
        tally.refusedBefore = isNext ? tally.refused : 0
        tally.totalBefore = isNext ? tally.total : 0
        tally.refused = 0
        tally.total = 0
        tally.since = now
        return tally
    }
}
