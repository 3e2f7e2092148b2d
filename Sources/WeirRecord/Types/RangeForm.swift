/// Ranges in PostgreSQL's text form, `[1,5)`: their bounds are encoded and checked as values of the
/// subtype, then written anew.
struct RangeForm {
    private let type: RangeType
    private let bound: ValueEncoding

    init(_ type: RangeType, column: Column) {
        self.type = type
        var column = column
        column.type = type.subtype
        bound = ValueEncoding(column: column)
    }

    /// Appends the range's text; no length.
    func encode(
        _ input: Span<UInt8>, _ range: Range<Int>, to bytes: inout [UInt8]
    ) throws(Defect) {
        var scanner = TextScanner(range)
        scanner.skipSpaces(input)
        if scanner.isNext("empty", input) {
            scanner.skip(5)
            scanner.skipSpaces(input)
            guard scanner.isAtEnd else { throw bound.defect(.malformedRange) }
            return bytes += "empty".utf8
        }
        let includesLower = scanner.take(UInt8(ascii: "["), input)
        guard includesLower || scanner.take(UInt8(ascii: "("), input) else {
            throw bound.defect(.malformedRange)
        }
        let lower = try takeBound(&scanner, input)
        guard scanner.take(UInt8(ascii: ","), input) else { throw bound.defect(.malformedRange) }
        let upper = try takeBound(&scanner, input)
        let includesUpper = scanner.take(UInt8(ascii: "]"), input)
        guard includesUpper || scanner.take(UInt8(ascii: ")"), input) else {
            throw bound.defect(.malformedRange)
        }
        scanner.skipSpaces(input)
        guard scanner.isAtEnd else { throw bound.defect(.malformedRange) }
        if type.isBuiltIn {
            do {
                try check(lower, includesLower, upper, includesUpper)
            } catch {
                throw bound.defect(error)
            }
        }
        bytes.append(UInt8(ascii: includesLower ? "[" : "("))
        append(lower, to: &bytes)
        bytes.append(UInt8(ascii: ","))
        append(upper, to: &bytes)
        bytes.append(UInt8(ascii: includesUpper ? "]" : ")"))
    }

    /// The binary form of the bound that comes next; `nil` where there is none.
    private func takeBound(
        _ scanner: inout TextScanner, _ input: Span<UInt8>
    ) throws(Defect) -> [UInt8]? {
        var text: [UInt8] = []
        var isQuoted = false
        var hasQuotes = false
        while let byte = scanner.peek(input) {
            if !isQuoted
                && (byte == UInt8(ascii: ",") || byte == UInt8(ascii: "]")
                    || byte == UInt8(ascii: ")"))
            {
                break
            }
            guard isQuoted || (byte != UInt8(ascii: "(") && byte != UInt8(ascii: "[")) else {
                throw bound.defect(.malformedRange)
            }
            scanner.advance()
            switch byte {
            case UInt8(ascii: "\\"):
                guard let next = scanner.peek(input) else {
                    throw bound.defect(.malformedRange)
                }
                scanner.advance()
                text.append(next)
            case UInt8(ascii: "\""):
                if isQuoted && scanner.take(UInt8(ascii: "\""), input) {
                    text.append(byte)
                } else {
                    isQuoted.toggle()
                    hasQuotes = true
                }
            default:
                text.append(byte)
            }
        }
        guard !isQuoted else { throw bound.defect(.malformedRange) }
        guard !text.isEmpty || hasQuotes else { return nil }
        var inner = 0..<text.count
        if type.isBuiltIn {
            // The subtypes' input functions pass over spaces.
            while !inner.isEmpty && isSpace(text[inner.lowerBound]) { inner.removeFirst() }
            while !inner.isEmpty && isSpace(text[inner.upperBound - 1]) { inner.removeLast() }
        }
        var value: [UInt8] = []
        try bound.encodeText(text.span, inner, to: &value)
        return value
    }

    private func append(_ value: [UInt8]?, to bytes: inout [UInt8]) {
        guard let value else { return }
        var text: [UInt8] = []
        type.subtype.appendText(value, 4..<value.count, to: &text)
        bytes.append(UInt8(ascii: "\""))
        for byte in text {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                bytes.append(UInt8(ascii: "\\"))
            }
            bytes.append(byte)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    // MARK: Order

    private func check(
        _ lower: [UInt8]?, _ includesLower: Bool, _ upper: [UInt8]?, _ includesUpper: Bool
    ) throws(ValueFault) {
        if let lower, let upper {
            if isOrdered(upper, before: lower) { throw .backwardRange }
            // Empty, and without bounds then.
            if !isOrdered(lower, before: upper) && !(includesLower && includesUpper) { return }
        }
        // Ranges of whole numbers and days are stored as `[a,b)`: a bound may have to move by one.
        if let lower, !includesLower { try checkNext(lower) }
        if let upper, includesUpper { try checkNext(upper) }
    }

    private func checkNext(_ value: [UInt8]) throws(ValueFault) {
        let number = { signedInteger(value, 4..<value.count) }
        switch type.subtype {
        case .int4: if number() == Int64(Int32.max) { throw .outOfRange }
        case .int8: if number() == Int64.max { throw .outOfRange }
        case .date: if number() == CalendarForm.days.upperBound { throw .outOfRange }
        default: return
        }
    }

    private func isOrdered(_ left: [UInt8], before right: [UInt8]) -> Bool {
        guard case .numeric = type.subtype else {
            return signedInteger(left, 4..<left.count) < signedInteger(right, 4..<right.count)
        }
        return NumericForm.isOrdered(left, before: right)
    }
}

extension NumericForm {
    /// Whether one number, an array element with its length, is less than another; NaN is the
    /// greatest.
    fileprivate static func isOrdered(_ left: [UInt8], before right: [UInt8]) -> Bool {
        func rank(_ value: [UInt8]) -> Int {
            switch (unsignedInteger(value, 8..<10), unsignedInteger(value, 4..<6)) {
            case (0xF000, _): 0
            case (0x4000, _): 1
            case (0xD000, _): 4
            case (0xC000, _): 5
            case (_, 0): 2
            default: 3
            }
        }
        let (leftRank, rightRank) = (rank(left), rank(right))
        guard leftRank == rightRank else { return leftRank < rightRank }
        guard leftRank == 1 || leftRank == 3 else { return false }
        let (small, large) = leftRank == 1 ? (right, left) : (left, right)
        let weights = (signedInteger(small, 6..<8), signedInteger(large, 6..<8))
        guard weights.0 == weights.1 else { return weights.0 < weights.1 }
        return small[12...].lexicographicallyPrecedes(large[12...])
    }
}

extension ValueFault {
    static let malformedRange = ValueFault.refused(
        sqlstate: "22P02", because: "the value is no range")
    static let backwardRange = ValueFault.refused(
        sqlstate: "22000", because: "the range's upper bound lies before its lower")
}
