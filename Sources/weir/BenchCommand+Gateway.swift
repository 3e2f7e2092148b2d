import ArgumentParser
import Weir
import WeirLoad
import WeirRecord

// Through a gateway that runs: a closed loop with more and fewer callers.
extension BenchCommand {
    func runThrough(_ gateway: String) async throws {
        guard let address = ListenAddress(gateway) else {
            throw ValidationError("--gateway takes host:port or unix:/path")
        }
        let sweep = GatewaySweep(seconds: plan.seconds, seed: seed)
        var options = LoadRun.Options(
            plan: sweep.plan, database: db ?? "", conninfo: try parsedConninfo(db ?? ""))
        options.table = table.map { TableName($0) }
        options.usesRealTable = true
        options.gateway = address
        options.version = weirVersion
        let control = LoadRun.Control()
        let interrupt = InterruptOnce { control.interrupt() }
        defer { withExtendedLifetime(interrupt) {} }
        let line = StatusLine(isQuiet: quiet)
        let progress = LoadProgress(control: control, plan: sweep.plan)
        let report: RunReport
        do {
            let run = LoadRun(options, control: control)
            report = try await line.during(from: LoadProgress.Last(), progress.words) {
                try await run.run()
            }
        } catch let failure as LoadRun.Failure {
            complain(failure.reason)
            throw control.isInterrupted ? ExitCode.interrupted : ExitCode(failure.kind)
        }
        let findings = GatewayFindings(sweep, report)
        let words = GatewayWords(findings)
        var files = ResultFiles()
        files.addPage(
            words.text(isColoured: ResultFiles.isColoured), json: json, words.json)
        if let html { files.add(html, words.html) }
        try files.write()
        if report.hasBreaches || !report.isAudited { throw ExitCode.failure }
        if report.isInterrupted { throw ExitCode.interrupted }
        if !findings.isSound { throw ExitCode.void }
    }
}
