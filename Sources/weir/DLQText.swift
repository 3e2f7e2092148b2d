import ArgumentParser
import WeirRecord

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

// What `weir dlq` says of what the gateway answered, for people.

/// Members of an answer. What is missing is empty.
struct Fields {
    private let members: JSONMembers

    init(_ bytes: [UInt8]) {
        members = (try? JSONMembers(bytes)) ?? JSONMembers()
    }

    func has(_ name: String) -> Bool { members[name] != nil }

    /// A string's text, and any other value as it was written.
    func text(_ name: String) -> String { members[name].map(Self.text) ?? "" }

    private static func text(_ value: [UInt8]) -> String {
        (try? JSONScalar.text(value)) ?? String(decoding: value, as: UTF8.self)
    }

    func object(_ name: String) -> Fields { Fields(members[name] ?? []) }

    func items(_ name: String) -> [Fields] {
        let elements = members[name].flatMap { try? JSONScalar.elements($0) }
        return elements?.map(Fields.init) ?? []
    }

    /// What a letter met: a constraint or a column.
    var place: String { has("constraint") ? text("constraint") : text("column") }

    /// One line for each member.
    var lines: String {
        let width = members.all.map(\.name.count).max() ?? 0
        return members.all.map { member in
            let space = String(repeating: " ", count: width - member.name.count + 2)
            return member.name + space + visible(Self.text(member.value)) + "\n"
        }.joined()
    }
}

/// Columns of text, each as wide as it has to be.
struct TextTable {
    private var rows: [[String]]

    init(_ head: [String]) { rows = [head] }

    mutating func add(_ row: [String]) { rows.append(row.map(visible)) }

    var text: String {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            var line = ""
            for (cell, width) in zip(row, widths) {
                line += cell + String(repeating: " ", count: width - cell.count + 2)
            }
            while line.hasSuffix(" ") { line.removeLast() }
            return line + "\n"
        }.joined()
    }
}

/// On one line, and without what a terminal would take for an order.
private func visible(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
        if scalar.properties.generalCategory == .control {
            result += "\\u{" + String(scalar.value, radix: 16) + "}"
        } else {
            result.unicodeScalars.append(scalar)
        }
    }
    return result
}

/// Results on standard output as they come, progress on standard error.
struct RedriveReport {
    private let isJSON: Bool
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var count = 0
    private var summary: Fields?
    private var error: Fields?

    init(isJSON: Bool) { self.isJSON = isJSON }

    mutating func take(_ line: [UInt8]) {
        let fields = Fields(line)
        if isJSON { put(line + [0x0A]) }
        if fields.has("summary") {
            summary = fields.object("summary")
        } else if fields.has("error") && !fields.has("id") {
            error = fields.object("error")
        } else {
            count += 1
            if !isJSON { put(Array((text(fields) + "\n").utf8)) }
            if isTerminal && count.isMultiple(of: 100) { complain("\(count) so far") }
        }
    }

    private func text(_ line: Fields) -> String {
        let problem = line.object("error")
        let rest =
            line.has("error")
            ? [problem.text("code"), problem.text("sqlstate"), problem.text("detail")]
            : [line.text("effect"), line.text("table"), line.text("key")]
        return ([line.text("id"), line.text("result")] + rest).filter { !$0.isEmpty }
            .map(visible).joined(separator: "  ")
    }

    /// The exit code, if it is not 0; what it means stands on standard error by then.
    func end() -> ExitCode? {
        if let error {
            complain(error.text("detail"))
            return error.text("retryable") == "true" ? .temporary : .failure
        }
        guard let summary else {
            complain("the gateway broke off after \(count) letters; what it said is so")
            return .unreachable
        }
        let names = ["redriven", "passes", "failed", "blocked", "unknown"]
        let parts = names.filter(summary.has).map { "\(summary.text($0)) \($0)" }
        let total = summary.text("total")
        complain("\(total) letters" + (parts.isEmpty ? "" : ": " + parts.joined(separator: ", ")))
        if summary.has("stopped") {
            complain("stopped: \(summary.text("stopped")); the others are untouched")
            return .temporary
        }
        let good = Int(summary.text("redriven")) ?? Int(summary.text("passes")) ?? 0
        return good == Int(total) ? nil : .failure
    }
}

/// Writes to standard output at once, byte for byte.
func put(_ bytes: [UInt8]) {
    fflush(nil)
    var start = 0
    while start < bytes.count {
        let count = bytes[start...].withUnsafeBytes {
            write(STDOUT_FILENO, $0.baseAddress, $0.count)
        }
        if count < 0 && errno != EINTR { return }
        start += max(count, 0)
    }
}
