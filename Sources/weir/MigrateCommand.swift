import ArgumentParser
import Weir
import WeirMigrations
import WeirPostgres

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// `weir migrate`: are the gateway's own tables there, and as this program needs them?
struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Create or update the gateway's own tables, in schema weir.",
        discussion: """
            EXAMPLES
              weir migrate --db postgres:///app
              weir migrate --db "host=db dbname=app user=owner" --grant-to weir_writer
              weir migrate --status
              weir migrate --dry-run --grant-to weir_writer | psql -v ON_ERROR_STOP=1 app

            Running it again does nothing, and two at a time do it once. Tables of your own are not
            touched. The role that runs this owns the tables; the gateway's role needs only what
            --grant-to gives it.

            EXIT CODES
              0 done, or nothing to do   1 with --status: something is pending
              64 usage   69 the database cannot be reached
              75 somebody holds a lock: try again   78 the role or the database has to be changed
            """)

    @Option(
        help: """
            The database, as libpq takes it. Default: WEIR_DATABASE_URL, then PG* variables and \
            DATABASE_URL.
            """)
    var db: String?

    @Flag(help: "Print the SQL that would be run, and run nothing.")
    var dryRun = false

    @Flag(help: "Say what is applied and what is pending, and change nothing.")
    var status = false

    @Option(help: "Grant this role what a gateway needs, and nothing more.")
    var grantTo: String?

    @Flag(help: "As JSON.")
    var json = false

    func validate() throws {
        if status && (dryRun || grantTo != nil) {
            throw ValidationError("--status goes with neither --dry-run nor --grant-to")
        }
        if grantTo?.isEmpty == true { throw ValidationError("--grant-to takes a role's name") }
    }

    func run() async throws {
        let migrator = Migrator(try conninfo(), version: weirVersion)
        let report: Migrator.Report
        var script: String?
        do {
            if status {
                report = try await migrator.status()
            } else if dryRun {
                (report, script) = try await migrator.script(grantTo: grantTo)
            } else {
                report = try await migrator.migrate(grantTo: grantTo)
            }
        } catch {
            complain(error.reason)
            throw error.exitCode
        }
        for notice in report.plan.notices { complain(notice) }
        let text = MigrateReport(report, script: script, isStatus: status)
        print(json ? text.json : text.human, terminator: "")
        if status && !report.plan.pending.isEmpty { throw ExitCode.failure }
    }

    private func conninfo() throws -> Conninfo {
        let environment = ProcessInfo.processInfo.environment
        let variable = environment["WEIR_DATABASE_URL"] ?? ""
        let file = environment["WEIR_DATABASE_PASSWORD_FILE"] ?? ""
        do {
            return try Conninfo(
                db ?? variable, passwordFile: file.isEmpty ? nil : file,
                mayHoldPassword: db == nil, statementTimeout: .seconds(10),
                lockTimeout: .seconds(2))
        } catch {
            complain((db == nil ? "" : "--db: ") + error.reason)
            throw ExitCode.configuration
        }
    }
}

extension Migrator.Failure {
    /// As the command line's contract has it.
    var exitCode: ExitCode {
        switch kind {
        case .unreachable: .unreachable
        case .temporary: .temporary
        case .unfit: .configuration
        }
    }
}
