import Foundation
import Testing
import WeirSimulation

/// Whatever goes wrong between callers, gateways and the database, what callers are told is true.
/// `WEIR_SIMULATION_SEEDS` says how many worlds, `WEIR_SIMULATION_FIRST_SEED` where to begin; to see
/// one again, name it and ask for one.
@Suite struct WorldTests {
    @Test func everyWorldKeepsThePromises() async {
        let first = Self.setting("WEIR_SIMULATION_FIRST_SEED", otherwise: 1)
        let count = Self.setting("WEIR_SIMULATION_SEEDS", otherwise: 2_000)
        let outcome = await World.explore(first..<first + count)
        for failure in outcome.failures {
            Issue.record(Comment(rawValue: Self.account(of: failure.text, seed: failure.seed)))
        }
        guard count >= 2_000, outcome.failures.isEmpty else { return }
        let missing = Occurrence.allCases.filter { outcome.occurrences[$0.rawValue] == 0 }
        #expect(missing.isEmpty, "no world has met these: \(missing)")
    }

    /// A message without an ID that the old primary has, of which its gateway was told by the new
    /// one that it was lost, and which a gateway of the old one then refuses.
    @Test func whatOnlyAServerHasThatWasReplacedIsNoLie() {
        #expect(World.run(seed: 91_663).failure == nil)
    }

    @Test func aSeedIsAReproduction() {
        for seed in UInt64(1)...10 {
            let once = World.run(seed: seed, isTraced: true)
            let again = World.run(seed: seed, isTraced: true)
            #expect(once.history == again.history)
            #expect(once.digest == again.digest)
        }
    }

    @Test(arguments: Mutation.allCases)
    func aMistakeInTheProtocolIsNoticed(_ mutation: Mutation) throws {
        let failures = (UInt64(1)...1_000).lazy.compactMap {
            World.run(seed: $0, mutation: mutation).failure
        }
        let failure = try #require(failures.first)
        #expect(failure.contains(/^seed \d+, step \d+:/))
    }

    private static func setting(_ name: String, otherwise: UInt64) -> UInt64 {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) } ?? otherwise
    }

    private static func account(of failure: String, seed: UInt64) -> String {
        let tail = World.run(seed: seed, isTraced: true).history.suffix(60)
        return """
            \(failure)
            Again: WEIR_SIMULATION_FIRST_SEED=\(seed) WEIR_SIMULATION_SEEDS=1 \
            swift test --filter WorldTests.everyWorld
            \(tail.joined(separator: "\n"))
            """
    }
}
