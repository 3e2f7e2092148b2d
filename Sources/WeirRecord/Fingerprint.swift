/// What a message says, as 64 bits: the same ID with another fingerprint is a caller's mistake.
///
/// It is kept in the database for as long as the message ID is remembered, and compared there with
/// that of a repetition which may have come to another gateway, another version, another
/// configuration, or to a table that has changed since. So it depends on what the caller sent, and
/// on nothing that is known of the table but its name. docs/decisions/0018-fingerprints.md has the
/// formula; `PayloadHash` says what is hashed.
package struct Fingerprint: Sendable {
    private let head: UInt64
    private var key: UInt64 = 0
    private var data: UInt64 = 0

    /// - Parameters:
    ///   - rule: what the caller said of rows that exist; `nil` where that was left to the table.
    ///   - version: the version column that the caller named.
    package init(
        _ table: TableSchema, _ operation: Operation, rule: ConflictRule?, version: String?
    ) {
        var head = PayloadHash.fold(table.nameHash, Self.hash(of: operation))
        head = PayloadHash.fold(head, Self.hash(of: rule))
        self.head = PayloadHash.fold(head, PayloadHash.text(version ?? ""))
    }

    package var value: UInt64 {
        PayloadHash.fold(PayloadHash.fold(head, key), data)
    }

    /// The key as it stands in a path: its parts, their percent-encoding resolved.
    package mutating func takeKey(_ parts: [[UInt8]]) {
        key = 0
        for part in parts {
            key = PayloadHash.fold(key, PayloadHash.text(part.span, 0..<part.count))
        }
    }

    /// The key as a JSON object. One of a single part is as it would be in a path.
    package mutating func takeKey(
        _ cursor: inout JSONCursor, _ input: Span<UInt8>
    ) throws(Defect) {
        var single = cursor
        if let part = try PayloadHash.onlyScalar(&single, input) {
            cursor = single
            key = PayloadHash.fold(0, part)
        } else {
            key = try PayloadHash.object(&cursor, input)
        }
    }

    /// The record as a JSON object.
    package mutating func takeData(
        _ cursor: inout JSONCursor, _ input: Span<UInt8>
    ) throws(Defect) {
        data = try PayloadHash.object(&cursor, input)
    }

    /// The record as a row of CSV: the object whose members are its fields, which are strings or
    /// null.
    ///
    /// - Parameter names: of each field its column's, hashed.
    package mutating func takeRow(_ fields: [CSVCursor.Field], names: [UInt64]) {
        var sum: UInt64 = 0
        for (name, field) in zip(names, fields) {
            var value = PayloadHash.null
            if let text = field.text {
                value = PayloadHash.string(PayloadHash.text(text.span, 0..<text.count))
            }
            sum &+= PayloadHash.fold(name, value)
        }
        data = PayloadHash.closedObject(sum)
    }

    // MARK: Words

    private static func hash(of operation: Operation) -> UInt64 {
        switch operation {
        case .insert: words.insert
        case .upsert: words.upsert
        case .patch: words.patch
        case .delete: words.delete
        }
    }

    private static func hash(of rule: ConflictRule?) -> UInt64 {
        switch rule {
        case nil: words.none
        case .error: words.error
        case .ignore: words.ignore
        case .merge: words.merge
        }
    }

    private static let words = (
        insert: PayloadHash.text("insert"), upsert: PayloadHash.text("upsert"),
        patch: PayloadHash.text("patch"), delete: PayloadHash.text("delete"),
        none: PayloadHash.text(""), error: PayloadHash.text("error"),
        ignore: PayloadHash.text("ignore"), merge: PayloadHash.text("merge")
    )
}

/// The length of the array element at `start`; -1 is NULL.
func elementLength(_ bytes: Span<UInt8>, at start: Int) -> Int {
    let bits =
        UInt32(bytes[start]) << 24 | UInt32(bytes[start + 1]) << 16
        | UInt32(bytes[start + 2]) << 8 | UInt32(bytes[start + 3])
    return Int(Int32(bitPattern: bits))
}
