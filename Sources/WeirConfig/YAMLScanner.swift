/// A place in a YAML text: what stands there, and the texts that begin there.
struct YAMLScanner {
    struct Scalar {
        var text: String
        var isQuoted: Bool
    }

    private let bytes: [UInt8]
    private var at = 0
    private(set) var line = 1
    private var lineStart = 0

    init(_ bytes: [UInt8]) throws(YAMLDefect) {
        guard bytes.count <= YAMLReader.byteCountMax else {
            throw YAMLDefect(
                1, "the file is larger than \(YAMLReader.byteCountMax >> 10) KiB; it cannot be one")
        }
        guard String(validating: bytes, as: UTF8.self) != nil else {
            let valid = String(decoding: bytes, as: UTF8.self).prefix { $0 != "\u{FFFD}" }
            throw YAMLDefect(
                1 + valid.utf8.count { $0 == 0x0A }, "this is not UTF-8; save the file as UTF-8")
        }
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        self.bytes = bytes.starts(with: mark) ? Array(bytes.dropFirst(3)) : bytes
        for (index, byte) in self.bytes.enumerated() where byte < 0x20 || byte == 0x7F {
            // A carriage return alone ends a line for some readers and not for others.
            let isLineEnd =
                byte == 0x0A
                || byte == 0x0D && index + 1 < self.bytes.count && self.bytes[index + 1] == 0x0A
            guard !isLineEnd, byte != 0x09 else { continue }
            throw YAMLDefect(
                1 + self.bytes[..<index].count { $0 == 0x0A }, "a control character stands here")
        }
    }

    // MARK: Looking

    private func byte(_ offset: Int = 0) -> UInt8? {
        at + offset < bytes.count ? bytes[at + offset] : nil
    }

    var isAtEnd: Bool { at >= bytes.count }
    var column: Int { at - lineStart }
    func isAt(_ expected: UInt8) -> Bool { byte() == expected }
    var isAtBracket: Bool { isAt(UInt8(ascii: "[")) || isAt(UInt8(ascii: "{")) }
    var isAtClosingBracket: Bool { isAt(UInt8(ascii: "]")) || isAt(UInt8(ascii: "}")) }
    /// Whether a list's item begins here.
    var isAtDash: Bool { isAt(UInt8(ascii: "-")) && Self.isSpace(byte(1)) }
    /// `---` or `...` in the first column.
    var isAtDocumentMark: Bool {
        guard column == 0, let first = byte(), first == 0x2D || first == 0x2E else { return false }
        return byte(1) == first && byte(2) == first && Self.isSpace(byte(3))
    }

    /// Whether nothing but dashes and spaces stands before this column.
    func isFirstOnLine(_ column: Int) -> Bool {
        bytes[lineStart..<(lineStart + column)].allSatisfy { $0 == 0x20 || $0 == 0x2D }
    }

    /// A space, a line's end or the file's.
    private static func isSpace(_ byte: UInt8?) -> Bool {
        byte == nil || byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
    }

    func defect(_ text: String) -> YAMLDefect { YAMLDefect(line, text) }

    // MARK: Going on

    mutating func take(_ expected: UInt8) -> Bool {
        guard isAt(expected) else { return false }
        at += 1
        return true
    }

    mutating func skipDash() { at += 1 }

    mutating func skipDocumentMark() { at += 3 }

    /// The colon between a key and its value. Without a space behind it, it belongs to a text.
    mutating func takeColon() -> Bool {
        skipSpaces()
        guard endsKey(at) else { return false }
        at += 1
        return true
    }

    private func endsKey(_ index: Int) -> Bool {
        guard index < bytes.count, bytes[index] == UInt8(ascii: ":") else { return false }
        return Self.isSpace(index + 1 < bytes.count ? bytes[index + 1] : nil)
    }

    private static func isFlowSign(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: ","), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "{"),
            UInt8(ascii: "}"):
            true
        default: false
        }
    }

    private mutating func skipSpaces() {
        while byte() == 0x20 { at += 1 }
    }

    /// Over spaces, comments and line ends, to what comes next.
    mutating func skipToContent() throws(YAMLDefect) {
        while let byte = byte() {
            switch byte {
            case 0x20, 0x0D:
                at += 1
            case 0x09:
                throw defect(
                    bytes[lineStart..<at].allSatisfy { $0 == 0x20 }
                        ? "a tab stands in the indentation; YAML is indented with spaces"
                        : "a tab stands between the parts of a line; take spaces")
            case 0x0A:
                at += 1
                line += 1
                lineStart = at
            case UInt8(ascii: "#") where at == lineStart || Self.isSpace(bytes[at - 1]):
                while let next = self.byte(), next != 0x0A { at += 1 }
            default:
                return
            }
        }
    }

    /// Nothing but a comment may follow on this line.
    mutating func expectLineEnd() throws(YAMLDefect) {
        let line = line
        try skipToContent()
        guard isAtEnd || self.line > line else {
            throw defect("more text follows the value; a text with \": \" or \" #\" needs quotes")
        }
    }

    // MARK: Texts

    /// The text that begins here: plain or in quotes, on one line.
    mutating func scalar(inFlow: Bool) throws(YAMLDefect) -> Scalar {
        guard let first = byte() else { throw defect("the file ends where a value should stand") }
        switch first {
        case UInt8(ascii: "\""): return Scalar(text: try doubleQuoted(), isQuoted: true)
        case UInt8(ascii: "'"): return Scalar(text: try singleQuoted(), isQuoted: true)
        default: break
        }
        if let reason = reasonAgainst(first) { throw defect(reason) }
        let start = at
        while let byte = byte(), byte != 0x0A, byte != 0x0D, !endsKey(at) {
            if byte == 0x09 { throw defect("a tab stands in the text; take spaces, or quotes") }
            if byte == UInt8(ascii: "#") && Self.isSpace(bytes[at - 1]) { break }
            if inFlow && (Self.isFlowSign(byte) || byte == UInt8(ascii: "?")) {
                guard bytes[at - 1] != UInt8(ascii: ":") else {
                    throw defect("between a colon and what follows it belongs a space")
                }
                if byte != UInt8(ascii: "?") { break }
            }
            at += 1
        }
        var end = at
        while end > start && bytes[end - 1] == 0x20 { end -= 1 }
        return Scalar(text: String(decoding: bytes[start..<end], as: UTF8.self), isQuoted: false)
    }

    /// What YAML has, and this reader has not, by the sign it begins with.
    private func reasonAgainst(_ first: UInt8) -> String? {
        switch first {
        case UInt8(ascii: "&"), UInt8(ascii: "*"):
            "anchors (&) and aliases (*) are not taken; write the value out, or in quotes"
        case UInt8(ascii: "!"): "tags (!) are not taken; each setting knows its type"
        case UInt8(ascii: "|"), UInt8(ascii: ">"): "block texts (| and >) are not taken"
        case UInt8(ascii: "%"), UInt8(ascii: "@"), UInt8(ascii: "`"), UInt8(ascii: "#"),
            UInt8(ascii: "?"), UInt8(ascii: ":"):
            "\(Unicode.Scalar(first)) cannot begin a text; put it into quotes"
        case UInt8(ascii: "-"):
            Self.isSpace(byte(1)) || byte(1).map(Self.isFlowSign) == true
                ? "- cannot stand here; a text that begins so needs quotes" : nil
        case _ where Self.isFlowSign(first):
            "\(Unicode.Scalar(first)) cannot stand here; a text that begins so needs quotes"
        default: nil
        }
    }

    private mutating func singleQuoted() throws(YAMLDefect) -> String {
        at += 1
        var text: [UInt8] = []
        while let byte = byte(), byte != 0x0A {
            at += 1
            guard byte == UInt8(ascii: "'") else {
                text.append(byte)
                continue
            }
            guard take(UInt8(ascii: "'")) else { return String(decoding: text, as: UTF8.self) }
            text.append(byte)
        }
        throw defect("a quote is not closed on its line")
    }

    private mutating func doubleQuoted() throws(YAMLDefect) -> String {
        at += 1
        var text: [UInt8] = []
        while let byte = byte(), byte != 0x0A {
            at += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"): text += try escaped().utf8
            default: text.append(byte)
            }
        }
        throw defect("a quote is not closed on its line")
    }

    private mutating func escaped() throws(YAMLDefect) -> String {
        let sign = byte()
        at += 1
        switch sign {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            let digits = bytes[min(at, bytes.count)..<min(at + 4, bytes.count)]
            let text = String(decoding: digits, as: UTF8.self)
            guard digits.count == 4, text.allSatisfy(\.isHexDigit),
                let scalar = UInt32(text, radix: 16).flatMap(Unicode.Scalar.init)
            else { break }
            at += 4
            return String(Character(scalar))
        default: break
        }
        throw defect("in double quotes a backslash stands before \" \\ / n r t or uXXXX only")
    }
}
