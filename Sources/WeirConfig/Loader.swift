import Weir
import WeirRecord

/// What has been found of a configuration before it is read.
package struct ConfigurationInput: Sendable {
    /// `nil` where there is no file.
    package var file: (path: String, bytes: [UInt8])?
    package var environment: [String: String] = [:]
    /// By name with its dashes; those that were given.
    package var flags: [String: String] = [:]
    /// A private server brings its own database.
    package var isEmbedded = false

    package init() {}
}

/// A configuration that has nothing wrong with it, and where each of its values came from.
package struct EffectiveConfiguration: Sendable {
    package let configuration: Configuration
    /// By key; what is not here is a default.
    package let origins: [String: Origin]

    /// Puts file, environment and flags together, a later one overruling an earlier one.
    ///
    /// - Throws: everything that is wrong, not just the first.
    package init(_ input: ConfigurationInput) throws(ConfigurationError) {
        var loader = Loader()
        if let file = input.file { loader.takeFile(file.path, file.bytes) }
        loader.takeEnvironment(input.environment)
        loader.takeFlags(input.flags)
        loader.finishTables(input.environment)
        loader.checkTogether(isEmbedded: input.isEmbedded)
        guard loader.problems.isEmpty else {
            throw ConfigurationError(problems: loader.problems)
        }
        configuration = loader.configuration
        origins = loader.origins
    }
}

/// Gathers values and problems from one source after the other.
struct Loader {
    var configuration = Configuration()
    var origins: [String: Origin] = [:]
    var problems: [Problem] = []
    var drafts: [TableDraft] = []
    /// What the environment or a flag says the tables are.
    var selection: (names: [TableName], origin: Origin)?

    /// Not settings, but known: the file's own name, and what belongs to building and testing.
    static let otherVariables: Set<String> = [
        "WEIR_CONFIG", "WEIR_POSTGRES_BIN", "WEIR_STRICT", "WEIR_SIMULATION_SEEDS",
        "WEIR_SIMULATION_FIRST_SEED",
    ]

    mutating func report(_ origin: Origin, _ key: String?, _ text: String) {
        problems.append(Problem(origin, key, text))
    }

    /// Takes a setting from its text.
    mutating func take(_ setting: Setting, _ text: String, _ origin: Origin) {
        if case .connection = setting.kind, ConnectionText(text).hasPassword,
            !mayHoldPassword(origin)
        {
            return report(
                origin, setting.key,
                "it holds a password, and what stands here is read by many; put the password into "
                    + "database.password_file, PGPASSFILE or PGPASSWORD")
        }
        if let reason = setting.apply(text, to: &configuration) {
            report(origin, setting.key, reason)
        } else {
            origins[setting.key] = origin
        }
    }

    private func mayHoldPassword(_ origin: Origin) -> Bool {
        if case .variable = origin { true } else { false }
    }

    // MARK: Environment

    mutating func takeEnvironment(_ environment: [String: String]) {
        // What is set to nothing is not set: that is how compose files leave things out.
        for setting in Setting.all {
            guard let text = environment[setting.variable], !text.isEmpty else { continue }
            take(setting, text, .variable(setting.variable))
        }
        if let text = environment["WEIR_TABLES"], !text.isEmpty {
            takeSelection(text, .variable("WEIR_TABLES"))
        }
    }

    /// Variables that begin as ours and are none of ours.
    mutating func refuseUnknownVariables(
        _ environment: [String: String], tables: [String: TableName]
    ) {
        let known =
            Self.otherVariables.union(Setting.all.map(\.variable)).union(tables.keys)
            .union(["WEIR_TABLES"])
        for name in environment.keys.sorted() where name.hasPrefix("WEIR_") {
            guard !known.contains(name), !Self.isServiceVariable(name) else { continue }
            let nearest = nearestName(to: name, among: known.sorted()) ?? ""
            report(
                .variable(name), nil, "there is no such variable; the nearest is \(nearest)")
        }
    }

    /// Kubernetes tells every pod of each service: `WEIR_SERVICE_HOST`, `WEIR_PORT_8432_TCP_ADDR`
    /// and so on for one that is called `weir`.
    static func isServiceVariable(_ name: String) -> Bool {
        let parts = name.split(separator: "_")
        func follows(_ word: Substring, _ rest: (ArraySlice<Substring>) -> Bool) -> Bool {
            parts.indices.contains { parts[$0] == word && rest(parts[($0 + 1)...]) }
        }
        return follows("SERVICE") { $0.first == "HOST" || $0.first == "PORT" }
            || follows("PORT") { rest in
                guard let number = rest.first else { return true }
                return Int(number) != nil
                    && ["TCP", "UDP", "SCTP"].contains(rest.dropFirst().first)
            }
    }

    // MARK: Flags

    mutating func takeFlags(_ flags: [String: String]) {
        for setting in Setting.all {
            guard let flag = setting.flag, let text = flags[flag] else { continue }
            take(setting, text, .flag(flag))
        }
        if let text = flags["--tables"] { takeSelection(text, .flag("--tables")) }
    }

    private mutating func takeSelection(_ text: String, _ origin: Origin) {
        let names = text.split(separator: ",").map { TableName(String($0.filter { $0 != " " })) }
        guard !names.isEmpty, names.allSatisfy({ !$0.name.isEmpty }),
            Set(names).count == names.count
        else {
            return report(
                origin, "tables", "it takes table names, each once, with commas between")
        }
        selection = (names, origin)
    }

    // MARK: Tables

    /// Which tables there are is known when everything has been read.
    mutating func finishTables(_ environment: [String: String]) {
        if let selection {
            for name in selection.names where !drafts.contains(where: { $0.name == name }) {
                drafts.append(TableDraft(name, selection.origin))
            }
        }
        takeTableVariables(environment)
        let tables = drafts.map { draft in
            Configuration.Table(name: draft.name, policy: draft.policy(&problems))
        }
        if let selection {
            configuration.tables = selection.names.compactMap { name in
                tables.first { $0.name == name }
            }
        } else {
            configuration.tables = tables
        }
        for draft in drafts {
            origins["tables.\(draft.name.publicName)"] = selection?.origin ?? draft.origin
            for (key, said) in draft.said { origins[draft.path(key)] = said.origin }
        }
    }

    private mutating func takeTableVariables(_ environment: [String: String]) {
        var owners: [String: TableName] = [:]
        for index in drafts.indices {
            for setting in TableSetting.all {
                let variable = setting.variable(drafts[index].name)
                let other = owners.updateValue(drafts[index].name, forKey: variable)
                guard let text = environment[variable], !text.isEmpty else { continue }
                if let other {
                    report(
                        .variable(variable), nil,
                        "it would mean both \(other.publicName) and "
                            + "\(drafts[index].name.publicName); set it in the file")
                    continue
                }
                let texts =
                    setting.key == "operations"
                    ? text.split(separator: ",").map { String($0.filter { $0 != " " }) } : [text]
                drafts[index].said[setting.key] = .init(texts: texts, origin: .variable(variable))
            }
        }
        refuseUnknownVariables(environment, tables: owners)
    }

    // MARK: Together

    /// What is right by itself and wrong beside something else.
    mutating func checkTogether(isEmbedded: Bool) {
        func origin(_ keys: String...) -> Origin {
            keys.compactMap { origins[$0] }.first ?? .fallback
        }
        func need(
            _ isFine: Bool, _ key: String, _ other: String, _ text: String,
            _ problems: inout [Problem]
        ) {
            guard !isFine else { return }
            problems.append(Problem(origin(key, other), key, text))
        }
        if origins["batch.max_records"] == nil {
            // A small queue needs no word about batches.
            let queued = configuration.queue.recordsMax
            configuration.batch.recordsMax = min(configuration.batch.recordsMax, queued)
        }
        let c = configuration
        need(
            c.database.lockTimeout <= c.database.statementTimeout, "database.lock_timeout",
            "database.statement_timeout",
            "\(c.database.lockTimeout.configured) is longer than database.statement_timeout "
                + "(\(c.database.statementTimeout.configured)), which would end the wait first",
            &problems)
        need(
            c.batch.recordsMax <= c.queue.recordsMax, "batch.max_records", "queue.max_records",
            "\(c.batch.recordsMax) is more than queue.max_records (\(c.queue.recordsMax)): such a "
                + "batch could never gather", &problems)
        need(
            c.limits.recordBytes <= c.limits.bodyBytes, "limits.record_bytes",
            "limits.body_bytes",
            "a record of \(configuredText(byteCount: c.limits.recordBytes)) would not fit into "
                + "limits.body_bytes (\(configuredText(byteCount: c.limits.bodyBytes)))",
            &problems)
        need(
            c.limits.recordBytes <= c.queue.bytesMax, "limits.record_bytes", "queue.max_bytes",
            "a record of \(configuredText(byteCount: c.limits.recordBytes)) could never enter a "
                + "queue of queue.max_bytes (\(configuredText(byteCount: c.queue.bytesMax)))",
            &problems)
        if let window = c.replay.window.window {
            need(
                window >= c.queue.timeout, "replay.window", "queue.timeout",
                "\(window.configured) is shorter than queue.timeout "
                    + "(\(c.queue.timeout.configured)): a record may be tried for as long as "
                    + "that, and what became of its first attempt would be forgotten", &problems)
            need(
                window >= c.database.statementTimeout * 4, "replay.window",
                "database.statement_timeout",
                "\(window.configured) is shorter than four times database.statement_timeout "
                    + "(\(c.database.statementTimeout.configured)): a batch may take twice that, "
                    + "and what became of it has to be found afterwards", &problems)
        }
        for key in ["database.url", "database.password_file"] where isEmbedded {
            guard let origin = origins[key] else { continue }
            report(origin, key, "--embedded brings its own database; leave one of them out")
        }
    }
}
