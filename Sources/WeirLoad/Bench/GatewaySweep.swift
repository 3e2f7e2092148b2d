import Histogram
import Weir
import WeirCore

/// A benchmark through a gateway that runs: its connections and its batches are its own affair and
/// cannot be varied from outside, so that callers are. It is a closed loop of `weir load`, whose
/// phases are the visits, and which reads the table back at the end.
package struct GatewaySweep: Sendable {
    package let seconds: Double
    package let seed: UInt64
    /// Callers of each visit, by round.
    package let rounds: [[Int]]

    /// Enough to fill the batches of any gateway on one machine.
    package static let callersMax = 256
    private static let roundCount = 3

    package init(seconds: Double, seed: UInt64, callersMax: Int = callersMax) {
        self.seconds = seconds
        self.seed = seed
        var random = SplitMix64(seed: mixed(seed, 0x67_6174_65))
        let numbers = Ladder.coarse(upTo: callersMax).enumerated()
            .filter { $0.offset % 2 == 0 || $0.element == callersMax }.map(\.element)
        rounds = (0..<Self.roundCount).map { _ in numbers.shuffled(using: &random) }
    }

    /// Of one visit.
    private var window: Nanoseconds {
        let count = rounds.reduce(0) { $0 + $1.count }
        return Nanoseconds(Int64(seconds / Double(count) * 1e9))
    }

    package var plan: LoadPlan {
        var plan = LoadPlan(
            phases: rounds.joined().map { callers in
                Phase(
                    name: "\(callers) callers", shape: .steady, duration: window,
                    arrivals: .closed(callers: callers))
            })
        plan.seed = seed
        return plan
    }

    /// What each visit gave, from a run of `plan`.
    package func visits(_ result: ModeResult) -> [Visit] {
        let series = result.measured.series
        let width = series.width.count
        var visits: [Visit] = []
        var place = 0
        for (block, round) in rounds.enumerated() {
            for callers in round {
                let tally = result.measured.tallies[place]
                let start = Int64(place) * window.count
                // The first fifth belongs to the callers of before, who still have answers to come.
                let first = Int((start + window.count / 5 + width - 1) / width)
                let last = Int((start + window.count) / width)
                place += 1
                guard last > first, series.bins.count >= last else { continue }
                let bins = series.bins[first..<last].map { Double($0.acknowledged) }
                let service = tally.latency.service
                func span(_ percentile: Double) -> Double {
                    service.span(atPercentile: percentile)?.seconds ?? 0
                }
                visits.append(
                    Visit(
                        cell: Cell(connections: callers, rows: 1), block: block,
                        at: Double(start) / 1e9, bins: bins, binSeconds: series.width.seconds,
                        commits: tally.acknowledged,
                        times: (service.meanSpan?.seconds ?? 0, span(50), span(99))))
            }
        }
        return visits
    }
}

/// What a benchmark through a gateway found.
package struct GatewayFindings: Sendable {
    package struct Row: Sendable {
        package var callers: Int
        /// Calls a second.
        package var rate: Interval
        package var share: Double
        package var lowerShare: Double
        /// Of a call, in seconds.
        package var p50: Double
        package var p99: Double
        /// Records of the batches that calls travelled in, as calls saw them.
        package var batchRecords: Double?
        package var failed: Int
    }

    package let report: RunReport
    package let rows: [Row]
    package let decision: Decision?
    package let drift: Drift
    package let noise: Double
    package let seconds: Double

    package init(_ sweep: GatewaySweep, _ report: RunReport) {
        self.report = report
        seconds = sweep.seconds
        let result = report.results.first
        let visits = result.map(sweep.visits) ?? []
        let curve = Curve(visits, replicates: Sweep.replicates, seed: sweep.seed)
        noise = curve?.noiseBetween ?? 0
        let most = sweep.rounds.first?.max() ?? 1
        decision = curve.map { Decision($0, most: most) }
        drift = Drift(visits.filter { $0.cell.connections == most }, noise: noise, seed: sweep.seed)
        let lower = curve?.lowerShares ?? []
        rows = (curve?.connections ?? []).indices.map { index in
            let callers = curve?.connections[index] ?? 0
            let own = visits.filter { $0.cell.connections == callers }
            let tallies = zip(sweep.rounds.joined(), result?.measured.tallies ?? [])
                .filter { $0.0 == callers }.map(\.1)
            let sizes = tallies.flatMap { $0.batchSizes }
            let count = sizes.reduce(0) { $0 + $1.value }
            let sum = sizes.reduce(0) { $0 + $1.key * $1.value }
            return Row(
                callers: callers, rate: curve?.interval(at: index) ?? Interval(0, low: 0, high: 0),
                share: curve?.shares[index] ?? 0, lowerShare: lower[index],
                p50: quantile(own.map(\.batchP50).sorted(), 0.5),
                p99: quantile(own.map(\.batchP99).sorted(), 0.5),
                batchRecords: count > 0 ? Double(sum) / Double(count) : nil,
                failed: tallies.reduce(0) { $0 + $1.failed })
        }
    }

    /// Whether the figures can be believed.
    package var isSound: Bool {
        !report.isInterrupted && !drift.isUnstable && decision?.connections != nil
            && rows.allSatisfy { $0.failed == 0 } && !report.isVoid
    }
}
