import WeirCore
import WeirRecord

/// Real records from a file, one JSON object a line: message n writes record n, and when all have
/// been written, the first one again.
package struct RecordFile: Sendable {
    package static let byteCountMax = 64 << 20
    package static let recordsMax = 200_000

    /// A line that cannot be a record of the table, or a file without any.
    package struct Malformed: Error, Equatable {
        package let reason: String
    }

    private let path: String
    private let bytes: [UInt8]

    /// - Parameter path: for messages.
    package init(_ bytes: [UInt8], path: String) {
        self.bytes = bytes
        self.path = path
    }

    struct Value {
        var column: Int
        /// As the line has it.
        var json: [UInt8]
        /// In PostgreSQL's text form; `nil` is NULL.
        var text: [UInt8]?
    }

    /// The values of each record, in the order of its line, without those of `omitted` columns.
    func records(
        of table: TableSchema, omitting omitted: Set<Int>
    ) throws(Malformed) -> [[Value]] {
        let input = bytes.span
        var end = -1
        var records: [[Value]] = []
        var number = 0
        while end < bytes.count {
            let start = end + 1
            end = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
            let line = start..<end
            number += 1
            var cursor = JSONCursor(line)
            guard cursor.peek(input) != nil else { continue }
            guard records.count < Self.recordsMax else {
                throw Malformed(reason: "\(path) has more than \(Self.recordsMax) records")
            }
            do throws(Defect) {
                records.append(try Self.values(line, input, table, omitted))
            } catch {
                throw Malformed(reason: "\(path):\(number): \(error.detail)")
            }
        }
        guard !records.isEmpty else { throw Malformed(reason: "\(path) holds no records") }
        return records
    }

    private static func values(
        _ line: Range<Int>, _ input: Span<UInt8>, _ table: TableSchema, _ omitted: Set<Int>
    ) throws(Defect) -> [Value] {
        // Without what is omitted, or a key that the harness makes would be missing.
        var json: [UInt8] = [UInt8(ascii: "{")]
        var values: [Value] = []
        var cursor = JSONCursor(line)
        try cursor.expect(UInt8(ascii: "{"), input)
        var hasMember = !cursor.take(UInt8(ascii: "}"), input)
        while hasMember {
            cursor.skipWhitespace(input)
            let name = try cursor.text(input)
            try cursor.expect(UInt8(ascii: ":"), input)
            cursor.skipWhitespace(input)
            let range = try cursor.skipValue(input)
            hasMember = cursor.take(UInt8(ascii: ","), input)
            if !hasMember { try cursor.expect(UInt8(ascii: "}"), input) }
            guard let column = table.column(named: name) else {
                throw Defect(
                    .unknownColumn, "table \(table.publicName) has no column \"\(name.prefix(80))\""
                )
            }
            guard !omitted.contains(column) else { continue }
            var value: [UInt8] = []
            value.append(input, range)
            if !values.isEmpty { json.append(UInt8(ascii: ",")) }
            appendJSONString(name, to: &json)
            json.append(UInt8(ascii: ":"))
            json += value
            values.append(Value(column: column, json: value, text: nil))
        }
        try cursor.expectEnd(input)
        json.append(UInt8(ascii: "}"))

        let missing = table.requiredColumns.first { required in
            !omitted.contains(required) && !values.contains { $0.column == required }
        }
        if let missing {
            throw Defect(
                .notNullViolation,
                "column \"\(table.columns[missing].name)\" is missing; it cannot be null and has "
                    + "no default")
        }
        let record = try decoded(json, table)
        for index in values.indices {
            var text: [UInt8] = []
            if record.appendText(of: values[index].column, to: &text) { values[index].text = text }
        }
        return values
    }

    /// As the gateway would read it.
    private static func decoded(
        _ json: [UInt8], _ table: TableSchema
    ) throws(Defect) -> Record {
        var options = WriteOptions(.insert)
        // What is omitted is missing here, and not in what is sent.
        options.onConflict = .merge
        var decoder = RecordDecoder(
            table: table, options: options, expectedByteCount: json.count)
        var cursor = JSONCursor(0..<json.count)
        try decoder.takeObject(&cursor, json.span)
        return try decoder.finish()
    }
}
