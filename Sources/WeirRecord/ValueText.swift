// From PostgreSQL's binary form back to JSON, for the keys in answers.
extension ColumnType {
    /// Appends as JSON the value whose binary form is `bytes[range]`. What travels as text becomes
    /// a string, as it does where the database made the key.
    func appendJSON(_ bytes: [UInt8], _ range: Range<Int>, to json: inout [UInt8]) {
        switch self {
        case .int2, .int4, .int8:
            json.append(decimal: Int(signedInteger(bytes, range)))
        case .boolean:
            json += (bytes[range.lowerBound] == 0 ? "false" : "true").utf8
        case .float4:
            let value = Float(bitPattern: UInt32(truncatingIfNeeded: unsignedInteger(bytes, range)))
            appendNumber(value, to: &json)
        case .float8:
            let value = Double(bitPattern: unsignedInteger(bytes, range))
            appendNumber(value, to: &json)
        case .uuid:
            appendUUID(bytes, range, to: &json)
        case .bytea:
            json += "\"\\\\x".utf8
            for byte in bytes[range] { appendHex(byte, to: &json) }
            json.append(UInt8(ascii: "\""))
        case .json:
            json += bytes[range]
        case .jsonb:
            json += bytes[range].dropFirst()
        case .text, .other:
            appendJSONString(utf8: bytes[range], to: &json)
        }
    }

    private func unsignedInteger(_ bytes: [UInt8], _ range: Range<Int>) -> UInt64 {
        var value: UInt64 = 0
        for index in range { value = value << 8 | UInt64(bytes[index]) }
        return value
    }

    private func signedInteger(_ bytes: [UInt8], _ range: Range<Int>) -> Int64 {
        let unused = UInt64(64 - range.count * 8)
        return Int64(bitPattern: unsignedInteger(bytes, range) << unused) >> Int64(unused)
    }

    private func appendNumber(
        _ value: some BinaryFloatingPoint & CustomStringConvertible, to json: inout [UInt8]
    ) {
        if value.isFinite {
            json += value.description.utf8
        } else {
            let word = value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity"
            appendJSONString(word, to: &json)
        }
    }

    private func appendUUID(_ bytes: [UInt8], _ range: Range<Int>, to json: inout [UInt8]) {
        json.append(UInt8(ascii: "\""))
        for (index, byte) in bytes[range].enumerated() {
            if index == 4 || index == 6 || index == 8 || index == 10 {
                json.append(UInt8(ascii: "-"))
            }
            appendHex(byte, to: &json)
        }
        json.append(UInt8(ascii: "\""))
    }

    private func appendHex(_ byte: UInt8, to json: inout [UInt8]) {
        json.append(hexDigits[Int(byte >> 4)])
        json.append(hexDigits[Int(byte & 15)])
    }
}
