import WeirCore
import WeirLoad

/// A database whose knee is known: connections that go round through stations, each with so many
/// servers that take what comes in order. Times are drawn from a seed.
struct ServiceModel: Sendable, CustomStringConvertible {
    struct Station {
        var servers: Int
        /// Seconds of a batch, and of each row.
        var fixed: Double
        var perRow: Double
    }

    var description: String
    /// Seconds of a batch that others do not wait for, such as the network's.
    var delay: Double
    var stations: [Station]
    /// Each batch in flight beyond so many slows all down by this share.
    var crowd: (from: Int, share: Double) = (.max, 0)

    /// Service times vary evenly between these multiples: a coefficient of variation of 0.29.
    private static let variation = 0.5...1.5

    /// What the connections of a cell commit, and when they are told to stop.
    ///
    /// - Parameters:
    ///   - speed: of the whole machine during the visit.
    ///   - rows: of each batch.
    func run(
        _ step: Sweep.Step, speed: Double, _ random: inout SplitMix64,
        rows: (inout SplitMix64) -> Int
    ) -> (log: CommitLog, seconds: Double) {
        let connections = step.cell.connections
        var stop: Double?
        var log = CommitLog(connections: Array(repeating: [], count: connections))
        var free = stations.map { Array(repeating: 0.0, count: $0.servers) }
        // Of each connection: when it comes to which station, and the batch that it is at.
        var times = Array(repeating: 0.0, count: connections)
        var places = Array(repeating: 0, count: connections)
        var begun = Array(repeating: 0.0, count: connections)
        var sizes = Array(repeating: 0, count: connections)
        var (commits, firstRound, waiting) = (0, Double?.none, connections)
        let slow = 1 + crowd.share * Double(max(0, connections - crowd.from))
        func drawn(_ mean: Double, _ random: inout SplitMix64) -> Double {
            let width = Self.variation.upperBound - Self.variation.lowerBound
            let factor = Self.variation.lowerBound + width * random.nextFraction()
            return mean * factor * slow / speed
        }
        for connection in 0..<connections {
            sizes[connection] = rows(&random)
            times[connection] = drawn(delay, &random)
        }
        while true {
            var next = 0
            for connection in 1..<max(connections, 1) where times[connection] < times[next] {
                next = connection
            }
            let now = times[next]
            let place = places[next]
            if place < stations.count {
                let station = stations[place]
                var server = 0
                for other in 1..<max(station.servers, 1)
                where free[place][other] < free[place][server] {
                    server = other
                }
                let work = station.fixed + station.perRow * Double(sizes[next])
                let end = max(now, free[place][server]) + drawn(work, &random)
                free[place][server] = end
                times[next] = end
                places[next] += 1
                continue
            }
            log.connections[next].append(
                Commit(
                    begun: Int64(begun[next] * 1e9), ended: Int64(now * 1e9),
                    rows: Int32(sizes[next])))
            commits += 1
            if log.connections[next].count == 1 {
                waiting -= 1
                if waiting == 0 { firstRound = now }
            }
            let isOver =
                stop.map { now > $0 }
                ?? step.isOver(
                    elapsed: now, firstRound: firstRound, commits: commits)
            if isOver {
                stop = stop ?? now
                times[next] = .infinity
                if times.allSatisfy({ $0 == .infinity }) { return (log, stop ?? now) }
                continue
            }
            places[next] = 0
            begun[next] = now
            sizes[next] = rows(&random)
            times[next] = now + drawn(delay, &random)
        }
    }

    /// Rows a second, measured for long and without anything that changes the machine's speed.
    private func rate(_ connections: Int, rows: Int) -> Double {
        var random = SplitMix64(seed: 99)
        let step = Sweep.Step(
            phase: .sweep, cell: Cell(connections: connections, rows: rows), seconds: 25)
        let log = run(step, speed: 1, &random) { _ in rows }.log
        let bins = log.rows(inBinsFrom: 1_000_000_000, width: 100_000_000, count: 190)
        return bins.reduce(0, +) / 19
    }

    /// The least number of connections that reaches the share of the best.
    func truth(rows: Int, upTo most: Int) -> Int {
        let numbers = Ladder.connections(upTo: most)
        let rates = numbers.map { rate($0, rows: rows) }
        let best = rates.max() ?? 1
        return zip(numbers, rates).first { $0.1 >= Decision.share * best }?.0 ?? 1
    }

    /// What batches cost at a number of connections.
    func cost(connections: Int, _ sizes: ClosedRange<Int>) -> CostModel? {
        var random = SplitMix64(seed: 98)
        let step = Sweep.Step(
            phase: .hold, cell: Cell(connections: connections, rows: 1), seconds: 30)
        let log = run(step, speed: 1, &random) {
            Int.random(in: sizes, using: &$0)
        }.log
        return CostModel(log.connections.flatMap { $0 }.map { (Double($0.rows), seconds($0)) })
    }

    private func seconds(_ commit: Commit) -> Double { Double(commit.ended - commit.begun) / 1e9 }

    /// A whole benchmark of this database, on a machine that gets slower, and is now and then.
    func benchmark(_ plan: BenchPlan) -> Sweep {
        var sweep = Sweep(plan, connectionsMax: plan.connectionsMax)
        var random = SplitMix64(seed: plan.seed &* 0x9E37_79B9)
        var elapsed = 0.0
        while let step = sweep.next(elapsed: elapsed) {
            let drift = 1 - 0.04 * elapsed / plan.seconds
            let speed = drift * (1 + 0.02 * random.nextNormal())
            let held = sweep.heldRows(step.cell)
            let (log, seconds) = run(step, speed: speed, &random) { random in
                step.variesRows ? Int.random(in: held, using: &random) : step.cell.rows
            }
            let visit = Visit(step, at: elapsed, log: log, end: Int64(seconds * 1e9))
            sweep.take(visit, of: step, log: log)
            elapsed += seconds + 0.03
        }
        return sweep
    }
}
