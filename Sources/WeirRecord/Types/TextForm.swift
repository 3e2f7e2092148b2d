/// Text of bounded length and enum labels, as UTF-8 that has been checked.
enum TextForm {
    /// Checks the element at the end of `bytes`, whose text begins at `start`: what varchar(n) and
    /// char(n) may hold, a label of the enum. Spaces in excess are cut off, as the SQL standard and
    /// PostgreSQL have it.
    static func check(_ type: ColumnType, _ bytes: inout [UInt8], from start: Int)
        throws(ValueFault)
    {
        switch type {
        case .varchar(let max), .character(let max?):
            // Each scalar has a byte at least.
            guard bytes.count - start > max else { return }
            let end = endOfScalars(max, bytes, from: start)
            guard bytes[end...].allSatisfy({ $0 == 0x20 }) else { throw .tooLong }
            bytes.removeSubrange(end...)
        case .enumeration(let type):
            guard type.contains(bytes.span, start..<bytes.count) else {
                throw .refused(sqlstate: "22P02", because: "the value is none of its labels")
            }
        default:
            return
        }
    }

    /// Where the first `count` scalars of the text end.
    private static func endOfScalars(_ count: Int, _ bytes: [UInt8], from start: Int) -> Int {
        var left = count
        for index in start..<bytes.count where bytes[index] & 0xC0 != 0x80 {
            if left == 0 { return index }
            left -= 1
        }
        return bytes.count
    }
}

/// What jsonb refuses in a text that is valid JSON: numbers that numeric cannot hold, U+0000, half
/// surrogate pairs.
enum JSONBForm {
    static func check(_ input: Span<UInt8>, _ range: Range<Int>) throws(ValueFault) {
        var at = range.lowerBound
        while at < range.upperBound {
            switch input[at] {
            case UInt8(ascii: "\""):
                at = try endOfString(input, at + 1, range.upperBound)
            case UInt8(ascii: "-"), 0x30...0x39:
                let start = at
                var hasExponent = false
                while at < range.upperBound, isPartOfNumber(input[at]) {
                    if input[at] | 0x20 == UInt8(ascii: "e") { hasExponent = true }
                    at += 1
                }
                // Short and plain numbers always fit.
                guard hasExponent || at - start > 16_000 else { continue }
                try NumericForm.check(input, start..<at)
            default:
                at += 1
            }
        }
    }

    private static func isPartOfNumber(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
            UInt8(ascii: "e"), UInt8(ascii: "E"):
            true
        default: false
        }
    }

    private static func endOfString(
        _ input: Span<UInt8>, _ start: Int, _ end: Int
    ) throws(ValueFault) -> Int {
        let cursor = JSONCursor(start..<end)
        var at = start
        while at < end && input[at] != UInt8(ascii: "\"") {
            guard input[at] == UInt8(ascii: "\\") else {
                at += 1
                continue
            }
            guard at + 1 < end, input[at + 1] == UInt8(ascii: "u") else {
                at += 2
                continue
            }
            let unit = cursor.hexValue(input, at: at + 2) ?? 0
            at += 6
            if unit == 0 {
                throw .refused(
                    sqlstate: "22P05", because: "PostgreSQL cannot store U+0000 in jsonb")
            }
            guard (0xD800...0xDFFF).contains(unit) else { continue }
            guard unit < 0xDC00, at + 1 < end, input[at] == UInt8(ascii: "\\"),
                input[at + 1] == UInt8(ascii: "u"),
                let second = cursor.hexValue(input, at: at + 2),
                (0xDC00...0xDFFF).contains(second)
            else {
                throw .refused(
                    sqlstate: "22P02", because: "half of a surrogate pair stands alone")
            }
            at += 6
        }
        return at + 1
    }
}
