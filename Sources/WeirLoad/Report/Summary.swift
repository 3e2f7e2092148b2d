import Histogram
import WeirCore

/// The figures of the modes, side by side: the page's and the terminal's one table.
enum Summary {
    /// A name and a value for each mode.
    static func rows(_ report: RunReport) -> [[String]] {
        var rows: [[String]] = []
        func row(_ name: String, _ value: (ModeResult) -> String) {
            rows.append([name] + report.results.map(value))
        }
        row("calls acknowledged/s") { grouped(Int($0.rate.rounded())) }
        row("rows/s") { grouped(Int(($0.rate * Double($0.rowsPerCall)).rounded())) }
        row("calls") { grouped($0.total.calls) }
        row("not acknowledged") {
            let share = $0.total.calls == 0 ? 0 : Double($0.total.failed) / Double($0.total.calls)
            return "\(grouped($0.total.failed)) (\(fixed(share * 100, 2)) %)"
        }
        rows += latency("response", report) { $0.response }
        rows += latency("service", report) { $0.service }
        row("generator lag p99") { $0.total.latency.lag.span(atPercentile: 99)?.text ?? "–" }
        if report.results.contains(where: { $0.total.latency.fanOut.totalCount > 0 }) {
            row("a burst is sent within, p99") {
                $0.total.latency.fanOut.span(atPercentile: 99)?.text ?? "–"
            }
        }
        row("deadlocks") { $0.deadlocks.map(grouped) ?? "n/a" }
        row("connections refused") { grouped($0.refusedConnections) }
        row("transactions") { $0.transactions.map(grouped) ?? "n/a" }
        row("rows per transaction") {
            guard let count = $0.transactions, count > 0 else { return "n/a" }
            return fixed(Double($0.rowsWritten) / Double(count), 2)
        }
        row("connections, peak") { grouped($0.connectionsPeak) }
        row("WAL bytes per row") {
            guard let bytes = $0.walBytes, $0.rowsWritten > 0 else { return "n/a" }
            return grouped(bytes / $0.rowsWritten)
        }
        row("PostgreSQL CPU per 1,000 rows") { processor($0.per1000Rows($0.databaseProcessor)) }
        if report.results.contains(where: { $0.middleProcessor != nil }) {
            row("gateway's or pooler's CPU") { processor($0.per1000Rows($0.middleProcessor)) }
        }
        if report.results.contains(where: { $0.killed > 0 }) {
            row("connections ended by force") { grouped($0.killed) }
        }
        if report.results.contains(where: { $0.recovery != nil }) {
            row("recovered after") {
                switch $0.recovery {
                case .after(let span): span.text
                case .never: "not in this run"
                case nil: "–"
                }
            }
        }
        return rows
    }

    private static func processor(_ milliseconds: Double?) -> String {
        milliseconds.map { fixed($0, 1) + " ms" } ?? "n/a"
    }

    private static func latency(
        _ name: String, _ report: RunReport,
        _ values: (LatencyRecorder) -> LatencyRecorder.Values
    ) -> [[String]] {
        var rows: [[String]] = []
        let most = report.results.map { values($0.total.latency).totalCount }.max() ?? 0
        for at in Percentiles.shown where most >= at.samplesMin && at.name != "p95" {
            rows.append(
                ["\(name) \(at.name)"]
                    + report.results.map {
                        let own = values($0.total.latency)
                        guard own.totalCount >= at.samplesMin else { return "–" }
                        return own.span(atPercentile: at.value)?.text ?? "–"
                    })
        }
        rows.append(
            ["\(name), slowest"]
                + report.results.map { values($0.total.latency).highestSpan?.text ?? "–" })
        return rows
    }
}
