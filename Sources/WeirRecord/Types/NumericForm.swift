/// numeric: from decimal text to the binary form of `numeric_recv` and back, digit by digit. No
/// binary float is involved, so that every digit arrives.
enum NumericForm {
    /// Decimal digits before the point that PostgreSQL can hold, and behind it (numeric.c).
    private static let integerDigitsMax = 131_072
    private static let scaleMax = 16_383

    /// A number's text, measured: `mantissa` holds its digits and at most one point.
    private struct Measure {
        var isNegative = false
        var mantissa = 0..<0
        /// The power of ten of the first digit, and of the first and last that are not zero.
        var leadPower = 0
        var firstPower: Int?
        var lastPower = 0
        /// Digits behind the point, the exponent counted in.
        var scale = 0
    }

    /// Appends an array element: a length and the number.
    static func encode(
        _ input: Span<UInt8>, _ range: Range<Int>, limits: NumericLimits?, to bytes: inout [UInt8]
    ) throws(ValueFault) {
        if let sign = try special(input, range) {
            if limits != nil && sign != 0xC000 { throw .noInfinity }
            bytes.appendInt32(8)
            for word in [0, 0, sign, 0] { bytes.appendBigEndian(word, byteCount: 2) }
            return
        }
        let number = try measure(input, range)
        if let limits {
            try check(number, limits)
        } else {
            try checkRange(number)
        }
        let scale = limits.map { max(0, $0.scale) } ?? number.scale
        let start = bytes.count
        bytes.appendInt32(0)
        guard let first = number.firstPower else {
            for word in [0, 0, 0, UInt64(scale)] { bytes.appendBigEndian(word, byteCount: 2) }
            return bytes.patchLength(at: start)
        }
        // Groups of four digits, counted from the point.
        let count = (first >> 2) - (number.lastPower >> 2) + 1
        bytes.appendBigEndian(UInt64(count), byteCount: 2)
        bytes.appendBigEndian(UInt64(truncatingIfNeeded: first >> 2), byteCount: 2)
        bytes.appendBigEndian(number.isNegative ? 0x4000 : 0, byteCount: 2)
        bytes.appendBigEndian(UInt64(scale), byteCount: 2)
        appendGroups(number, first, input, to: &bytes)
        bytes.patchLength(at: start)
    }

    private static func appendGroups(
        _ number: Measure, _ first: Int, _ input: Span<UInt8>, to bytes: inout [UInt8]
    ) {
        var power = number.leadPower
        var group: UInt64 = 0
        for index in number.mantissa where input[index] != UInt8(ascii: ".") {
            defer { power -= 1 }
            guard power <= first && power >= number.lastPower else { continue }
            group = group * 10 + UInt64(input[index] - 0x30)
            if power & 3 == 0 {
                bytes.appendBigEndian(group, byteCount: 2)
                group = 0
            }
        }
        let missing = number.lastPower & 3
        if missing > 0 {
            for _ in 0..<missing { group *= 10 }
            bytes.appendBigEndian(group, byteCount: 2)
        }
    }

    /// Checks a JSON number that becomes part of a jsonb document.
    static func check(_ input: Span<UInt8>, _ range: Range<Int>) throws(ValueFault) {
        try checkRange(try measure(input, range))
    }

    private static func checkRange(_ number: Measure) throws(ValueFault) {
        if let first = number.firstPower, first >= integerDigitsMax { throw .outOfRange }
        guard number.scale <= scaleMax else { throw .outOfRange }
    }

    private static func check(_ number: Measure, _ limits: NumericLimits) throws(ValueFault) {
        guard let first = number.firstPower else { return }
        guard first < limits.precision - limits.scale else { throw .outOfRange }
        guard number.lastPower >= -limits.scale else { throw .digitsLost }
    }

    /// The sign word of NaN or an infinity; `nil` for a number.
    private static func special(
        _ input: Span<UInt8>, _ range: Range<Int>
    ) throws(ValueFault) -> UInt64? {
        var scanner = TextScanner(range)
        if scanner.takeLast("nan", input) { return 0xC000 }
        let isNegative = scanner.take(UInt8(ascii: "-"), input)
        if !isNegative { _ = scanner.take(UInt8(ascii: "+"), input) }
        guard scanner.takeLast("infinity", input) || scanner.takeLast("inf", input) else {
            return nil
        }
        return isNegative ? 0xF000 : 0xD000
    }

    /// Sign, digits with or without a point, exponent: the grammar of `numeric_in`, no spaces.
    private static func measure(
        _ input: Span<UInt8>, _ range: Range<Int>
    ) throws(ValueFault) -> Measure {
        var number = Measure()
        var scanner = TextScanner(range)
        number.isNegative = scanner.take(UInt8(ascii: "-"), input)
        if !number.isNegative { _ = scanner.take(UInt8(ascii: "+"), input) }
        let start = scanner.position
        let before = scanner.digitCount(input)
        scanner.skip(before)
        var behind = 0
        if scanner.take(UInt8(ascii: "."), input) {
            behind = scanner.digitCount(input)
            scanner.skip(behind)
        }
        guard before + behind > 0 else { throw .malformed }
        number.mantissa = start..<scanner.position
        var exponent = 0
        if scanner.takeLetter(UInt8(ascii: "e"), input) {
            exponent = try takeExponent(&scanner, input)
        }
        guard scanner.isAtEnd else { throw .malformed }
        number.scale = max(0, behind - exponent)
        number.leadPower = before - 1 + exponent
        var power = number.leadPower
        for index in number.mantissa where input[index] != UInt8(ascii: ".") {
            if input[index] != 0x30 {
                if number.firstPower == nil { number.firstPower = power }
                number.lastPower = power
            }
            power -= 1
        }
        return number
    }

    private static func takeExponent(
        _ scanner: inout TextScanner, _ input: Span<UInt8>
    ) throws(ValueFault) -> Int {
        let isNegative = scanner.take(UInt8(ascii: "-"), input)
        if !isNegative { _ = scanner.take(UInt8(ascii: "+"), input) }
        let count = scanner.digitCount(input)
        guard count > 0 else { throw .malformed }
        var value = 0
        for index in scanner.position..<(scanner.position + count) {
            value = value * 10 + Int(input[index] - 0x30)
            // PostgreSQL's own limit.
            guard value < Int(Int32.max) / 2 else {
                guard TextScanner(scanner.position..<scanner.end).digitCount(input) == count,
                    scanner.position + count == scanner.end
                else { throw .malformed }
                throw .outOfRange
            }
        }
        scanner.skip(count)
        return isNegative ? -value : value
    }

    // MARK: Back

    /// Appends the decimal text of the number whose binary form is `bytes[range]`.
    static func appendText(_ bytes: [UInt8], _ range: Range<Int>, to text: inout [UInt8]) {
        func word(_ index: Int) -> Int {
            let at = range.lowerBound + index * 2
            return Int(bytes[at]) << 8 | Int(bytes[at + 1])
        }
        let (count, sign, scale) = (word(0), word(2), word(3))
        let weight = Int(Int16(truncatingIfNeeded: word(1)))
        switch sign {
        case 0xC000: return text += "NaN".utf8
        case 0xD000: return text += "Infinity".utf8
        case 0xF000: return text += "-Infinity".utf8
        default: if sign == 0x4000 { text.append(UInt8(ascii: "-")) }
        }
        func group(_ index: Int) -> Int64 {
            index >= 0 && index < count ? Int64(word(4 + index)) : 0
        }
        if weight < 0 || count == 0 {
            text.append(0x30)
        } else {
            for index in 0...weight {
                text.appendDecimal(group(index), width: index == 0 ? 1 : 4)
            }
        }
        guard scale > 0 else { return }
        text.append(UInt8(ascii: "."))
        let start = text.count
        // The first group behind the point is that of weight -1.
        var index = weight + 1
        while text.count - start < scale {
            text.appendDecimal(group(index), width: 4)
            index += 1
        }
        text.removeLast(text.count - start - scale)
    }

    /// Gives the number at the end of `bytes`, from `start`, the smallest scale that shows all of
    /// it: numbers that are equal become alike.
    static func dropTrailingZeros(_ bytes: inout [UInt8], from start: Int) {
        let count = Int(bytes[start]) << 8 | Int(bytes[start + 1])
        var scale = 0
        if count > 0 {
            let weight = Int(signedInteger(bytes, (start + 2)..<(start + 4)))
            let last = weight - count + 1
            var group = unsignedInteger(bytes, (bytes.count - 2)..<bytes.count)
            if last < 0 {
                scale = -4 * last
                while group % 10 == 0 && group > 0 {
                    group /= 10
                    scale -= 1
                }
            }
        }
        bytes[start + 6] = UInt8(truncatingIfNeeded: scale >> 8)
        bytes[start + 7] = UInt8(truncatingIfNeeded: scale)
    }
}
