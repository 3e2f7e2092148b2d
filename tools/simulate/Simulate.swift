import ArgumentParser
import WeirSimulation
import WeirTesting

/// Explores seeds of both simulators: docs/SIMULATION.md.
@main struct Simulate: AsyncParsableCommand {
    @Option(help: "How many seeds.")
    var seeds: UInt64 = 2_000

    @Option(help: "The first of them.")
    var first: UInt64 = 1

    @Option(help: "A mistake that is built in, to see whether a seed notices it.")
    var mutation: String?

    @Flag(help: "Only the core among scripted outcomes.")
    var core = false

    @Flag(help: "Only whole worlds.")
    var worlds = false

    @Flag(help: "Show what happened, event by event: for one seed.")
    var trace = false

    mutating func run() async throws {
        var mistake: Mutation?
        if let mutation {
            guard let known = Mutation(rawValue: mutation) else {
                let names = Mutation.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("no such mistake: \(mutation); there is \(names)")
            }
            mistake = known
        }
        if trace { return try show(mistake) }
        var failures: [String] = []
        if !worlds && mistake == nil {
            failures += (first..<first + seeds).lazy.compactMap { Simulator.run(seed: $0).failure }
                .prefix(5)
            print("core: \(seeds) seeds")
        }
        if !core {
            let outcome = await World.explore(first..<first + seeds, mutation: mistake)
            failures += outcome.failures.map(\.text)
            print("worlds: \(outcome.seedCount) seeds, \(outcome.stepCount) steps")
            for occurrence in Occurrence.allCases {
                print("  \(occurrence): \(outcome.occurrences[occurrence.rawValue])")
            }
        }
        for failure in failures { print(failure) }
        if !failures.isEmpty { throw ExitCode.failure }
    }

    private func show(_ mistake: Mutation?) throws {
        let report = World.run(seed: first, mutation: mistake, isTraced: true)
        for line in report.history { print(line) }
        print(report.failure ?? "all is well after \(report.steps) steps")
        if report.failure != nil { throw ExitCode.failure }
    }
}
