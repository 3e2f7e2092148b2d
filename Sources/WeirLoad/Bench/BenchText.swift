/// A benchmark on one page, for people: what to do first, then the curve, then why to believe it.
package enum BenchText {
    package static func text(_ report: BenchReport, isColoured: Bool) -> String {
        let words = BenchWords(report: report)
        func coloured(_ text: String, _ code: String) -> String {
            isColoured ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
        }
        var lines = ["weir bench · " + words.headline, ""]
        let told = report.findings?.recommendation
        lines.append(coloured(words.verdict, told == nil ? "1;33" : "1;32"))
        if let findings = report.findings, let sweep = report.sweep, !findings.rows.isEmpty {
            lines.append("")
            var rows = [
                ["conns", "×\(grouped(sweep.rows)) rows"]
                    + BenchWords.columns
            ]
            for row in findings.rows {
                let mark = row.connections == told?.connections ? "▶ " : "  "
                rows.append([mark + "\(row.connections)", bar(row.share)] + words.row(row))
            }
            lines += leftAligned(rows)
        }
        lines.append("")
        lines += words.remarks.flatMap { TextTable.wrapped($0.title, $0.text) }
        if let snippet = words.snippet {
            lines.append("")
            lines += snippet.split(separator: "\n").map { "  " + $0 }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Ten signs for the whole, with eighths.
    private static func bar(_ share: Double) -> String {
        let eighths = Int((min(max(share, 0), 1) * 80).rounded())
        let parts = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
        return String(repeating: "█", count: eighths / 8) + parts[eighths % 8]
    }

    /// Bars and waits begin where their column does.
    private static func leftAligned(_ rows: [[String]]) -> [String] {
        let width = rows.map { $0[1].count }.max() ?? 0
        let waits = rows.map { $0[$0.count - 1].count }.max() ?? 0
        return TextTable.lines(
            rows.map { row in
                var row = row
                row[1] += String(repeating: " ", count: width - row[1].count)
                let last = row.count - 1
                row[last] += String(repeating: " ", count: waits - row[last].count)
                return row
            }
        ).map { line in
            var line = line
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}
