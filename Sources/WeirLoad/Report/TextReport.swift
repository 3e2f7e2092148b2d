import WeirCore

/// A run on one page, for people. Thresholds first, then the modes side by side, then what is
/// wrong.
package struct TextReport {
    private let report: RunReport
    private let isColoured: Bool
    private var text = ""

    package static func text(_ report: RunReport, isColoured: Bool) -> String {
        var page = TextReport(report: report, isColoured: isColoured)
        page.write()
        return page.text
    }

    private init(report: RunReport, isColoured: Bool) {
        self.report = report
        self.isColoured = isColoured
    }

    private mutating func line(_ words: String = "") { text += words + "\n" }

    private func coloured(_ words: String, _ code: String) -> String {
        isColoured ? "\u{1B}[\(code)m\(words)\u{1B}[0m" : words
    }

    private func mark(_ isGood: Bool) -> String {
        isGood ? coloured("✓", "32") : coloured("✗", "1;31")
    }

    private mutating func write() {
        line(headline)
        if report.isInterrupted { line(coloured("INTERRUPTED: the figures are partial", "1;33")) }
        for remark in report.remarks { line("note: " + remark) }
        if !report.thresholds.isEmpty {
            line()
            line(
                "THRESHOLDS  "
                    + report.thresholds.map {
                        "\(mark($0.isKept)) \($0.text) (\($0.values.joined(separator: ", ")))"
                    }.joined(separator: "   "))
        }
        line()
        write([[""] + report.results.map { $0.mode.rawValue }] + Summary.rows(report))
        errors()
        phases()
        verdicts()
        audits()
    }

    private var headline: String {
        let plan = report.plan
        let phases = plan.phases.map { "\($0.name) \($0.duration.text)" }.joined(separator: " · ")
        var words = "weir load · \(plan.isClosed ? "closed loop" : "open loop") · \(phases) · "
        words += "\(plan.operation.rawValue) of \(plan.rowsPerCall) row"
        words += plan.rowsPerCall == 1 ? "" : "s"
        if plan.operation != .insert { words += " of \(plan.hotKeys) hot" }
        words += " · \(report.isScratch ? "scratch table" : report.table)"
        words += " · seed \(plan.seed)"
        if !plan.isClosed { words += " · schedule \(String(report.scheduleHash, radix: 16))" }
        if plan.isClosed {
            words += "\nclosed loop: a caller waits for its answer before its next call, so a slow "
            words += "server is asked less; latencies count from sending"
        }
        return words
    }

    // MARK: Tables

    private mutating func write(_ rows: [[String]]) {
        for row in TextTable.lines(rows) { line(row) }
    }

    // MARK: What went wrong

    private mutating func errors() {
        let codes = Set(report.results.flatMap { $0.total.errors.keys }).sorted()
        guard !codes.isEmpty else { return }
        line()
        line("NOT ACKNOWLEDGED, by SQLSTATE or code")
        write(
            codes.prefix(20).map { code in
                [code] + report.results.map { grouped($0.total.errors[code] ?? 0) }
            })
    }

    private mutating func phases() {
        guard report.plan.phases.count > 1 else { return }
        for result in report.results {
            line()
            line("PHASES, \(result.mode.rawValue)")
            var rows = [["", "calls", "not ack.", "response p50", "p99", "slowest"]]
            for (phase, tally) in zip(report.plan.phases, result.measured.tallies) {
                let response = tally.latency.response
                rows.append([
                    phase.name, grouped(tally.calls), grouped(tally.failed),
                    response.span(atPercentile: 50)?.text ?? "–",
                    response.span(atPercentile: 99)?.text ?? "–",
                    response.highestSpan?.text ?? "–",
                ])
            }
            write(rows)
        }
    }

    private mutating func verdicts() {
        for result in report.results where result.verdict.isVoid {
            line()
            line(
                coloured("VOID", "1;31")
                    + " \(result.mode.rawValue): these figures are the generator's own"
            )
            for reason in result.verdict.reasons { line("  " + reason) }
        }
    }

    private mutating func audits() {
        line()
        for result in report.results {
            guard let audit = result.audit else {
                line(
                    "AUDIT \(mark(false)) \(result.mode.rawValue): the table was not read back: "
                        + (result.auditFailure ?? ""))
                continue
            }
            var words =
                "AUDIT \(mark(result.breaches.isEmpty)) \(result.mode.rawValue): "
                + "\(grouped(audit.acknowledged)) acknowledged, \(grouped(audit.missing)) missing, "
                + "\(grouped(audit.twice)) twice, \(grouped(audit.unacknowledgedButPresent)) "
                + "unacknowledged but present"
            if audit.unknownPresent + audit.unknownAbsent > 0 {
                words +=
                    "; unknown and resolved: \(grouped(audit.unknownPresent)) present, "
                    + "\(grouped(audit.unknownAbsent)) absent"
            }
            line(words)
            for breach in result.breaches {
                line("  " + coloured("\(grouped(breach.count)) \(breach.name)", "1;31"))
            }
        }
    }
}
