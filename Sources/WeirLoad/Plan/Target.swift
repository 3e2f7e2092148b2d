package import WeirRecord

/// How the key of a row follows from a number, and the number from the key.
package enum KeyForm: Sendable, Equatable {
    /// `base` and the number.
    case number(base: Int)
    case uuid(high: UInt64)
    case text(prefix: String)

    /// Past what sequences of a test table reach, and with room below int4's end.
    package static let numberBase = 1_000_000_000

    static func prefix(_ nonce: UInt64) -> String {
        "weir-\(String(nonce & 0xFFFF_FFFF, radix: 36))-"
    }

    var pieces: Pieces {
        switch self {
        case .number(let base): Pieces(.number(plus: base))
        case .uuid(let high): Pieces(.uuid(high: high, plus: 0))
        case .text(let prefix):
            {
                var pieces = Pieces(prefix)
                pieces.append(.number(plus: 0))
                return pieces
            }()
        }
    }

    /// Of a key in text form; `nil` for one that is not of this form.
    package func number(of key: String) -> Int? {
        switch self {
        case .number(let base): Int(key).map { $0 - base }
        case .uuid:
            key.count == 36
                ? UInt64(key.suffix(17).filter { $0 != "-" }, radix: 16)
                    .map { Int($0 & 0x3FFF_FFFF_FFFF_FFFF) } : nil
        case .text(let prefix): key.hasPrefix(prefix) ? Int(key.dropFirst(prefix.count)) : nil
        }
    }

    /// An SQL condition that holds for keys that could get in this form's way. A sequence that is
    /// halfway there counts: it goes on while the run does.
    package func danger(_ column: String) -> String {
        if case .number(let base) = self { return "\(column) >= \(base / 2)" }
        return condition(column, below: LoadPlan.messagesMax)
    }

    /// An SQL condition that holds for this form's keys only.
    package func condition(_ column: String, below count: Int) -> String {
        switch self {
        case .number(let base): return "\(column) >= \(base) AND \(column) < \(base + count)"
        case .uuid(let high):
            func bound(_ low: UInt64) -> String {
                var bytes: [UInt8] = []
                Pieces.appendUUID(high, low, to: &bytes)
                return "'" + String(decoding: bytes, as: UTF8.self) + "'"
            }
            return "\(column) >= \(bound(0)) AND \(column) < \(bound(UInt64(count)))"
        case .text(let prefix): return "starts_with(\(column)::text, '\(prefix)')"
        }
    }
}

/// The table that is written, and how rows are told apart in it.
package struct Target: Sendable {
    package var schema: TableSchema
    /// The column with the number of the message that wrote a row last; only scratch tables have
    /// one. It is not unique, so that a record that is written twice shows.
    package var marker: Int?
    /// How keys are made; `nil` where the database makes them and no edit needs one.
    package var keyForm: KeyForm?
    /// Whether an insert names its key.
    package var insertsKey: Bool
    /// Columns of unique indexes.
    package var uniqueColumns: Set<Int>
    /// A value that the table refuses, as JSON and as text.
    package var poison: Poison?
    /// Bits that tell this run's keys from another's.
    package var nonce: UInt64

    package struct Poison: Sendable {
        package var column: Int
        package var json: String
        package var text: String
    }

    package struct Unfit: Error, Equatable {
        package let reason: String
    }

    /// - Parameters:
    ///   - columnsInUniqueIndexes: their names.
    ///   - isAudited: whether rows have to be told from one another.
    /// - Throws: why no records can be made up for the table.
    package init(
        _ schema: TableSchema, marker: String?, columnsInUniqueIndexes: Set<String>, nonce: UInt64,
        needsKeys: Bool, isAudited: Bool = true
    ) throws(Unfit) {
        self.schema = schema
        self.nonce = nonce
        self.marker = marker.flatMap { schema.column(named: $0) }
        uniqueColumns = Set(
            schema.columns.indices.filter {
                columnsInUniqueIndexes.contains(schema.columns[$0].name)
            })
        keyForm = nil
        insertsKey = false
        poison = nil
        if schema.primaryKey.count == 1 {
            let key = schema.columns[schema.primaryKey[0]]
            if key.isWritable && key.declaredID == nil { keyForm = Self.form(key.type, nonce) }
            let isMade =
                key.hasDefault || key.generation == .identityByDefault || key.declaredID != nil
            insertsKey = keyForm != nil && (!isMade || isAudited && self.marker == nil)
        }
        if needsKeys && keyForm == nil {
            throw Unfit(
                reason: "edits need a primary key of one column that callers may set, of type "
                    + "integer, bigint, uuid or text; \(schema.publicName) has none")
        }
        if isAudited && self.marker == nil && keyForm == nil {
            throw Unfit(
                reason: "the audit finds no way to tell the rows of this run from others in "
                    + "\(schema.publicName): it has no primary key of one integer, bigint, uuid or "
                    + "text column; use a scratch copy (without --yes)")
        }
        poison = Self.poison(schema, avoiding: [self.marker, schema.primaryKey.first])
    }

    private static func form(_ type: ColumnType, _ nonce: UInt64) -> KeyForm? {
        switch type {
        case .int4, .int8: .number(base: KeyForm.numberBase)
        case .uuid: .uuid(high: nonce)
        case .text: .text(prefix: KeyForm.prefix(nonce))
        case .varchar(let length) where length >= 30: .text(prefix: KeyForm.prefix(nonce))
        default: nil
        }
    }

    private static func poison(_ schema: TableSchema, avoiding: [Int?]) -> Poison? {
        for (index, column) in schema.columns.enumerated()
        where column.isWritable && !avoiding.contains(index) {
            switch column.type {
            case .int2, .int4, .int8:
                return Poison(column: index, json: "\"poison\"", text: "poison")
            case .date, .timestamp, .timestamptz, .uuid:
                return Poison(column: index, json: "\"poison\"", text: "poison")
            default: continue
            }
        }
        return nil
    }
}
