import WeirRecord

/// What a record that was accepted says, written out as JSON and read again, is the same record.
enum RecordCheck {
    static func finding(_ text: [UInt8], in table: TableSchema) -> String? {
        guard case .success(let record) = decode(text, table) else { return nil }
        // What a record takes is JSON, and nothing stands behind it.
        if !JSONCheck.isJSON(text) { return "a record that is no JSON" }
        let json = written(record)
        if !JSONCheck.isJSON(json) { return "written out it is no JSON: \(string(json))" }
        switch decode(json, table) {
        case .failure(let defect):
            return "written out it is refused (\(defect.detail)): \(string(json))"
        case .success(let again):
            return fields(again) == fields(record) && again.orderHash == record.orderHash
                ? nil : "written out it means something else: \(string(json))"
        }
    }

    static func decode(_ text: [UInt8], _ table: TableSchema) -> Result<Record, Defect> {
        do throws(Defect) {
            var decoder = RecordDecoder(
                table: table, options: WriteOptions(.insert), expectedByteCount: text.count)
            var cursor = JSONCursor(0..<text.count)
            try decoder.takeObject(&cursor, text.span)
            try cursor.expectEnd(text.span)
            return .success(try decoder.finish())
        } catch {
            return .failure(error)
        }
    }

    /// Each column's array element: its length and its bytes.
    static func fields(_ record: Record) -> [Int: [UInt8]] {
        var fields: [Int: [UInt8]] = [:]
        record.forEachField { fields[$0] = Array($1[$2]) }
        return fields
    }

    private static func written(_ record: Record) -> [UInt8] {
        var json: [UInt8] = []
        record.forEachField { column, elements, range in
            json.append(UInt8(ascii: json.isEmpty ? "{" : ","))
            appendJSONString(record.table.columns[column].name, to: &json)
            json.append(UInt8(ascii: ":"))
            if range.count == 4 && elements[range.lowerBound] == 0xFF {
                json += "null".utf8
            } else {
                record.table.columns[column].type.appendJSON(
                    elements, range.dropFirst(4), to: &json)
            }
        }
        return json.isEmpty ? Array("{}".utf8) : json + [UInt8(ascii: "}")]
    }

    static func string(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}

/// One value for a column of one type; the first byte says which.
enum ValueCheck {
    static func finding(_ input: [UInt8]) -> String? {
        guard let first = input.first else { return nil }
        let table = FuzzTables.single[Int(first) % FuzzTables.single.count]
        let text = Array(input.dropFirst())
        let object = Array(#"{"c":"#.utf8) + text + [UInt8(ascii: "}")]
        if let finding = RecordCheck.finding(object, in: table) { return finding }
        return textFinding(text, table)
    }

    /// A CSV field and a JSON string mean the same, where the type takes strings.
    private static func textFinding(_ text: [UInt8], _ table: TableSchema) -> String? {
        switch table.columns[0].type {
        case .boolean, .json, .jsonb: return nil
        default: break
        }
        // The reader of CSV has made sure that it is UTF-8.
        guard String(validating: text, as: UTF8.self) != nil else { return nil }
        var quoted = Array(#"{"c":"#.utf8)
        appendJSONString(utf8: text, to: &quoted)
        let asJSON = RecordCheck.decode(quoted + [UInt8(ascii: "}")], table)
        let asText = decode(field: text, table)
        switch (asJSON, asText) {
        case (.success(let one), .success(let other)):
            return RecordCheck.fields(one) == RecordCheck.fields(other)
                ? nil : "as a string and as a field it means two things"
        case (.failure(let one), .failure(let other)):
            // Of a string U+0000 is refused before its column is looked at.
            return one.sqlstate == other.sqlstate || text.contains(0)
                ? nil : "as a string \(one.sqlstate ?? "-"), as a field \(other.sqlstate ?? "-")"
        case (.success, .failure(let defect)):
            return "accepted as a string, refused as a field: \(defect.detail)"
        case (.failure(let defect), .success):
            return "accepted as a field, refused as a string: \(defect.detail)"
        }
    }

    private static func decode(field: [UInt8], _ table: TableSchema) -> Result<Record, Defect> {
        do throws(Defect) {
            var decoder = RecordDecoder(
                table: table, options: WriteOptions(.insert), expectedByteCount: field.count)
            try decoder.takeText(0, field.span, 0..<field.count)
            return .success(try decoder.finish())
        } catch {
            return .failure(error)
        }
    }
}
