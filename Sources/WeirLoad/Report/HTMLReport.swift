import Histogram
import WeirCore

/// A run as one page that needs nothing else: no script, no font, no picture from elsewhere.
package struct HTMLReport {
    private let report: RunReport
    private var page = ""

    package static func text(_ report: RunReport) -> String {
        var html = HTMLReport(report: report)
        html.write()
        return Page.html(title: "weir load", body: html.page)
    }

    private init(report: RunReport) {
        self.report = report
    }

    private mutating func put(_ text: String) { page += text + "\n" }

    private mutating func write() {
        head()
        comparison()
        charts()
        audits()
    }

    // MARK: Words

    private mutating func head() {
        let plan = report.plan
        let phases = plan.phases.map { "\($0.name) \($0.duration.text)" }.joined(separator: " · ")
        put(
            "<p>\(escaped(phases)) · \(plan.isClosed ? "closed" : "open") loop · "
                + "\(plan.operation.rawValue) of \(plan.rowsPerCall) · PostgreSQL "
                + "\(escaped(report.serverVersion)) · seed \(plan.seed) · schedule "
                + "<code>\(String(report.scheduleHash, radix: 16))</code></p>")
        if report.isInterrupted { put("<p class=bad>Interrupted: the figures are partial.</p>") }
        for remark in report.remarks { put("<p>\(escaped(remark))</p>") }
        for threshold in report.thresholds {
            let mark = threshold.isKept ? "good\">✓ kept" : "bad\">✗ failed"
            put(
                "<p class=\"\(mark): <code>\(escaped(threshold.text))</code> "
                    + "(\(escaped(threshold.values.joined(separator: ", "))))</p>")
        }
        for result in report.results where result.verdict.isVoid {
            put(
                "<p class=bad>Void, \(result.mode.rawValue): "
                    + escaped(result.verdict.reasons.joined(separator: "; ")) + "</p>")
        }
    }

    private mutating func comparison() {
        put("<div class=scroll><table><thead><tr><th></th>")
        for (index, result) in report.results.enumerated() {
            put("<th><i class=k\(index)></i>\(result.mode.rawValue)</th>")
        }
        put("</tr></thead><tbody>")
        for row in Summary.rows(report) {
            put(
                "<tr><th scope=row>\(escaped(row[0]))</th>"
                    + row.dropFirst().map { "<td>\(escaped($0))</td>" }.joined() + "</tr>")
        }
        put("</tbody></table></div>")
    }

    private mutating func audits() {
        put("<h2>Audit: the table read back</h2>")
        for result in report.results {
            guard let audit = result.audit else {
                put(
                    "<p class=bad>\(result.mode.rawValue): "
                        + "\(escaped(result.auditFailure ?? "not read"))</p>")
                continue
            }
            let isGood = result.breaches.isEmpty
            let words = [
                "\(grouped(audit.acknowledged)) acknowledged", "\(grouped(audit.missing)) missing",
                "\(grouped(audit.twice)) twice",
                "\(grouped(audit.unacknowledgedButPresent)) unacknowledged but present",
                "unknown and resolved: \(grouped(audit.unknownPresent)) present and "
                    + "\(grouped(audit.unknownAbsent)) absent",
            ]
            put(
                "<p class=\(isGood ? "good" : "bad")>\(isGood ? "✓" : "✗") "
                    + "\(result.mode.rawValue): \(words.joined(separator: ", "))</p>")
            for breach in result.breaches {
                put("<p class=bad>\(grouped(breach.count)) \(escaped(breach.name))</p>")
            }
        }
    }

    // MARK: Charts

    private mutating func charts() {
        let results = report.results
        var percentiles = Chart(title: "Response by percentile, ms", x: .percentile, isLogY: true)
        var service = Chart(title: "Service by percentile, ms", x: .percentile, isLogY: true)
        var rates = Chart(title: "Acknowledged calls a second", x: .seconds)
        var p99 = Chart(title: "Response p99 over time, ms", x: .seconds, isLogY: true)
        var connections = Chart(title: "Connections to the database", x: .seconds)
        var batches = Chart(title: "Records in batches of at most so many, %", x: .size)
        for result in results {
            let latency = result.total.latency
            percentiles.lines.append(Self.distribution(latency.response))
            service.lines.append(Self.distribution(latency.service))
            let series = result.measured.series
            let width = series.width.seconds
            rates.lines.append(
                series.used.enumerated().map {
                    (Double($0) * width, Double($1.acknowledged) / width)
                })
            p99.lines.append(
                series.used.enumerated().compactMap { index, bin in
                    bin.response.map {
                        (Double(index) * width, Double($0.valueAtPercentile(99)) / 1e6)
                    }
                })
            let every = ModeResult.connectionsEvery.seconds
            connections.lines.append(
                result.connections.enumerated().map { (Double($0) * every, Double($1)) })
            let sizes = result.total.batchSizes.sorted { $0.key < $1.key }
            let all = Double(max(1, sizes.reduce(0) { $0 + $1.value }))
            var sum = 0
            batches.lines.append(
                sizes.map {
                    sum += $0.value
                    return (Double($0.key), Double(sum) / all * 100)
                })
        }
        var start = 0.0
        for phase in report.plan.phases where report.plan.phases.count > 1 {
            rates.marks.append((start, phase.name))
            p99.marks.append((start, phase.name))
            connections.marks.append((start, phase.name))
            start += phase.duration.seconds
        }
        put("<div class=charts>")
        for chart in [percentiles, service, rates, p99, batches, connections]
        where chart.lines.contains(where: { !$0.isEmpty }) {
            put(chart.html(names: results.map { $0.mode.rawValue }))
        }
        put("</div>")
    }

    /// 1/(1-percentile), as HdrHistogram's plots have it, against milliseconds.
    private static func distribution(
        _ values: LatencyRecorder.Values
    ) -> [(Double, Double)] {
        guard values.totalCount > 0 else { return [] }
        var points: [(Double, Double)] = []
        for value in values.percentiles(ticksPerHalfDistance: 5) {
            let rest = 1 - value.percentileLevelIteratedTo / 100
            // Beyond one sample there is nothing to draw.
            guard rest * Double(values.totalCount) >= 0.5 else { break }
            points.append((1 / rest, max(Double(value.value) / 1e6, 0.001)))
        }
        return points
    }
}
