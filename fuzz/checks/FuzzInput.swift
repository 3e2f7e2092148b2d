package import WeirRecord

/// One input of the fuzzer: its first byte says what reads the rest.
package struct FuzzInput {
    package enum Reader: UInt8, CaseIterable, Sendable {
        case json
        case record
        case value
        case line
        case data
        case csv
    }

    package let reader: Reader
    package let text: [UInt8]

    package init?(_ bytes: some Collection<UInt8>) {
        guard let first = bytes.first else { return nil }
        // Digits, so that a corpus can be read.
        guard let reader = Reader(rawValue: (first &- 0x30) % UInt8(Reader.allCases.count)) else {
            return nil
        }
        self.reader = reader
        text = Array(bytes.dropFirst())
    }

    package init(_ reader: Reader, _ text: [UInt8]) {
        self.reader = reader
        self.text = text
    }

    package var bytes: [UInt8] { [0x30 + reader.rawValue] + text }

    /// What is wrong with what we make of it; `nil` when nothing is. A trap is a finding, too.
    package func finding() -> String? {
        switch reader {
        case .json: JSONCheck.finding(text)
        case .record: RecordCheck.finding(text, in: FuzzTables.mixed)
        case .value: ValueCheck.finding(text)
        case .line: LineCheck.finding(line: text)
        case .data: LineCheck.finding(data: text)
        case .csv: CSVCheck.finding(text)
        }
    }
}

/// The tables that inputs are decoded for.
package enum FuzzTables {
    /// A column for each type that has an encoder of its own.
    package static let types: [(name: String, type: ColumnType)] = {
        let mood = EnumType(sqlName: "mood", labels: ["sad", "ok", "it's \"\\ {} é"])
        func array(_ element: ColumnType) -> ColumnType {
            .array(ArrayType(sqlName: "x[]", element: element))
        }
        func range(_ subtype: ColumnType) -> ColumnType {
            .range(RangeType(sqlName: "x", subtype: subtype, isBuiltIn: true))
        }
        return [
            ("id", .int8), ("note", .text), ("flag", .boolean), ("small", .int2), ("qty", .int4),
            ("single", .float4), ("double", .float8), ("wide", .numeric(nil)),
            ("price", .numeric(NumericLimits(precision: 6, scale: 2))),
            ("short", .varchar(lengthMax: 5)), ("fixed", .character(lengthMax: 3)), ("uid", .uuid),
            ("raw", .bytea), ("doc", .json), ("docb", .jsonb), ("day", .date),
            ("hour", .time(digits: 6)), ("hourz", .timetz(digits: 3)),
            ("at", .timestamp(digits: 6)), ("atz", .timestamptz(digits: 6)),
            ("span", .interval(digits: 6)), ("net", .inet), ("block", .cidr),
            ("mood", .enumeration(mood)), ("list", array(.int4)), ("texts", array(.text)),
            ("docs", array(.jsonb)), ("moods", array(.enumeration(mood))),
            ("ints", range(.int4)), ("days", range(.date)), ("nums", range(.numeric(nil))),
            ("other", .other(sqlName: "pg_catalog.macaddr")),
        ]
    }()

    package static let mixed = table("mixed", types, key: [0])

    /// Each type as the one column `c`, and as the key.
    package static let single: [TableSchema] = types.map { table("t", [("c", $0.type)], key: [0]) }

    private static func table(
        _ name: String, _ columns: [(name: String, type: ColumnType)], key: [Int]
    ) -> TableSchema {
        TableSchema(
            number: 0, name: name,
            columns: columns.enumerated().map { index, column in
                Column(
                    name: column.name, type: column.type, typeName: column.name,
                    isNullable: !key.contains(index), hasDefault: true)
            }, primaryKey: key)
    }
}
