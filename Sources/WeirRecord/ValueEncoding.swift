/// From a value's JSON or text form to PostgreSQL's binary form, per column type. Each function
/// appends an array element: a length, then as many bytes; -1 alone is NULL.
struct ValueEncoding {
    let column: Column

    // MARK: From JSON

    /// Encodes the value that comes next in `input`.
    func encode(
        _ cursor: inout JSONCursor, _ input: Span<UInt8>, to bytes: inout [UInt8]
    ) throws(Defect) {
        guard let first = cursor.peek(input) else {
            throw cursor.failure("expected a value", input)
        }
        if first == UInt8(ascii: "n") {
            try cursor.literal("null", input)
            return try encodeNull(to: &bytes)
        }
        switch column.type {
        case .json, .jsonb:
            try encodeJSON(&cursor, input, to: &bytes)
        case .boolean:
            try encodeBoolean(&cursor, first, input, to: &bytes)
        default:
            switch first {
            case UInt8(ascii: "\""):
                let token = try cursor.string(input)
                try encodeString(token, cursor, input, to: &bytes)
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                let token = try cursor.number(input)
                try encodeNumber(token, input, to: &bytes)
            default:
                let range = try cursor.skipValue(input)
                // A boolean column has been dealt with; some types have a boolean text form.
                guard case .other = column.type,
                    first == UInt8(ascii: "t") || first == UInt8(ascii: "f")
                else { throw mismatch }
                try encodeText(input, range, to: &bytes)
            }
        }
    }

    private func encodeNull(to bytes: inout [UInt8]) throws(Defect) {
        guard column.isNullable else {
            throw Defect(
                .notNullViolation, "column \"\(column.name)\" cannot be null", column: column.name,
                sqlstate: "23502")
        }
        bytes.appendInt32(-1)
    }

    private func encodeBoolean(
        _ cursor: inout JSONCursor, _ first: UInt8, _ input: Span<UInt8>, to bytes: inout [UInt8]
    ) throws(Defect) {
        switch first {
        case UInt8(ascii: "t"): try cursor.literal("true", input)
        case UInt8(ascii: "f"): try cursor.literal("false", input)
        default:
            try cursor.skipValue(input)
            throw mismatch
        }
        bytes.appendInt32(1)
        bytes.append(first == UInt8(ascii: "t") ? 1 : 0)
    }

    private func encodeJSON(
        _ cursor: inout JSONCursor, _ input: Span<UInt8>, to bytes: inout [UInt8]
    ) throws(Defect) {
        let range = try cursor.skipValue(input)
        if column.type == .jsonb {
            bytes.appendInt32(Int32(range.count + 1))
            // The version of jsonb's binary form, which is text behind it.
            bytes.append(1)
        } else {
            bytes.appendInt32(Int32(range.count))
        }
        bytes.append(input, range)
    }

    private func encodeString(
        _ token: JSONCursor.StringToken, _ cursor: JSONCursor, _ input: Span<UInt8>,
        to bytes: inout [UInt8]
    ) throws(Defect) {
        switch column.type {
        case .text, .other:
            let start = bytes.count
            bytes.appendInt32(0)
            do {
                try cursor.appendText(of: token, input, to: &bytes)
            } catch {
                throw inColumn(error)
            }
            bytes.patchLength(at: start)
        default:
            guard token.hasEscapes else {
                return try encodeText(input, token.range, to: &bytes)
            }
            var text: [UInt8] = []
            do {
                try cursor.appendText(of: token, input, to: &text)
            } catch {
                throw inColumn(error)
            }
            try encodeText(text.span, 0..<text.count, to: &bytes)
        }
    }

    private func encodeNumber(
        _ token: JSONCursor.NumberToken, _ input: Span<UInt8>, to bytes: inout [UInt8]
    ) throws(Defect) {
        switch column.type {
        case .int2, .int4, .int8:
            guard token.isInteger else { throw mismatch }
            try encodeText(input, token.range, to: &bytes)
        case .float4, .float8, .other:
            try encodeText(input, token.range, to: &bytes)
        default:
            throw mismatch
        }
    }

    // MARK: From text

    /// Encodes a value in its text form: a CSV field, a key in a path, a quoted number.
    func encodeText(
        _ input: Span<UInt8>, _ range: Range<Int>, to bytes: inout [UInt8]
    ) throws(Defect) {
        switch column.type {
        case .int2:
            try encodeInteger(input, range, byteCount: 2, to: &bytes)
        case .int4:
            try encodeInteger(input, range, byteCount: 4, to: &bytes)
        case .int8:
            try encodeInteger(input, range, byteCount: 8, to: &bytes)
        case .float4:
            guard let value = Float(text(input, range)) else { throw mismatch }
            guard isInRange(value, input, range) else { throw outOfRange }
            bytes.appendInt32(4)
            bytes.appendBigEndian(UInt64(value.bitPattern), byteCount: 4)
        case .float8:
            guard let value = Double(text(input, range)) else { throw mismatch }
            guard isInRange(value, input, range) else { throw outOfRange }
            bytes.appendInt32(8)
            bytes.appendBigEndian(value.bitPattern, byteCount: 8)
        case .uuid:
            try encodeUUID(input, range, to: &bytes)
        case .bytea:
            try encodeBytes(input, range, to: &bytes)
        case .boolean:
            guard let value = booleanWords[text(input, range).lowercased()] else { throw mismatch }
            bytes.appendInt32(1)
            bytes.append(value ? 1 : 0)
        case .json, .jsonb:
            var cursor = JSONCursor(range)
            do {
                try encodeJSON(&cursor, input, to: &bytes)
                try cursor.expectEnd(input)
            } catch {
                // The request is well formed; the text in it is not.
                var defect = mismatch
                defect.detail += ": \(error.detail)"
                throw defect
            }
        case .text, .other:
            for index in range where input[index] == 0 {
                throw Defect(
                    .invalidValue, "PostgreSQL cannot store U+0000 in text", column: column.name,
                    sqlstate: "22021")
            }
            bytes.appendInt32(Int32(range.count))
            bytes.append(input, range)
        }
    }

    private func encodeInteger(
        _ input: Span<UInt8>, _ range: Range<Int>, byteCount: Int, to bytes: inout [UInt8]
    ) throws(Defect) {
        var at = range.lowerBound
        let isNegative = at < range.upperBound && input[at] == UInt8(ascii: "-")
        if isNegative { at += 1 }
        guard at < range.upperBound else { throw mismatch }
        var value: Int64 = 0
        while at < range.upperBound {
            let digit = input[at] &- 0x30
            guard digit <= 9 else { throw mismatch }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            // Towards the negative side, which reaches one further.
            let (difference, underflow) = product.subtractingReportingOverflow(Int64(digit))
            guard !overflow && !underflow else { throw outOfRange }
            value = difference
            at += 1
        }
        if !isNegative {
            guard value != .min else { throw outOfRange }
            value = -value
        }
        let bits = Int64(byteCount * 8 - 1)
        guard byteCount == 8 || (value >= -(1 << bits) && value < 1 << bits) else {
            throw outOfRange
        }
        bytes.appendInt32(Int32(byteCount))
        bytes.appendBigEndian(UInt64(bitPattern: value), byteCount: byteCount)
    }

    private func encodeUUID(
        _ input: Span<UInt8>, _ range: Range<Int>, to bytes: inout [UInt8]
    ) throws(Defect) {
        bytes.appendInt32(16)
        var digits = 0
        var high: UInt8 = 0
        for index in range {
            let byte = input[index]
            // Hyphens where RFC 9562 has them, or nowhere.
            if byte == UInt8(ascii: "-") {
                guard range.count == 36, [8, 13, 18, 23].contains(index - range.lowerBound) else {
                    throw mismatch
                }
                continue
            }
            guard let value = hexDigitValue(byte), digits < 32 else { throw mismatch }
            if digits % 2 == 0 { high = value << 4 } else { bytes.append(high | value) }
            digits += 1
        }
        guard digits == 32 else { throw mismatch }
    }

    private func encodeBytes(
        _ input: Span<UInt8>, _ range: Range<Int>, to bytes: inout [UInt8]
    ) throws(Defect) {
        let start = bytes.count
        bytes.appendInt32(0)
        let isHex = range.count >= 2 && input[range.lowerBound] == UInt8(ascii: "\\")
        if isHex {
            guard input[range.lowerBound + 1] == UInt8(ascii: "x"), range.count % 2 == 0 else {
                throw mismatch
            }
            for index in stride(from: range.lowerBound + 2, to: range.upperBound, by: 2) {
                guard let high = hexDigitValue(input[index]),
                    let low = hexDigitValue(input[index + 1])
                else { throw mismatch }
                bytes.append(high << 4 | low)
            }
        } else {
            try appendBase64URL(input, range, to: &bytes)
        }
        bytes.patchLength(at: start)
    }

    /// RFC 4648, section 5, without padding; the unused bits of the last digit are zero.
    private func appendBase64URL(
        _ input: Span<UInt8>, _ range: Range<Int>, to bytes: inout [UInt8]
    ) throws(Defect) {
        var buffer: UInt32 = 0
        var bits = 0
        for index in range {
            let value: UInt8 =
                switch input[index] {
                case 0x41...0x5A: input[index] - 0x41
                case 0x61...0x7A: input[index] - 0x61 + 26
                case 0x30...0x39: input[index] - 0x30 + 52
                case UInt8(ascii: "-"): 62
                case UInt8(ascii: "_"): 63
                default: throw mismatch
                }
            buffer = buffer << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: buffer >> UInt32(bits)))
            }
        }
        guard bits < 6, buffer & ((1 << UInt32(bits)) - 1) == 0 else { throw mismatch }
    }

    // MARK: Errors

    private var mismatch: Defect {
        Defect(
            .invalidValue,
            "column \"\(column.name)\" is \(column.typeName) and takes \(column.type.jsonForm)",
            column: column.name, sqlstate: "22P02")
    }

    private var outOfRange: Defect {
        Defect(
            .invalidValue,
            "the value is out of range for column \"\(column.name)\" (\(column.typeName))",
            column: column.name, sqlstate: "22003")
    }

    private func inColumn(_ defect: Defect) -> Defect {
        var defect = defect
        defect.column = column.name
        return defect
    }

    private func text(_ input: Span<UInt8>, _ range: Range<Int>) -> String {
        input.extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }

    /// PostgreSQL refuses numbers that become infinite, and those that become zero.
    private func isInRange(
        _ value: some BinaryFloatingPoint, _ input: Span<UInt8>, _ range: Range<Int>
    ) -> Bool {
        guard value.isZero else {
            return value.isFinite || notFiniteWords.contains(text(input, range).lowercased())
        }
        for index in range {
            if input[index] | 0x20 == UInt8(ascii: "e") { return true }
            if input[index] >= 0x31 && input[index] <= 0x39 { return false }
        }
        return true
    }
}

/// PostgreSQL's own words for a boolean, as CSV files have them.
private let booleanWords: [String: Bool] = [
    "true": true, "t": true, "yes": true, "y": true, "on": true, "1": true,
    "false": false, "f": false, "no": false, "n": false, "off": false, "0": false,
]

private let notFiniteWords: Set<String> = [
    "nan", "infinity", "+infinity", "-infinity", "inf", "+inf", "-inf",
]
