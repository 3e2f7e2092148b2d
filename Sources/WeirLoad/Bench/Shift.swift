import Synchronization
import Weir
import WeirCore
import WeirPostgres
import WeirRecord

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What the connections of one visit share: what to write, and until when.
final class Shift: Sendable {
    let rows: Int
    /// Batches of random sizes, if set.
    let variedRows: ClosedRange<Int>?
    let supply: RecordSupply
    let start: Timestamp
    private let seed: UInt64
    private let ids = IDGenerator()
    private let end = Atomic<Int64>(0)
    private let counts: Mutex<Counts>

    private struct Counts {
        var commits: [Int]
        var waiting: Int
        var firstRound: Timestamp?
    }

    /// Why a connection stopped before its time.
    enum Trouble: Sendable {
        case lost(String)
        /// The database refuses what the harness made up, or the table is not what it was.
        case refused(String)
    }

    /// What a connection did.
    struct Work: Sendable {
        var commits: [Commit] = []
        var rows = 0
        /// Attempts that the database ended and that were made again: deadlocks, lock timeouts.
        var repeated = 0
        var trouble: Trouble?
    }

    /// Commits of one connection that are kept: more than any visit makes.
    static let commitsMax = 2_000_000
    /// Attempts in a row that may fail.
    static let failuresMax = 20

    init(
        _ step: Sweep.Step, variedRows: ClosedRange<Int>?, supply: RecordSupply, start: Timestamp,
        seed: UInt64
    ) {
        rows = step.cell.rows
        self.variedRows = variedRows
        self.supply = supply
        self.start = start
        self.seed = seed
        let connections = step.cell.connections
        counts = Mutex(
            Counts(commits: Array(repeating: 0, count: connections), waiting: connections))
    }

    func stop() {
        end.store(SystemTime().now.nanoseconds, ordering: .relaxed)
    }

    /// When the connections were told to stop, after the start.
    var stopped: Nanoseconds {
        Timestamp(nanoseconds: end.load(ordering: .relaxed)) - start
    }

    var isStopped: Bool { end.load(ordering: .relaxed) != 0 }

    var commits: Int { counts.withLock { $0.commits.reduce(0, +) } }

    /// Seconds after the start when every connection had committed once.
    var firstRound: Double? {
        counts.withLock { $0.firstRound }.map { ($0 - start).seconds }
    }

    fileprivate func count(_ connection: Int, at time: Timestamp) {
        counts.withLock { counts in
            counts.commits[connection] += 1
            guard counts.commits[connection] == 1 else { return }
            counts.waiting -= 1
            if counts.waiting == 0 { counts.firstRound = time }
        }
    }

    fileprivate func batch(_ number: Int, _ random: inout SplitMix64) -> WriteBatch {
        let count = variedRows.map { Shift.spread($0, &random) } ?? rows
        return WriteBatch(
            id: ids.next(unixNanoseconds: SystemTime().unixNanoseconds),
            number: BatchNumber(UInt64(number)), attempt: 1, records: supply.take(count))
    }

    fileprivate func random(_ connection: Int) -> SplitMix64 {
        SplitMix64(seed: mixed(seed, UInt64(connection)))
    }

    /// Sizes from `low` to its double, from there to the next double and so on are as likely.
    private static func spread(
        _ range: ClosedRange<Int>, _ random: inout SplitMix64
    ) -> Int {
        var lows = [range.lowerBound]
        while lows[lows.count - 1] * 2 < range.upperBound { lows.append(lows[lows.count - 1] * 2) }
        let low = lows[Int.random(in: lows.indices, using: &random)]
        return Int.random(in: low...min(range.upperBound, low * 2), using: &random)
    }
}

extension PostgresWriter {
    /// Writes batch after batch until the shift ends, exactly as the gateway's writers do: the same
    /// transaction, over the same connection, on the same thread.
    func work(_ connection: Int, _ shift: Shift) -> Shift.Work {
        var work = Shift.Work()
        var random = shift.random(connection)
        var failures = 0
        let time = SystemTime()
        while time.now < shift.start {
            // Some milliseconds at most: all connections begin together.
            usleep(UInt32(clamping: (shift.start - time.now).count / 1_000 + 1))
        }
        while !shift.isStopped && work.commits.count < Shift.commitsMax {
            let batch = shift.batch(work.commits.count, &random)
            let begun = time.now
            let report = write(batch)
            let ended = time.now
            switch report.outcome {
            case .committed:
                failures = 0
                work.rows += batch.records.count
                work.commits.append(
                    Commit(
                        begun: (begun - shift.start).count, ended: (ended - shift.start).count,
                        rows: Int32(batch.records.count)))
                shift.count(connection, at: ended)
            case .transient where report.isConnected && failures < Shift.failuresMax:
                failures += 1
                work.repeated += 1
            default:
                let error = report.error
                let said = error.map { [$0.sqlstate, $0.message].joined(separator: " ") }
                work.trouble =
                    report.isConnected
                    ? .refused(said ?? "the batch was refused: \(report.outcome)")
                    : .lost(said ?? "the connection was lost")
                shift.stop()
                return work
            }
        }
        return work
    }
}
