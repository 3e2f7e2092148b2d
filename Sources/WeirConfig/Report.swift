import WeirRecord

// The configuration as text: effective, with where each value came from, and the reference.
extension EffectiveConfiguration {
    /// One line of the effective configuration.
    struct Entry {
        var key: String
        /// `nil` where nothing is set.
        var value: String?
        var origin: Origin
    }

    var entries: [Entry] {
        var entries = Setting.all.map { setting in
            Entry(
                key: setting.key, value: setting.text(in: configuration),
                origin: origins[setting.key] ?? .fallback)
        }
        for table in configuration.tables {
            let place = "tables.\(table.name.publicName)"
            func add(_ key: String, _ value: String?) {
                entries.append(
                    Entry(
                        key: "\(place).\(key)", value: value,
                        origin: origins["\(place).\(key)"] ?? .fallback))
            }
            let policy = table.policy
            let operations = WeirRecord.Operation.allCases.filter(policy.operations.contains)
            add("operations", "[\(operations.map(\.rawValue).joined(separator: ", "))]")
            add("on_conflict", policy.onConflict.name)
            add("on_reject", policy.onReject.rawValue)
            add("order", policy.order.rawValue)
            if let column = policy.orderKey { add("order_key", column) }
            if let column = policy.versionColumn { add("version_column", column) }
            guard let id = policy.id else { continue }
            add("id.column", id.column)
            add("id.type", id.form.rawValue)
            if !id.prefix.isEmpty { add("id.prefix", id.prefix) }
        }
        return entries
    }

    /// A configuration file that says the same, without secrets, with each value's source behind
    /// it.
    package var yaml: String {
        var text = ""
        var open: [Substring] = []
        for entry in entries {
            // A table's name may have a dot in it.
            let path = Self.path(entry.key)
            let parents = path.dropLast()
            let shared = zip(open, parents).prefix { $0 == $1 }.count
            for (depth, name) in parents.enumerated().dropFirst(shared) {
                text += indent(depth) + Self.quoted(String(name), isList: false) + ":\n"
            }
            open = Array(parents)
            let name = path.last ?? ""
            if let value = entry.value {
                let isList = name == "operations"
                text += indent(parents.count) + "\(name): \(Self.quoted(value, isList: isList))"
            } else {
                text += indent(parents.count) + "# \(name): not set"
            }
            text += "  # \(entry.origin)\n"
        }
        return text
    }

    private func indent(_ depth: Int) -> String { String(repeating: " ", count: depth * 2) }

    private static func path(_ key: String) -> [Substring] {
        guard key.hasPrefix("tables.") else { return key.split(separator: ".") }
        let rest = key.dropFirst("tables.".count)
        for setting in TableSetting.all where rest.hasSuffix("." + setting.key) {
            return ["tables", rest.dropLast(setting.key.count + 1)]
                + setting.key.split(separator: ".")
        }
        return key.split(separator: ".")
    }

    /// In single quotes where it would not stand for itself.
    private static func quoted(_ value: String, isList: Bool) -> String {
        let plain = value.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "/"),
                UInt8(ascii: "."), UInt8(ascii: ":"):
                true
            default: false
            }
        }
        let isBare = plain && !value.isEmpty && !value.hasSuffix(":") && !value.hasPrefix(":")
        if isList || isBare && !["null", "Null", "NULL"].contains(value) { return value }
        return "'"
            + value.split(separator: "'", omittingEmptySubsequences: false)
            .joined(separator: "''") + "'"
    }

    /// `{"batch.max_records":{"value":"5000","source":"default"},…}`, without secrets.
    package var json: String {
        var bytes: [UInt8] = [UInt8(ascii: "{")]
        for (index, entry) in entries.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            appendJSONString(entry.key, to: &bytes)
            bytes += ":{\"value\":".utf8
            if let value = entry.value {
                appendJSONString(value, to: &bytes)
            } else {
                bytes += "null".utf8
            }
            bytes += ",\"source\":".utf8
            appendJSONString(entry.origin.description, to: &bytes)
            bytes += "}".utf8
        }
        bytes += "}\n".utf8
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension EffectiveConfiguration {
    /// Names what is in force, wherever it was set: 16 hexadecimal digits.
    package var hash: String {
        var hash = StableHash()
        for entry in entries {
            hash.add(entry.key)
            hash.add(0)
            hash.add(entry.value ?? "")
            hash.add(0)
        }
        let digits = String(hash.value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// The reference part of docs/CONFIGURATION.md, from the settings themselves.
package enum ConfigurationReference {
    package static var markdown: String {
        var text = """
            | key | default | takes | meaning |
            |---|---|---|---|

            """
        for setting in Setting.all {
            let value = setting.text(in: Configuration()).map { "`\($0)`" } ?? "–"
            let flag = setting.flag.map { " (`\($0)`)" } ?? ""
            text +=
                "| `\(setting.key)`\(flag) | \(value) | \(setting.form) | \(setting.meaning) |\n"
        }
        text += """

            Under `tables:`, a map of tables, each of them a map of

            | key | default | takes | meaning |
            |---|---|---|---|

            """
        for setting in TableSetting.all {
            text += "| `\(setting.key)` | \(setting.fallback) | \(setting.form) "
            text += "| \(setting.meaning) |\n"
        }
        return text
    }
}
