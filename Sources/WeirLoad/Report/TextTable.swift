/// Columns on a terminal, right-aligned and the first one left, and texts beside their titles.
enum TextTable {
    static func lines(_ rows: [[String]]) -> [String] {
        let count = rows.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in
            rows.map { $0.indices.contains(column) ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            var words = "  "
            for (column, cell) in row.enumerated() {
                let space = String(repeating: " ", count: widths[column] - cell.count)
                words += column == 0 ? cell + space : "   " + space + cell
            }
            return words
        }
    }

    private static let widthMax = 100

    /// A title and a text behind it, broken into lines.
    static func wrapped(_ title: String, _ text: String) -> [String] {
        let indent = 11
        var lines: [String] = []
        var line = title + String(repeating: " ", count: max(1, indent - title.count))
        for word in text.split(separator: " ") {
            if line.count + word.count + 1 > widthMax && line.count > indent {
                lines.append(line)
                line = String(repeating: " ", count: indent)
            }
            line += (line.count > indent ? " " : "") + word
        }
        return lines + [line]
    }
}
