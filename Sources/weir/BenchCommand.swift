import ArgumentParser
import Weir
import WeirConfig
import WeirCore
import WeirLoad
import WeirPostgres
import WeirRecord

/// `weir bench`: how many connections, and batches of how many rows?
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Find the right connections x batch size, and say how sure that is.",
        discussion: """
            EXAMPLES
              weir bench --embedded                                nothing to set up
              weir bench --db postgres:///app --table orders       a copy of your table, a minute
              weir bench --db postgres:///app --table orders --thorough --html bench.html
              weir bench --db postgres:///app --table orders --write weir.yaml
              weir bench --db postgres:///app --table orders --gateway 127.0.0.1:8432 --yes

            A scratch copy of the table is written and dropped. It begins only where others leave
            the server alone, opens half of the connections that are free, and writes no more WAL
            than --max-wal allows. What is recommended is the least number of connections that
            reaches 95 % of the best throughput with 95 % certainty; a run that was disturbed
            recommends nothing.

            EXIT CODES
              0 a recommendation   3 measured, but unstable or undecided: nothing is recommended
              69 database unreachable   75 others are at work on the server   78 table or privilege
              64 usage   130 interrupted   1 something else
            """)

    @Option(help: "The database, as libpq takes it. Default: PG* variables and DATABASE_URL.")
    var db: String?

    @Flag(help: "Start a private PostgreSQL for the run.")
    var embedded = false

    @Option(help: "The table that the scratch table is like. Default: one of the harness's own.")
    var table: String?

    @Flag(help: "Drive the database by libpq alone, as the gateway's writers do. The default.")
    var direct = false

    @Option(
        help: """
            Measure through a gateway that runs, host:port or unix:/path: callers are varied, its \
            connections are not. Needs --table and --yes.
            """)
    var gateway: String?

    @Flag(help: "With --gateway: insert into the real table, and remove the rows afterwards.")
    var yes = false

    @Option(name: [.customShort("z"), .long], help: "How long it measures. Default: 60s.")
    var duration: String?

    @Flag(help: "The same as -z 10m.")
    var thorough = false

    @Option(help: "The most connections that are tried; never more than half of those free.")
    var maxConnections = 32

    @Option(help: "The most rows of a batch that are tried.")
    var maxRows = 5_000

    @Option(help: "How long a recommended batch may take.")
    var latency = "50ms"

    @Option(help: "The most WAL that is written, such as 500MiB.")
    var maxWal = "8GiB"

    @Option(help: "Begin beside so many active backends of others.")
    var beside = 1.0

    @Option(help: "What the order of visits and the records are drawn from.")
    var seed: UInt64 = 42

    @Option(help: "Write the result as JSON to this file; - is standard output.")
    var json: String?

    @Option(help: "Write one self-contained page.")
    var html: String?

    @Option(
        help: "Write database.connections and batch.max_records to this file, and nothing else.")
    var write: String?

    @Flag(help: "No progress line.")
    var quiet = false

    func validate() throws {
        if embedded && db != nil { throw ValidationError("--embedded brings its own --db") }
        if thorough && duration != nil {
            throw ValidationError("--thorough is -z 10m: they exclude each other")
        }
        for (name, text) in [("-z", duration ?? "60s"), ("--latency", latency)]
        where Duration(configured: text) == nil {
            throw ValidationError("\(name) takes a duration such as 500ms, 60s or 10m")
        }
        guard byteCount(configured: maxWal) != nil else {
            throw ValidationError("--max-wal takes bytes such as 500MiB or 8GiB")
        }
        if gateway != nil && (direct || write != nil || embedded) {
            throw ValidationError(
                "--gateway measures a gateway as it runs: without --direct, --embedded or --write")
        }
        if gateway != nil && !(yes && table != nil) {
            throw ValidationError(
                "a gateway that runs exposes no scratch table: name one that it does, with --table "
                    + "and --yes")
        }
        if gateway == nil && yes {
            throw ValidationError("without --gateway only a scratch copy is written: no --yes")
        }
        if let problem = plan.problems.first { throw ValidationError(problem) }
    }

    var plan: BenchPlan {
        func seconds(_ text: String) -> Double {
            Duration(configured: text).map { Nanoseconds($0).seconds } ?? 0
        }
        var plan = BenchPlan()
        if let duration { plan.seconds = seconds(duration) }
        if thorough { plan.seconds = BenchPlan.thoroughSeconds }
        plan.seed = seed
        plan.connectionsMax = maxConnections
        plan.rowsMax = maxRows
        plan.latencyTarget = seconds(latency)
        plan.walBytesMax = byteCount(configured: maxWal) ?? 0
        plan.foreignMax = beside
        return plan
    }

    func run() async throws {
        try ResultFiles.check([json, html].compactMap { $0 })
        if let gateway { return try await runThrough(gateway) }
        let file = try write.map { try ConfigurationFile($0) }
        let control = BenchControl()
        let interrupt = InterruptOnce { control.interrupt() }
        defer { withExtendedLifetime(interrupt) {} }
        let server = embedded ? try await startPrivateServer("bench") : nil
        let outcome: Result<BenchReport, any Error>
        do {
            let run = BenchRun(try options(server?.conninfo), control: control)
            let line = StatusLine(isQuiet: quiet)
            outcome = .success(
                try await line.during(from: ()) { _ in
                    control.progress.map(Self.words)
                } do: {
                    try await run.run()
                })
        } catch {
            outcome = .failure(error)
        }
        await server?.remove()
        switch outcome {
        case .success(let report): try conclude(report, file)
        case .failure(let failure as BenchRun.Failure):
            complain(failure.reason)
            throw control.isInterrupted ? ExitCode.interrupted : ExitCode(failure.kind)
        case .failure(let error): throw error
        }
    }

    func parsedConninfo(_ text: String) throws -> Conninfo {
        do {
            return try Conninfo(
                text, statementTimeout: .seconds(30), lockTimeout: .seconds(10))
        } catch {
            complain("--db: \(error.reason)")
            throw ExitCode.configuration
        }
    }

    private func options(_ conninfo: String?) throws -> BenchRun.Options {
        let info = try parsedConninfo(conninfo ?? db ?? "")
        var options = BenchRun.Options(plan: plan, conninfo: info)
        options.table = table.map { TableName($0) }
        options.version = weirVersion
        return options
    }

    private static func words(_ progress: BenchControl.Progress) -> String {
        let left = max(0, progress.seconds - progress.elapsed)
        let cell = progress.cell
        return "\(progress.phase.rawValue): \(cell.connections) connections x \(cell.rows) rows · "
            + "before that \(grouped(Int(progress.rate)))/s · \(Int(left.rounded())) s left"
    }

    /// Results first, whatever they are; then what is wrong with them.
    private func conclude(_ report: BenchReport, _ file: ConfigurationFile?) throws {
        var files = ResultFiles()
        files.addPage(
            BenchText.text(report, isColoured: ResultFiles.isColoured), json: json,
            BenchJSON.text(report))
        if let html { files.add(html, BenchHTML.text(report)) }
        let written = Result { try files.write() }
        if let failure = report.failure {
            complain(failure.reason)
            throw report.isInterrupted ? ExitCode.interrupted : ExitCode(failure.kind)
        }
        try written.get()
        if report.isInterrupted { throw ExitCode.interrupted }
        guard let told = report.findings?.recommendation else { throw ExitCode.void }
        if let file {
            try file.write([
                ("database.connections", "\(told.connections)"),
                ("batch.max_records", "\(told.rows)"),
            ])
        }
    }
}
