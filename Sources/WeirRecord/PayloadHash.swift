/// JSON as 64 bits, whatever the order of members, the white space between, and the spelling of
/// strings: numbers by their text, strings by what their escapes mean.
///
///     fold(a, b)               = the 128 bits of (a ^ c1) · (b ^ c2), their halves xored
///     text(bytes)              = from 0, fold(h, w) for each eight bytes w, lowest first, the last
///                                ones filled up with zeros; then fold(h, how many bytes)
///     null, true, false, number = fold(text(as written), 1)
///     string                   = fold(text(what its escapes mean), 2)
///     array                    = fold(fold(… fold(3, first element) …, last element), 3)
///     object                   = fold(the sum of fold(text(name), value), 4)
///
/// A name that stands twice counts twice. Nothing is recursive: how deep a document is, its sender
/// chooses. It tells payloads apart that were not chosen to collide; `fold` is that of wyhash (Wang
/// Yi, 2019), with its constants.
package enum PayloadHash {
    @inline(__always)
    package static func fold(_ first: UInt64, _ second: UInt64) -> UInt64 {
        let product = (first ^ 0xA076_1D64_78BD_642F)
            .multipliedFullWidth(by: second ^ 0xE703_7ED1_A0B4_28DB)
        return product.high ^ product.low
    }

    package static func text(_ input: Span<UInt8>, _ range: Range<Int>) -> UInt64 {
        var hash: UInt64 = 0
        var at = range.lowerBound
        while at + 8 <= range.upperBound {
            let word = input.bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self)
            hash = fold(hash, UInt64(littleEndian: word))
            at += 8
        }
        if at < range.upperBound {
            var word: UInt64 = 0
            for index in (at..<range.upperBound).reversed() {
                word = word << 8 | UInt64(input[index])
            }
            hash = fold(hash, word)
        }
        return fold(hash, UInt64(range.count))
    }

    package static func text(_ text: String) -> UInt64 {
        let bytes = Array(text.utf8)
        return self.text(bytes.span, 0..<bytes.count)
    }

    static let null = fold(text("null"), 1)

    static func string(_ text: UInt64) -> UInt64 { fold(text, 2) }

    static func closedObject(_ sum: UInt64) -> UInt64 { fold(sum, 4) }

    /// Of the object that comes next.
    static func object(_ cursor: inout JSONCursor, _ input: Span<UInt8>) throws(Defect) -> UInt64 {
        try cursor.expect(UInt8(ascii: "{"), input)
        var sum: UInt64 = 0
        guard !cursor.take(UInt8(ascii: "}"), input) else { return closedObject(sum) }
        repeat {
            let name = try name(&cursor, input)
            sum &+= fold(name, try value(&cursor, input))
        } while cursor.take(UInt8(ascii: ","), input)
        try cursor.expect(UInt8(ascii: "}"), input)
        return closedObject(sum)
    }

    /// Of the text of the only value in the object that comes next, if that is neither an object
    /// nor an array.
    static func onlyScalar(
        _ cursor: inout JSONCursor, _ input: Span<UInt8>
    ) throws(Defect) -> UInt64? {
        try cursor.expect(UInt8(ascii: "{"), input)
        guard cursor.peek(input) == UInt8(ascii: "\"") else { return nil }
        _ = try name(&cursor, input)
        let hash: UInt64
        switch cursor.peek(input) {
        case UInt8(ascii: "{"), UInt8(ascii: "["): return nil
        case UInt8(ascii: "\""): hash = try stringText(&cursor, input)
        default: hash = text(input, try cursor.skipValue(input))
        }
        return cursor.take(UInt8(ascii: "}"), input) ? hash : nil
    }

    private static func value(
        _ cursor: inout JSONCursor, _ input: Span<UInt8>
    ) throws(Defect) -> UInt64 {
        switch cursor.peek(input) {
        case UInt8(ascii: "{"), UInt8(ascii: "["): try document(&cursor, input)
        case UInt8(ascii: "\""): string(try stringText(&cursor, input))
        default: fold(text(input, try cursor.skipValue(input)), 1)
        }
    }

    private static func name(
        _ cursor: inout JSONCursor, _ input: Span<UInt8>
    ) throws(Defect) -> UInt64 {
        cursor.skipWhitespace(input)
        let hash = try stringText(&cursor, input)
        try cursor.expect(UInt8(ascii: ":"), input)
        return hash
    }

    private static func stringText(
        _ cursor: inout JSONCursor, _ input: Span<UInt8>
    ) throws(Defect) -> UInt64 {
        let token = try cursor.string(input)
        guard token.hasEscapes else { return text(input, token.range) }
        var bytes: [UInt8] = []
        do throws(Defect) {
            try cursor.appendText(of: token, input, to: &bytes)
            return text(bytes.span, 0..<bytes.count)
        } catch {
            // An escape that no text can have, in a json column: by its spelling.
            return text(input, token.range)
        }
    }

    // MARK: Nested

    private struct Level {
        var isObject: Bool
        var hash: UInt64
        /// Of the member whose value comes next.
        var name: UInt64 = 0

        var closed: UInt64 { isObject ? closedObject(hash) : fold(hash, 3) }
    }

    /// Of the object or array that comes next.
    private static func document(
        _ cursor: inout JSONCursor, _ input: Span<UInt8>
    ) throws(Defect) -> UInt64 {
        var levels: [Level] = []
        while true {
            var value: UInt64?
            switch cursor.peek(input) {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                guard levels.count < JSONCursor.memberDepthMax else {
                    throw Defect(.invalidJSON, "nested too deep at byte \(cursor.position)")
                }
                let isObject = input[cursor.position] == UInt8(ascii: "{")
                cursor.position += 1
                levels.append(Level(isObject: isObject, hash: isObject ? 0 : 3))
                if cursor.take(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"), input) {
                    value = levels.popLast()?.closed
                } else if isObject {
                    levels[levels.count - 1].name = try name(&cursor, input)
                }
            default:
                value = try self.value(&cursor, input)
            }
            // The value that has ended is part of what is open round it, which may end with it.
            while let ended = value {
                guard let last = levels.indices.last else { return ended }
                let isObject = levels[last].isObject
                if isObject {
                    levels[last].hash &+= fold(levels[last].name, ended)
                } else {
                    levels[last].hash = fold(levels[last].hash, ended)
                }
                value = nil
                if cursor.take(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"), input) {
                    value = levels.popLast()?.closed
                    continue
                }
                try cursor.expect(UInt8(ascii: ","), input)
                if isObject { levels[last].name = try name(&cursor, input) }
            }
        }
    }
}
