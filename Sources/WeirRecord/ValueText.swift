// From PostgreSQL's binary form back to text and JSON, for the keys in answers and the elements of
// arrays and ranges.
extension ColumnType {
    /// Appends as JSON the value whose binary form is `bytes[range]`. What has no JSON form of its
    /// own becomes a string, as it does where the database made the key.
    package func appendJSON(_ bytes: [UInt8], _ range: Range<Int>, to json: inout [UInt8]) {
        switch self {
        case .int2, .int4, .int8:
            json.append(decimal: Int(signedInteger(bytes, range)))
        case .boolean:
            json += (bytes[range.lowerBound] == 0 ? "false" : "true").utf8
        case .json, .jsonb:
            appendText(bytes, range, to: &json)
        case .float4, .float8:
            var text: [UInt8] = []
            appendText(bytes, range, to: &text)
            // NaN and the infinities are no JSON numbers.
            let isNumber = text.last.map { $0 >= 0x30 && $0 <= 0x39 } ?? false
            if isNumber { json += text } else { appendJSONString(utf8: text, to: &json) }
        case .text, .varchar, .character, .enumeration, .range, .array, .other:
            appendJSONString(utf8: bytes[range], to: &json)
        default:
            var text: [UInt8] = []
            appendText(bytes, range, to: &text)
            appendJSONString(utf8: text, to: &json)
        }
    }

    /// Appends in PostgreSQL's text form the value whose binary form is `bytes[range]`.
    func appendText(_ bytes: [UInt8], _ range: Range<Int>, to text: inout [UInt8]) {
        switch self {
        case .int2, .int4, .int8:
            text.append(decimal: Int(signedInteger(bytes, range)))
        case .boolean:
            text.append(UInt8(ascii: bytes[range.lowerBound] == 0 ? "f" : "t"))
        case .float4:
            let bits = UInt32(truncatingIfNeeded: unsignedInteger(bytes, range))
            appendNumber(Float(bitPattern: bits), to: &text)
        case .float8:
            appendNumber(Double(bitPattern: unsignedInteger(bytes, range)), to: &text)
        case .numeric:
            NumericForm.appendText(bytes, range, to: &text)
        case .uuid:
            appendUUID(bytes, range, to: &text)
        case .bytea:
            text += "\\x".utf8
            for byte in bytes[range] { appendHex(byte, to: &text) }
        case .date, .time, .timetz, .timestamp, .timestamptz:
            DateTimeForm.appendText(self, bytes, range, to: &text)
        case .interval:
            IntervalForm.appendText(bytes, range, to: &text)
        case .inet, .cidr:
            NetworkForm.appendText(bytes, range, to: &text)
        case .jsonb:
            text += bytes[range].dropFirst()
        case .json, .text, .varchar, .character, .enumeration, .range, .array, .other:
            text += bytes[range]
        }
    }

    private func appendNumber(
        _ value: some BinaryFloatingPoint & CustomStringConvertible, to text: inout [UInt8]
    ) {
        if value.isFinite {
            text += value.description.utf8
        } else {
            text += (value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity").utf8
        }
    }

    private func appendUUID(_ bytes: [UInt8], _ range: Range<Int>, to text: inout [UInt8]) {
        for (index, byte) in bytes[range].enumerated() {
            if index == 4 || index == 6 || index == 8 || index == 10 {
                text.append(UInt8(ascii: "-"))
            }
            appendHex(byte, to: &text)
        }
    }

    private func appendHex(_ byte: UInt8, to text: inout [UInt8]) {
        text.append(hexDigits[Int(byte >> 4)])
        text.append(hexDigits[Int(byte & 15)])
    }
}
