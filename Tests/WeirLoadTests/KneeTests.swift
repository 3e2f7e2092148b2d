import Testing
import WeirCore
import WeirLoad

/// The whole method on databases whose knee is known.
@Suite struct KneeTests {
    static let models = [
        ServiceModel(
            description: "four processors", delay: 0.001_5,
            stations: [.init(servers: 4, fixed: 0.001, perRow: 0.000_005)]),
        ServiceModel(
            description: "one log", delay: 0.002_5,
            stations: [
                .init(servers: 16, fixed: 0.001, perRow: 0.000_01),
                .init(servers: 1, fixed: 0.000_4, perRow: 0),
            ]),
        ServiceModel(
            description: "one lock", delay: 0.000_03,
            stations: [.init(servers: 1, fixed: 0.001_25, perRow: 0.000_012)]),
        ServiceModel(
            description: "a crowd that gets in its own way", delay: 0.001,
            stations: [.init(servers: 6, fixed: 0.001, perRow: 0.000_005)], crowd: (10, 0.03)),
        ServiceModel(
            description: "no knee below the limit", delay: 0.02,
            stations: [.init(servers: 64, fixed: 0.001, perRow: 0.000_005)]),
    ]

    /// Within one step of the truth in 19 of 20 runs, and the interval covers it in 18.
    @Test(arguments: models) func theKneeIsFound(_ model: ServiceModel) throws {
        var (near, covered, found, sizesNear) = (0, 0, 0, 0)
        var said: [String] = []
        for seed in 1...20 {
            var plan = BenchPlan()
            plan.seed = UInt64(seed)
            plan.connectionsMax = 32
            let sweep = model.benchmark(plan)
            let findings = Findings(sweep, isInterrupted: false, ending: nil)
            guard let told = findings.recommendation else {
                said.append("\(findings.verdict): \(findings.reasons)")
                continue
            }
            found += 1
            let truth = model.truth(rows: sweep.rows, upTo: 32)
            let steps = Ladder.steps(from: told.connections, to: truth, upTo: 32)
            if steps <= 1 { near += 1 }
            if told.interval.contains(truth) { covered += 1 }
            let cost = try #require(
                model.cost(
                    connections: told.connections,
                    sweep.heldRows(Cell(connections: told.connections, rows: sweep.rows))))
            if Ladder.rowSteps(from: told.rows, to: plan.rows(for: cost)) <= 1 { sizesNear += 1 }
            said.append("\(told.connections) of \(truth) in \(told.interval), \(told.rows) rows")
        }
        #expect(found >= 19, "\(said)")
        #expect(near >= 19, "\(said)")
        #expect(covered >= 18, "\(said)")
        #expect(sizesNear >= 19, "\(said)")
    }
}
