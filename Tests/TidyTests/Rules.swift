import Foundation

/// The rules of the house that a machine can check. Each takes a file and says where it breaks the
/// rule.
enum Rules {
    static let columnsMax = 100
    /// Tests hold SQL and whole requests, which read worse when they are broken.
    static let testColumnsMax = 112
    static let linesMax = 400

    // MARK: Size

    static func longLines(_ file: SourceFile) -> [Violation] {
        let limit = file.path.hasPrefix("Tests/") ? testColumnsMax : columnsMax
        return numbered(file).compactMap { number, line in
            line.text.count <= limit
                ? nil : broken(file, number, "\(line.text.count) columns; at most \(limit)")
        }
    }

    static func longFile(_ file: SourceFile) -> [Violation] {
        file.lines.count <= linesMax
            ? []
            : [
                broken(
                    file, 0, "\(file.lines.count) lines; at most \(linesMax): split it by question")
            ]
    }

    // MARK: Words in code

    /// A word that code may not have, and why.
    struct Ban {
        let pattern: String
        let reason: String
        /// Directories in which the word is allowed.
        var allowed: [String] = []
    }

    static let bans = [
        Ban(
            pattern: #"\bTask\s*(<[^>]*>\s*)?[({]"#,
            reason: "a task is a child of some run(): no Task { }"),
        Ban(
            pattern: #"\bTask\s*\.\s*(detached|immediate)\b"#,
            reason: "a task is a child of some run()"),
        Ban(
            pattern: #"\bAsync(Throwing)?Stream\b"#, reason: "AsyncStream has no bound that refuses"
        ),
        Ban(pattern: #"@testable\b"#, reason: "tests see package access: no @testable"),
        Ban(
            pattern: #"\btry!"#,
            reason: "no try!: an expected failure is a value, a bug is a precondition"),
        Ban(
            pattern: #"\b(debugPrint|print|dump)\("#, reason: "only the command line prints",
            allowed: ["Sources/weir/"]),
        Ban(pattern: #"\bfatalError\b"#, reason: "precondition states an invariant: no fatalError"),
    ]

    static func bannedWords(_ file: SourceFile) -> [Violation] {
        bans.flatMap { ban in
            ban.allowed.contains(where: file.path.hasPrefix)
                ? [] : matches(file, ban.pattern, ban.reason)
        }
    }

    static func publicAccess(_ file: SourceFile) -> [Violation] {
        matches(file, #"\bpublic\b"#, "no outside users: package, not public")
    }

    static func unfinished(_ file: SourceFile) -> [Violation] {
        numbered(file).compactMap { number, line in
            found(#"\b(TODO|FIXME|XXX)\b"#, in: line.comment)
                ? broken(file, number, "finish it, or write it down elsewhere") : nil
        }
    }

    // MARK: Concurrency checks that are switched off

    static let optOutPattern = #"@unchecked\s+Sendable\b|\bnonisolated\s*\(\s*unsafe\s*\)"#

    /// Files that may switch off the compiler's check, each with the reason why they are right.
    static let optOuts = [
        "Sources/Weir/BlockingExecutor.swift":
            "its only state is a serial DispatchQueue, thread-safe but not marked so on Linux"
    ]

    static func optOuts(_ file: SourceFile) -> [Violation] {
        if optOuts[file.path] != nil { return [] }
        return matches(
            file, optOutPattern,
            "a check is switched off: find another way, or list the file with its proof")
    }

    /// Entries of the list that have become needless.
    static func needlessOptOuts(_ files: [SourceFile]) -> [Violation] {
        optOuts.keys.sorted().compactMap { path in
            let isUsed = files.contains {
                $0.path == path && !matches($0, optOutPattern, "").isEmpty
            }
            return isUsed ? nil : Violation(path: path, line: 0, reason: "is listed without need")
        }
    }

    // MARK: Time

    /// The core gets every time as an argument.
    static func clockReads(_ file: SourceFile) -> [Violation] {
        guard file.target == "WeirCore" && !file.isTest else { return [] }
        let pattern = #"\w*Clock\b|\bclock_\w+|\bgettimeofday\b|\bDispatchTime\b|\bDate\b"#
        return matches(
            file, pattern, "the core does not read a clock; take the time as an argument")
    }

    // MARK: Openings

    /// The first thing besides imports is a comment that says which question the file answers.
    static func opening(_ file: SourceFile) -> [Violation] {
        if file.isTest { return [] }
        let condition = #"#(if|elseif|else|endif)\b"#
        let importing = #"((package|internal|private|@\w+(\(\w+\))?)\s+)*import\b"#
        let skipped = "^\\s*(\(condition)|\(importing))"
        for (number, line) in numbered(file) where !line.text.allSatisfy(\.isWhitespace) {
            if found(skipped, in: line.code) { continue }
            return line.code.allSatisfy(\.isWhitespace)
                ? []
                : [
                    broken(
                        file, number, "before this a comment says which question the file answers")
                ]
        }
        return [broken(file, 0, "says nothing")]
    }

    // MARK: Names

    static func decisionName(_ path: String) -> [Violation] {
        guard path.hasPrefix("docs/decisions/"), path.hasSuffix(".md") else { return [] }
        let name = String(path.dropFirst("docs/decisions/".count))
        return found(#"^[0-9]{4}-[a-z0-9]+(-[a-z0-9]+)*\.md$"#, in: name)
            ? [] : [Violation(path: path, line: 0, reason: "a decision is called NNNN-title.md")]
    }

    static func repeatedDecisionNumbers(_ paths: [String]) -> [Violation] {
        let decisions = paths.filter { $0.hasPrefix("docs/decisions/") && $0.hasSuffix(".md") }
        return zip(decisions, decisions.dropFirst()).compactMap { before, path in
            before.prefix("docs/decisions/0000".count) == path.prefix("docs/decisions/0000".count)
                ? Violation(path: path, line: 0, reason: "its number is that of \(before)") : nil
        }
    }

    // MARK: Words in text

    /// Put together here, so that this file does not hold them.
    static let foreignWords = [
        "/" + "work/": "a path of one machine",
        "issue " + "#": "say what it is, not where it was filed",
    ]

    static func foreignWords(_ path: String, _ text: String) -> [Violation] {
        guard foreignWords.keys.contains(where: text.contains) else { return [] }
        return text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
            .flatMap { index, line in
                foreignWords.filter { line.contains($0.key) }.map {
                    Violation(path: path, line: index + 1, reason: "\"\($0.key)\": \($0.value)")
                }
            }
    }

    // MARK: Parts

    static func found(_ pattern: String, in text: String) -> Bool {
        text.range(of: pattern, options: .regularExpression) != nil
    }

    static func matches(_ file: SourceFile, _ pattern: String, _ reason: String) -> [Violation] {
        // Most files hold none: they are searched once, not line by line.
        guard found(pattern, in: file.code) else { return [] }
        return numbered(file).compactMap { number, line in
            found(pattern, in: line.code) ? broken(file, number, reason) : nil
        }
    }

    static func numbered(_ file: SourceFile) -> [(Int, SourceFile.Line)] {
        file.lines.enumerated().map { ($0 + 1, $1) }
    }

    static func broken(_ file: SourceFile, _ line: Int, _ reason: String) -> Violation {
        Violation(path: file.path, line: line, reason: reason)
    }
}
