/// What a caller wants done with one row.
package enum Operation: String, CaseIterable, Sendable {
    case insert
    case upsert
    case patch
    case delete
}

/// What an insert does when the row exists.
package enum ConflictRule: String, Sendable {
    /// The record is refused with 23505.
    case error
    /// The row stays; the record is answered `ignored`.
    case ignore
    /// The row is updated: the record is an upsert.
    case merge
}

/// How one record is to be carried out, apart from its values.
package struct WriteOptions: Sendable {
    package var operation: Operation
    package var onConflict: ConflictRule = .error
    /// Answer with the row as it is after the write.
    package var returnsRow = false
    /// Write, answer, and roll back.
    package var isDryRun = false
    /// The caller named `onConflict`; else it is the table's setting.
    package var isConflictRuleSaid = false
    /// A row that exists is written only where the record's value of this column is greater than
    /// the row's; else the record is answered `ignored`.
    package var versionColumn: Int?
    /// The caller named `versionColumn`; else it is the table's setting.
    package var isVersionColumnSaid = false

    package init(_ operation: Operation) {
        self.operation = operation
    }

    /// The record may change a row that exists, to values of its own.
    package var mayMeetRow: Bool {
        switch operation {
        case .upsert, .patch: true
        case .insert: onConflict == .merge
        case .delete: false
        }
    }
}

/// One record, decoded: its values stand in `bytes` as PostgreSQL's binary array elements, one
/// after the other, so that a batch copies each once into the array of its column.
package final class Record: Sendable {
    package let table: TableSchema
    package let options: WriteOptions
    /// The columns that the record names, its key among them.
    package let columns: ColumnSet
    /// Fields; behind them, where the key has several columns, their array elements once more, in
    /// key order.
    private let bytes: [UInt8]
    private let fieldsEnd: Int
    /// Where the key stands in `bytes`: the value of its one column, or the elements of all.
    private let keyRange: Range<Int>
    /// False when the database makes the key.
    package let hasKey: Bool
    /// The first eight bytes of the sort key, as a number.
    package let sortPrefix: UInt64
    /// A hash of table and key; `nil` when the database makes the key.
    package let orderHash: UInt64?
    /// A hash of what the record is to be ordered by besides its row, in spaces of its own: the
    /// request's order key, or the table's column for it.
    package let orderKeyHash: UInt64?
    /// The request's order key.
    package let orderKey: String?
    /// The caller's message ID.
    package let messageID: String?
    /// The same, as it is remembered.
    package let message: MessagePrint?
    /// The request that brought the record, if it has a message ID.
    package let origin: RecordOrigin?
    /// How the record came, if its table keeps records that are refused.
    package let source: RecordSource?
    /// The dead letter that is sent again, if this is one.
    package let redriven: Redriven?
    /// The column whose value the gateway minted for this record, and which no repetition of the
    /// request would have again.
    package let mintedColumn: Int?

    init(
        table: TableSchema, options: WriteOptions, columns: ColumnSet, bytes: [UInt8],
        fieldsEnd: Int,
        key: Range<Int>?, orderKeyHash: UInt64? = nil, mintedColumn: Int? = nil,
        envelope: Envelope
    ) {
        self.table = table
        self.options = options
        self.columns = columns
        self.bytes = bytes
        self.fieldsEnd = fieldsEnd
        self.mintedColumn = mintedColumn
        self.orderKeyHash = orderKeyHash
        orderKey = envelope.orderKey?.text
        messageID = envelope.messageID
        origin = envelope.messageID == nil ? nil : envelope.origin
        source = table.policy.onReject == .deadLetter ? envelope.source : nil
        redriven = envelope.redriven
        message = envelope.messageID.map { id in
            guard let fingerprint = envelope.fingerprint else {
                preconditionFailure("a message has a fingerprint")
            }
            return MessagePrint(id, fingerprint: fingerprint)
        }
        hasKey = key != nil
        let range = key ?? fieldsEnd..<fieldsEnd
        keyRange = range
        orderHash = key.map {
            stableHash(bytes.span, $0, seed: UInt64(table.number) &* 0x9E37_79B9_7F4A_7C15)
        }
        var prefix: UInt64 = 0
        for offset in 0..<8 {
            let at = range.lowerBound + offset
            prefix = prefix << 8 | (at < range.upperBound ? UInt64(bytes[at]) : 0)
        }
        sortPrefix = prefix
    }

    package var byteCount: Int { bytes.count + (source?.bytes.count ?? 0) }

    /// For an upsert, the first column without which no row can be inserted: it can only update.
    package var lackedColumn: Column? {
        guard options.operation == .upsert || options.onConflict == .merge else { return nil }
        return table.firstMissing(in: columns).map { table.columns[$0] }
    }

    /// Appends the value of one column, as PostgreSQL prints it. Returns whether there is one: the
    /// record may not name the column, or name it with NULL.
    package func appendText(of column: Int, to text: inout [UInt8]) -> Bool {
        guard columns.contains(column) else { return false }
        var hasValue = false
        var result = text
        forEachField { named, elements, range in
            guard named == column, elementLength(elements.span, at: range.lowerBound) >= 0 else {
                return
            }
            hasValue = true
            table.columns[column].type.appendText(
                elements, (range.lowerBound + 4)..<range.upperBound, to: &result)
        }
        text = result
        return hasValue
    }

    /// Appends the key as a JSON object. The record must have one.
    package func appendKeyJSON(to json: inout [UInt8]) {
        precondition(hasKey, "the database makes this record's key")
        json.append(UInt8(ascii: "{"))
        if table.primaryKey.count == 1 {
            table.appendMember(table.primaryKey[0], bytes, keyRange, to: &json)
        } else {
            let bytes = bytes
            var at = keyRange.lowerBound
            for (index, column) in table.primaryKey.enumerated() {
                if index > 0 { json.append(UInt8(ascii: ",")) }
                let end = at + 4 + max(elementLength(bytes.span, at: at), 0)
                table.appendMember(column, bytes, (at + 4)..<end, to: &json)
                at = end
            }
        }
        json.append(UInt8(ascii: "}"))
    }

    /// The key as a JSON object where the gateway minted a part of it: no repetition of the request
    /// would bring it again.
    package var mintedKey: [UInt8]? {
        guard mintedColumn != nil, hasKey else { return nil }
        var json: [UInt8] = []
        appendKeyJSON(to: &json)
        return json
    }

    /// Calls `body` for each field with its column's position and the range of its array element in
    /// `elements`: a length (-1: NULL) and as many bytes.
    package func forEachField(
        _ body: (_ column: Int, _ elements: [UInt8], _ range: Range<Int>) -> Void
    ) {
        let bytes = bytes
        var at = 0
        while at < fieldsEnd {
            let column = Int(bytes[at]) | Int(bytes[at + 1]) << 8
            let start = at + 2
            let end = start + 4 + max(elementLength(bytes.span, at: start), 0)
            body(column, bytes, start..<end)
            at = end
        }
    }

    /// By key, byte for byte: the same order in every gateway, so that none waits for another in a
    /// circle.
    package static func isOrderedBefore(_ left: Record, _ right: Record) -> Bool {
        if left.sortPrefix != right.sortPrefix { return left.sortPrefix < right.sortPrefix }
        return left.bytes[left.keyRange].lexicographicallyPrecedes(right.bytes[right.keyRange])
    }
}
