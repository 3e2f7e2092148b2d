import WeirRecord

/// One line of `/v1/bulk`: `{"op":…,"table":…,"id":…,"group":…,"key":{…},"data":{…}}`.
///
/// Where `op` and `table` come first, as everybody writes them, `key` and `data` are decoded on the way;
/// else they are remembered and decoded at the end.
struct BulkLine {
    var record: Record
    var group: String?

    /// What callers may ask for, found by name; the last one found is kept, since most requests name one.
    struct Tables {
        let find: (String) throws -> TableSchema
        private var name = ""
        private var schema: TableSchema?

        init(_ find: @escaping (String) throws -> TableSchema) {
            self.find = find
        }

        mutating func schema(_ wanted: String) throws -> TableSchema {
            if wanted == name, let schema { return schema }
            let found = try find(wanted)
            name = wanted
            schema = found
            return found
        }
    }

    private struct Parts {
        var operation: WeirRecord.Operation?
        var table: TableSchema?
        var id: String?
        var group: String?
        var key: Range<Int>?
        var data: Range<Int>?
        var decoder: RecordDecoder?
        var seen: [StaticString] = []

        mutating func once(_ name: StaticString) throws {
            guard !seen.contains(where: { $0.description == name.description }) else {
                throw Defect(.invalidJSON, "\"\(name)\" stands twice in the line")
            }
            seen.append(name)
        }
    }

    /// - Parameters:
    ///   - defaultID: the message ID where the line has none.
    ///   - preferences: what the request as a whole prefers.
    init(
        _ input: Span<UInt8>, _ range: Range<Int>, tables: inout Tables, defaultID: String?,
        preferences: Preferences
    ) throws {
        var parts = Parts()
        var cursor = JSONCursor(range)
        try cursor.expect(UInt8(ascii: "{"), input)
        if !cursor.take(UInt8(ascii: "}"), input) {
            repeat {
                cursor.skipWhitespace(input)
                let name = try Self.text(&cursor, input)
                try cursor.expect(UInt8(ascii: ":"), input)
                try Self.takeMember(name, &cursor, input, &parts, &tables, range.count, preferences)
            } while cursor.take(UInt8(ascii: ","), input)
            try cursor.expect(UInt8(ascii: "}"), input)
        }
        try cursor.expectEnd(input)

        guard var decoder = try parts.decoder
            ?? Self.makeDecoder(parts, range.count, preferences)
        else {
            throw Defect(
                .invalidRequest,
                parts.operation == nil ? "the line has no \"op\"" : "the line has no \"table\"")
        }
        if let key = parts.key { try Self.decode(key, input, into: &decoder, isKey: true) }
        if let data = parts.data { try Self.decode(data, input, into: &decoder, isKey: false) }
        if decoder.options.operation == .delete && parts.seen.contains(where: { $0.description == "data" }) {
            throw Defect(.invalidRequest, "a delete takes a \"key\" and no \"data\"")
        }
        record = try decoder.finish(messageID: try parts.id.map { try MessageID.check($0) } ?? defaultID)
        group = parts.group
    }

    private static func takeMember(
        _ name: String, _ cursor: inout JSONCursor, _ input: Span<UInt8>, _ parts: inout Parts,
        _ tables: inout Tables, _ size: Int, _ preferences: Preferences
    ) throws {
        switch name {
        case "op":
            try parts.once("op")
            let word = try text(&cursor, input)
            guard let operation = WeirRecord.Operation(rawValue: word) else {
                throw Defect(
                    .invalidRequest, "\"op\" is insert, upsert, patch or delete, not \"\(word.prefix(40))\"")
            }
            parts.operation = operation
        case "table":
            try parts.once("table")
            parts.table = try tables.schema(try text(&cursor, input))
        case "id":
            try parts.once("id")
            parts.id = try text(&cursor, input)
        case "group":
            try parts.once("group")
            parts.group = try text(&cursor, input)
        case "key", "data":
            let isKey = name == "key"
            try parts.once(isKey ? "key" : "data")
            if parts.decoder == nil { parts.decoder = try makeDecoder(parts, size, preferences) }
            if parts.decoder != nil {
                try parts.decoder?.takeObject(&cursor, input, isKey: isKey)
            } else if isKey {
                parts.key = try cursor.skipValue(input)
            } else {
                parts.data = try cursor.skipValue(input)
            }
        default:
            throw Defect(
                .invalidRequest,
                "a line has op, table, id, group, key and data, and no \"\(name.prefix(40))\"")
        }
    }

    private static func makeDecoder(
        _ parts: Parts, _ size: Int, _ preferences: Preferences
    ) throws -> RecordDecoder? {
        guard let operation = parts.operation, let table = parts.table else { return nil }
        var options = WriteOptions(operation)
        options.onConflict = preferences.onConflict ?? .error
        options.returnsRow = preferences.returnsRow
        options.isDryRun = preferences.isDryRun
        return RecordDecoder(table: table, options: options, expectedByteCount: size)
    }

    private static func decode(
        _ range: Range<Int>, _ input: Span<UInt8>, into decoder: inout RecordDecoder, isKey: Bool
    ) throws {
        var cursor = JSONCursor(range)
        try decoder.takeObject(&cursor, input, isKey: isKey)
    }

    private static func text(_ cursor: inout JSONCursor, _ input: Span<UInt8>) throws -> String {
        cursor.skipWhitespace(input)
        let token = try cursor.string(input)
        var bytes: [UInt8] = []
        try cursor.appendText(of: token, input, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}
