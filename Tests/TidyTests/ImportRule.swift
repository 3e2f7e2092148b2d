/// Who may know whom. The core knows nobody; what serves knows what decides, never the other way
/// round.
enum ImportRule {
    struct Target {
        /// Targets of this package.
        var ours: Set<String>
        /// Modules from outside, where only a few will do.
        var foreign: Set<String>?
    }

    static let targets: [String: Target] = [
        "WeirCore": Target(ours: [], foreign: ["DequeModule"]),
        "WeirRecord": Target(ours: [], foreign: ["Crypto", "Synchronization", "Glibc", "Darwin"]),
        "Weir": Target(ours: ["WeirCore", "WeirRecord"]),
        "WeirConfig": Target(ours: ["Weir", "WeirCore", "WeirRecord"], foreign: []),
        "WeirMigrations": Target(ours: [], foreign: ["Crypto"]),
        "WeirPostgres": Target(
            ours: ["CLibpq", "CPlatform", "Weir", "WeirCore", "WeirMigrations", "WeirRecord"]),
        "WeirCheck": Target(
            ours: ["Weir", "WeirCore", "WeirMigrations", "WeirRecord", "WeirPostgres"],
            foreign: []),
        "WeirHTTP": Target(ours: ["CPlatform", "Weir", "WeirCore", "WeirRecord"]),
        "WeirAdmin": Target(ours: ["Weir", "WeirCore", "WeirRecord"]),
        "WeirLoad": Target(
            ours: ["Weir", "WeirConfig", "WeirCore", "WeirPostgres", "WeirRecord"],
            foreign: [
                "DequeModule", "Histogram", "NIOCore", "NIOPosix", "Subprocess", "SystemPackage",
                "Synchronization", "Glibc", "Darwin",
            ]),
        "WeirTesting": Target(ours: ["Weir", "WeirCore", "WeirRecord"]),
        "WeirSimulation": Target(
            ours: ["Weir", "WeirCore", "WeirPostgres", "WeirRecord", "WeirTesting"],
            foreign: ["Logging", "Synchronization"]),
        "weir": Target(
            ours: [
                "Weir", "WeirCheck", "WeirConfig", "WeirCore", "WeirLoad", "WeirMigrations",
                "WeirRecord", "WeirPostgres", "WeirHTTP", "WeirAdmin",
            ]),
    ]

    /// Modules that have one home each, by the beginning of their names.
    static let homes: [(prefix: String, targets: Set<String>)] = [
        ("NIO", ["WeirHTTP", "WeirAdmin", "WeirLoad", "weir"]), ("Hummingbird", ["WeirAdmin"]),
        ("ArgumentParser", ["weir"]), ("Subprocess", ["WeirPostgres", "WeirLoad", "weir"]),
        ("Histogram", ["WeirLoad"]),
    ]

    static func check(_ file: SourceFile) -> [Violation] {
        if file.isTest { return [] }
        guard let target = targets[file.target] else {
            return [Rules.broken(file, 0, "target \(file.target) is missing in ImportRule.targets")]
        }
        return Rules.numbered(file).flatMap { number, line in
            module(line.code).map { violations($0, file, number, target) } ?? []
        }
    }

    private static func violations(
        _ module: String, _ file: SourceFile, _ number: Int, _ target: Target
    ) -> [Violation] {
        var reasons: [String] = []
        if targets[module] != nil || ["CLibpq", "CPlatform"].contains(module) {
            if !target.ours.contains(module) {
                reasons.append("\(file.target) does not know \(module)")
            }
        } else if let foreign = target.foreign, !foreign.contains(module) {
            reasons.append(
                "\(file.target) imports \(foreign.sorted().joined(separator: ", ")) only")
        }
        for home in homes where module.hasPrefix(home.prefix) && !home.targets.contains(file.target)
        {
            reasons.append("\(module) stays in \(home.targets.sorted().joined(separator: ", "))")
        }
        return reasons.map { Rules.broken(file, number, $0) }
    }

    /// `Crypto` for `internal import struct Crypto.SHA256`; `nil` for a line that imports nothing.
    static func module(_ code: String) -> String? {
        let words = code.split(whereSeparator: \.isWhitespace)
        guard let at = words.firstIndex(of: "import"),
            words[..<at].allSatisfy({ $0.hasPrefix("@") || access.contains(String($0)) })
        else { return nil }
        let kinds: Set<Substring> = [
            "struct", "class", "enum", "protocol", "func", "var", "let", "typealias",
        ]
        return words[(at + 1)...].first { !kinds.contains($0) }?
            .split(separator: ".").first.map(String.init)
    }

    private static let access: Set<String> = [
        "public", "package", "internal", "fileprivate", "private",
    ]
}
