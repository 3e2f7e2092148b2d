/// Arrays: from a JSON array, nested for more dimensions, or from PostgreSQL's own text form, to
/// the array literal that the server casts. Each element is encoded and checked as a column of its
/// type would be.
struct ArrayForm {
    private let element: ValueEncoding
    private let elementType: ColumnType
    /// Any JSON value is an element of json[]: there is one dimension then.
    private let dimensionsMax: Int
    private var literal = ArrayLiteral()
    private var scratch: [UInt8] = []

    init(_ type: ArrayType, column: Column) {
        var column = column
        column.type = type.element
        column.isNullable = type.hasNullableElements
        element = ValueEncoding(column: column)
        elementType = type.element
        // PostgreSQL's MAXDIM.
        dimensionsMax =
            switch type.element {
            case .json, .jsonb: 1
            default: 6
            }
    }

    // MARK: From JSON

    /// Takes the JSON array that comes next; `bytes` gets its literal.
    mutating func takeJSON(
        _ cursor: inout JSONCursor, _ input: Span<UInt8>, to bytes: inout [UInt8]
    ) throws(Defect) {
        while true {
            let first = cursor.peek(input)
            if first == UInt8(ascii: "["), literal.depth < dimensionsMax || dimensionsMax > 1 {
                try open(to: &bytes)
                cursor.position += 1
                if cursor.peek(input) != UInt8(ascii: "]") { continue }
            } else {
                scratch.removeAll(keepingCapacity: true)
                try element.encode(&cursor, input, to: &scratch)
                try append(to: &bytes)
            }
            while cursor.take(UInt8(ascii: "]"), input) {
                try close(to: &bytes)
                if literal.depth == 0 { return }
            }
            try cursor.expect(UInt8(ascii: ","), input)
            bytes.append(UInt8(ascii: ","))
        }
    }

    // MARK: From text

    /// Takes an array in PostgreSQL's text form: braces, commas, quotes, `NULL`.
    mutating func takeText(
        _ input: Span<UInt8>, _ range: Range<Int>, to bytes: inout [UInt8]
    ) throws(Defect) {
        var scanner = TextScanner(range)
        scanner.skipSpaces(input)
        guard scanner.peek(input) == UInt8(ascii: "{") else { throw malformed }
        while true {
            scanner.skipSpaces(input)
            if scanner.take(UInt8(ascii: "{"), input) {
                try open(to: &bytes)
                scanner.skipSpaces(input)
                if scanner.peek(input) != UInt8(ascii: "}") { continue }
            } else {
                try takeElement(&scanner, input)
                try append(to: &bytes)
                scanner.skipSpaces(input)
            }
            while scanner.take(UInt8(ascii: "}"), input) {
                try close(to: &bytes)
                scanner.skipSpaces(input)
                if literal.depth == 0 {
                    guard scanner.isAtEnd else { throw malformed }
                    return
                }
            }
            guard scanner.take(UInt8(ascii: ","), input) else { throw malformed }
            bytes.append(UInt8(ascii: ","))
        }
    }

    private mutating func takeElement(
        _ scanner: inout TextScanner, _ input: Span<UInt8>
    ) throws(Defect) {
        scratch.removeAll(keepingCapacity: true)
        if scanner.take(UInt8(ascii: "\""), input) {
            var text: [UInt8] = []
            while true {
                guard var byte = scanner.peek(input) else { throw malformed }
                scanner.advance()
                if byte == UInt8(ascii: "\"") { break }
                if byte == UInt8(ascii: "\\") {
                    guard let next = scanner.peek(input) else { throw malformed }
                    scanner.advance()
                    byte = next
                }
                text.append(byte)
            }
            return try element.encodeText(text.span, 0..<text.count, to: &scratch)
        }
        let start = scanner.position
        var end = start
        while let byte = scanner.peek(input), byte != UInt8(ascii: ","),
            byte != UInt8(ascii: "}")
        {
            guard byte != UInt8(ascii: "{"), byte != UInt8(ascii: "\""),
                byte != UInt8(ascii: "\\")
            else { throw malformed }
            scanner.advance()
            if !isSpace(byte) { end = scanner.position }
        }
        guard end > start else { throw malformed }
        var word = TextScanner(start..<end)
        if word.takeLast("null", input) { return try element.encodeNull(to: &scratch) }
        try element.encodeText(input, start..<end, to: &scratch)
    }

    // MARK: Parts

    private mutating func open(to bytes: inout [UInt8]) throws(Defect) {
        do {
            try literal.open(dimensionsMax: dimensionsMax)
        } catch {
            throw element.defect(error)
        }
        bytes.append(UInt8(ascii: "{"))
    }

    private mutating func close(to bytes: inout [UInt8]) throws(Defect) {
        do {
            try literal.close()
        } catch {
            throw element.defect(error)
        }
        bytes.append(UInt8(ascii: "}"))
    }

    /// Appends the element that stands in `scratch`.
    private mutating func append(to bytes: inout [UInt8]) throws(Defect) {
        do {
            try literal.count()
        } catch {
            throw element.defect(error)
        }
        guard signedInteger(scratch, 0..<4) >= 0 else { return bytes += "NULL".utf8 }
        guard elementType.needsQuotes else {
            return elementType.appendText(scratch, 4..<scratch.count, to: &bytes)
        }
        var text: [UInt8] = []
        elementType.appendText(scratch, 4..<scratch.count, to: &text)
        bytes.append(UInt8(ascii: "\""))
        for byte in text {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                bytes.append(UInt8(ascii: "\\"))
            }
            bytes.append(byte)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private var malformed: Defect { element.defect(.malformedArray) }
}

/// The shape of an array while it is read: every array of one dimension has the same length, and
/// elements stand at one depth.
private struct ArrayLiteral {
    private(set) var depth = 0
    private var elementDepth: Int?
    private var counts: [Int] = []
    /// By depth, once the first array there has been closed.
    private var lengths: [Int?] = []

    mutating func open(dimensionsMax: Int) throws(ValueFault) {
        if depth > 0 { try place(at: depth + 1) }
        guard depth < dimensionsMax else { throw .tooManyDimensions }
        depth += 1
        counts.append(0)
        if lengths.count < depth { lengths.append(nil) }
    }

    /// An element comes.
    mutating func count() throws(ValueFault) {
        guard depth > 0 else { throw .malformedArray }
        if let elementDepth {
            guard elementDepth == depth else { throw .raggedArray }
        } else {
            elementDepth = depth
        }
        counts[depth - 1] += 1
    }

    /// An array comes inside another.
    private mutating func place(at depth: Int) throws(ValueFault) {
        if let elementDepth, elementDepth < depth { throw .raggedArray }
        counts[depth - 2] += 1
    }

    mutating func close() throws(ValueFault) {
        guard depth > 0, let count = counts.popLast() else { throw .malformedArray }
        // `{}` has no dimensions; inside another it would be lost.
        guard count > 0 || depth == 1 else { throw .raggedArray }
        guard lengths[depth - 1] == nil || lengths[depth - 1] == count else { throw .raggedArray }
        lengths[depth - 1] = count
        depth -= 1
    }
}

extension ValueFault {
    static let malformedArray = ValueFault.refused(
        sqlstate: "22P02", because: "the value is no array")
    static let raggedArray = ValueFault.refused(
        sqlstate: "22P02", because: "arrays inside an array have equal lengths, and some elements")
    static let tooManyDimensions = ValueFault.refused(
        sqlstate: "54000", because: "an array has at most six dimensions")
}

extension ColumnType {
    /// Whether a value's text may hold what means something in an array literal.
    fileprivate var needsQuotes: Bool {
        switch self {
        case .boolean, .int2, .int4, .int8, .float4, .float8, .numeric, .uuid, .date: false
        default: true
        }
    }
}
