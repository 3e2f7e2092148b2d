import Foundation
import Testing
import WeirTesting

/// Any history keeps the promises. `WEIR_SIMULATION_SEEDS` says how many histories,
/// `WEIR_SIMULATION_FIRST_SEED` where to begin; to see one again, name it and ask for one.
@Suite struct SimulationTests {
    @Test func everyHistoryKeepsThePromises() {
        let first = Self.setting("WEIR_SIMULATION_FIRST_SEED", otherwise: 1)
        let count = Self.setting("WEIR_SIMULATION_SEEDS", otherwise: 300)
        // A bug shows in many seeds; the first few tell as much as all of them.
        var failuresLeft = 5
        for seed in first..<first + count where failuresLeft > 0 {
            guard let failure = Simulator.run(seed: seed).failure else { continue }
            failuresLeft -= 1
            Issue.record(Comment(rawValue: Self.account(of: failure, seed: seed)))
        }
    }

    @Test func theHistoriesMeetEveryKindOfEvent() {
        var totals: [String: Int] = [:]
        for seed in UInt64(1)...200 {
            for kind in Mirror(reflecting: Simulator.run(seed: seed).occurrences).children {
                totals[kind.label ?? "", default: 0] += kind.value as? Int ?? 0
            }
        }
        #expect(totals.count > 20)
        #expect(totals.filter { $0.value == 0 }.keys.sorted() == [])
    }

    @Test(arguments: Simulator.Sabotage.allCases)
    func aBrokenPromiseIsReported(_ sabotage: Simulator.Sabotage) throws {
        let seeds = UInt64(1)...50
        let failures = seeds.compactMap { Simulator.run(seed: $0, sabotage: sabotage).failure }
        let failure = try #require(failures.first)
        #expect(failure.contains(/^seed \d+, step \d+:/))
    }

    @Test func aSeedIsAReproduction() {
        for seed in UInt64(1)...10 {
            let once = Simulator.run(seed: seed, isTraced: true)
            let again = Simulator.run(seed: seed, isTraced: true)
            #expect(once.history == again.history)
            #expect(!once.history.isEmpty)
        }
    }

    private static func setting(_ name: String, otherwise: UInt64) -> UInt64 {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) } ?? otherwise
    }

    private static func account(of failure: String, seed: UInt64) -> String {
        let tail = Simulator.run(seed: seed, isTraced: true).history.suffix(40)
        return """
            \(failure)
            Again: WEIR_SIMULATION_FIRST_SEED=\(seed) WEIR_SIMULATION_SEEDS=1 \
            swift test --filter SimulationTests
            \(tail.joined(separator: "\n"))
            """
    }
}
