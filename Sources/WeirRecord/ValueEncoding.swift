/// From a value's JSON or text form to PostgreSQL's binary form, per column type. Each function
/// appends an array element: a length, then as many bytes; -1 alone is NULL.
///
/// A class, since one is needed for each value: a column is a structure of a dozen references.
final class ValueEncoding: Sendable {
    let column: Column

    init(column: Column) {
        self.column = column
    }

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
        case .array(let type) where first == UInt8(ascii: "["):
            let start = bytes.count
            bytes.appendInt32(0)
            var form = ArrayForm(type, column: column)
            try form.takeJSON(&cursor, input, to: &bytes)
            bytes.patchLength(at: start)
        default:
            switch first {
            case UInt8(ascii: "\""):
                let token = try cursor.string(input)
                try encodeString(token, cursor, input, to: &bytes)
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                let token = try cursor.number(input)
                try encodeNumber(token, input, to: &bytes)
            default:
                let range = try cursor.skipValue(input, depthMax: JSONCursor.valueDepthMax)
                // A boolean column has been dealt with; some types have a boolean text form.
                guard case .other = column.type,
                    first == UInt8(ascii: "t") || first == UInt8(ascii: "f")
                else { throw mismatch }
                try encodeText(input, range, to: &bytes)
            }
        }
    }

    func encodeNull(to bytes: inout [UInt8]) throws(Defect) {
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
            try cursor.skipValue(input, depthMax: JSONCursor.valueDepthMax)
            throw mismatch
        }
        bytes.appendInt32(1)
        bytes.append(first == UInt8(ascii: "t") ? 1 : 0)
    }

    private func encodeJSON(
        _ cursor: inout JSONCursor, _ input: Span<UInt8>, to bytes: inout [UInt8]
    ) throws(Defect) {
        let range = try cursor.skipValue(input, depthMax: JSONCursor.valueDepthMax)
        if case .jsonb = column.type {
            do throws(ValueFault) {
                try JSONBForm.check(input, range)
            } catch {
                throw defect(error)
            }
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
        case .text, .varchar, .character, .enumeration, .other:
            let start = bytes.count
            bytes.appendInt32(0)
            do {
                try cursor.appendText(of: token, input, to: &bytes)
            } catch {
                throw inColumn(error)
            }
            try finishText(start, &bytes)
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
        case .float4, .float8, .numeric, .other:
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
            guard isDecimal(input, range), let value = Float(text(input, range)) else {
                throw mismatch
            }
            guard isInRange(value, input, range) else { throw outOfRange }
            bytes.appendInt32(4)
            bytes.appendBigEndian(UInt64(value.bitPattern), byteCount: 4)
        case .float8:
            guard isDecimal(input, range), let value = Double(text(input, range)) else {
                throw mismatch
            }
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
            try encodeJSONText(input, range, to: &bytes)
        case .text, .varchar, .character, .enumeration, .other:
            for index in range where input[index] == 0 { throw defect(.nul) }
            let start = bytes.count
            bytes.appendInt32(Int32(range.count))
            bytes.append(input, range)
            try finishText(start, &bytes)
        case .array(let type):
            let start = bytes.count
            bytes.appendInt32(0)
            var form = ArrayForm(type, column: column)
            try form.takeText(input, range, to: &bytes)
            bytes.patchLength(at: start)
        case .range(let type):
            let start = bytes.count
            bytes.appendInt32(0)
            try RangeForm(type, column: column).encode(input, range, to: &bytes)
            bytes.patchLength(at: start)
        default:
            do throws(ValueFault) {
                try encodeForm(input, range, to: &bytes)
            } catch {
                throw defect(error)
            }
        }
    }

    /// The types that have a file of their own.
    private func encodeForm(
        _ input: Span<UInt8>, _ range: Range<Int>, to bytes: inout [UInt8]
    ) throws(ValueFault) {
        switch column.type {
        case .numeric(let limits):
            try NumericForm.encode(input, range, limits: limits, to: &bytes)
        case .date:
            try DateTimeForm.encodeDate(input, range, to: &bytes)
        case .time(let digits):
            try DateTimeForm.encodeTime(
                input, range, digits: digits, hasOffset: false, to: &bytes)
        case .timetz(let digits):
            try DateTimeForm.encodeTime(input, range, digits: digits, hasOffset: true, to: &bytes)
        case .timestamp(let digits):
            try DateTimeForm.encodeTimestamp(
                input, range, digits: digits, hasOffset: false, to: &bytes)
        case .timestamptz(let digits):
            try DateTimeForm.encodeTimestamp(
                input, range, digits: digits, hasOffset: true, to: &bytes)
        case .interval(let digits):
            try IntervalForm.encode(input, range, digits: digits, to: &bytes)
        case .inet:
            try NetworkForm.encode(input, range, isNetwork: false, to: &bytes)
        case .cidr:
            try NetworkForm.encode(input, range, isNetwork: true, to: &bytes)
        default:
            throw .malformed
        }
    }

    private func encodeJSONText(
        _ input: Span<UInt8>, _ range: Range<Int>, to bytes: inout [UInt8]
    ) throws(Defect) {
        var cursor = JSONCursor(range)
        do throws(Defect) {
            if case .json = column.type {
                // The spaces round a document are kept with it.
                try cursor.skipValue(input, depthMax: JSONCursor.valueDepthMax)
                bytes.appendInt32(Int32(range.count))
                bytes.append(input, range)
            } else {
                try encodeJSON(&cursor, input, to: &bytes)
            }
            try cursor.expectEnd(input)
        } catch {
            guard error.code == .invalidJSON else { throw error }
            // The request is well formed; the text in it is not.
            var defect = mismatch
            defect.detail += ": \(error.detail)"
            throw defect
        }
    }

    /// Checks the text behind the length at `start`, and writes that length.
    @inline(__always)
    private func finishText(_ start: Int, _ bytes: inout [UInt8]) throws(Defect) {
        switch column.type {
        case .text, .other: break
        default:
            do throws(ValueFault) {
                try TextForm.check(column.type, &bytes, from: start + 4)
            } catch {
                throw defect(error)
            }
        }
        bytes.patchLength(at: start)
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

    // MARK: Errors

    func defect(_ fault: ValueFault) -> Defect { fault.defect(in: column) }

    private var mismatch: Defect { defect(.malformed) }
    private var outOfRange: Defect { defect(.outOfRange) }

    private func inColumn(_ defect: Defect) -> Defect {
        var defect = defect
        defect.column = column.name
        return defect
    }

    func text(_ input: Span<UInt8>, _ range: Range<Int>) -> String {
        input.extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }
}

/// PostgreSQL's own words for a boolean, as CSV files have them.
private let booleanWords: [String: Bool] = [
    "true": true, "t": true, "yes": true, "y": true, "on": true, "1": true,
    "false": false, "f": false, "no": false, "n": false, "off": false, "0": false,
]
