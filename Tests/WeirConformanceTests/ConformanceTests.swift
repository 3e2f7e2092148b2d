import Foundation
import Synchronization
import Testing
import WeirPostgres
import WeirTesting

/// The model server, on which the simulator stands, and PostgreSQL show the same in the same
/// scenarios, and both show what the scenario says.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ConformanceTests {
    /// Scripts that seeds make; `WEIR_CONFORMANCE_SEEDS` asks for more.
    private static let seeds =
        ProcessInfo.processInfo.environment["WEIR_CONFORMANCE_SEEDS"].flatMap { Int($0) } ?? 40

    @Test(arguments: Scenario.all + Scenario.crashes)
    func theModelKeepsToTheScript(_ scenario: Scenario) {
        #expect(ModelRunner.run(scenario) == scenario.expectation)
    }

    @Test func postgresKeepsToTheScripts() async throws {
        var configuration = EmbeddedServer.Configuration(
            directory: NSTemporaryDirectory()
                + "weir-conformance-\(ProcessInfo.processInfo.processIdentifier)")
        configuration.isDurable = false
        // Only the sessions that are to wait for a standby do.
        configuration.settings = ["autovacuum": "off", "synchronous_commit": "local"]
        let server = try await EmbeddedServer.start(configuration)
        do {
            var failuresLeft = 3
            let runner = try ServerRunner(server, configuration)
            let random = (1...Self.seeds).map { Scenario.random(seed: UInt64($0)) }
            for scenario in Scenario.all + random + Scenario.crashes {
                let shown = try await runner.run(scenario)
                for (line, wanted) in zip(shown, scenario.expectation) where line != wanted {
                    Issue.record(Comment(rawValue: Self.account(scenario, shown, line, wanted)))
                    failuresLeft -= 1
                    break
                }
                #expect(shown.count == scenario.expectation.count)
                if failuresLeft == 0 { break }
            }
        } catch {
            await server.remove()
            throw error
        }
        await server.remove()
    }

    private static func account(
        _ scenario: Scenario, _ shown: [String], _ line: String, _ wanted: String
    ) -> String {
        """
        \(scenario.name): PostgreSQL shows "\(line)", and the script has "\(wanted)"
        \(scenario.steps.map(\.text).joined(separator: "\n"))
        \(shown.joined(separator: "\n"))
        """
    }

    @Test func scenariosHaveNamesOfTheirOwn() {
        let names = (Scenario.all + Scenario.crashes).map(\.name)
        #expect(names.count == Set(names).count)
    }
}
