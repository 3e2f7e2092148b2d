/// From a caller's JSON object, CSV row or key in a path to a `Record`: what is wrong with it is
/// said here, before any transaction.
package struct RecordDecoder: ~Copyable {
    package let table: TableSchema
    package let options: WriteOptions
    private var columns = ColumnSet()
    private var bytes: [UInt8] = []
    /// Where the array element of the key's first column stands in `bytes`; empty until it has
    /// come.
    private var firstKeyElement = 0..<0
    /// The same for its other columns, in key order.
    private var otherKeyElements: [Range<Int>] = []
    private var guess = 0
    /// The key came from the path or from the line's `key`: the body may say it again.
    private var isKeyFixed = false
    private var mintedColumn: Int?
    /// Where the element stands of the column that records are ordered by.
    private var orderKeyElement: Range<Int>?
    /// The same for the column that tells newer rows from older ones.
    private var versionElement: Range<Int>?

    package init(table: TableSchema, options: WriteOptions, expectedByteCount: Int) {
        self.table = table
        self.options = options
        bytes.reserveCapacity(expectedByteCount + 32)
        if table.primaryKey.count > 1 {
            otherKeyElements = Array(repeating: 0..<0, count: table.primaryKey.count - 1)
        }
    }

    // MARK: Input

    /// Takes the columns from the JSON object that comes next.
    ///
    /// - Parameter isKey: the object is a key: it names key columns and no others.
    package mutating func takeObject(
        _ cursor: inout JSONCursor, _ input: Span<UInt8>, isKey: Bool = false
    ) throws(Defect) {
        do throws(Defect) {
            try takeMembers(&cursor, input, isKey: isKey)
        } catch {
            throw inTable(error)
        }
    }

    private mutating func takeMembers(
        _ cursor: inout JSONCursor, _ input: Span<UInt8>, isKey: Bool
    ) throws(Defect) {
        try cursor.expect(UInt8(ascii: "{"), input)
        if isKey { isKeyFixed = true }
        guard !cursor.take(UInt8(ascii: "}"), input) else { return }
        var named = ColumnSet()
        let all = table.fields
        let fields = all.span
        repeat {
            let column = try takeName(&cursor, input, fields)
            if isKey && fields[column].keyIndex == nil {
                throw Defect(
                    .missingKey,
                    "\"\(table.columns[column].name)\" is not a key column of this table",
                    column: table.columns[column].name)
            }
            // Where the body may say the key again, it may say it once.
            guard !isKeyFixed || named.insert(column) else {
                throw repeated(table.columns[column], isKey: false, "the object")
            }
            try takeValue(column, fields[column], &cursor, input)
        } while cursor.take(UInt8(ascii: ","), input)
        try cursor.expect(UInt8(ascii: "}"), input)
    }

    private mutating func takeValue(
        _ column: Int, _ field: Field, _ cursor: inout JSONCursor, _ input: Span<UInt8>
    ) throws(Defect) {
        cursor.skipWhitespace(input)
        let start = bytes.count
        try appendColumn(column, field)
        if let id = field.spelledID {
            try takeID(column, id, &cursor, input)
        } else {
            try field.encoding.encode(&cursor, input, to: &bytes)
        }
        try finishField(column, field, start: start, of: "the object")
    }

    /// Takes one column from its text form: a CSV field. `nil` is NULL.
    package mutating func takeText(
        _ column: Int, _ input: Span<UInt8>, _ range: Range<Int>?
    ) throws(Defect) {
        let start = bytes.count
        do throws(Defect) {
            let field = table.fields[column]
            try appendColumn(column, field)
            if let range {
                if let id = field.spelledID {
                    try takeID(column, id, input, range)
                } else {
                    try field.encoding.encodeText(input, range, to: &bytes)
                }
            } else {
                try field.encoding.encodeNull(to: &bytes)
            }
            try finishField(column, field, start: start, of: "the row")
        } catch {
            throw inTable(error)
        }
    }

    /// Takes the key from a path: its parts in key order, their percent-encoding resolved.
    package mutating func takePathKey(_ parts: [[UInt8]]) throws(Defect) {
        guard parts.count == table.primaryKey.count else {
            let names = table.primaryKey.map { table.columns[$0].name }
            throw Defect(
                .missingKey,
                names.isEmpty
                    ? "this table has no primary key"
                    : "the key of this table is \(names.joined(separator: ",")): "
                        + "\(names.count) parts, not \(parts.count)",
                table: table.publicName)
        }
        for (column, part) in zip(table.primaryKey, parts) {
            try takeText(column, part.span, 0..<part.count)
        }
        isKeyFixed = true
    }

    // MARK: Output

    /// The record, once everything has been taken; where the table declares an ID that the caller
    /// left out of an insert or an upsert, with a new one.
    package consuming func finish(
        _ envelope: Envelope = Envelope(), minting mint: @autoclosure () -> UUID7
    ) throws(Defect) -> Record {
        if let column = table.idColumn, !columns.contains(column),
            options.operation == .insert || options.operation == .upsert
        {
            try takeMinted(column, mint().bits)
        }
        return try finish(envelope)
    }

    /// The record, once everything has been taken.
    package consuming func finish(_ envelope: Envelope = Envelope()) throws(Defect) -> Record {
        let hasKey =
            !table.primaryKey.isEmpty && !firstKeyElement.isEmpty
            && otherKeyElements.allSatisfy { !$0.isEmpty }
        if options.operation != .insert && !hasKey {
            let names = table.primaryKey.map { "\"\(table.columns[$0].name)\"" }
            throw Defect(
                .missingKey,
                names.isEmpty
                    ? "this table has no primary key, so rows can only be inserted"
                    : "the key \(names.joined(separator: ", ")) is missing",
                table: table.publicName)
        }
        try checkRequired()
        try checkVersion()
        let fieldsEnd = bytes.count
        var key: Range<Int>?
        if hasKey && otherKeyElements.isEmpty && !table.keyHasForms {
            key = (firstKeyElement.lowerBound + 4)..<firstKeyElement.upperBound
        } else if hasKey {
            bytes.reserveCapacity(fieldsEnd + table.primaryKey.count * 24)
            for index in table.primaryKey.indices { appendKeyElement(index) }
            // A key of one column stands without its length.
            let isSingle = otherKeyElements.isEmpty
            key = (isSingle ? fieldsEnd + 4 : fieldsEnd)..<bytes.count
        }
        return Record(
            table: table, options: options, columns: columns, bytes: bytes, fieldsEnd: fieldsEnd,
            key: key, orderKeyHash: orderKeyHash(envelope), mintedColumn: mintedColumn,
            envelope: envelope)
    }

    private mutating func orderKeyHash(_ envelope: Envelope) -> UInt64? {
        if let key = envelope.orderKey { return key.hash }
        guard let column = table.orderKeyColumn, let element = orderKeyElement,
            elementLength(bytes.span, at: element.lowerBound) >= 0
        else { return nil }
        let seed = UInt64(table.number) &* 0x9E37_79B9_7F4A_7C15 ^ 0x6F72_6465_722D_636F
        let type = table.columns[column].type
        guard type.hasKeyForm else {
            return stableHash(bytes.span, (element.lowerBound + 4)..<element.upperBound, seed: seed)
        }
        let end = bytes.count
        type.appendKeyForm(element, to: &bytes)
        defer { bytes.removeSubrange(end...) }
        return stableHash(bytes.span, (end + 4)..<bytes.count, seed: seed)
    }

    // MARK: Parts

    /// Takes a column's name and the colon behind it.
    private mutating func takeName(
        _ cursor: inout JSONCursor, _ input: Span<UInt8>, _ fields: Span<Field>
    ) throws(Defect) -> Int {
        cursor.skipWhitespace(input)
        // Records tend to name their columns in one order.
        if guess < fields.count, cursor.skip(fields[guess].jsonName, input) {
            guess += 1
            return guess - 1
        }
        let name = try cursor.string(input)
        try cursor.expect(UInt8(ascii: ":"), input)
        return try find(name, cursor, input)
    }

    /// PostgreSQL looks at NOT NULL before it looks for a conflict. An upsert may leave columns out
    /// all the same: whether it inserts is not known here.
    private func checkRequired() throws(Defect) {
        guard options.operation == .insert, options.onConflict != .merge,
            let missing = table.firstMissing(in: columns)
        else { return }
        let name = table.columns[missing].name
        throw Defect(
            .notNullViolation,
            "column \"\(name)\" is missing; it cannot be null and has "
                + "no default",
            column: name, sqlstate: "23502", table: table.publicName)
    }

    /// Without a version nobody can say which write is newer.
    private func checkVersion() throws(Defect) {
        guard let version = options.versionColumn else { return }
        if let element = versionElement, elementLength(bytes.span, at: element.lowerBound) >= 0 {
            return
        }
        let name = table.columns[version].name
        throw Defect(
            .invalidValue,
            "column \"\(name)\" says which write is newer: the record needs a value for it",
            column: name, table: table.publicName)
    }

    private func inTable(_ defect: Defect) -> Defect {
        var defect = defect
        defect.table = table.publicName
        return defect
    }

    /// Appends the key's element in the form that all equal ones have.
    private mutating func appendKeyElement(_ index: Int) {
        table.columns[table.primaryKey[index]].type
            .appendKeyForm(keyElement(index), to: &bytes)
    }

    /// Whether the element at `start` says the same as that of the key.
    private func isSameKey(_ index: Int, from start: Int) -> Bool {
        let element = keyElement(index)
        if bytes[element] == bytes[start...] { return true }
        let type = table.columns[table.primaryKey[index]].type
        guard type.hasKeyForm else { return false }
        var forms = bytes
        type.appendKeyForm(element, to: &forms)
        let second = forms.count
        type.appendKeyForm(start..<bytes.count, to: &forms)
        return forms[bytes.count..<second] == forms[second...]
    }

    private mutating func find(
        _ name: JSONCursor.StringToken, _ cursor: JSONCursor, _ input: Span<UInt8>
    ) throws(Defect) -> Int {
        var found: Int?
        if name.hasEscapes {
            var text: [UInt8] = []
            try cursor.appendText(of: name, input, to: &text)
            found = table.column(text.span, 0..<text.count, guess: guess)
        } else {
            found = table.column(input, name.range, guess: guess)
        }
        guard let found else {
            var text: [UInt8] = []
            try? cursor.appendText(of: name, input, to: &text)
            throw unknownColumn(String(decoding: text.prefix(80), as: UTF8.self))
        }
        guess = found + 1
        return found
    }

    private func unknownColumn(_ name: String) -> Defect {
        let known = table.columns.prefix(20).map(\.name).joined(separator: ", ")
        return Defect(
            .unknownColumn,
            "table \(table.publicName) has no column \"\(name)\"; it has \(known)", column: name,
            sqlstate: "42703", table: table.publicName)
    }

    private mutating func appendColumn(_ column: Int, _ field: Field) throws(Defect) {
        guard field.isWritable else { throw generated(table.columns[column]) }
        bytes.append(UInt8(truncatingIfNeeded: column))
        bytes.append(UInt8(truncatingIfNeeded: column >> 8))
    }

    /// Checks the field that has just been appended, and notes it if it is a part of the key.
    private mutating func finishField(
        _ column: Int, _ field: Field, start: Int, of place: StaticString
    ) throws(Defect) {
        let keyIndex = field.keyIndex
        guard columns.insert(column) else {
            guard isKeyFixed, let keyIndex, isSameKey(keyIndex, from: start + 2) else {
                throw repeated(table.columns[column], isKey: isKeyFixed && keyIndex != nil, place)
            }
            // The key stands in the path and, alike, in the body.
            bytes.removeSubrange(start...)
            return
        }
        if column == table.orderKeyColumn { orderKeyElement = (start + 2)..<bytes.count }
        if column == options.versionColumn { versionElement = (start + 2)..<bytes.count }
        switch keyIndex {
        case nil: break
        case 0?: firstKeyElement = (start + 2)..<bytes.count
        case let index?: otherKeyElements[index - 1] = (start + 2)..<bytes.count
        }
    }

    private func keyElement(_ index: Int) -> Range<Int> {
        index == 0 ? firstKeyElement : otherKeyElements[index - 1]
    }

    // MARK: Declared IDs

    private mutating func takeID(
        _ column: Int, _ id: DeclaredID, _ cursor: inout JSONCursor, _ input: Span<UInt8>
    ) throws(Defect) {
        var text: [UInt8] = []
        switch cursor.peek(input) {
        case UInt8(ascii: "\""):
            let token = try cursor.string(input)
            try cursor.appendText(of: token, input, to: &text)
        case UInt8(ascii: "n"), nil:
            return try table.fields[column].encoding.encode(&cursor, input, to: &bytes)
        default:
            try cursor.skipValue(input, depthMax: JSONCursor.valueDepthMax)
        }
        try takeID(column, id, text.span, 0..<text.count)
    }

    private mutating func takeID(
        _ column: Int, _ id: DeclaredID, _ input: Span<UInt8>, _ range: Range<Int>
    ) throws(Defect) {
        var text: [UInt8] = []
        text.append(input, range)
        try id.encode(
            text[...], column: table.columns[column].name, table: table.publicName, to: &bytes)
    }

    private mutating func takeMinted(_ column: Int, _ bits: UUIDBits) throws(Defect) {
        guard let id = table.columns[column].declaredID else { return }
        let start = bytes.count
        let field = table.fields[column]
        try appendColumn(column, field)
        id.append(bits, to: &bytes)
        try finishField(column, field, start: start, of: "the object")
        mintedColumn = column
    }

    private func generated(_ column: Column) -> Defect {
        Defect(
            .invalidValue, "column \"\(column.name)\" is generated by the database; leave it out",
            column: column.name, sqlstate: "428C9")
    }

    private func repeated(_ column: Column, isKey: Bool, _ place: StaticString) -> Defect {
        if isKey {
            return Defect(
                .invalidValue,
                "key column \"\(column.name)\" is given twice, with different values",
                column: column.name)
        }
        return Defect(
            .invalidJSON, "column \"\(column.name)\" stands twice in \(place)", column: column.name)
    }
}

extension ColumnType {
    /// Whether a value's text form is its JSON form too.
    package var isBareInJSON: Bool {
        switch self {
        case .int2, .int4, .int8, .json, .jsonb: true
        default: false
        }
    }
}
