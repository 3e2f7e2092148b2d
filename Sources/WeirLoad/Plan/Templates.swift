import WeirCore
import WeirRecord

/// The records that a run writes. Message n's record is a function of n and the seed, so that the
/// audit knows what should stand in the table without keeping it.
package struct Templates: Sendable {
    struct Template: Sendable {
        /// Positions of the columns that the record names, the marker first; without an edit's key.
        var columns: [Int]
        /// `"a":1,"b":2`, without braces and without the key of an edit.
        var json: Pieces
        var poisonedJSON: Pieces
        /// In the order of `columns`; `nil` is NULL.
        var parameters: [Pieces?]
        var poisonedParameters: [Pieces?]
        /// Of `compared`, joined as `comparison` joins them.
        var stored: Pieces
    }

    package let target: Target
    package let operation: LoadPlan.Operation
    package let rowsPerCall: Int
    let hotKeys: Int
    let seed: UInt64
    /// Positions of the columns that some record names.
    let columns: [Int]
    /// Those whose stored form is known for every record.
    let compared: [Int]
    private let templates: [Template]
    /// Each record of a file comes in its turn; made-up ones are drawn.
    private let isFromFile: Bool

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
                if target.schema.primaryKey == [column], let form = target.keyForm {
                    values.append((column, form.value))
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
        isFromFile = false
    }

    /// Records of a file, for inserts. Where the harness makes keys, the file's are left out: its
    /// records are written more than once.
    ///
    /// - Throws: which line cannot be a record of the table.
    package init(
        _ target: Target, _ plan: LoadPlan, from file: RecordFile
    ) throws(RecordFile.Malformed) {
        precondition(plan.operation == .insert, "the records of a file are new ones")
        self.target = target
        operation = plan.operation
        rowsPerCall = plan.rowsPerCall
        hotKeys = plan.hotKeys
        seed = plan.seed
        let schema = target.schema
        var omitted = Set(schema.columns.indices.filter { !schema.columns[$0].isWritable })
        if let marker = target.marker { omitted.insert(marker) }
        if target.keyForm != nil { omitted.formUnion(schema.primaryKey) }
        let records = try file.records(of: schema, omitting: omitted)
        var compared = records[0].map(\.column).filter {
            schema.columns[$0].type.isPrintedAsStored
        }
        for record in records {
            let named = Set(record.map(\.column))
            compared.removeAll { !named.contains($0) }
        }
        let made = Self.madeValues(target)
        self.compared = compared
        templates = records.map { record in
            let values = record.map { value in
                (
                    value.column,
                    ValueGenerator.Value(
                        json: Pieces(.bytes(value.json)),
                        text: value.text.map { Pieces(.bytes($0)) },
                        stored: value.text.map { Pieces(.bytes($0)) } ?? Pieces("\u{1E}"))
                )
            }
            return Self.template(made + values, target, compared: compared)
        }
        columns = Set(templates.flatMap(\.columns)).sorted()
        isFromFile = true
    }

    /// What the harness puts into each record: the marker, and the key where an insert names it.
    private static func madeValues(
        _ target: Target
    ) -> [(column: Int, value: ValueGenerator.Value)] {
        var values: [(column: Int, value: ValueGenerator.Value)] = []
        if let marker = target.marker {
            let number = Pieces(.number(plus: 0))
            values.append((marker, .init(json: number, text: number, stored: nil)))
        }
        if target.insertsKey, let form = target.keyForm, let key = target.schema.primaryKey.first {
            values.append((key, form.value))
        }
        return values
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
            columns: values.map(\.column), json: json(isPoisoned: false),
            poisonedJSON: json(isPoisoned: true),
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
        let number = isFromFile ? UInt64(message) : mixed(seed, UInt64(message))
        return templates[Int(number % UInt64(templates.count))]
    }

    /// Records of a file that are written in turn; `nil` where records are made up.
    package var fileCount: Int? { isFromFile ? templates.count : nil }

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

extension KeyForm {
    fileprivate var value: ValueGenerator.Value {
        let json = if case .number = self { pieces } else { pieces.quoted }
        return ValueGenerator.Value(json: json, text: pieces, stored: pieces)
    }
}

extension ColumnType {
    /// Whether a value's text form is what casting it to text gives.
    fileprivate var isPrintedAsStored: Bool {
        switch self {
        case .int2, .int4, .int8, .text, .varchar, .uuid, .enumeration: true
        default: false
        }
    }
}
