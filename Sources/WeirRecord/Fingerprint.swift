/// What a message says, as 64 bits: the same ID with another fingerprint is a caller's mistake.
///
/// It is kept in the database for as long as the message ID is remembered, and compared there with
/// that of a repetition which may have come to another gateway, another version or another
/// configuration. So it depends on nothing but what the caller means:
///
///     head   = H(schema 0 table 0 operation 0 rule 0 version 0)
///     field  = H(form of the value), the hash of the column's name being its seed
///     result = head + the sum of all fields, modulo 2^64
///
/// `H` is `StableHash`, `0` a zero byte. `rule` is what the caller said of rows that exist, and
/// `version` the version column that the caller named: empty where the caller left it to the
/// table's settings. A column that the record does not name has no field; nor has an ID that the
/// gateway minted. The form of NULL is the byte 0. Any other value is the byte 1 and behind it, of
/// an integer of any width its 64 bits, of json and jsonb the hash of the document (`JSONPrint`),
/// and of everything else PostgreSQL's binary form.
enum Fingerprint {
    /// - Parameter fields: as `Record` keeps them: column number, length, value.
    static func of(
        _ table: TableSchema, _ options: WriteOptions, _ fields: Span<UInt8>, _ end: Int,
        except minted: Int?
    ) -> UInt64 {
        var result = head(table, options)
        var at = 0
        while at < end {
            let column = Int(fields[at]) | Int(fields[at + 1]) << 8
            let length = elementLength(fields, at: at + 2)
            let start = at + 6
            at = start + max(length, 0)
            if column == minted { continue }
            var hash = StableHash(seed: table.columnHashes[column])
            if length < 0 {
                hash.add(0)
            } else {
                hash.add(1)
                add(table.columns[column].type, fields, start..<at, to: &hash)
            }
            result &+= hash.value
        }
        return result
    }

    private static func head(_ table: TableSchema, _ options: WriteOptions) -> UInt64 {
        var hash = StableHash()
        hash.add(table.schemaName)
        hash.add(0)
        hash.add(table.name)
        hash.add(0)
        hash.add(options.operation.rawValue)
        hash.add(0)
        if options.isConflictRuleSaid {
            switch options.onConflict {
            case .error: hash.add("error")
            case .ignore: hash.add("ignore")
            case .merge: hash.add("merge")
            }
        }
        hash.add(0)
        if options.isVersionColumnSaid, let column = options.versionColumn {
            hash.add(table.columns[column].name)
        }
        hash.add(0)
        return hash.value
    }

    private static func add(
        _ type: ColumnType, _ fields: Span<UInt8>, _ range: Range<Int>, to hash: inout StableHash
    ) {
        switch type {
        case .int2, .int4, .int8:
            // A column that has been widened since holds the same number.
            var value = Int64(Int8(bitPattern: fields[range.lowerBound]))
            for index in range.dropFirst() { value = value << 8 | Int64(fields[index]) }
            hash.add(word: UInt64(bitPattern: value))
        case .json:
            hash.add(word: JSONPrint.of(fields, range))
        case .jsonb:
            // Behind the version of the binary form.
            hash.add(word: JSONPrint.of(fields, range.dropFirst()))
        default:
            hash.add(fields, range)
        }
    }
}

/// The length of the array element at `start`; -1 is NULL.
func elementLength(_ bytes: Span<UInt8>, at start: Int) -> Int {
    let bits =
        UInt32(bytes[start]) << 24 | UInt32(bytes[start + 1]) << 16
        | UInt32(bytes[start + 2]) << 8 | UInt32(bytes[start + 3])
    return Int(Int32(bitPattern: bits))
}

/// A JSON document as 64 bits, whatever the order of its members and the white space between:
/// numbers by their text, strings by what their escapes mean.
///
///     null, true, false = H(first letter, text)
///     number            = H("0", text)
///     string            = H("s", what its escapes mean)
///     array             = mix(mix(… mix(mix("[", 0), first element) …, last element), 2)
///     object            = mix(mix("{", 0) + the sum of mix(string of the name, value), 1)
///
/// `mix` is `H` of two words. A name that stands twice counts twice. Nothing is recursive: how deep
/// a document is, its sender chooses.
enum JSONPrint {
    private struct Level {
        var isObject: Bool
        var hash: UInt64
        /// Of the member whose value comes next.
        var name: UInt64 = 0
    }

    static func of(_ input: Span<UInt8>, _ range: Range<Int>) -> UInt64 {
        do throws(Defect) {
            return try walk(input, range)
        } catch {
            // It was checked when the record was decoded; should the two disagree, bytes decide.
            return stableHash(input, range)
        }
    }

    private static func walk(_ input: Span<UInt8>, _ range: Range<Int>) throws(Defect) -> UInt64 {
        var cursor = JSONCursor(range)
        var levels: [Level] = []
        while true {
            guard let byte = cursor.peek(input) else { throw cursor.failure("expected", input) }
            var value: UInt64?
            switch byte {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                cursor.position += 1
                let isObject = byte == UInt8(ascii: "{")
                levels.append(Level(isObject: isObject, hash: mix(UInt64(byte), 0)))
                if cursor.take(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"), input) {
                    value = levels.popLast().map(closed)
                } else if isObject {
                    levels[levels.count - 1].name = try name(&cursor, input)
                }
            default:
                value = try scalar(byte, &cursor, input)
            }
            // The value that has ended is part of what is open round it, which may end with it.
            while let ended = value {
                guard let last = levels.indices.last else { return ended }
                let isObject = levels[last].isObject
                if isObject {
                    levels[last].hash &+= mix(levels[last].name, ended)
                } else {
                    levels[last].hash = mix(levels[last].hash, ended)
                }
                value = nil
                if cursor.take(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"), input) {
                    value = levels.popLast().map(closed)
                    continue
                }
                try cursor.expect(UInt8(ascii: ","), input)
                if isObject { levels[last].name = try name(&cursor, input) }
            }
        }
    }

    private static func closed(_ level: Level) -> UInt64 {
        mix(level.hash, level.isObject ? 1 : 2)
    }

    private static func name(
        _ cursor: inout JSONCursor, _ input: Span<UInt8>
    ) throws(Defect) -> UInt64 {
        cursor.skipWhitespace(input)
        let hash = try string(&cursor, input)
        try cursor.expect(UInt8(ascii: ":"), input)
        return hash
    }

    private static func scalar(
        _ first: UInt8, _ cursor: inout JSONCursor, _ input: Span<UInt8>
    ) throws(Defect) -> UInt64 {
        guard first != UInt8(ascii: "\"") else { return try string(&cursor, input) }
        let range = try cursor.skipValue(input)
        var hash = StableHash()
        switch first {
        case UInt8(ascii: "n"), UInt8(ascii: "t"), UInt8(ascii: "f"): hash.add(first)
        default: hash.add(UInt8(ascii: "0"))
        }
        hash.add(input, range)
        return hash.value
    }

    private static func string(
        _ cursor: inout JSONCursor, _ input: Span<UInt8>
    ) throws(Defect) -> UInt64 {
        let token = try cursor.string(input)
        var hash = StableHash()
        hash.add(UInt8(ascii: "s"))
        guard token.hasEscapes else {
            hash.add(input, token.range)
            return hash.value
        }
        var text: [UInt8] = []
        do throws(Defect) {
            try cursor.appendText(of: token, input, to: &text)
            hash.add(text.span, 0..<text.count)
        } catch {
            // An escape that no text can have, in a json column: by its spelling.
            hash.add(input, token.range)
        }
        return hash.value
    }

    private static func mix(_ first: UInt64, _ second: UInt64) -> UInt64 {
        var hash = StableHash()
        hash.add(word: first)
        hash.add(word: second)
        return hash.value
    }
}
