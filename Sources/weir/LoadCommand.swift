import ArgumentParser
import Weir
import WeirConfig
import WeirCore
import WeirLoad
import WeirPostgres
import WeirRecord

/// `weir load`: what does the gateway change, and does it keep its word?
struct LoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Generate load, compare ways to the database, and audit every row.",
        discussion: """
            EXAMPLES
              weir load --embedded --compare direct,pgbouncer,gateway --shape bulk-edit
              weir load --db postgres:///app --rate 2000 -z 60s --threshold 'p99<50ms'
              weir load --db postgres:///app --table orders --op patch --hot-keys 50 -c 100 -z 30s
              weir load --db postgres:///app --table orders --from orders.ndjson --rate 500
              weir load --db postgres:///app --phases run.yaml --json result.json --html result.html
              weir load --gateway 127.0.0.1:8432 --db postgres:///app --table orders --yes

            With --rate, or without -c, the loop is open: calls are due by a schedule that is fixed
            in advance, and a latency counts from the moment its call was due. --rate is in total,
            not per worker. With -c the loop is closed: so many callers, each of which waits for its
            answer.

            A scratch table is written and dropped; --yes writes to the table itself, and removes
            what it wrote. At the end the table is read back: what was acknowledged has to be there,
            once, as it was sent.

            EXIT CODES
              0 done   3 void: the generator lagged, the figures are its own
              1 the audit failed, or something else   99 a threshold failed   130 interrupted
              69 database or gateway unreachable   78 the table, the file or a privilege   64 usage
            """)

    @Option(help: "The database, as libpq takes it. Default: PG* variables and DATABASE_URL.")
    var db: String?

    @Flag(help: "Start a private PostgreSQL for the run.")
    var embedded = false

    @Option(help: "A gateway that runs: host:port or unix:/path. Default: one is started.")
    var gateway: String?

    @Option(help: "The table that the scratch table is like; with --yes, the table to write.")
    var table: String?

    @Flag(help: "Write to the real table.")
    var yes = false

    @Option(help: "Insert the records of this NDJSON file, in turn. Default: records are made up.")
    var from: String?

    @Option(
        help: """
            Modes to compare, with commas between: direct (a connection per call), pool (of --pool \
            connections), pgbouncer, gateway. Default: gateway.
            """)
    var compare: String?

    @Option(
        help: """
            steady, spike, bulk-edit, duplicate-storm, poison, slow-db, kill or recover. Default: \
            steady.
            """)
    var shape: String?

    @Option(help: "A YAML file of phases, instead of --shape.")
    var phases: String?

    @Option(help: "insert, upsert or patch. Default: insert; patch for bulk-edit.")
    var op: String?

    @Option(help: "Rows that one call writes, all or none. Default: 1; 2 for bulk-edit.")
    var rowsPerCall: Int?

    @Option(help: "Rows that edits choose from.")
    var hotKeys = 50

    @Option(name: [.customShort("q"), .long], help: "Calls a second, in total. Default: 500.")
    var rate: Double?

    @Flag(help: "Equal distances between calls, instead of a Poisson process.")
    var constant = false

    @Option(name: [.customShort("c"), .long], help: "A closed loop of so many callers.")
    var clients: Int?

    @Option(name: [.customShort("n"), .long], help: "With -c: end after so many calls.")
    var requests: Int?

    @Option(name: [.customShort("z"), .long], help: "How long, such as 10s or 2m.")
    var duration = "10s"

    @Option(help: "Callers of one bulk edit.")
    var callers = 100

    @Option(help: "How often a bulk edit happens.")
    var every = "1s"

    @Option(help: "When a call is given up.")
    var timeout = "10s"

    @Flag(help: "Send an Idempotency-Key with every call.")
    var messageIDs = false

    @Option(help: "What the schedule and the records are drawn from.")
    var seed: UInt64 = 42

    @Option(help: "Connections that the generator may open.")
    var connections = 4_096

    @Option(help: "Threads that generate.")
    var threads = 1

    @Option(help: "Connections of the client pool, and of PgBouncer's.")
    var pool = 20

    @Option(help: "A pooler that runs, as libpq takes it. Default: PgBouncer is started.")
    var pooler: String?

    @Option(help: "Arguments for the gateway that is started, such as \"--connections 4\".")
    var gatewayArguments = ""

    @Option(
        help: "A bound, such as 'p99<50ms', 'failed<0.1%', 'gateway:rate>1000'. May be repeated.")
    var threshold: [String] = []

    @Option(help: "Write the result as JSON to this file; - is standard output.")
    var json: String?

    @Option(help: "Write PREFIX_stats.csv, PREFIX_history.csv and PREFIX_errors.csv.")
    var csv: String?

    @Option(help: "Write the response histograms in HdrHistogram's format.")
    var hgrm: String?

    @Option(help: "Write one self-contained page.")
    var html: String?

    @Flag(help: "No progress line.")
    var quiet = false

    func run() async throws {
        let thresholds = try parsedThresholds()
        let plan = try loadPlan()
        let modes = try parsedModes()
        let outputs = Outputs(json: json, csv: csv, hgrm: hgrm, html: html)
        try outputs.check()
        let control = LoadRun.Control()
        let interrupt = InterruptOnce { control.interrupt() }
        defer { withExtendedLifetime(interrupt) {} }
        let server = embedded ? try await startPrivateServer("load") : nil
        let outcome: Result<RunReport, any Error>
        do {
            var options = try options(plan, conninfo: server?.conninfo)
            options.modes = modes
            let run = LoadRun(options, control: control)
            let line = StatusLine(isQuiet: quiet)
            let progress = LoadProgress(control: control, plan: plan)
            outcome = .success(
                try await line.during(from: LoadProgress.Last(), progress.words) {
                    try await run.run()
                })
        } catch {
            outcome = .failure(error)
        }
        await server?.remove()
        switch outcome {
        case .success(var report):
            report.judge(thresholds)
            try outputs.write(report)
            try conclude(report)
        case .failure(let failure as LoadRun.Failure):
            complain(failure.reason)
            if control.isInterrupted { throw ExitCode.interrupted }
            throw ExitCode(failure.kind)
        case .failure(let error): throw error
        }
    }

    /// The gravest of what went wrong says how the command ends.
    private func conclude(_ report: RunReport) throws {
        if report.hasBreaches || !report.isAudited { throw ExitCode.failure }
        if report.isInterrupted { throw ExitCode.interrupted }
        if report.isVoid { throw ExitCode.void }
        if report.thresholds.contains(where: { !$0.isKept }) { throw ExitCode.threshold }
    }
}
