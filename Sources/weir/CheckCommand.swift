import ArgumentParser
import Weir
import WeirCheck
import WeirConfig
import WeirPostgres
import WeirRecord

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif
#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// `weir check`: what is wrong between this gateway, this role and this database?
struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Examine a database, a role and tables; say what is amiss and how to mend it.",
        discussion: """
            EXAMPLES
              weir check --db postgres:///app --tables orders,customers
              weir check --db "host=db user=weir" --tables orders --connections 16
              weir check --tables orders --json | jq '.findings[].code'

            Nothing is written, and findings hold no row data.

            EXIT CODES
              0 no error was found   78 an error was found
              69 the database cannot be reached   64 usage
            """)

    @Option(help: "The database, as libpq takes it. Default: PG* variables and DATABASE_URL.")
    var db: String?

    @Option(help: "Tables that are to be written: name or schema.name, with commas between.")
    var tables: String

    @Option(help: "Connections that the gateway is to have. Default: derived, as in serve.")
    var connections: Int?

    @Option(help: "As in serve; with off the gateway's own tables are not looked at.")
    var replayWindow: String?

    @Flag(help: "As JSON.")
    var json = false

    func validate() throws {
        if let connections, !(1...1_000).contains(connections) {
            throw ValidationError("--connections takes a number from 1 to 1000")
        }
        let names = tableNames
        guard !names.isEmpty, Set(names).count == names.count else {
            throw ValidationError("--tables takes each table once, with commas between")
        }
    }

    func run() async throws {
        let examination = Examination(
            try conninfo(), tables: tableNames, connections: connections,
            isReplaying: try replay() != .off)
        let result: Examination.Result
        do {
            result = try await examination.run()
        } catch {
            complain("the database cannot be examined: \(error.reason)")
            throw ExitCode.unreachable
        }
        print(
            json ? JSONReport.text(result) : Self.report.text(result), terminator: "")
        if result.hasErrors { throw ExitCode.configuration }
    }

    /// As `weir serve` reads it.
    private func replay() throws -> ReplaySetting {
        var input = ConfigurationInput()
        let variable = ProcessInfo.processInfo.environment["WEIR_REPLAY_WINDOW"]
        input.environment = ["WEIR_REPLAY_WINDOW": variable].compactMapValues { $0 }
        input.flags = ["--replay-window": replayWindow].compactMapValues { $0 }
        do throws(ConfigurationError) {
            return try EffectiveConfiguration(input).configuration.replay.window
        } catch {
            for problem in error.problems { complain("\(problem)") }
            throw error.isUsageOnly ? ExitCode.validationFailure : ExitCode.configuration
        }
    }

    private var tableNames: [TableName] {
        tables.split(separator: ",").map { $0.filter { $0 != " " } }
            .filter { !$0.isEmpty }.map { TableName(String($0)) }
    }

    /// With the timeouts that `weir serve` has.
    private func conninfo() throws -> Conninfo {
        do {
            return try Conninfo(
                db ?? "", statementTimeout: .seconds(10), lockTimeout: .seconds(2))
        } catch {
            complain("--db: \(error.reason)")
            throw ExitCode.configuration
        }
    }

    /// As wide as the terminal; plain where there is none, or where NO_COLOR is set and not empty.
    private static var report: HumanReport {
        let isTerminal = isatty(STDOUT_FILENO) == 1
        let refusesColour = getenv("NO_COLOR").map { $0.pointee != 0 } ?? false
        var size = winsize()
        let isKnown =
            isTerminal && ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        return HumanReport(
            width: isKnown ? Int(size.ws_col) : 80, isColoured: isTerminal && !refusesColour)
    }
}
