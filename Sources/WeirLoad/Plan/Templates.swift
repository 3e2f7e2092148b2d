import WeirCore
import WeirRecord

/// The records that a run writes. Message n's record is a function of n and the seed, so that the
/// audit knows what should stand in the table without keeping it.
package struct Templates: Sendable {
    struct Template: Sendable {
        /// `"a":1,"b":2`, without braces and without the key of an edit.
        var json: Pieces
        var poisonedJSON: Pieces
        /// In the order of `columns`.
        var parameters: [Pieces]
        var poisonedParameters: [Pieces]
        /// Of `compared`, joined as `comparison` joins them.
        var stored: Pieces
    }

    package let target: Target
    package let operation: LoadPlan.Operation
    package let rowsPerCall: Int
    let hotKeys: Int
    let seed: UInt64
    /// Positions of the columns that a record names, the marker first; without an edit's key.
    let columns: [Int]
    /// Those whose stored form is known.
    let compared: [Int]
    private let templates: [Template]

    /// Records differ, but not each from each: as many kinds as a cache line has no use for.
    static let count = 256
    static let unitSeparator = "\u{1F}"

    package init(_ target: Target, _ plan: LoadPlan) throws(Target.Unfit) {
        self.target = target
        operation = plan.operation
        rowsPerCall = plan.rowsPerCall
        hotKeys = plan.hotKeys
        seed = plan.seed
        var generator = ValueGenerator(seed: plan.seed, nonce: target.nonce)
        let chosen = try Self.choose(target, plan.operation, &generator)
        columns = (target.marker.map { [$0] } ?? []) + chosen
        var known: [Int]?
        var templates: [Template] = []
        for _ in 0..<Self.count {
            var values: [(Int, ValueGenerator.Value)] = []
            if let marker = target.marker {
                let number = Pieces(.number(plus: 0))
                values.append((marker, .init(json: number, text: number, stored: nil)))
            }
            for column in chosen {
                let isKey = target.schema.primaryKey == [column]
                if isKey, let form = target.keyForm {
                    let key = form.pieces
                    let json = if case .number = form { key } else { key.quoted }
                    values.append((column, .init(json: json, text: key, stored: key)))
                    continue
                }
                let value = generator.value(
                    for: target.schema.columns[column],
                    isUnique: target.uniqueColumns.contains(column))
                guard let value else { preconditionFailure("chosen columns have a generator") }
                values.append((column, value))
            }
            known = known ?? values.filter { $0.1.stored != nil }.map(\.0)
            templates.append(Self.template(values, target, compared: known ?? []))
        }
        compared = known ?? []
        self.templates = templates
    }

    /// The columns that records name.
    private static func choose(
        _ target: Target, _ operation: LoadPlan.Operation, _ generator: inout ValueGenerator
    ) throws(Target.Unfit) -> [Int] {
        var chosen: [Int] = []
        for (index, column) in target.schema.columns.enumerated() where index != target.marker {
            if target.schema.primaryKey.contains(index) {
                // The key of an edit stands beside its data.
                if operation == .insert && (target.insertsKey || column.isRequired) {
                    chosen.append(index)
                }
                continue
            }
            guard column.isWritable, column.declaredID == nil else { continue }
            // now() and the like stay what they are.
            let isComputedByDefault = column.hasDefault && column.constantDefault == nil
            if isComputedByDefault && operation != .patch { continue }
            if isComputedByDefault { continue }
            let isUnique = target.uniqueColumns.contains(index)
            if operation != .insert && isUnique { continue }
            if generator.value(for: column, isUnique: isUnique) != nil {
                chosen.append(index)
            } else if column.isRequired && operation != .patch {
                throw Target.Unfit(
                    reason: "no values can be made up for column \(column.name) "
                        + "(\(column.typeName)\(isUnique ? ", unique" : "")) of "
                        + target.schema.publicName)
            }
        }
        // An edit changes a few columns, not all.
        return operation == .patch ? Array(chosen.prefix(2)) : chosen
    }

    private static func template(
        _ values: [(column: Int, value: ValueGenerator.Value)], _ target: Target, compared: [Int]
    ) -> Template {
        func json(isPoisoned: Bool) -> Pieces {
            var json = Pieces()
            for (index, (column, value)) in values.enumerated() {
                var name: [UInt8] = index == 0 ? [] : [UInt8(ascii: ",")]
                appendJSONString(target.schema.columns[column].name, to: &name)
                name.append(UInt8(ascii: ":"))
                json.append(.bytes(name))
                if isPoisoned, let poison = target.poison, poison.column == column {
                    json.append(poison.json)
                } else {
                    json.append(value.json)
                }
            }
            return json
        }
        var stored = Pieces()
        for (index, column) in compared.enumerated() {
            if index > 0 { stored.append(unitSeparator) }
            let value = values.first { $0.column == column }?.value
            stored.append(value?.stored ?? Pieces())
        }
        let texts = values.map { ($0.column, $0.value.text) }
        return Template(
            json: json(isPoisoned: false), poisonedJSON: json(isPoisoned: true),
            parameters: texts.map(\.1),
            poisonedParameters: texts.map { column, text in
                if let poison = target.poison, poison.column == column {
                    return Pieces(poison.text)
                }
                return text
            },
            stored: stored)
    }

    func template(_ message: Int) -> Template {
        templates[Int(mixed(seed, UInt64(message)) % UInt64(Self.count))]
    }

    /// Whether there is something that the table refuses.
    package var canPoison: Bool {
        target.poison.map { columns.contains($0.column) } ?? false
    }

    // MARK: Keys of edits

    /// The rows that a message edits, none twice, in the order in which its caller names them.
    package func keys(_ message: Int) -> [Int] {
        var random = SplitMix64(seed: mixed(seed ^ 0x6B65_7973, UInt64(message)))
        var keys: [Int] = []
        while keys.count < min(rowsPerCall, hotKeys) {
            let key = Int(random.next() % UInt64(hotKeys))
            if !keys.contains(key) { keys.append(key) }
        }
        return keys
    }

    // MARK: What the audit compares

    /// An SQL expression with the stored values in one text; `nil` where nothing is compared.
    package var comparison: String? {
        guard !compared.isEmpty else { return nil }
        return compared.map {
            "coalesce(\(quotedIdentifier(target.schema.columns[$0].name))::text, E'\\x1E')"
        }.joined(separator: " || E'\\x1F' || ")
    }

    /// What that gives for a row that this message wrote.
    package func stored(_ message: Int) -> String { template(message).stored.text(message) }
}
