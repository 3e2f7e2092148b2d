/// What a benchmark may take, and what is drawn for it.
package struct BenchPlan: Sendable {
    /// How long it measures; slow databases take longer, rather than being measured too shortly.
    package var seconds = 60.0
    package var seed: UInt64 = 42
    /// The most connections that are tried.
    package var connectionsMax = 32
    /// The most rows of a batch that are tried.
    package var rowsMax = 5_000
    /// How long a recommended batch may take, in seconds.
    package var latencyTarget = 0.05
    /// The most WAL that is written.
    package var walBytesMax = 8 << 30
    /// The most active backends of others, on average, beside which it begins.
    package var foreignMax = 1.0

    package init() {}

    package static let secondsRange = 10.0...3_600
    package static let thoroughSeconds = 600.0
    package static let rowsRange = 2...50_000

    /// How long one visit of the sweep takes, in seconds.
    package var window: Double { seconds / 60 }

    /// What makes the plan impossible, one line for each reason.
    package var problems: [String] {
        var problems: [String] = []
        func check(_ isGood: Bool, _ text: String) { if !isGood { problems.append(text) } }
        check(
            Self.secondsRange.contains(seconds),
            "-z is from \(Int(Self.secondsRange.lowerBound))s to 1h")
        check(
            (1...Ladder.connectionsMax).contains(connectionsMax),
            "--max-connections is from 1 to \(Ladder.connectionsMax)")
        check(
            Self.rowsRange.contains(rowsMax),
            "--max-rows is from \(Self.rowsRange.lowerBound) to \(Self.rowsRange.upperBound)")
        check(
            latencyTarget >= 0.001 && latencyTarget <= 60, "--latency is from 1ms to 60s")
        check(walBytesMax >= 1 << 20, "--max-wal is at least 1MiB")
        check(foreignMax >= 0 && foreignMax <= 10_000, "--beside is from 0 to 10000")
        return problems
    }

    /// The rows of a batch that are recommended for these costs: as few as keep the fixed part
    /// below a tenth, while the batch keeps to the latency. Where the fixed part alone does not,
    /// as many as double it.
    package func rows(for model: CostModel) -> Int { rows(for: model, whereFixedIs: 0.1) }

    /// Those that the sweep is made with, from the costs at one connection: a quarter is fixed.
    /// They take a third of the time of those that are recommended, so that three times as many can
    /// be counted; and a gateway's batches are seldom full.
    func sweptRows(for model: CostModel) -> Int { rows(for: model, whereFixedIs: 0.25) }

    private func rows(for model: CostModel, whereFixedIs share: Double) -> Int {
        let wanted = model.rows(whereFixedIs: share)
        let allowed = model.rows(within: latencyTarget)
        let rounded = Ladder.roundedUp(rows: wanted)
        if Double(rounded) <= allowed { return min(rounded, rowsMax) }
        let least = model.rows(whereFixedIs: 0.5)
        return min(Ladder.roundedDown(rows: max(allowed, min(least, wanted))), rowsMax)
    }
}
