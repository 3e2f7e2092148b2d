import WeirRecord

/// A guess at which record of a statement an error speaks of, from what PostgreSQL says beside it.
///
/// It decides what is tried alone first and nothing else: the same words may fit several records,
/// they are translated, cut and left out, and a trigger may say anything. They quote rows, so that
/// they go no further than this.
struct Suspicion {
    let records: [Record]
    /// The records that the error may speak of: positions in `records`.
    let positions: [Int]

    func position(
        _ error: ServerError, _ hints: (detail: String?, context: String?), isCopy: Bool = false
    ) -> Int? {
        if isCopy, let line = hints.context.flatMap(Self.line), line <= positions.count {
            return positions[line - 1]
        }
        guard let detail = hints.detail.map({ Array($0.utf8) }) else { return nil }
        switch error.sqlstate {
        case "23505", "23503", "23001", "23P01": return key(in: detail)
        case "23502", "23514": return row(in: detail)
        default: return nil
        }
    }

    // MARK: COPY

    /// `COPY items, line 3` or `…, line 3, column n: …`, in any language: the first number behind
    /// the comma behind the table.
    private static func line(_ context: String) -> Int? {
        guard
            let last = context.split(whereSeparator: \.isNewline).last(where: {
                $0.hasPrefix("COPY ")
            })
        else { return nil }
        let digits = last.drop { $0 != "," }.drop { !$0.isNumber }.prefix { $0.isNumber }
        return Int(digits).flatMap { $0 > 0 ? $0 : nil }
    }

    // MARK: Keys

    /// `Key (a, b)=(1, x) already exists.`: which record has these values in these columns.
    private func key(in detail: [UInt8]) -> Int? {
        guard let start = detail.firstIndex(of: UInt8(ascii: "(")),
            let middle = Self.find(Array(")=(".utf8), in: detail, from: start)
        else { return nil }
        let names = String(decoding: detail[(start + 1)..<middle], as: UTF8.self)
        let values = detail[(middle + 3)...]
        return positions.first { position in
            let record = records[position]
            guard let columns = Self.columns(names, of: record.table) else { return false }
            var expected: [UInt8] = []
            for column in columns {
                if !expected.isEmpty { expected += ", ".utf8 }
                guard record.appendText(of: column, to: &expected) else { return false }
            }
            expected.append(UInt8(ascii: ")"))
            return values.starts(with: expected)
        }
    }

    /// Columns by their names, separated by commas; `nil` where it is an expression, say.
    private static func columns(_ names: String, of table: TableSchema) -> [Int]? {
        var columns: [Int] = []
        for part in names.split(separator: ", ") {
            guard
                let column = table.columns.firstIndex(where: {
                    $0.name == part || quotedIdentifier($0.name) == part
                })
            else { return nil }
            columns.append(column)
        }
        return columns
    }

    // MARK: Rows

    /// Beyond this many bytes of a value PostgreSQL writes `...` (`ExecBuildSlotValueDescription`).
    private static let valueByteCountMax = 64

    /// `Failing row contains (1, null, x).`: which record's values stand there in their order, with
    /// whatever the table supplied between them.
    private func row(in detail: [UInt8]) -> Int? {
        guard let start = detail.firstIndex(of: UInt8(ascii: "(")) else { return nil }
        return positions.first { position in
            let record = records[position]
            var at = start + 1
            for column in record.table.columns.indices where record.columns.contains(column) {
                var value: [UInt8] = []
                if !record.appendText(of: column, to: &value) { value = Array("null".utf8) }
                let isCut = value.count > Self.valueByteCountMax
                // A character may be cut off short of the limit.
                if isCut { value.removeLast(value.count - Self.valueByteCountMax + 3) }
                guard let place = Self.find(value, in: detail, from: at) else { return false }
                at = place + value.count
                guard isCut || at < detail.count else { return false }
                if !isCut, detail[at] != UInt8(ascii: ","), detail[at] != UInt8(ascii: ")") {
                    return false
                }
            }
            return true
        }
    }

    private static func find(_ part: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
        guard !part.isEmpty else { return start }
        guard bytes.count - start >= part.count else { return nil }
        return (start...(bytes.count - part.count)).first { place in
            bytes[place] == part[0] && bytes[place...].starts(with: part)
        }
    }
}
