package import WeirRecord

/// One line of `/v1/bulk`:
/// `{"op":…,"table":…,"id":…,"order_key":…,"group":…,"key":{…},"data":{…}}`.
///
/// Where `op` and `table` come first, as everybody writes them, `key` and `data` are decoded on the
/// way; else they are remembered and decoded at the end.
package struct BulkLine {
    package var record: Record
    package var group: String?

    /// What callers may ask for, found by name; the last one found is kept, since most requests
    /// name one.
    package struct Tables {
        let plane: DataPlane
        /// What the request as a whole prefers.
        let preferences: Preferences
        private var name: [UInt8] = []
        private var schema: TableSchema?
        /// How the last line began, if its operation and its table came first: the lines of a
        /// request tend to begin alike, down to the byte.
        fileprivate var opening: Opening?
        /// The same down to the record, where the line ended with it. Most lines do, and are read
        /// without looking at anything but the record.
        fileprivate var bareOpening: Opening?
        /// Some line did not.
        fileprivate var hasTails = false

        /// For a request that prefers nothing.
        package init(_ plane: DataPlane) {
            self.init(plane, Preferences())
        }

        init(_ plane: DataPlane, _ preferences: Preferences) {
            self.plane = plane
            self.preferences = preferences
        }

        mutating func schema(
            _ token: JSONCursor.StringToken, _ cursor: JSONCursor, _ input: Span<UInt8>
        ) throws -> TableSchema {
            if let schema, isLast(token, input) { return schema }
            let found = try plane.table(try cursor.text(of: token, input))
            name = []
            name.append(input, token.range)
            schema = found
            return found
        }

        fileprivate mutating func remember(
            _ parts: borrowing Parts, _ input: Span<UInt8>, _ range: Range<Int>
        ) throws {
            guard let operation = parts.operation, let table = parts.table else { return }
            opening = Opening(
                text: [UInt8](input, range), table: table, options: try options(operation, table))
        }

        /// - Parameter start: where the line begins that `parts` were read from.
        fileprivate mutating func rememberBare(
            _ parts: borrowing Parts, _ input: Span<UInt8>, from start: Int
        ) throws {
            guard bareOpening == nil, !hasTails, parts.seen == [.op, .table, .data],
                let operation = parts.operation, operation != .delete, let table = parts.table,
                table.policy.onReject != .deadLetter, let data = parts.data,
                parts.decoded.contains(.data)
            else { return }
            bareOpening = Opening(
                text: [UInt8](input, start..<data.lowerBound), table: table,
                options: try options(operation, table))
        }

        func options(
            _ operation: WeirRecord.Operation, _ table: TableSchema
        ) throws -> WriteOptions {
            try plane.options(operation, preferences, table, isOneOfMany: true)
        }

        private func isLast(_ token: JSONCursor.StringToken, _ input: Span<UInt8>) -> Bool {
            guard token.range.count == name.count else { return false }
            for offset in 0..<name.count
            where input[token.range.lowerBound + offset] != name[offset] {
                return false
            }
            return true
        }
    }

    /// A line's first bytes, and what they say. A class, since each line asks for it.
    fileprivate final class Opening: Sendable {
        let text: [UInt8]
        let table: TableSchema
        let options: WriteOptions

        init(text: [UInt8], table: TableSchema, options: WriteOptions) {
            self.text = text
            self.table = table
            self.options = options
        }
    }

    fileprivate struct Parts: ~Copyable {
        var operation: WeirRecord.Operation?
        var table: TableSchema?
        var id: String?
        var group: String?
        var orderKey: OrderKey?
        /// Where they stand, and which of them have been decoded on the way.
        var key: Range<Int>?
        var data: Range<Int>?
        var decoded: Set = []
        var decoder: RecordDecoder?
        var seen: Set = []

        struct Set: OptionSet {
            let rawValue: UInt8
            static let op = Set(rawValue: 1)
            static let table = Set(rawValue: 2)
            static let id = Set(rawValue: 4)
            static let group = Set(rawValue: 8)
            static let key = Set(rawValue: 16)
            static let data = Set(rawValue: 32)
            static let orderKey = Set(rawValue: 64)
        }

        mutating func once(_ member: Set, _ name: StaticString) throws {
            guard !seen.contains(member) else {
                throw Defect(.invalidJSON, "\"\(name)\" stands twice in the line")
            }
            seen.insert(member)
        }
    }

    /// - Parameter envelope: what holds for the line where it does not say otherwise.
    package init(
        _ input: Span<UInt8>, _ range: Range<Int>, tables: inout Tables,
        envelope: Envelope = Envelope()
    ) throws {
        if let record = try Self.bareRecord(input, range, &tables, envelope) {
            self.record = record
            return
        }
        var parts = Parts()
        var cursor = JSONCursor(range)
        var hasMember = true
        if let opening = tables.opening, cursor.skip(opening.text, input) {
            parts.operation = opening.options.operation
            parts.table = opening.table
            parts.seen = [.op, .table]
            parts.decoder = RecordDecoder(
                table: opening.table, options: opening.options, expectedByteCount: range.count)
        } else {
            try cursor.expect(UInt8(ascii: "{"), input)
            hasMember = !cursor.take(UInt8(ascii: "}"), input)
        }
        while hasMember {
            cursor.skipWhitespace(input)
            let name = try cursor.string(input)
            try cursor.expect(UInt8(ascii: ":"), input)
            cursor.skipWhitespace(input)
            try Self.takeMember(name, &cursor, input, &parts, &tables, range.count)
            hasMember = cursor.take(UInt8(ascii: ","), input)
            if !hasMember { try cursor.expect(UInt8(ascii: "}"), input) }
            if hasMember && parts.seen == [.op, .table] {
                try tables.remember(parts, input, range.lowerBound..<cursor.position)
            }
        }
        try cursor.expectEnd(input)

        if parts.decoder == nil { parts.decoder = try Self.makeDecoder(parts, range.count, tables) }
        guard let table = parts.table, parts.decoder != nil else {
            throw Defect(
                .invalidRequest,
                parts.operation == nil ? "the line has no \"op\"" : "the line has no \"table\"")
        }
        if let key = parts.key, !parts.decoded.contains(.key) {
            try Self.decode(key, input, into: &parts.decoder, isKey: true)
        }
        if let data = parts.data, !parts.decoded.contains(.data) {
            try Self.decode(data, input, into: &parts.decoder, isKey: false)
        }
        if parts.operation == .delete && parts.seen.contains(.data) {
            throw Defect(.invalidRequest, "a delete takes a \"key\" and no \"data\"")
        }
        let isPlain =
            parts.id == nil && envelope.messageID == nil && parts.orderKey == nil
            && table.policy.onReject != .deadLetter
        // Decoded where it stands: a decoder is large, and so is an envelope. Copying them shows in
        // a profile.
        let record: Record?
        if isPlain {
            record = try parts.decoder.take()?.finish(envelope, minting: tables.plane.mint())
        } else {
            let completed = try Self.completed(
                envelope, parts, table, input, range, tables.preferences)
            record = try parts.decoder.take()?.finish(completed, minting: tables.plane.mint())
        }
        guard let record else { preconditionFailure("there is a decoder") }
        self.record = record
        group = parts.group
        if isPlain { try tables.rememberBare(parts, input, from: range.lowerBound) }
    }

    /// The record of a line that begins as another one did, and ends with the record.
    private static func bareRecord(
        _ input: Span<UInt8>, _ range: Range<Int>, _ tables: inout Tables, _ envelope: Envelope
    ) throws -> Record? {
        guard envelope.messageID == nil, let opening = tables.bareOpening else { return nil }
        var cursor = JSONCursor(range)
        guard cursor.skip(opening.text, input) else { return nil }
        var decoder = RecordDecoder(
            table: opening.table, options: opening.options, expectedByteCount: range.count)
        try decoder.takeObject(&cursor, input)
        guard cursor.take(UInt8(ascii: "}"), input), cursor.peek(input) == nil else {
            tables.bareOpening = nil
            tables.hasTails = true
            return nil
        }
        return try decoder.finish(envelope, minting: tables.plane.mint())
    }

    /// With what the line itself says.
    private static func completed(
        _ envelope: Envelope, _ parts: borrowing Parts, _ table: TableSchema, _ input: Span<UInt8>,
        _ range: Range<Int>, _ preferences: Preferences
    ) throws -> Envelope {
        var envelope = envelope
        if let id = parts.id { envelope.messageID = try MessageID.check(id) }
        if envelope.messageID != nil {
            envelope.fingerprint = try fingerprint(parts, input, preferences)
        }
        if let key = parts.orderKey { envelope.orderKey = key }
        if table.policy.onReject == .deadLetter {
            envelope.source = RecordSource(.bulkLine, [UInt8](input, range))
        }
        return envelope
    }

    private static func takeMember(
        _ name: JSONCursor.StringToken, _ cursor: inout JSONCursor, _ input: Span<UInt8>,
        _ parts: inout Parts, _ tables: inout Tables, _ size: Int
    ) throws {
        if JSONCursor.matches(name, "op", input) {
            try parts.once(.op, "op")
            parts.operation = try operation(&cursor, input)
        } else if JSONCursor.matches(name, "table", input) {
            try parts.once(.table, "table")
            let token = try cursor.string(input)
            parts.table = try tables.schema(token, cursor, input)
        } else if JSONCursor.matches(name, "data", input) {
            try parts.once(.data, "data")
            parts.data = try takeObject(.data, &cursor, input, &parts, size, tables)
        } else if JSONCursor.matches(name, "key", input) {
            try parts.once(.key, "key")
            parts.key = try takeObject(.key, &cursor, input, &parts, size, tables)
        } else if JSONCursor.matches(name, "id", input) {
            try parts.once(.id, "id")
            parts.id = try cursor.text(input)
        } else if JSONCursor.matches(name, "order_key", input) {
            try parts.once(.orderKey, "order_key")
            parts.orderKey = try OrderKey(try cursor.text(input))
        } else if JSONCursor.matches(name, "group", input) {
            try parts.once(.group, "group")
            parts.group = try cursor.text(input)
        } else {
            let text = try cursor.text(of: name, input)
            throw Defect(
                .invalidRequest,
                "a line has op, table, id, order_key, group, key and data, and no "
                    + "\"\(text.prefix(40))\"")
        }
    }

    private static func operation(
        _ cursor: inout JSONCursor, _ input: Span<UInt8>
    ) throws -> WeirRecord.Operation {
        let token = try cursor.string(input)
        if JSONCursor.matches(token, "insert", input) { return .insert }
        if JSONCursor.matches(token, "upsert", input) { return .upsert }
        if JSONCursor.matches(token, "patch", input) { return .patch }
        if JSONCursor.matches(token, "delete", input) { return .delete }
        let word = try cursor.text(of: token, input)
        throw Defect(
            .invalidRequest, "\"op\" is insert, upsert, patch or delete, not \"\(word.prefix(40))\""
        )
    }

    /// Decodes `key` or `data` if it can be decoded yet, and returns where it stands.
    private static func takeObject(
        _ member: Parts.Set, _ cursor: inout JSONCursor, _ input: Span<UInt8>,
        _ parts: inout Parts, _ size: Int, _ tables: Tables
    ) throws -> Range<Int> {
        if parts.decoder == nil { parts.decoder = try makeDecoder(parts, size, tables) }
        guard parts.decoder != nil else { return try cursor.skipValue(input) }
        let start = cursor.position
        try parts.decoder?.takeObject(&cursor, input, isKey: member == .key)
        parts.decoded.insert(member)
        return start..<cursor.position
    }

    /// Of a line that names its operation and its table.
    private static func fingerprint(
        _ parts: borrowing Parts, _ input: Span<UInt8>, _ preferences: Preferences
    ) throws(Defect) -> UInt64? {
        guard let operation = parts.operation, let table = parts.table else { return nil }
        var print = Fingerprint(table, operation, preferences)
        if let key = parts.key {
            var cursor = JSONCursor(key)
            try print.takeKey(&cursor, input)
        }
        if let data = parts.data {
            var cursor = JSONCursor(data)
            try print.takeData(&cursor, input)
        }
        return print.value
    }

    /// The message of a line that could not be taken as a record.
    ///
    /// - Parameter id: its ID, where the line does not say another.
    static func message(
        _ input: Span<UInt8>, _ range: Range<Int>, tables: inout Tables, otherwise id: String?
    ) -> Message? {
        var parts = Parts()
        parts.id = id
        var cursor = JSONCursor(range)
        do {
            try cursor.expect(UInt8(ascii: "{"), input)
            repeat {
                cursor.skipWhitespace(input)
                let name = try cursor.text(input)
                try cursor.expect(UInt8(ascii: ":"), input)
                cursor.skipWhitespace(input)
                switch name {
                case "op": parts.operation = try operation(&cursor, input)
                case "table":
                    parts.table = try tables.schema(try cursor.string(input), cursor, input)
                case "id": parts.id = try MessageID.check(try cursor.text(input))
                case "key": parts.key = try cursor.skipValue(input)
                case "data": parts.data = try cursor.skipValue(input)
                default: try cursor.skipValue(input)
                }
            } while cursor.take(UInt8(ascii: ","), input)
            guard let id = parts.id,
                let fingerprint = try fingerprint(parts, input, tables.preferences)
            else { return nil }
            return Message(id, fingerprint: fingerprint)
        } catch {
            // Nothing that cannot be read to its end has committed.
            return nil
        }
    }

    private static func makeDecoder(
        _ parts: borrowing Parts, _ size: Int, _ tables: Tables
    ) throws -> RecordDecoder? {
        guard let operation = parts.operation, let table = parts.table else { return nil }
        return RecordDecoder(
            table: table, options: try tables.options(operation, table), expectedByteCount: size)
    }

    private static func decode(
        _ range: Range<Int>, _ input: Span<UInt8>, into decoder: inout RecordDecoder?, isKey: Bool
    ) throws {
        var cursor = JSONCursor(range)
        try decoder?.takeObject(&cursor, input, isKey: isKey)
    }
}
