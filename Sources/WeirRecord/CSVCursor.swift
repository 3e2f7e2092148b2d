/// A place in a CSV text (RFC 4180), moved over it row by row. A bare `NULL` is NULL, an empty
/// field is empty text, and `"NULL"` is the word.
package struct CSVCursor: Sendable {
    package struct Field: Sendable, Equatable {
        /// The text, its quotes removed; `nil` is NULL.
        package var text: [UInt8]?
        package init(text: [UInt8]?) { self.text = text }
    }

    package var position: Int
    /// Where the last row began.
    package private(set) var rowStart = 0
    private let end: Int
    /// Where the row begins. Counts from 1; the header is line 1.
    package private(set) var line = 0
    /// Line ends inside the quotes of the row.
    private var lineEndsQuoted = 0

    package init(_ range: Range<Int>) {
        position = range.lowerBound
        end = range.upperBound
    }

    package var isAtEnd: Bool { position >= end }

    /// The next row. Lines that are empty are passed over; `nil` when there are no more.
    package mutating func row(_ input: Span<UInt8>) throws(Defect) -> [Field]? {
        while position < end {
            line += 1 + lineEndsQuoted
            lineEndsQuoted = 0
            if skipNewline(input) { continue }
            rowStart = position
            var fields: [Field] = []
            while true {
                fields.append(try field(input))
                if position < end && input[position] == UInt8(ascii: ",") {
                    position += 1
                    continue
                }
                if position >= end || skipNewline(input) { return fields }
                throw Defect(.invalidRequest, "line \(line): expected a comma after a quoted field")
            }
        }
        return nil
    }

    private mutating func skipNewline(_ input: Span<UInt8>) -> Bool {
        if position < end && input[position] == 0x0D && position + 1 < end
            && input[position + 1] == 0x0A
        {
            position += 2
            return true
        }
        guard position < end && input[position] == 0x0A else { return false }
        position += 1
        return true
    }

    private mutating func field(_ input: Span<UInt8>) throws(Defect) -> Field {
        var text: [UInt8] = []
        guard position < end && input[position] == UInt8(ascii: "\"") else {
            while position < end, input[position] != UInt8(ascii: ","), input[position] != 0x0A {
                if input[position] == 0x0D && position + 1 < end && input[position + 1] == 0x0A {
                    break
                }
                text.append(input[position])
                position += 1
            }
            return Field(text: text == nullWord ? nil : try checked(text))
        }
        position += 1
        while position < end {
            let byte = input[position]
            position += 1
            guard byte == UInt8(ascii: "\"") else {
                if byte == 0x0A { lineEndsQuoted += 1 }
                text.append(byte)
                continue
            }
            guard position < end && input[position] == UInt8(ascii: "\"") else {
                return Field(text: try checked(text))
            }
            text.append(byte)
            position += 1
        }
        throw Defect(.invalidRequest, "line \(line): a quoted field does not end")
    }

    private func checked(_ text: [UInt8]) throws(Defect) -> [UInt8] {
        guard String(validating: text, as: UTF8.self) != nil else {
            throw Defect(.invalidRequest, "line \(line): expected UTF-8")
        }
        return text
    }
}

private let nullWord = Array("NULL".utf8)
