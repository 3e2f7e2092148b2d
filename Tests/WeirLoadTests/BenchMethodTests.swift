import Testing
import WeirCore
import WeirLoad

/// Each step of the method, on figures whose result is known.
@Suite struct BenchMethodTests {
    private func log(_ spans: [(Double, Double)]..., rows: Int32 = 10) -> CommitLog {
        CommitLog(
            connections: spans.map { spans in
                spans.map { Commit(begun: Int64($0.0 * 1e9), ended: Int64($0.1 * 1e9), rows: rows) }
            })
    }

    private func step(_ phase: BenchPhase = .sweep, _ connections: Int = 1) -> Sweep.Step {
        Sweep.Step(phase: phase, cell: Cell(connections: connections, rows: 10), seconds: 1)
    }

    private func visit(_ rate: Double, connections: Int, block: Int) -> Visit {
        var step = step(.sweep, connections)
        step.block = block
        let count = Int(rate)
        let commits = (0..<count).map { (Double($0) / rate, Double($0 + 1) / rate) }
        return Visit(step, at: 0, log: log(commits), end: 1_000_000_000)
    }

    // MARK: Rates

    @Test func rowsAreSpreadOverTheirBatchsTime() {
        let log = log([(0.5, 1.5), (1.5, 2.5)], [(0, 4)])
        #expect(log.rows(inBinsFrom: 1_000_000_000, width: 1_000_000_000, count: 2) == [12.5, 7.5])
        #expect(log.rows(inBinsFrom: 0, width: 1_000_000_000, count: 0) == [])
    }

    /// One connection is served early and then starved: (n-1)/(last-first) would call it 10 a second.
    @Test func aStarvedConnectionIsNotTakenForAFastOne() {
        let log = log([(0, 0.1), (0.1, 0.2), (0.2, 5)])
        let rows = log.rows(inBinsFrom: 0, width: 1_000_000_000, count: 4).reduce(0, +)
        #expect(abs(rows - (20 + 10 * 3.8 / 4.8)) < 1e-6)
    }

    @Test func littlesLawTellsWhatTheHarnessTook() {
        #expect(log([(0, 1)], [(0, 1)]).busyShare(from: 0, to: 1_000_000_000) == 1)
        let half = log([(0, 0.25), (0.5, 0.75)]).busyShare(from: 0, to: 1_000_000_000)
        #expect(abs(half - 0.5) < 1e-9)
    }

    @Test func theFirstRoundIsOverWhenEachHasCommitted() {
        #expect(log([(0, 0.1)], [(0, 0.3)]).firstRound == 300_000_000)
        #expect(log([(0, 0.1)], []).firstRound == nil)
    }

    @Test func whatComesBeforeTheSteadyStateIsCutOff() {
        let settling = (0..<20).map { 10.0 - Double($0) / 2 } + (0..<40).map { Double($0 % 3) }
        #expect(WarmUp.cut(settling) >= 15 && WarmUp.cut(settling) <= 30)
        #expect(WarmUp.cut((0..<60).map { Double($0 % 7) }) == 0)
        #expect(WarmUp.cut([9, 1, 1, 1]) == 0, "too few to say")
    }

    @Test func aVisitLeavesOutItsFirstRound() {
        // The first batch of this connection takes 0.4 s, the others 0.1 s.
        var spans: [(Double, Double)] = [(0, 0.4)]
        for number in 0..<10 {
            let begun = 0.4 + Double(number) / 10
            spans.append((begun, begun + 0.1))
        }
        let visit = Visit(step(), at: 7, log: log(spans), end: 1_400_000_000)
        #expect(visit.cut >= 400_000_000 && abs(visit.rate - 100) < 1e-6)
        #expect(visit.isShort && visit.at == 7)
    }

    @Test func aVisitEndsWithEnoughBatchesOrAfterThriceItsTime() {
        let step = step()
        #expect(!step.isOver(elapsed: 0.9, firstRound: 0.01, commits: 500))
        #expect(step.isOver(elapsed: 1, firstRound: 0.01, commits: 500))
        #expect(!step.isOver(elapsed: 1, firstRound: 0.01, commits: 20))
        #expect(step.isOver(elapsed: 3.02, firstRound: 0.01, commits: 20))
        #expect(!step.isOver(elapsed: 1.2, firstRound: 0.5, commits: 500))
        #expect(!step.isOver(elapsed: 9, firstRound: nil, commits: 0))
        #expect(step.isOver(elapsed: 11, firstRound: nil, commits: 0))
    }

    // MARK: Statistics

    @Test func theBootstrapSpreadsAsTheMeanDoes() {
        var random = SplitMix64(seed: 3)
        let values = (0..<400).map { _ in random.nextNormal() }
        let blocks = MovingBlocks(values, length: 4)
        let means = (0..<2_000).map { _ in blocks.resampledMean(&random) }
        let center = means.reduce(0, +) / 2_000
        let deviation = (means.reduce(0) { $0 + ($1 - center) * ($1 - center) } / 2_000)
            .squareRoot()
        // Of independent values 1/√400.
        #expect(abs(deviation / 0.05 - 1) < 0.15 && abs(center - blocks.mean) < 0.01)
    }

    @Test func quantilesLieBetweenTheirNeighbours() {
        #expect(quantile([1, 2, 3, 4], 0.5) == 2.5)
        #expect(quantile([1, 2, 3, 4], 0) == 1 && quantile([1, 2, 3, 4], 1) == 4)
        #expect(quantile([7], 0.3) == 7)
    }

    @Test func costsAreFittedByRelativeErrors() throws {
        let exact = try #require(
            CostModel([(1, 1.01e-3), (10, 1.1e-3), (100, 2e-3), (1_000, 11e-3)]))
        #expect(abs(exact.fixed - 1e-3) < 1e-9 && abs(exact.perRow - 1e-5) < 1e-11)
        #expect(abs(exact.rows(whereFixedIs: 0.1) - 900) < 1e-6)
        #expect(abs(exact.rows(within: 6e-3) - 500) < 1e-6)
        #expect(CostModel([(5, 1), (5, 2)]) == nil, "one size says nothing")
        // Larger batches that take less time: no row costs less than nothing.
        #expect(CostModel([(1, 2), (100, 1)])?.perRow == 0)
        #expect(CostModel([(1, 0.5), (2, 1.5)])?.fixed == 0)
    }

    @Test func theLawIsFoundFromItsOwnFigures() throws {
        let law = Scalability(lambda: 1_000, sigma: 0.05, kappa: 0.001)
        let found = try #require(
            Scalability([1, 2, 4, 8, 16, 32].map { ($0, law.rate(connections: $0)) }))
        #expect(abs(found.lambda / 1_000 - 1) < 1e-6)
        #expect(abs(found.sigma - 0.05) < 1e-6 && abs(found.kappa - 0.001) < 1e-8)
        // Better than linear: neither coefficient goes below nothing.
        let squares = [1, 2, 4, 8].map { ($0, Double($0 * $0)) }
        let linear = try #require(Scalability(squares))
        #expect(linear.sigma == 0 && linear.kappa == 0)
        #expect(Scalability([(1, 1), (2, 2), (4, 3)]) == nil)
    }

    @Test func aCurveIsMadeUnimodal() {
        #expect(Unimodal.fit([1, 3, 2, 2], weights: [1, 1, 1, 1]) == [1, 3, 2, 2])
        #expect(Unimodal.fit([1, 3, 2, 4], weights: [1, 1, 1, 1]) == [1, 2.5, 2.5, 4])
        #expect(Unimodal.fit([5], weights: [1]) == [5])
        // A plateau with noise is one value; a rise is not.
        let plateau = Unimodal.reduced(
            [0, 1, 1.02, 0.99], weights: [2, 2, 2, 2], variance: 0.0004)
        #expect(plateau[1] == plateau[3] && plateau[0] == 0)
    }

    /// What slows whole blocks down is told apart from what the connections do.
    @Test func blocksDoNotBendTheCurve() throws {
        let speeds = [1.0, 0.6, 1.3, 0.8]
        var visits: [Visit] = []
        for (block, speed) in speeds.enumerated() {
            for connections in block % 2 == 0 ? [1, 2] : [2, 4] {
                visits.append(
                    visit(
                        speed * 400 * Double(min(connections, 2)), connections: connections,
                        block: block))
            }
        }
        let curve = try #require(Curve(visits, replicates: 200, seed: 1))
        #expect(curve.connections == [1, 2, 4])
        for (share, wanted) in zip(curve.shares, [0.5, 1, 1]) {
            #expect(abs(share - wanted) < 0.02, "\(curve.shares)")
        }
        #expect(Decision(curve, most: 4).connections == 2)
        #expect(Curve([], replicates: 10, seed: 1) == nil)
    }

    @Test func driftIsMoreThanATenthAndMoreThanNoise() {
        func drift(_ rates: [Double], noise: Double) -> Drift {
            Drift(rates.map { visit($0, connections: 4, block: 0) }, noise: noise, seed: 1)
        }
        #expect(!drift([1_000, 1_050, 980], noise: 0.01).isUnstable)
        #expect(drift([1_000, 900, 800], noise: 0.01).isUnstable)
        #expect(!drift([1_000, 900, 800], noise: 0.1).isUnstable, "noise explains it")
        #expect(!drift([1_000], noise: 0.01).isUnstable)
    }

    // MARK: Design

    @Test func theDesignIsAFunctionOfItsSeed() {
        func steps(_ seed: UInt64) -> [Sweep.Step] {
            var plan = BenchPlan()
            plan.seed = seed
            var sweep = Sweep(plan, connectionsMax: 12)
            return (0..<12).compactMap { _ in sweep.next(elapsed: 0) }
        }
        #expect(steps(1) == steps(1) && steps(1) != steps(2))
        #expect(steps(1)[0].cell == Cell(connections: 4, rows: 64))
        #expect(
            steps(1)[1...10].map(\.cell.rows).sorted()
                == [2, 2, 8, 8, 64, 64, 512, 512, 2_000, 2_000])
    }

    @Test func visitsBesideACheckpointAreMadeOnceMore() throws {
        var sweep = Sweep(BenchPlan(), connectionsMax: 4)
        let first = sweep.next(elapsed: 0)
        let step = try #require(first)
        var flagged = visit(100, connections: 4, block: 0)
        flagged.hadCheckpoint = true
        sweep.take(flagged, of: step, log: CommitLog(connections: []))
        let second = sweep.next(elapsed: 1)
        #expect(second == step)
        #expect(sweep.visits.count == 1, "flagged, not thrown away")
    }

    @Test func laddersStepByAQuarter() {
        #expect(Ladder.connections(upTo: 7) == [1, 2, 3, 4, 5, 6, 7])
        #expect(Ladder.connections(upTo: 12).suffix(3) == [8, 10, 12])
        #expect(Ladder.steps(from: 8, to: 12, upTo: 32) == 2)
        #expect(Ladder.steps(from: 8, to: 8, upTo: 32) == 0)
        #expect(Ladder.roundedUp(rows: 501) == 1_000 && Ladder.roundedUp(rows: 1e9) == 50_000)
        #expect(Ladder.roundedDown(rows: 499) == 200 && Ladder.roundedDown(rows: 0.3) == 1)
    }

    @Test func theBatchKeepsToTheLatency() {
        var plan = BenchPlan()
        #expect(plan.rows(for: CostModel(fixed: 1e-3, perRow: 1e-5)) == 1_000)
        plan.latencyTarget = 0.005
        #expect(plan.rows(for: CostModel(fixed: 1e-3, perRow: 1e-5)) == 200, "400 rows in 5 ms")
        // The fixed part alone is over it: as many rows as double it.
        plan.latencyTarget = 0.001
        #expect(plan.rows(for: CostModel(fixed: 2e-3, perRow: 1e-5)) == 200)
        plan.rowsMax = 50
        #expect(plan.rows(for: CostModel(fixed: 2e-3, perRow: 1e-5)) == 50)
    }

    // MARK: Verdicts

    private func findings(_ body: (inout Sweep) -> Void, isInterrupted: Bool = false) -> Findings {
        var sweep = Sweep(BenchPlan(), connectionsMax: 4)
        body(&sweep)
        return Findings(sweep, isInterrupted: isInterrupted, ending: nil)
    }

    private func run(_ sweep: inout Sweep, _ rate: (Sweep.Step, Int) -> Double) {
        var count = 0
        while let step = sweep.next(elapsed: Double(count)) {
            let rate = rate(step, count)
            let each = max(1, Int(rate / Double(step.cell.connections)))
            let log = CommitLog(
                connections: (0..<step.cell.connections).map { _ in
                    (0..<each).map {
                        Commit(
                            begun: Int64(Double($0) / Double(each) * 1e9),
                            ended: Int64(Double($0 + 1) / Double(each) * 1e9),
                            rows: Int32(step.variesRows ? $0 % 50 + 1 : step.cell.rows))
                    }
                })
            sweep.take(Visit(step, at: 0, log: log, end: 1_000_000_000), of: step, log: log)
            count += 1
        }
    }

    @Test func aRunThatDriftsRecommendsNothing() {
        let steady = findings {
            run(&$0) { step, _ in 400 * Double(min(2, step.cell.connections)) }
        }
        #expect(steady.verdict == .found && steady.recommendation?.connections == 2)
        let drifting = findings {
            run(&$0) { step, count in
                400 * Double(min(2, step.cell.connections)) * (count < 15 ? 2 : 1)
            }
        }
        #expect(drifting.verdict == .unstable && drifting.recommendation == nil)
        #expect(drifting.reasons.contains { $0.hasPrefix("one and the same cell differed") })
    }

    @Test func anInterruptedRunIsPartial() {
        let findings = findings(
            { sweep in
                for _ in 0..<3 {
                    guard let step = sweep.next(elapsed: 0) else { return }
                    let visit = visit(500, connections: step.cell.connections, block: 0)
                    sweep.take(visit, of: step, log: CommitLog(connections: []))
                }
            }, isInterrupted: true)
        #expect(findings.verdict == .partial && findings.recommendation == nil)
        #expect(findings.reasons == ["it was interrupted"])
    }

    @Test func aCeilingIsToldFromAKnee() {
        let findings = findings { run(&$0) { step, _ in 300 * Double(step.cell.connections) } }
        #expect(findings.recommendation?.connections == 4)
        #expect(findings.recommendation?.isAtEnd == true)
    }
}
