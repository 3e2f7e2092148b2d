import Foundation

/// A file of the repository, its Swift lines divided into code and comments.
struct SourceFile {
    /// From the repository's root, for example `Sources/Weir/Fate.swift`.
    let path: String
    let lines: [Line]
    /// The code of all lines.
    let code: String
    /// Every string and comment that begins also ends.
    let isUnderstood: Bool

    struct Line {
        let text: String
        /// Without comments and without what stands in string literals; interpolated code stays.
        let code: String
        /// With its slashes.
        let comment: String
    }

    init(path: String, text: String) {
        self.path = path
        var splitter = LineSplitter(text)
        lines = splitter.split()
        isUnderstood = splitter.isUnderstood
        code = lines.map(\.code).joined(separator: "\n")
    }

    /// `Weir` for `Sources/Weir/Fate.swift`.
    var target: String {
        // The one target with a folder at the top: people look for migrations there.
        if path.hasPrefix("migrations/") { return "WeirMigrations" }
        let parts = path.split(separator: "/")
        return parts.count > 2 ? String(parts[1]) : ""
    }

    var isTest: Bool { path.hasPrefix("Tests/") }
}

/// Where a rule is broken.
struct Violation: Equatable, CustomStringConvertible {
    let path: String
    /// Counts from 1; 0 is the file as a whole.
    let line: Int
    let reason: String

    var description: String { "\(path)\(line > 0 ? ":\(line)" : ""): \(reason)" }
}

/// Swift's lexical structure as far as strings and comments go. Regex literals count as code.
private struct LineSplitter {
    private enum Mode {
        /// Code within an interpolation counts its open parentheses.
        case code(openCount: Int)
        case string(hashCount: Int, isMultiline: Bool)
        case blockComment(depth: Int)
    }

    private let bytes: [UInt8]
    private var at = 0
    private var modes: [Mode] = [.code(openCount: 0)]
    private var lines: [SourceFile.Line] = []
    private var text: [UInt8] = []
    private var code: [UInt8] = []
    private var comment: [UInt8] = []
    private(set) var isUnderstood = true

    init(_ source: String) {
        bytes = Array(source.utf8)
    }

    mutating func split() -> [SourceFile.Line] {
        while at < bytes.count {
            if bytes[at] == 0x0A {
                endLine()
                continue
            }
            switch modes[modes.count - 1] {
            case .code(let openCount): stepInCode(openCount)
            case .string(let hashCount, let isMultiline): stepInString(hashCount, isMultiline)
            case .blockComment(let depth): stepInComment(depth)
            }
        }
        if !text.isEmpty { endLine() }
        if case .code(openCount: 0) = modes[0], modes.count == 1 { return lines }
        isUnderstood = false
        return lines
    }

    private mutating func endLine() {
        lines.append(
            SourceFile.Line(
                text: String(decoding: text, as: UTF8.self),
                code: String(decoding: code, as: UTF8.self),
                comment: String(decoding: comment, as: UTF8.self)))
        (text, code, comment) = ([], [], [])
        at += 1
        if case .string(_, isMultiline: false) = modes[modes.count - 1] {
            modes = [.code(openCount: 0)]
            isUnderstood = false
        }
    }

    /// Whether `word` stands here.
    private func isAt(_ word: String, offset: Int = 0) -> Bool {
        bytes[min(at + offset, bytes.count)...].starts(with: word.utf8)
    }

    private mutating func take(_ count: Int, into part: WritableKeyPath<Self, [UInt8]>? = nil) {
        let taken = bytes[at..<min(at + count, bytes.count)]
        text += taken
        if let part { self[keyPath: part] += taken }
        at += taken.count
    }

    private mutating func stepInCode(_ openCount: Int) {
        if isAt("//") {
            let end = bytes[at...].firstIndex(of: 0x0A) ?? bytes.count
            return take(end - at, into: \.comment)
        }
        if isAt("/*") {
            modes.append(.blockComment(depth: 1))
            return take(2, into: \.comment)
        }
        let hashCount = bytes[at...].prefix { $0 == UInt8(ascii: "#") }.count
        if isAt("\"", offset: hashCount) {
            // #""""# is one quote: text in several lines begins behind the line.
            let isMultiline =
                isAt("\"\"\"", offset: hashCount)
                && bytes[(at + hashCount + 3)...].first { $0 != 0x20 } == 0x0A
            modes.append(.string(hashCount: hashCount, isMultiline: isMultiline))
            code.append(UInt8(ascii: "\""))
            return take(hashCount + (isMultiline ? 3 : 1))
        }
        if modes.count > 1 && isAt("(") { modes[modes.count - 1] = .code(openCount: openCount + 1) }
        if modes.count > 1 && isAt(")") {
            if openCount == 0 {
                modes.removeLast()
                return take(1)
            }
            modes[modes.count - 1] = .code(openCount: openCount - 1)
        }
        take(1, into: \.code)
    }

    private mutating func stepInString(_ hashCount: Int, _ isMultiline: Bool) {
        let hashes = String(repeating: "#", count: hashCount)
        let closing = (isMultiline ? "\"\"\"" : "\"") + hashes
        if isAt(closing) {
            modes.removeLast()
            code.append(UInt8(ascii: "\""))
            return take(closing.utf8.count)
        }
        if isAt("\\\(hashes)(") {
            modes.append(.code(openCount: 0))
            return take(hashCount + 2)
        }
        // A line may end behind the backslash.
        if isAt("\\" + hashes), !isAt("\n", offset: hashCount + 1) { return take(hashCount + 2) }
        take(1)
    }

    private mutating func stepInComment(_ depth: Int) {
        if isAt("*/") {
            take(2, into: \.comment)
            if depth == 1 {
                modes.removeLast()
            } else {
                modes[modes.count - 1] = .blockComment(depth: depth - 1)
            }
        } else if isAt("/*") {
            modes[modes.count - 1] = .blockComment(depth: depth + 1)
            take(2, into: \.comment)
        } else {
            take(1, into: \.comment)
        }
    }
}
