/// Reads the part of YAML 1.2 that a configuration needs: maps and lists, in blocks or in brackets,
/// plain and quoted text on one line, comments. Everything else is refused by name, so that what
/// is read means the same to every other reader of YAML: docs/decisions/0008-own-yaml-reader.md.
package struct YAMLReader {
    /// Past it a file is none that somebody wrote to configure a gateway.
    package static let byteCountMax = 256 << 10
    /// Maps in maps and lists; the configuration needs four.
    static let depthMax = 8

    var scanner: YAMLScanner
    /// Keys that stand twice in one map: found on the way, and no reason to stop.
    private var repeatedKeys: [YAMLDefect] = []

    /// The file's root, `nil` when it holds nothing but comments, and the keys that stand twice.
    package static func read(
        _ bytes: [UInt8]
    ) throws(YAMLDefect) -> (root: YAMLNode?, repeatedKeys: [YAMLDefect]) {
        var reader = YAMLReader(scanner: try YAMLScanner(bytes))
        let root = try reader.document()
        return (root, reader.repeatedKeys)
    }

    private init(scanner: YAMLScanner) {
        self.scanner = scanner
    }

    private mutating func document() throws(YAMLDefect) -> YAMLNode? {
        try scanner.skipToContent()
        if scanner.isAtDocumentMark {
            scanner.skipDocumentMark()
            try scanner.expectLineEnd()
        }
        guard !scanner.isAtEnd else { return nil }
        let root = try block(parentColumn: -1, depth: 0)
        try scanner.skipToContent()
        guard scanner.isAtEnd else {
            throw scanner.defect(
                scanner.isAtDocumentMark
                    ? "a second document begins here; the file holds one"
                    : "this is indented less than what it belongs to")
        }
        return root
    }

    // MARK: Blocks

    /// The value that comes next, if it is indented further than `parentColumn`.
    ///
    /// - Parameter isOfKey: the list of a key may stand in the key's own column.
    private mutating func block(
        parentColumn: Int, isOfKey: Bool = false, depth: Int
    ) throws(YAMLDefect) -> YAMLNode {
        let line = scanner.line
        try scanner.skipToContent()
        let column = scanner.column
        let isList = scanner.isAtDash
        guard !scanner.isAtEnd, !scanner.isAtDocumentMark,
            column > parentColumn || isList && isOfKey && column == parentColumn
        else { return YAMLNode(content: .empty, line: line) }
        guard depth < Self.depthMax else {
            throw scanner.defect("more than \(Self.depthMax) levels inside each other")
        }
        if isList {
            guard scanner.isFirstOnLine(column) else {
                throw scanner.defect("a list may not begin behind its key; break the line")
            }
            return try list(column: column, depth: depth)
        }
        let start = scanner.line
        if scanner.isAtBracket {
            let node = try flow(depth: depth)
            try scanner.expectLineEnd()
            return node
        }
        let first = try scanner.scalar(inFlow: false)
        guard scanner.takeColon() else {
            try scanner.expectLineEnd()
            return node(first, line: start)
        }
        guard column > parentColumn, scanner.isFirstOnLine(column) else {
            throw YAMLDefect(start, "a map may not begin behind a key or a value; break the line")
        }
        return try map(first, line: start, column: column, depth: depth)
    }

    private mutating func map(
        _ first: YAMLScanner.Scalar, line: Int, column: Int, depth: Int
    ) throws(YAMLDefect) -> YAMLNode {
        var members: [YAMLNode.Member] = []
        var key = first
        var keyLine = line
        while true {
            let value = try block(parentColumn: column, isOfKey: true, depth: depth + 1)
            try append(key, keyLine, value, to: &members)
            try scanner.skipToContent()
            guard !scanner.isAtEnd, !scanner.isAtDocumentMark, scanner.column >= column else {
                return YAMLNode(content: .map(members), line: line)
            }
            guard scanner.column == column else {
                throw scanner.defect(
                    "this is indented further than the keys before it; a value stands on one line")
            }
            keyLine = scanner.line
            key = try scanner.scalar(inFlow: false)
            guard scanner.takeColon() else {
                throw YAMLDefect(keyLine, "a key is followed by a colon and a space")
            }
        }
    }

    private mutating func list(column: Int, depth: Int) throws(YAMLDefect) -> YAMLNode {
        let line = scanner.line
        var items: [YAMLNode] = []
        while !scanner.isAtEnd && scanner.column == column && scanner.isAtDash {
            scanner.skipDash()
            items.append(try block(parentColumn: column, depth: depth + 1))
            try scanner.skipToContent()
        }
        guard scanner.isAtEnd || scanner.column <= column else {
            throw scanner.defect("this is indented further than the list before it")
        }
        return YAMLNode(content: .list(items), line: line)
    }

    // MARK: Brackets

    private mutating func flow(depth: Int) throws(YAMLDefect) -> YAMLNode {
        guard depth < Self.depthMax else {
            throw scanner.defect("more than \(Self.depthMax) levels inside each other")
        }
        let line = scanner.line
        if scanner.take(UInt8(ascii: "[")) {
            var items: [YAMLNode] = []
            while try !flowEnds(UInt8(ascii: "]")) {
                items.append(try flow(depth: depth + 1))
                try flowSeparator(UInt8(ascii: "]"))
            }
            return YAMLNode(content: .list(items), line: line)
        }
        guard scanner.take(UInt8(ascii: "{")) else {
            let text = try scanner.scalar(inFlow: true)
            return node(text, line: line)
        }
        var members: [YAMLNode.Member] = []
        while try !flowEnds(UInt8(ascii: "}")) {
            let keyLine = scanner.line
            let key = try scanner.scalar(inFlow: true)
            var value = YAMLNode(content: .empty, line: keyLine)
            if scanner.takeColon() { value = try flowValue(depth: depth) }
            try append(key, keyLine, value, to: &members)
            try flowSeparator(UInt8(ascii: "}"))
        }
        return YAMLNode(content: .map(members), line: line)
    }

    private mutating func flowValue(depth: Int) throws(YAMLDefect) -> YAMLNode {
        try scanner.skipToContent()
        if scanner.isAt(UInt8(ascii: ",")) || scanner.isAtClosingBracket {
            return YAMLNode(content: .empty, line: scanner.line)
        }
        return try flow(depth: depth + 1)
    }

    private mutating func flowEnds(_ bracket: UInt8) throws(YAMLDefect) -> Bool {
        try scanner.skipToContent()
        guard !scanner.isAtEnd else { throw scanner.defect("a bracket is not closed") }
        return scanner.take(bracket)
    }

    private mutating func flowSeparator(_ bracket: UInt8) throws(YAMLDefect) {
        try scanner.skipToContent()
        guard !scanner.isAtEnd else { throw scanner.defect("a bracket is not closed") }
        guard scanner.take(UInt8(ascii: ",")) || scanner.isAt(bracket) else {
            let name = Unicode.Scalar(bracket)
            throw scanner.defect("expected a comma or \(name); a text with such signs needs quotes")
        }
    }

    // MARK: Parts

    private mutating func append(
        _ key: YAMLScanner.Scalar, _ line: Int, _ value: YAMLNode,
        to members: inout [YAMLNode.Member]
    ) throws(YAMLDefect) {
        guard !isEmpty(key) else { throw YAMLDefect(line, "a key may not be empty") }
        if let known = members.first(where: { $0.key == key.text }) {
            repeatedKeys.append(
                YAMLDefect(
                    line, "\"\(key.text.prefix(80))\" stands twice, here and in line \(known.line)")
            )
        }
        members.append(YAMLNode.Member(key: key.text, line: line, value: value))
    }

    private func node(_ scalar: YAMLScanner.Scalar, line: Int) -> YAMLNode {
        YAMLNode(content: isEmpty(scalar) ? .empty : .scalar(scalar.text), line: line)
    }

    private func isEmpty(_ scalar: YAMLScanner.Scalar) -> Bool {
        !scalar.isQuoted && ["", "~", "null", "Null", "NULL"].contains(scalar.text)
    }
}
