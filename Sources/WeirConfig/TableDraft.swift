import WeirRecord

/// One setting of a table: what it is called, may be and means.
package struct TableSetting: Sendable {
    /// As it stands under the table's name: `id.column`.
    package let key: String
    package let form: String
    package let fallback: String
    package let meaning: String

    package static let all = [
        TableSetting(
            key: "operations", form: "a list of insert, upsert, patch, delete", fallback: "all",
            meaning: "what callers may do; anything else gets 403 `forbidden-table`"),
        TableSetting(
            key: "on_conflict", form: "error, ignore, merge", fallback: "error",
            meaning: "what an insert does when the row exists, where `Prefer: resolution=…` does "
                + "not say"),
        TableSetting(
            key: "on_reject", form: "respond, dead_letter", fallback: "respond",
            meaning: "what becomes of a record that the database refuses: its caller is told, or "
                + "it is kept in `weir.dead_letter` and its caller is told that"),
        TableSetting(
            key: "order", form: "skip, strict", fallback: "skip",
            meaning: "what a refused record means for later ones of its key that are held already: "
                + "nothing, or that they are refused too, to be sent again"),
        TableSetting(
            key: "order_key", form: "a column", fallback: "–",
            meaning: "records with equal values of it take effect in the order of their admission, "
                + "besides those of one row; `Weir-Order-Key` and `order_key` in a line of "
                + "`/v1/bulk` overrule it"),
        TableSetting(
            key: "version_column", form: "a column", fallback: "–",
            meaning: "an upsert or a patch of a row that exists is written only where its value is "
                + "greater than the row's, and else answered `ignored`; the record has to have "
                + "one. `?version_column=` overrules it"),
        TableSetting(
            key: "id.column", form: "a column of the primary key", fallback: "–",
            meaning: "whose values the gateway mints where callers leave them out"),
        TableSetting(
            key: "id.type", form: "typeid, uuid", fallback: "typeid",
            meaning: "`typeid`: a prefix and a UUID of version 7, in a uuid column as 128 bits, in "
                + "a text column as text; `uuid`: such a UUID alone, in a uuid column"),
        TableSetting(
            key: "id.prefix", form: "1 to 63 of a to z and _", fallback: "–",
            meaning: "of TypeIDs, such as `order`; an ID with another one is refused"),
    ]

    /// The keys that stand under `prefix`.
    static func keys(under prefix: String) -> [String] {
        var keys: [String] = []
        for setting in all where setting.key.hasPrefix(prefix) {
            let key = String(setting.key.dropFirst(prefix.utf8.count).prefix { $0 != "." })
            if !keys.contains(key) { keys.append(key) }
        }
        return keys
    }

    func variable(_ table: TableName) -> String {
        variableName("tables.\(table.publicName).\(key)")
    }
}

/// What has been said of a table so far; the last word on each setting counts.
struct TableDraft {
    struct Said {
        var texts: [String]
        var origin: Origin
    }

    let name: TableName
    let origin: Origin
    var said: [String: Said] = [:]

    init(_ name: TableName, _ origin: Origin) {
        self.name = name
        self.origin = origin
    }

    /// `tables.orders.id.column`.
    func path(_ key: String) -> String { "tables.\(name.publicName).\(key)" }

    // MARK: The policy

    func policy(_ problems: inout [Problem]) -> TablePolicy {
        var policy = TablePolicy()
        if let operations = operations(&problems) { policy.operations = operations }
        if let rule: ConflictRule = choice("on_conflict", ConflictRule.allNames, &problems) {
            policy.onConflict = rule
        }
        if policy.onConflict == .merge, !policy.operations.isSuperset(of: [.insert, .upsert]) {
            problems.append(
                Problem(
                    said["on_conflict"]?.origin ?? origin, path("on_conflict"),
                    "merge changes rows that exist, and operations does not list insert and "
                        + "upsert; list both or take error or ignore"))
        }
        policy.id = idRule(&problems)
        let rejections = OnReject.allCases.map { ($0.rawValue, $0) }
        if let rule = choice("on_reject", rejections, &problems) { policy.onReject = rule }
        let orders = OrderRule.allCases.map { ($0.rawValue, $0) }
        if let rule = choice("order", orders, &problems) { policy.order = rule }
        policy.orderKey = said["order_key"]?.texts.first
        policy.versionColumn = said["version_column"]?.texts.first
        return policy
    }

    private func operations(_ problems: inout [Problem]) -> Set<WeirRecord.Operation>? {
        guard let said = said["operations"] else { return nil }
        var operations: Set<WeirRecord.Operation> = []
        let names = WeirRecord.Operation.allCases.map(\.rawValue)
        for text in said.texts {
            if let operation = WeirRecord.Operation(rawValue: text) {
                operations.insert(operation)
            } else {
                problems.append(
                    Problem(said.origin, path("operations"), mismatch(text, among: names)))
            }
        }
        if said.texts.isEmpty {
            problems.append(
                Problem(
                    said.origin, path("operations"),
                    "the list is empty; leave the table out if nothing may be written"))
        }
        return operations
    }

    private func idRule(_ problems: inout [Problem]) -> IDRule? {
        let parts = ["id.column", "id.type", "id.prefix"].filter { said[$0] != nil }
        guard let first = parts.first.flatMap({ said[$0] }) else { return nil }
        let form: IDRule.Form =
            choice("id.type", IDRule.Form.allCases.map { ($0.rawValue, $0) }, &problems) ?? .typeID
        let prefix = said["id.prefix"]?.texts.first ?? ""
        guard let column = said["id.column"]?.texts.first else {
            problems.append(
                Problem(first.origin, path("id.column"), "an id needs the column that holds it"))
            return nil
        }
        if let reason = reason(against: prefix, form) {
            let at = said["id.prefix"]?.origin ?? first.origin
            problems.append(Problem(at, path("id.prefix"), reason))
        }
        return IDRule(column: column, prefix: prefix, form: form)
    }

    private func reason(against prefix: String, _ form: IDRule.Form) -> String? {
        switch form {
        case .uuid:
            return prefix.isEmpty
                ? nil : "IDs of type uuid have no prefix; leave it out or take type typeid"
        case .typeID:
            if prefix.isEmpty {
                return "IDs of type typeid need a prefix, such as order"
            }
            return TypeIDText.isPrefix(prefix.utf8)
                ? nil
                : "\"\(prefix.prefix(80))\" cannot be a prefix; it takes 1 to "
                    + "\(TypeIDText.prefixLengthMax) of a to z and _, with letters at both ends"
        }
    }

    private func choice<Value>(
        _ key: String, _ known: [(name: String, value: Value)], _ problems: inout [Problem]
    ) -> Value? {
        guard let said = said[key], let text = said.texts.first else { return nil }
        if let value = known.first(where: { $0.name == text })?.value { return value }
        problems.append(
            Problem(said.origin, path(key), mismatch(text, among: known.map(\.name))))
        return nil
    }

    private func mismatch(_ text: String, among known: [String]) -> String {
        "\"\(text.prefix(80))\" is none of \(known.joined(separator: ", ")); the nearest is "
            + (nearestName(to: text, among: known) ?? "")
    }
}

extension ConflictRule {
    static let allNames: [(name: String, value: ConflictRule)] = [
        ("error", .error), ("ignore", .ignore), ("merge", .merge),
    ]

    var name: String { Self.allNames.first { $0.value == self }?.name ?? "" }
}
