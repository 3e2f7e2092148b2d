/// The findings as text for people: the most severe first, wrapped, and the fix ready to be pasted.
package struct HumanReport {
    /// Columns of the terminal. Fixes are not wrapped: they are copied.
    private let width: Int
    private let isColoured: Bool

    package static let widthRange = 40...100

    package init(width: Int, isColoured: Bool) {
        self.width = min(max(width, Self.widthRange.lowerBound), Self.widthRange.upperBound)
        self.isColoured = isColoured
    }

    package func text(_ result: Examination.Result) -> String {
        let subject = result.subject
        var lines = wrapped(
            "\(subject.role) at database \(subject.database), PostgreSQL \(subject.version), "
                + count(subject.exposed.count, "table"), indent: 0)
        for finding in result.findings {
            lines.append("")
            lines.append(heading(finding))
            lines += wrapped(finding.what, indent: 2)
            lines += wrapped(finding.why, indent: 2)
            lines.append("  fix:")
            lines += finding.fix.split(separator: "\n").map { "    " + printable(String($0)) }
        }
        lines.append("")
        lines.append(summary(result.findings))
        return lines.joined(separator: "\n") + "\n"
    }

    private func heading(_ finding: Finding) -> String {
        let severity =
            switch finding.severity {
            case .error: colour("1;31", "error")
            case .warning: colour("1;33", "warning")
            case .note: colour("1;36", "note")
            }
        let object = "\(finding.object.kind.rawValue) \(finding.object.name)"
        return "\(severity)[\(finding.code)] " + colour("1", printable(object))
    }

    private func summary(_ findings: [Finding]) -> String {
        guard !findings.isEmpty else { return colour("1;32", "Nothing is amiss.") }
        return Finding.Severity.allCases.map { severity in
            count(findings.count { $0.severity == severity }, severity.rawValue)
        }.joined(separator: ", ")
    }

    private func count(_ number: Int, _ word: String) -> String {
        "\(number) \(word)\(number == 1 ? "" : "s")"
    }

    private func colour(_ code: String, _ text: String) -> String {
        isColoured ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }

    /// A word that is longer than a line stays whole.
    private func wrapped(_ text: String, indent: Int) -> [String] {
        let margin = String(repeating: " ", count: indent)
        var lines: [String] = []
        var line = ""
        for word in printable(text).split(separator: " ") {
            if !line.isEmpty && indent + line.count + 1 + word.count > width {
                lines.append(margin + line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        if !line.isEmpty { lines.append(margin + line) }
        return lines
    }

    /// A name in the database may hold anything; a terminal would obey its control characters.
    private func printable(_ text: String) -> String {
        String(
            text.unicodeScalars.map {
                $0.properties.generalCategory == .control ? "\u{FFFD}" : Character($0)
            })
    }
}
