import WeirCore

/// Decides what is measured next, from what was measured so far: the design of the benchmark as a
/// value that takes visits and gives steps.
///
/// Anchor, costs at one connection, anchor in the middle, the coarse sweep in two random orders,
/// pairs of cells in the order ABBA, which cancels a drift that is linear over the four, batch
/// sizes at the number found, a hold, anchor.
package struct Sweep: Sendable {
    /// One visit that is to be made.
    package struct Step: Sendable, Equatable {
        package var phase: BenchPhase
        package var cell: Cell
        package var seconds: Double
        package var block: Int?
        /// Batches of random sizes around the cell's.
        package var variesRows = false

        package init(
            phase: BenchPhase, cell: Cell, seconds: Double, block: Int? = nil,
            variesRows: Bool = false
        ) {
            self.phase = phase
            self.cell = cell
            self.seconds = seconds
            self.block = block
            self.variesRows = variesRows
        }

        /// Whether a visit may end: once every connection has committed, and most of the time or a
        /// number of commits that says something has passed since. Slow batches take longer, rather
        /// than being counted too few.
        ///
        /// - Parameters:
        ///   - elapsed: seconds since its start.
        ///   - firstRound: seconds after its start when every connection had committed once.
        package func isOver(elapsed: Double, firstRound: Double?, commits: Int) -> Bool {
            guard let firstRound else { return elapsed > max(10, 5 * seconds) }
            guard elapsed >= max(seconds, firstRound + Visit.measuredShare * seconds) else {
                return false
            }
            return commits >= Visit.commitsMin || elapsed >= firstRound + 3 * seconds
        }
    }

    private enum Stage {
        case begin, costs, sweep, middle, pairs, sizes, hold, end, over
    }

    package let plan: BenchPlan
    /// The most connections: the plan's bound, or what the server has left.
    package let most: Int
    package private(set) var visits: [Visit] = []
    /// At one connection.
    package private(set) var cost: CostModel?
    /// Of the hold, at the number of connections found.
    package private(set) var held: CostModel?
    package private(set) var heldReplicates: [CostModel] = []
    /// The rows of a batch in the sweep.
    package private(set) var rows = anchorRows
    /// Whether everything was measured that was to be.
    package private(set) var isComplete = false
    /// Why the pairs ended: because nothing was left to decide, or time was up.
    package private(set) var isDecided = false

    private var stage = Stage.begin
    private var queue: [Step] = []
    private var blockCount = 0
    private var pairCount = 0
    private var repeatCount = 0
    private var random: SplitMix64

    package static let anchorRows = 64
    private static let repeatsMax = 4
    /// ABBA rounds that are made even where time is up: fewer decide nothing.
    private static let pairsMin = 2
    private static let pairsMax = 200
    /// How much longer than planned it may take, where the pairs have not decided.
    package static let extensionMax = 2.0
    /// Bootstrap replicates that say what to measure next, and those that say the result.
    private static let replicatesWhile = 400
    /// When nothing more is measured: less than the 5 % that the result allows, or chance would
    /// undo the decision when it is computed again.
    private static let doubt = 0.03
    package static let replicates = 1_000

    package init(_ plan: BenchPlan, connectionsMax: Int) {
        self.plan = plan
        most = max(1, min(connectionsMax, plan.connectionsMax))
        random = SplitMix64(seed: mixed(plan.seed, 0x62_656E_6368))
    }

    // MARK: Steps

    /// - Parameter elapsed: seconds since the first step.
    /// - Returns: `nil` when everything is measured.
    package mutating func next(elapsed: Double) -> Step? {
        while queue.isEmpty {
            switch stage {
            case .begin:
                queue = [anchor]
                stage = .costs
            case .costs:
                queue = costSteps()
                stage = .sweep
            case .sweep:
                chooseRows()
                queue = sweepSteps()
                stage = .middle
            case .middle:
                queue = [anchor]
                stage = .pairs
            case .pairs:
                queue = pairSteps(elapsed: elapsed)
                if queue.isEmpty { stage = .sizes }
            case .sizes:
                queue = sizeSteps()
                stage = .hold
            case .hold:
                queue = [holdStep]
                stage = .end
            case .end:
                queue = [anchor]
                stage = .over
            case .over:
                isComplete = true
                return nil
            }
        }
        return queue.removeFirst()
    }

    /// - Parameter log: what the visit was made from.
    package mutating func take(_ visit: Visit, of step: Step, log: CommitLog) {
        visits.append(visit)
        if step.phase == .hold {
            let points = log.connections.flatMap { $0 }.filter { $0.ended > visit.cut }
                .map { (Double($0.rows), $0.seconds) }
            held = CostModel(points)
            heldReplicates = CostModel.resampled(log, from: visit.cut, count: 200, &random)
        }
        if visit.hadCheckpoint && repeatCount < Self.repeatsMax && step.phase != .hold {
            // Flagged and made once more, not thrown away: checkpoints are part of life.
            repeatCount += 1
            queue.insert(step, at: 0)
        }
    }

    private var anchor: Step {
        Step(
            phase: .anchor,
            cell: Cell(connections: min(4, most), rows: min(Self.anchorRows, plan.rowsMax)),
            seconds: plan.window)
    }

    private mutating func costSteps() -> [Step] {
        let sizes = Set([2, 8, 64, 512, 2_000].filter { $0 < plan.rowsMax } + [2])
        var steps: [Step] = []
        for _ in 0..<2 {
            steps += sizes.sorted().shuffled(using: &random).map { rows in
                Step(
                    phase: .cost, cell: Cell(connections: 1, rows: rows),
                    seconds: plan.window * 0.75)
            }
        }
        return steps
    }

    /// Batch times at one connection, by rows.
    package var costPoints: [(rows: Double, seconds: Double)] {
        visits.filter { $0.phase == .cost && $0.batchMean > 0 }
            .map { (Double($0.cell.rows), $0.batchMean) }
    }

    private mutating func chooseRows() {
        cost = CostModel(costPoints)
        if let cost { rows = plan.sweptRows(for: cost) }
    }

    private mutating func sweepSteps() -> [Step] {
        var steps: [Step] = []
        for _ in 0..<2 {
            steps += Ladder.coarse(upTo: most).shuffled(using: &random).map { step(.sweep, $0) }
            blockCount += 1
        }
        return steps
    }

    private func step(_ phase: BenchPhase, _ connections: Int) -> Step {
        Step(
            phase: phase, cell: Cell(connections: connections, rows: rows), seconds: plan.window,
            block: blockCount)
    }

    // MARK: Pairs

    private mutating func pairSteps(elapsed: Double) -> [Step] {
        // Batch sizes, hold and the last anchor take 16 windows. What noise leaves undecided then
        // may take as long again.
        let isLate = elapsed + 4 * plan.window > Self.extensionMax * plan.seconds - 16 * plan.window
        guard pairCount < Self.pairsMax, !isLate || pairCount < Self.pairsMin else { return [] }
        guard let pair = undecided() else {
            isDecided = true
            return []
        }
        pairCount += 1
        defer { blockCount += 1 }
        let (a, b) = (step(.pairs, pair.reference), step(.pairs, pair.other))
        return [a, b, b, a]
    }

    /// The curve at the sweep's batch size.
    package func curve(replicates: Int) -> Curve? {
        Curve(
            visits.filter { $0.cell.rows == rows && $0.phase != .anchor && $0.phase != .hold },
            replicates: replicates, seed: mixed(plan.seed, UInt64(visits.count)))
    }

    /// The two numbers of connections whose comparison would tell most; `nil` when it is known
    /// which one is the least that reaches the share.
    private func undecided() -> (reference: Int, other: Int)? {
        guard let curve = curve(replicates: Self.replicatesWhile), curve.connections.count > 1
        else { return nil }
        let numbers = curve.connections
        let place = curve.knee(share: Decision.share)
        let top = curve.rates.max() ?? 0
        // Of a plateau the number that was visited most, other than the candidate.
        func reference(besides number: Int) -> Int {
            let order = numbers.indices.filter { numbers[$0] != number }.sorted { left, right in
                (curve.rates[left], curve.visitCounts[left], -left)
                    > (curve.rates[right], curve.visitCounts[right], -right)
            }
            return numbers[order[0]]
        }
        if place > 0 {
            let gap = Ladder.between(numbers[place - 1], numbers[place], upTo: most)
            if !gap.isEmpty {
                let middle = gap[gap.count / 2]
                return (reference(besides: middle), middle)
            }
        }
        if curve.sharesQuantile(Self.doubt)[place] < Decision.share {
            let rival = curve.rival(of: place, share: Decision.share)
            return (rival.map { numbers[$0] } ?? reference(besides: numbers[place]), numbers[place])
        }
        let knees = curve.knees(share: Decision.share)
        if let rival = (0..<place).max(by: { knees[$0] < knees[$1] }),
            knees[..<place].reduce(0, +) > Self.doubt
        {
            return (reference(besides: numbers[rival]), numbers[rival])
        }
        // A peak that falls off on both sides may be higher between two numbers that were seen.
        if let peak = curve.rates.lastIndex(of: top), peak + 1 < numbers.count,
            curve.rates[peak + 1] < 0.97 * top
        {
            let gap = Ladder.between(numbers[peak], numbers[peak + 1], upTo: most)
            if !gap.isEmpty { return (numbers[peak], gap[gap.count / 2]) }
        }
        return nil
    }

    // MARK: What was found

    /// The number of connections that the rest is measured at.
    package var found: Int {
        guard let curve = curve(replicates: Self.replicatesWhile) else { return 1 }
        return Decision(curve, most: most).connections
            ?? curve.connections[curve.knee(share: Decision.share)]
    }

    private mutating func sizeSteps() -> [Step] {
        let connections = found
        var cells: [Cell] = []
        let many = min(plan.rowsMax, rows * 4)
        for cell in [
            Cell(connections: connections, rows: max(1, rows / 4)),
            Cell(connections: connections, rows: rows),
            Cell(connections: connections, rows: many),
            Cell(connections: max(1, connections / 2), rows: many),
            Cell(connections: min(most, connections * 2), rows: many),
        ] where !cells.contains(cell) {
            cells.append(cell)
        }
        let block = blockCount
        blockCount += 1
        // There and back, so that a drift cancels.
        return (cells + cells.reversed()).map {
            Step(phase: .sizes, cell: $0, seconds: plan.window, block: block)
        }
    }

    private var holdStep: Step {
        Step(
            phase: .hold, cell: Cell(connections: found, rows: rows), seconds: plan.window * 5,
            variesRows: true)
    }

    /// From a quarter of the cell's rows to four times as many, which costs are fitted over.
    package func heldRows(_ cell: Cell) -> ClosedRange<Int> {
        max(1, cell.rows / 4)...max(2, min(plan.rowsMax, cell.rows * 4))
    }
}
