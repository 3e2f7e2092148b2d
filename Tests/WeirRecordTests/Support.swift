import WeirRecord

/// A column that takes anything its type takes, and that a record may leave out.
func column(
    _ name: String, _ type: ColumnType, nullable: Bool = true, hasDefault: Bool = true,
    generation: Column.Generation = .none
) -> Column {
    Column(
        name: name, type: type, typeName: "\(type)", isNullable: nullable, hasDefault: hasDefault,
        generation: generation)
}

/// `orders(id int8 primary key, qty int4 not null, note text, doc jsonb)`.
let orders = TableSchema(
    number: 3, name: "orders",
    columns: [
        column("id", .int8, nullable: false), column("qty", .int4, nullable: false),
        column("note", .text), column("doc", .jsonb),
    ],
    primaryKey: [0])

/// A key of two columns, which stand in the table the other way round.
let lines = TableSchema(
    number: 4, schemaName: "shop", name: "lines",
    columns: [
        column("line", .int4, nullable: false), column("order", .text, nullable: false),
        column("qty", .int4),
    ],
    primaryKey: [1, 0])

// MARK: Decoding

/// The record that a request with this body, and with this key in its path, would make.
func decode(
    _ body: [UInt8], _ operation: WeirRecord.Operation = .insert, into table: TableSchema = orders,
    path: [String]? = nil
) throws(Defect) -> Record {
    var decoder = RecordDecoder(
        table: table, options: WriteOptions(operation), expectedByteCount: body.count)
    if let path { try decoder.takePathKey(path.map { Array($0.utf8) }) }
    var cursor = JSONCursor(0..<body.count)
    try decoder.takeObject(&cursor, body.span)
    try cursor.expectEnd(body.span)
    return try decoder.finish()
}

func decode(
    _ body: String, _ operation: WeirRecord.Operation = .insert, into table: TableSchema = orders,
    path: [String]? = nil
) throws(Defect) -> Record {
    try decode(Array(body.utf8), operation, into: table, path: path)
}

/// What such a request says, as a message; `key` is that of a line of `/v1/bulk`.
func fingerprint(
    _ body: String?, _ operation: WeirRecord.Operation = .insert, into table: TableSchema = orders,
    path: [String]? = nil, key: String? = nil, rule: ConflictRule? = nil, version: String? = nil
) throws(Defect) -> UInt64 {
    var print = Fingerprint(table, operation, rule: rule, version: version)
    if let path { print.takeKey(path.map { Array($0.utf8) }) }
    if let key {
        let bytes = Array(key.utf8)
        var cursor = JSONCursor(0..<bytes.count)
        try print.takeKey(&cursor, bytes.span)
        try cursor.expectEnd(bytes.span)
    }
    if let body {
        let bytes = Array(body.utf8)
        var cursor = JSONCursor(0..<bytes.count)
        try print.takeData(&cursor, bytes.span)
        try cursor.expectEnd(bytes.span)
    }
    return print.value
}

/// What is wrong with such a request, its table left out; `nil` when it is accepted.
func defect(
    _ body: String, _ operation: WeirRecord.Operation = .insert, in table: TableSchema = orders,
    path: [String]? = nil
) -> Defect? {
    do throws(Defect) {
        _ = try decode(body, operation, into: table, path: path)
        return nil
    } catch {
        return error.withoutTable
    }
}

extension Defect {
    /// For tests of everything else.
    fileprivate var withoutTable: Defect {
        var defect = self
        defect.table = nil
        return defect
    }
}

extension Record {
    /// By column name, the bytes of each field without their length; `nil` is NULL.
    var fields: [String: [UInt8]?] {
        var fields: [String: [UInt8]?] = [:]
        forEachField { column, elements, range in
            let length = elements[range].prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            let isNull = length == UInt32.max
            precondition(
                isNull ? range.count == 4 : range.count == 4 + Int(length), "a length lies")
            fields[table.columns[column].name] = .some(
                isNull ? nil : Array(elements[range].dropFirst(4)))
        }
        return fields
    }

    /// The key as it stands in an answer; empty where the database makes it.
    var keyText: String {
        var json: [UInt8] = []
        if hasKey { appendKeyJSON(to: &json) }
        return String(decoding: json, as: UTF8.self)
    }
}

// MARK: One value

private func table(of type: ColumnType, nullable: Bool) -> TableSchema {
    TableSchema(
        number: 0, name: "t", columns: [column("c", type, nullable: nullable)], primaryKey: [])
}

/// What a JSON value becomes in a column of this type, its length left out; `nil` is NULL.
func encoded(_ json: String, as type: ColumnType, nullable: Bool = true) throws(Defect) -> [UInt8]?
{
    try decode("{\"c\":\(json)}", into: table(of: type, nullable: nullable)).fields["c"] ?? nil
}

/// Why a JSON value does not become one.
func refusal(_ json: String, as type: ColumnType, nullable: Bool = true) -> Defect? {
    defect("{\"c\":\(json)}", in: table(of: type, nullable: nullable))
}

/// What a text form, as in CSV, becomes; `nil` is NULL on both sides.
func encoded(text: String?, as type: ColumnType, nullable: Bool = true) throws(Defect) -> [UInt8]? {
    var decoder = RecordDecoder(
        table: table(of: type, nullable: nullable), options: WriteOptions(.insert),
        expectedByteCount: 0)
    let bytes = Array((text ?? "").utf8)
    try decoder.takeText(0, bytes.span, text == nil ? nil : 0..<bytes.count)
    return try decoder.finish().fields["c"] ?? nil
}

func refusal(text: String?, as type: ColumnType, nullable: Bool = true) -> Defect? {
    do throws(Defect) {
        _ = try encoded(text: text, as: type, nullable: nullable)
        return nil
    } catch {
        return error.withoutTable
    }
}

// MARK: JSON

/// What is wrong with a JSON text; `nil` when it is valid.
func syntaxDefect(_ text: [UInt8]) -> Defect? {
    var cursor = JSONCursor(0..<text.count)
    do throws(Defect) {
        try cursor.skipValue(text.span)
        try cursor.expectEnd(text.span)
        return nil
    } catch {
        return error
    }
}

func syntaxDefect(_ text: String) -> Defect? {
    syntaxDefect(Array(text.utf8))
}

/// The text of a JSON string token, which stands in its quotes.
func unescaped(_ json: String) throws(Defect) -> String {
    let bytes = Array(json.utf8)
    var cursor = JSONCursor(0..<bytes.count)
    let token = try cursor.string(bytes.span)
    var text: [UInt8] = []
    try cursor.appendText(of: token, bytes.span, to: &text)
    return String(decoding: text, as: UTF8.self)
}

/// SplitMix64: the same sequence on every machine.
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
