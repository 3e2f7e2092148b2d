import ArgumentParser
import Weir
import WeirCore
import WeirLoad

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

// What a run shows while it goes on, and where its results go.
extension LoadCommand {
    /// Where results go, besides the page on standard output.
    struct Outputs {
        var json: String?
        var csv: String?
        var hgrm: String?
        var html: String?

        private var paths: [String?] { [json, csv.map { $0 + "_stats.csv" }, hgrm, html] }

        /// - Throws: exit code 78, before the run, when one cannot be written.
        func check() throws { try ResultFiles.check(paths.compactMap { $0 }) }

        /// - Throws: exit code 1 when one cannot be written; all others are.
        func write(_ report: RunReport) throws {
            var files = ResultFiles()
            files.addPage(
                TextReport.text(report, isColoured: ResultFiles.isColoured), json: json,
                JSONReport.text(report))
            if let csv {
                for (name, text) in [
                    ("stats", CSVReport.stats(report)), ("history", CSVReport.history(report)),
                    ("errors", CSVReport.errors(report)),
                ] {
                    files.add("\(csv)_\(name).csv", text)
                }
            }
            if let hgrm { files.add(hgrm, CSVReport.distributions(report)) }
            if let html { files.add(html, HTMLReport.text(report)) }
            try files.write()
        }
    }
}

/// How far a run is, in one line.
struct LoadProgress: Sendable {
    let control: LoadRun.Control
    let plan: LoadPlan

    /// What the line before was told from.
    struct Last: Sendable {
        var figures = Progress.Figures()
        var time = SystemTime().now
    }

    func words(_ last: inout Last) -> String? {
        guard let (mode, job) = control.current, job.hasBegun else { return nil }
        let now = SystemTime().now
        let figures = job.progress.figures
        if figures.sent < last.figures.sent { last.figures = .init() }
        let seconds = (now - last.time).seconds
        let rate = Double(figures.acknowledged - last.figures.acknowledged) / max(seconds, 0.001)
        let left = plan.duration.seconds - (now - job.start).seconds
        last = Last(figures: figures, time: now)
        return "\(mode.rawValue): \(grouped(Int(max(rate, 0))))/s · p99 "
            + "\(Nanoseconds(Int64(clamping: figures.p99)).text) · "
            + "\(grouped(figures.failed)) not acknowledged · \(figures.inFlight) in flight · "
            + "\(max(0, Int(left.rounded()))) s left"
    }
}
