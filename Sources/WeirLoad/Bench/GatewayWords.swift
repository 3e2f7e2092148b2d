import WeirCore

/// A benchmark through a gateway, for people and for programs.
package struct GatewayWords {
    private let findings: GatewayFindings
    private var report: RunReport { findings.report }

    package init(_ findings: GatewayFindings) { self.findings = findings }

    private var headline: String {
        "through a gateway that runs · inserts into \(report.table) · PostgreSQL "
            + "\(report.serverVersion) · \(fixed(findings.seconds, 0)) s · seed \(report.plan.seed)"
    }

    private var verdict: String {
        if report.isInterrupted { return "PARTIAL: ended before it was done" }
        if findings.drift.isUnstable {
            return "UNSTABLE: \(fixed(findings.drift.change * 100, 0)) % between the rounds"
        }
        guard let decision = findings.decision, let callers = decision.connections,
            let row = findings.rows.first(where: { $0.callers == callers })
        else { return "UNDECIDED: visits differ too much" }
        let range =
            decision.interval.count > 1
            ? " (\(decision.interval.lowerBound) to \(decision.interval.upperBound))" : ""
        return "full from \(callers) callers on\(range): \(grouped(Int(row.rate.value))) calls/s"
            + (decision.isAtEnd ? ", still rising" : "")
    }

    private var remarks: [(title: String, text: String)] {
        var list: [(String, String)] = []
        list.append(
            (
                "varied",
                "callers, each of whom waits for its answer. The gateway's connections and batches "
                    + "are as it was started: they cannot be varied from outside. weir bench "
                    + "without --gateway varies them against the database"
            ))
        let result = report.results.first
        if let peak = result?.connectionsPeak {
            list.append(("database", "at most \(peak) connections to it, others' included"))
        }
        list.append(
            (
                "checks",
                "drift \(fixed(findings.drift.change * 100, 0)) % · visits differ by "
                    + "\(fixed(findings.noise * 100, 1)) %"
                    + (result.map { $0.verdict.isVoid ? " · VOID: " : " · the generator kept up" }
                        ?? "")
                    + (result?.verdict.reasons.joined(separator: "; ") ?? "")
            ))
        list.append(("audit", audit(result)))
        return list
    }

    private func audit(_ result: ModeResult?) -> String {
        guard let result, let audit = result.audit else {
            return "the table was not read back: \(result?.auditFailure ?? "nothing was sent")"
        }
        let breaches = result.breaches.map { "\(grouped($0.count)) \($0.name)" }
        return "\(grouped(audit.acknowledged)) acknowledged, "
            + (breaches.isEmpty ? "each found once" : breaches.joined(separator: ", "))
    }

    private static let columns = [
        "calls/s", "95 %", "of best", "surely", "call p50 / p99", "records a batch", "failed",
    ]

    private func cells(_ row: GatewayFindings.Row) -> [String] {
        func span(_ seconds: Double) -> String { Nanoseconds(Int64(seconds * 1e9)).text }
        return [
            grouped(Int(row.rate.value.rounded())),
            "\(grouped(Int(row.rate.low.rounded())))–\(grouped(Int(row.rate.high.rounded())))",
            "\(fixed(row.share * 100, 0)) %", "≥ \(fixed(row.lowerShare * 100, 0)) %",
            "\(span(row.p50)) / \(span(row.p99))",
            row.batchRecords.map { fixed($0, 1) } ?? "n/a", grouped(row.failed),
        ]
    }

    package func text(isColoured: Bool) -> String {
        func coloured(_ text: String, _ code: String) -> String {
            isColoured ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
        }
        var lines = ["weir bench · " + headline, ""]
        lines += [coloured(verdict, findings.isSound ? "1;32" : "1;33"), ""]
        let rows =
            [["callers"] + Self.columns]
            + findings.rows.map { row in
                let isKnee = row.callers == findings.decision?.connections
                return [(isKnee ? "▶ " : "  ") + "\(row.callers)"] + cells(row)
            }
        lines += TextTable.lines(rows) + [""]
        lines += remarks.flatMap { TextTable.wrapped($0.title, $0.text) }
        return lines.joined(separator: "\n") + "\n"
    }

    package var html: String {
        var body = "<p>\(escaped(headline))</p>"
        body += "<p class=\(findings.isSound ? "good" : "bad")>\(escaped(verdict))</p>"
        let counts = findings.rows.map(\.callers)
        if counts.count > 1 {
            var rates = Chart(title: "Calls a second by callers, with 95 %", x: .counts(counts))
            rates.lines = [findings.rows.map { (Double($0.callers), $0.rate.value) }]
            rates.spans = findings.rows.map { (Double($0.callers), $0.rate.low, $0.rate.high) }
            var times = Chart(title: "Call by callers, ms", x: .counts(counts), isLogY: true)
            times.lines = [
                findings.rows.map { (Double($0.callers), max($0.p50 * 1e3, 0.001)) },
                findings.rows.map { (Double($0.callers), max($0.p99 * 1e3, 0.001)) },
            ]
            body += "<div class=charts>" + rates.html(names: ["measured"])
            body += times.html(names: ["p50", "p99"]) + "</div>"
        }
        body += "<div class=scroll><table><thead><tr><th>callers</th>"
        body += Self.columns.map { "<th>\(escaped($0))</th>" }.joined() + "</tr></thead><tbody>"
        for row in findings.rows {
            body += "<tr><th scope=row>\(row.callers)</th>"
            body += cells(row).map { "<td>\(escaped($0))</td>" }.joined() + "</tr>"
        }
        body += "</tbody></table></div><dl>"
        for remark in remarks {
            body += "<dt>\(escaped(remark.title))</dt><dd>\(escaped(remark.text))</dd>"
        }
        return Page.html(title: "weir bench", body: body + "</dl>")
    }

    package var json: String {
        let decision = findings.decision
        let result = report.results.first
        return JSON.object([
            ("schema_version", .int(BenchJSON.schemaVersion)), ("weir", .string(report.version)),
            ("started_unix", .int(Int(report.startedUnixSeconds))), ("through", .string("gateway")),
            ("sound", .bool(findings.isSound)), ("interrupted", .bool(report.isInterrupted)),
            ("table", .string(report.table)), ("callers", JSON(decision?.connections)),
            ("callers_low", JSON(decision?.interval.lowerBound)),
            ("callers_high", JSON(decision?.interval.upperBound)),
            ("drift", .number(findings.drift.change)),
            ("noise_between_visits", .number(findings.noise)),
            ("honest", JSON.bool(result?.audit != nil && result?.breaches.isEmpty == true)),
            (
                "by_callers",
                .array(
                    findings.rows.map { row in
                        .object([
                            ("callers", .int(row.callers)),
                            ("calls_per_s", BenchJSON.interval(row.rate)),
                            ("share", .number(row.share)), ("p50_ms", .number(row.p50 * 1e3)),
                            ("p99_ms", .number(row.p99 * 1e3)),
                            ("records_per_batch", JSON(row.batchRecords)),
                            ("failed", .int(row.failed)),
                        ])
                    })
            ),
        ]).text + "\n"
    }
}
