/// One setting that is measured: so many connections, each with a batch of so many rows at a time.
package struct Cell: Hashable, Sendable {
    package var connections: Int
    package var rows: Int

    package init(connections: Int, rows: Int) {
        self.connections = connections
        self.rows = rows
    }
}

/// The parts of a benchmark.
package enum BenchPhase: String, Sendable, CaseIterable {
    /// One cell, again and again, to see whether the database stays what it was.
    case anchor
    /// One connection, batches of several sizes.
    case cost
    /// All numbers of connections, roughly.
    case sweep
    /// Those that decide, in pairs.
    case pairs
    /// Whether connections and batch size can be told apart.
    case sizes
    /// The recommendation, held.
    case hold
}

/// What one visit to a cell gave, after its warm-up was cut off.
package struct Visit: Sendable {
    package var cell: Cell
    package var phase: BenchPhase
    /// Visits with one number were made one after the other and are compared with each other.
    package var block: Int?
    /// After the run's start, in seconds.
    package var at: Double
    /// What was measured, without what was cut off.
    package var seconds: Double
    /// Rows committed in each of `bins`' equal parts of `seconds`.
    package var bins: [Double]
    package var commits: Int
    /// Batch times: mean, median, 99th percentile.
    package var batchMean: Double
    package var batchP50: Double
    package var batchP99: Double
    /// Their standard deviation.
    package var batchDeviation: Double
    /// Little's X·R/L.
    package var busyShare: Double
    /// Fewer commits than an estimate needs; the interval is wide.
    package var isShort = false
    /// How often backends were seen waiting for what; `CPU` is waiting for nothing, `client` for
    /// the harness and the network.
    package var waits: [String: Int] = [:]
    package var walBytes: Int?
    package var hadCheckpoint = false
    /// Active backends of others, on average.
    package var foreign = 0.0
    package var hadVacuum = false

    /// What was cut off at the beginning, in nanoseconds.
    package var cut: Int64

    /// - Parameters:
    ///   - at: when the visit began, in seconds after the run's start.
    ///   - end: when the connections were told to stop, in nanoseconds after the visit's start.
    ///     What they finished later counts by the part before it.
    package init(_ step: Sweep.Step, at: Double, log: CommitLog, end: Int64) {
        cell = step.cell
        phase = step.phase
        block = step.block
        self.at = at
        let end = max(end, 1)
        let width = max(min(Self.binWidth, end / Self.binsMin), 1)
        let all = log.rows(inBinsFrom: 0, width: width, count: Int(end / width))
        let settled = max(Int64(WarmUp.cut(all)) * width, log.firstRound ?? 0)
        let cut = min(max(min(Self.warmUp, end / 5), settled), end - end / 4)
        bins = log.rows(inBinsFrom: cut, width: width, count: Int((end - cut) / width))
        seconds = Double(width) * Double(bins.count) / 1e9
        let times = log.times(from: cut, to: end)
        commits = times.count
        batchMean = times.isEmpty ? 0 : times.reduce(0, +) / Double(times.count)
        let mean = batchMean
        let squares = times.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        batchDeviation = (squares / Double(max(times.count - 1, 1))).squareRoot()
        batchP50 = times.isEmpty ? 0 : quantile(times, 0.5)
        batchP99 = times.isEmpty ? 0 : quantile(times, 0.99)
        busyShare = log.busyShare(from: cut, to: end)
        isShort = times.count < Self.commitsMin / 2
        self.cut = cut
    }

    /// From a series that somebody else has counted.
    ///
    /// - Parameter times: of a call: mean, median, 99th percentile, in seconds.
    init(
        cell: Cell, block: Int, at: Double, bins: [Double], binSeconds: Double, commits: Int,
        times: (mean: Double, p50: Double, p99: Double)
    ) {
        self.cell = cell
        phase = .sweep
        self.block = block
        self.at = at
        self.bins = bins
        self.commits = commits
        seconds = binSeconds * Double(bins.count)
        (batchMean, batchP50, batchP99) = times
        (batchDeviation, busyShare, cut) = (0, 1, 0)
    }

    /// Narrower ones for windows shorter than a second.
    private static let binWidth: Int64 = 50_000_000
    private static let binsMin: Int64 = 20
    /// What of a visit is measured at least, after the first batch of every connection.
    package static let measuredShare = 0.8
    /// With fewer, a rate is uncertain by more than a few hundredths.
    package static let commitsMin = 100
    /// Always cut off, unless that is more than a fifth.
    private static let warmUp: Int64 = 200_000_000

    /// Rows a second.
    package var rate: Double { seconds > 0 ? bins.reduce(0, +) / seconds : 0 }

    /// Blocks are of 100 ms, or as long as two batches: what a batch spreads over several bins
    /// must not be taken for several measurements.
    var blocks: MovingBlocks {
        let width = bins.isEmpty ? 1 : seconds / Double(bins.count)
        let length = max(0.1, 2 * batchMean) / max(width, 1e-9)
        return MovingBlocks(bins, length: Int(length.rounded(.up)))
    }
}
