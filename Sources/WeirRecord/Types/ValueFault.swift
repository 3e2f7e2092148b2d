/// Why a text is no value of a type. It never carries the value.
enum ValueFault: Error {
    /// The text is not in the form that the type takes.
    case malformed
    /// As `malformed`, with another SQLSTATE than that of the type, and a hint.
    case refused(sqlstate: String, because: String)
    /// The value is beyond what the type, or the column's limits, can hold.
    case outOfRange

    static let digitsLost = ValueFault.refused(
        sqlstate: "22003", because: "the value has digits that the column would round off")
    static let secondDigitsLost = ValueFault.refused(
        sqlstate: "22008", because: "the second has digits that the column would round off")
    static let badOffset = ValueFault.refused(
        sqlstate: "22009", because: "the offset from UTC is out of range")
    static let noInfinity = ValueFault.refused(
        sqlstate: "22003", because: "the column has a precision and takes no infinity")
    static let nul = ValueFault.refused(
        sqlstate: "22021", because: "PostgreSQL cannot store U+0000 in text")
    static let tooLong = ValueFault.refused(
        sqlstate: "22001", because: "the value is too long")
}

extension ValueFault {
    /// What a caller is told, with the SQLSTATE that PostgreSQL would have given.
    func defect(in column: Column) -> Defect {
        let place = "column \"\(column.name)\""
        switch self {
        case .malformed:
            return Defect(
                .invalidValue, "\(place) is \(column.typeName) and takes \(column.type.jsonForm)",
                column: column.name, sqlstate: column.type.malformedState)
        case .outOfRange:
            return Defect(
                .invalidValue, "the value is out of range for \(place) (\(column.typeName))",
                column: column.name, sqlstate: column.type.outOfRangeState)
        case .refused(let sqlstate, let reason):
            return Defect(
                .invalidValue, "\(place) is \(column.typeName): \(reason)", column: column.name,
                sqlstate: sqlstate)
        }
    }
}

extension ColumnType {
    fileprivate var malformedState: String {
        switch self {
        case .date, .time, .timetz, .timestamp, .timestamptz, .interval: "22007"
        default: "22P02"
        }
    }

    fileprivate var outOfRangeState: String {
        switch self {
        case .date, .time, .timetz, .timestamp, .timestamptz, .interval: "22008"
        default: "22003"
        }
    }
}

/// A place in a value's text, moved over it field by field.
struct TextScanner {
    private(set) var position: Int
    let end: Int

    init(_ range: Range<Int>) {
        position = range.lowerBound
        end = range.upperBound
    }

    var isAtEnd: Bool { position >= end }
    var rest: Range<Int> { position..<end }

    func peek(_ input: Span<UInt8>) -> UInt8? { position < end ? input[position] : nil }

    mutating func advance() { if position < end { position += 1 } }

    mutating func take(_ byte: UInt8, _ input: Span<UInt8>) -> Bool {
        guard peek(input) == byte else { return false }
        position += 1
        return true
    }

    /// Takes the letter in either case; `letter` is the small one.
    mutating func takeLetter(_ letter: UInt8, _ input: Span<UInt8>) -> Bool {
        guard let byte = peek(input), byte | 0x20 == letter else { return false }
        position += 1
        return true
    }

    /// Takes the word in any case, if it is all that is left; `word` is in small letters.
    mutating func takeLast(_ word: StaticString, _ input: Span<UInt8>) -> Bool {
        guard isNext(word, input), word.utf8CodeUnitCount == end - position else { return false }
        position = end
        return true
    }

    /// Whether the word comes next, in any case.
    func isNext(_ word: StaticString, _ input: Span<UInt8>) -> Bool {
        guard end - position >= word.utf8CodeUnitCount else { return false }
        let start = position
        return word.withUTF8Buffer { expected in
            for offset in 0..<expected.count {
                let byte = input[start + offset]
                let isLetter = byte >= 0x41 && byte <= 0x5A
                guard (isLetter ? byte | 0x20 : byte) == expected[offset] else { return false }
            }
            return true
        }
    }

    /// Passes over bytes that have been looked at.
    mutating func skip(_ count: Int) { position = min(position + count, end) }

    mutating func skipSpaces(_ input: Span<UInt8>) {
        while let byte = peek(input), isSpace(byte) { position += 1 }
    }

    /// Takes exactly `count` decimal digits.
    mutating func digits(_ count: Int, _ input: Span<UInt8>) -> Int? {
        guard end - position >= count else { return nil }
        var value = 0
        for index in position..<(position + count) {
            let digit = input[index] &- 0x30
            guard digit <= 9 else { return nil }
            value = value * 10 + Int(digit)
        }
        position += count
        return value
    }

    /// How many decimal digits come next.
    func digitCount(_ input: Span<UInt8>) -> Int {
        var at = position
        while at < end, input[at] >= 0x30, input[at] <= 0x39 { at += 1 }
        return at - position
    }

    /// Takes a fraction of a second, without its point, as microseconds.
    ///
    /// - Parameter kept: the number of digits that may be other than zero.
    mutating func microseconds(
        _ input: Span<UInt8>, keeping kept: Int
    ) throws(ValueFault) -> Int64 {
        let count = digitCount(input)
        guard count > 0 else { throw .malformed }
        var value: Int64 = 0
        for offset in 0..<max(count, 6) {
            let digit = offset < count ? input[position + offset] - 0x30 : 0
            if offset >= kept && digit != 0 { throw .secondDigitsLost }
            if offset < 6 { value = value * 10 + Int64(digit) }
        }
        position += count
        return value
    }
}

/// The characters that PostgreSQL's input functions skip: C's `isspace`.
func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) }

func unsignedInteger(_ bytes: [UInt8], _ range: Range<Int>) -> UInt64 {
    var value: UInt64 = 0
    for index in range { value = value << 8 | UInt64(bytes[index]) }
    return value
}

func signedInteger(_ bytes: [UInt8], _ range: Range<Int>) -> Int64 {
    let unused = UInt64(64 - range.count * 8)
    return Int64(bitPattern: unsignedInteger(bytes, range) << unused) >> Int64(unused)
}

extension Array where Element == UInt8 {
    mutating func appendDecimal(_ value: Int64, width: Int = 1) {
        if value < 0 { append(UInt8(ascii: "-")) }
        let start = count
        var rest = value.magnitude
        while rest > 0 || count - start < width {
            append(0x30 + UInt8(rest % 10))
            rest /= 10
        }
        self[start...].reverse()
    }
}
