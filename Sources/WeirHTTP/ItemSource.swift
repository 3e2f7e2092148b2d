import WeirRecord

/// The items of a request body, one after the other: members of a JSON array, lines of NDJSON, rows
/// of CSV.
///
/// Arrays and CSV are checked to their end before the first item is taken: an error in the middle
/// would leave nobody able to say which records were meant. NDJSON lines stand each for themselves.
struct ItemSource {
    enum Format {
        case array
        case lines
        case csv
    }

    enum Item {
        case json(Range<Int>)
        /// The fields, and where they stand with the end of their line.
        case row([CSVCursor.Field], Range<Int>)
    }

    let format: Format
    /// How many items there are.
    let count: Int
    /// The columns of a CSV text, by its header.
    private(set) var header: [String] = []
    /// Where it stands, with the end of its line.
    private(set) var headerRange = 0..<0
    private var cursor: JSONCursor
    private var csv: CSVCursor
    private var taken = 0

    init(_ format: Format, _ input: Span<UInt8>, countMax: Int) throws(Defect) {
        self.format = format
        cursor = JSONCursor(0..<input.count)
        csv = CSVCursor(Self.startOfText(input)..<input.count)
        switch format {
        case .array:
            count = try Self.countMembers(input)
            try cursor.expect(UInt8(ascii: "["), input)
        case .lines:
            count = Self.countLines(input)
        case .csv:
            guard let names = try csv.row(input) else {
                throw Defect(.invalidRequest, "the CSV text has no header line")
            }
            header = names.map { String(decoding: $0.text ?? Array("NULL".utf8), as: UTF8.self) }
            headerRange = csv.rowStart..<csv.position
            var probe = csv
            var rows = 0
            while let row = try probe.row(input) {
                guard row.count == header.count else {
                    throw Defect(
                        .invalidRequest,
                        "line \(probe.line) has \(row.count) fields and the header \(header.count)")
                }
                rows += 1
            }
            count = rows
        }
        guard count > 0 else { throw Defect(.invalidRequest, "the body holds no records") }
        guard count <= countMax else {
            throw Defect(
                .bodyTooLarge, "the request has \(count) records and may have \(countMax); split it"
            )
        }
    }

    /// Behind the byte order mark that spreadsheets put before UTF-8.
    private static func startOfText(_ input: Span<UInt8>) -> Int {
        input.count >= 3 && input[0] == 0xEF && input[1] == 0xBB && input[2] == 0xBF ? 3 : 0
    }

    private static func countMembers(_ input: Span<UInt8>) throws(Defect) -> Int {
        var cursor = JSONCursor(0..<input.count)
        try cursor.expect(UInt8(ascii: "["), input)
        var count = 0
        if !cursor.take(UInt8(ascii: "]"), input) {
            repeat {
                try cursor.skipValue(input, depthMax: JSONCursor.memberDepthMax)
                count += 1
            } while cursor.take(UInt8(ascii: ","), input)
            try cursor.expect(UInt8(ascii: "]"), input)
        }
        try cursor.expectEnd(input)
        return count
    }

    private static func countLines(_ input: Span<UInt8>) -> Int {
        var cursor = JSONCursor(0..<input.count)
        var count = 0
        while nextLine(&cursor, input) != nil { count += 1 }
        return count
    }

    /// The next line that is not blank.
    private static func nextLine(_ cursor: inout JSONCursor, _ input: Span<UInt8>) -> Range<Int>? {
        // Passes over line ends as well.
        cursor.skipWhitespace(input)
        return cursor.position < cursor.end ? cursor.takeLine(input) : nil
    }

    /// How far it has been read.
    struct Mark {
        fileprivate let cursor: JSONCursor
        fileprivate let csv: CSVCursor
        fileprivate let taken: Int
    }

    var mark: Mark { Mark(cursor: cursor, csv: csv, taken: taken) }

    /// Reads again from where `mark` was taken.
    mutating func goBack(to mark: Mark) {
        cursor = mark.cursor
        csv = mark.csv
        taken = mark.taken
    }

    mutating func next(_ input: Span<UInt8>) throws(Defect) -> Item? {
        switch format {
        case .lines:
            return Self.nextLine(&cursor, input).map { .json($0) }
        case .csv:
            return try csv.row(input).map { .row($0, csv.rowStart..<csv.position) }
        case .array:
            guard taken < count else { return nil }
            if taken > 0 { try cursor.expect(UInt8(ascii: ","), input) }
            taken += 1
            return .json(try cursor.skipValue(input, depthMax: JSONCursor.memberDepthMax))
        }
    }
}
