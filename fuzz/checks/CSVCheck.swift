import WeirRecord

/// Rows that were read, written with every field in quotes and read again, are the same rows.
enum CSVCheck {
    static func finding(_ text: [UInt8]) -> String? {
        guard let rows = rows(text) else { return nil }
        var written: [UInt8] = []
        for row in rows {
            if row.isEmpty { return "a row without fields" }
            for (index, field) in row.enumerated() {
                if index > 0 { written.append(UInt8(ascii: ",")) }
                guard let value = field.text else {
                    written += "NULL".utf8
                    continue
                }
                if String(validating: value, as: UTF8.self) == nil { return "a field is no UTF-8" }
                written.append(UInt8(ascii: "\""))
                for byte in value {
                    if byte == UInt8(ascii: "\"") { written.append(byte) }
                    written.append(byte)
                }
                written.append(UInt8(ascii: "\""))
            }
            written += [0x0D, 0x0A]
        }
        return self.rows(written) == rows ? nil : "written out they are other rows"
    }

    /// `nil` when a row is refused.
    private static func rows(_ text: [UInt8]) -> [[CSVCursor.Field]]? {
        var cursor = CSVCursor(0..<text.count)
        var rows: [[CSVCursor.Field]] = []
        var last = -1
        while true {
            do throws(Defect) {
                guard let row = try cursor.row(text.span) else { return rows }
                precondition(cursor.position > last, "a row takes at least a byte")
                last = cursor.position
                rows.append(row)
            } catch {
                return nil
            }
        }
    }
}
