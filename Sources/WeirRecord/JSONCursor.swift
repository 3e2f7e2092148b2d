#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A place in a JSON text, moved over it token by token: RFC 8259, strictly, in one pass, without
/// recursion, and without building anything.
package struct JSONCursor: Sendable {
    package var position: Int
    package let end: Int

    package init(_ range: Range<Int>) {
        position = range.lowerBound
        end = range.upperBound
    }

    /// Nesting past this is refused: levels of one record, itself the first.
    package static let depthMax = 64
    /// Levels of one value in a record.
    static let valueDepthMax = depthMax - 1
    /// Levels of a member of an array of records or of bulk lines: a record in an envelope. Who
    /// takes the record counts its own.
    package static let memberDepthMax = depthMax + 2

    /// A string token, its quotes left out.
    package struct StringToken: Sendable {
        package var range: Range<Int>
        package var hasEscapes: Bool
    }

    /// A number token. It never becomes a binary float on its way to a column that is none.
    struct NumberToken {
        var range: Range<Int>
        var isInteger: Bool
    }

    // MARK: Structure

    @inline(__always)
    package mutating func skipWhitespace(_ input: Span<UInt8>) {
        while position < end {
            let byte = input[position]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            position += 1
        }
    }

    /// The next byte that is not white space, without taking it.
    @inline(__always)
    package mutating func peek(_ input: Span<UInt8>) -> UInt8? {
        skipWhitespace(input)
        return position < end ? input[position] : nil
    }

    @inline(__always)
    package mutating func take(_ byte: UInt8, _ input: Span<UInt8>) -> Bool {
        guard peek(input) == byte else { return false }
        position += 1
        return true
    }

    package mutating func expect(_ byte: UInt8, _ input: Span<UInt8>) throws(Defect) {
        guard take(byte, input) else {
            throw failure("expected '\(Character(UnicodeScalar(byte)))'", input)
        }
    }

    package mutating func expectEnd(_ input: Span<UInt8>) throws(Defect) {
        if peek(input) != nil { throw failure("expected nothing more", input) }
    }

    func failure(_ expectation: String, _ input: Span<UInt8>) -> Defect {
        let place = position < end ? "at byte \(position)" : "where the text ends"
        return Defect(.invalidJSON, "\(expectation) \(place)")
    }

    // MARK: Tokens

    package mutating func string(_ input: Span<UInt8>) throws(Defect) -> StringToken {
        try expect(UInt8(ascii: "\""), input)
        let start = position
        var hasEscapes = false
        while true {
            skipPlainText(input)
            guard position < end else { break }
            let byte = input[position]
            if byte == UInt8(ascii: "\"") {
                position += 1
                return StringToken(range: start..<(position - 1), hasEscapes: hasEscapes)
            }
            if byte == UInt8(ascii: "\\") {
                hasEscapes = true
                try skipEscape(input)
            } else if byte < 0x20 {
                throw failure("expected no control character in a string", input)
            } else if byte < 0x80 {
                position += 1
            } else {
                position += try utf8Length(input, at: position)
            }
        }
        throw failure("expected the end of a string", input)
    }

    /// Passes over bytes of a string that stand for themselves, eight at a time: neither a quote,
    /// nor a backslash, nor a control character, nor part of a longer UTF-8 sequence.
    @inline(__always)
    private mutating func skipPlainText(_ input: Span<UInt8>) {
        // In each byte the high bit tells (Mycroft's test); above the first that is found the bits
        // mean nothing, because of the borrow.
        let ones: UInt64 = 0x0101_0101_0101_0101
        while position + 8 <= end {
            let word = UInt64(
                littleEndian: input.bytes.unsafeLoadUnaligned(
                    fromByteOffset: position, as: UInt64.self))
            let quote = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
            let backslash = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
            let found =
                ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash)
                | ((word &- ones &* 0x20) & ~word) | word
            let special = found & (ones &* 0x80)
            guard special == 0 else {
                position += special.trailingZeroBitCount / 8
                return
            }
            position += 8
        }
    }

    private mutating func skipEscape(_ input: Span<UInt8>) throws(Defect) {
        guard position + 1 < end else { throw failure("expected an escape", input) }
        switch input[position + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
            UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            position += 2
        case UInt8(ascii: "u"):
            guard hexValue(input, at: position + 2) != nil else {
                throw failure("expected four hexadecimal digits", input)
            }
            position += 6
        default:
            throw failure("expected an escape", input)
        }
    }

    /// The four hexadecimal digits at `index`.
    func hexValue(_ input: Span<UInt8>, at index: Int) -> UInt32? {
        guard index + 4 <= end else { return nil }
        var value: UInt32 = 0
        for offset in 0..<4 {
            guard let digit = hexDigitValue(input[index + offset]) else { return nil }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    /// The length of the well-formed UTF-8 sequence at `index` (Unicode 15, table 3-7).
    private func utf8Length(_ input: Span<UInt8>, at index: Int) throws(Defect) -> Int {
        let lead = input[index]
        let (length, low, high): (Int, UInt8, UInt8) =
            switch lead {
            case 0xC2...0xDF: (2, 0x80, 0xBF)
            case 0xE0: (3, 0xA0, 0xBF)
            case 0xED: (3, 0x80, 0x9F)
            case 0xE1...0xEF: (3, 0x80, 0xBF)
            case 0xF0: (4, 0x90, 0xBF)
            case 0xF1...0xF3: (4, 0x80, 0xBF)
            case 0xF4: (4, 0x80, 0x8F)
            default: (0, 0, 0)
            }
        guard length > 0, index + length <= end, (low...high).contains(input[index + 1]) else {
            throw failure("expected UTF-8", input)
        }
        for offset in 2..<max(length, 2) where input[index + offset] & 0xC0 != 0x80 {
            throw failure("expected UTF-8", input)
        }
        return length
    }

    mutating func number(_ input: Span<UInt8>) throws(Defect) -> NumberToken {
        let start = position
        if position < end && input[position] == UInt8(ascii: "-") { position += 1 }
        if position < end && input[position] == UInt8(ascii: "0") {
            position += 1
        } else {
            try digits(input)
        }
        var isInteger = true
        if position < end && input[position] == UInt8(ascii: ".") {
            isInteger = false
            position += 1
            try digits(input)
        }
        if position < end && input[position] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            position += 1
            if position < end,
                input[position] == UInt8(ascii: "+") || input[position] == UInt8(ascii: "-")
            {
                position += 1
            }
            try digits(input)
        }
        return NumberToken(range: start..<position, isInteger: isInteger)
    }

    private mutating func digits(_ input: Span<UInt8>) throws(Defect) {
        let start = position
        while position < end, input[position] >= 0x30, input[position] <= 0x39 { position += 1 }
        if position == start { throw failure("expected a digit", input) }
    }

    /// Moves past `text` if it stands here, byte for byte.
    package mutating func skip(_ text: [UInt8], _ input: Span<UInt8>) -> Bool {
        guard position + text.count <= end else { return false }
        let isHere = input.extracting(position..<(position + text.count)).withUnsafeBytes { here in
            text.withUnsafeBytes { wanted in
                guard let here = here.baseAddress, let wanted = wanted.baseAddress else {
                    return true
                }
                return memcmp(here, wanted, text.count) == 0
            }
        }
        if isHere { position += text.count }
        return isHere
    }

    package mutating func literal(_ word: StaticString, _ input: Span<UInt8>) throws(Defect) {
        let count = word.utf8CodeUnitCount
        let bytes = word.description.utf8
        guard position + count <= end, zip(position..., bytes).allSatisfy({ input[$0] == $1 })
        else {
            throw failure("expected \(word)", input)
        }
        position += count
    }

    /// Whether `token` stands for `word`; a token with escapes never does.
    package static func matches(
        _ token: StringToken, _ word: StaticString, _ input: Span<UInt8>
    ) -> Bool {
        guard !token.hasEscapes, token.range.count == word.utf8CodeUnitCount else { return false }
        return word.withUTF8Buffer { expected in
            for offset in 0..<expected.count
            where input[token.range.lowerBound + offset] != expected[offset] {
                return false
            }
            return true
        }
    }

    /// The text of the string that comes next.
    package mutating func text(_ input: Span<UInt8>) throws(Defect) -> String {
        let token = try string(input)
        return try text(of: token, input)
    }

    package func text(of token: StringToken, _ input: Span<UInt8>) throws(Defect) -> String {
        guard token.hasEscapes else {
            return input.extracting(token.range).withUnsafeBufferPointer {
                String(decoding: $0, as: UTF8.self)
            }
        }
        var bytes: [UInt8] = []
        try appendText(of: token, input, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Moves to the end of the line, and returns the line.
    package mutating func takeLine(_ input: Span<UInt8>) -> Range<Int> {
        let start = position
        let found = input.extracting(start..<end).withUnsafeBufferPointer { rest -> Int? in
            guard let first = rest.baseAddress, let newline = memchr(first, 0x0A, rest.count) else {
                return nil
            }
            return UnsafeRawPointer(newline) - UnsafeRawPointer(first)
        }
        position = found.map { start + $0 } ?? end
        return start..<position
    }

    // MARK: Whole values

    /// Passes over the value that comes next, of any kind, and checks it to the end.
    ///
    /// - Parameter depthMax: levels that the value may have; less where it stands within others.
    @discardableResult
    package mutating func skipValue(
        _ input: Span<UInt8>, depthMax: Int = Self.depthMax
    ) throws(Defect) -> Range<Int> {
        precondition(depthMax <= UInt128.bitWidth, "each level takes a bit")
        skipWhitespace(input)
        let start = position
        // One bit per open container: 1 for an object.
        var kinds: UInt128 = 0
        var depth = 0
        while true {
            guard let byte = peek(input) else { throw failure("expected a value", input) }
            var isOpened = false
            switch byte {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                guard depth < depthMax else {
                    throw Defect(
                        .invalidJSON, "nested deeper than \(Self.depthMax) at byte \(position)")
                }
                position += 1
                depth += 1
                kinds = kinds << 1 | (byte == UInt8(ascii: "{") ? 1 : 0)
                isOpened = true
            default:
                try skipScalar(byte, input)
            }
            // Close what ends here; then either there is a next value or the whole is done.
            while depth > 0 {
                let isObject = kinds & 1 == 1
                let closing = isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")
                if take(closing, input) {
                    depth -= 1
                    kinds >>= 1
                    isOpened = false
                    continue
                }
                if !isOpened { try expect(UInt8(ascii: ","), input) }
                if isObject {
                    skipWhitespace(input)
                    _ = try string(input)
                    try expect(UInt8(ascii: ":"), input)
                }
                break
            }
            if depth == 0 { return start..<position }
        }
    }

    private mutating func skipScalar(_ first: UInt8, _ input: Span<UInt8>) throws(Defect) {
        switch first {
        case UInt8(ascii: "\""): _ = try string(input)
        case UInt8(ascii: "t"): try literal("true", input)
        case UInt8(ascii: "f"): try literal("false", input)
        case UInt8(ascii: "n"): try literal("null", input)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): _ = try number(input)
        default: throw failure("expected a value", input)
        }
    }
}

/// Of a hexadecimal digit in ASCII, of either case.
@inlinable
package func hexDigitValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
}
