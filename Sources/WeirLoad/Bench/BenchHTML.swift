/// A benchmark as one page that needs nothing else.
package enum BenchHTML {
    package static func text(_ report: BenchReport) -> String {
        let words = BenchWords(report: report)
        var body = "<p>\(escaped(words.headline))</p>"
        let told = report.findings?.recommendation
        body += "<p class=\(told == nil ? "bad" : "good")>\(escaped(words.verdict))</p>"
        if let snippet = words.snippet { body += "<pre>\(escaped(snippet))</pre>" }
        if let findings = report.findings, let sweep = report.sweep, !findings.rows.isEmpty {
            body += "<div class=charts>" + charts(findings, told) + "</div>"
            body += table(findings, words, rows: sweep.rows)
        }
        body += "<dl>"
        for remark in words.remarks {
            body += "<dt>\(escaped(remark.title))</dt><dd>\(escaped(remark.text))</dd>"
        }
        return Page.html(title: "weir bench", body: body + "</dl>")
    }

    private static func table(_ findings: Findings, _ words: BenchWords, rows: Int) -> String {
        var html = "<h2>By connections, batches of \(grouped(rows)) rows</h2>"
        html += "<div class=scroll><table class=narrow><thead><tr><th></th>"
        html += BenchWords.columns.map { "<th>\(escaped($0))</th>" }.joined()
        html += "</tr></thead><tbody>"
        for row in findings.rows {
            let isTold = row.connections == findings.recommendation?.connections
            html += "<tr><th scope=row>\(isTold ? "▶ " : "")\(row.connections)</th>"
            html += words.row(row).map { "<td>\(escaped($0))</td>" }.joined() + "</tr>"
        }
        return html + "</tbody></table></div>"
    }

    private static func charts(
        _ findings: Findings, _ told: Findings.Recommendation?
    ) -> String {
        let counts = findings.rows.map(\.connections)
        guard counts.count > 1 else { return "" }
        var rates = Chart(title: "Rows a second by connections, with 95 %", x: .counts(counts))
        rates.lines = [findings.rows.map { (Double($0.connections), $0.rate.value) }]
        rates.spans = findings.rows.map { (Double($0.connections), $0.rate.low, $0.rate.high) }
        var names = ["measured"]
        if let scalability = findings.scalability {
            rates.lines.append(
                counts.map { (Double($0), scalability.rate(connections: $0)) })
            names.append("Universal Scalability Law")
        }
        var times = Chart(
            title: "Batch time by connections, ms", x: .counts(counts), isLogY: true)
        times.lines = [
            findings.rows.map { (Double($0.connections), max($0.p50 * 1e3, 0.001)) },
            findings.rows.map { (Double($0.connections), max($0.p99 * 1e3, 0.001)) },
        ]
        if let told {
            rates.marks = [(Double(told.connections), "\(told.connections)")]
            times.marks = rates.marks
        }
        return rates.html(names: names) + times.html(names: ["p50", "p99"])
    }
}
