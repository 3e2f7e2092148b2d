/// A record that is read again from the bytes with which it came, or as somebody has edited it.
package struct StoredRecord: Sendable {
    package var operation: Operation
    package var source: RecordSource
    /// As it was decoded once; the source need not hold it.
    package var key: [UInt8]?
    /// What is sent in place of the source.
    package var edit: Edit?

    /// What somebody put in a record's place. Either part may be left as it was.
    package struct Edit: Sendable, Equatable {
        /// The columns, as a JSON object.
        package var record: [UInt8]?
        /// The key, as a JSON object, where it does not stand among the columns.
        package var key: [UInt8]?

        package init(record: [UInt8]? = nil, key: [UInt8]? = nil) {
            self.record = record
            self.key = key
        }

        package init(stored bytes: [UInt8]) throws(Defect) {
            let members = try JSONMembers(bytes)
            record = members["record"]
            key = members["key"]
        }

        /// As it is stored.
        package var bytes: [UInt8] {
            var json: [UInt8] = [UInt8(ascii: "{")]
            json.appendMember("key", json: key)
            json.appendMember("record", json: record)
            json.append(UInt8(ascii: "}"))
            return json
        }
    }

    package init(
        _ operation: Operation, _ source: RecordSource, key: [UInt8]? = nil, edit: Edit? = nil
    ) {
        self.operation = operation
        self.source = source
        self.key = key
        self.edit = edit
    }

    /// The record that is to be sent.
    ///
    /// - Parameter mint: names the row where the table declares IDs and the record has none.
    package func decode(
        for table: TableSchema, _ options: WriteOptions, _ envelope: Envelope,
        minting mint: @autoclosure () -> UUID7
    ) throws(Defect) -> Record {
        var decoder = RecordDecoder(
            table: table, options: options, expectedByteCount: source.bytes.count)
        // An insert's key stands among its columns, and may be what has to be edited.
        if operation != .insert, let key = edit?.key ?? key {
            try decoder.take(key, isKey: true)
        }
        if operation != .delete {
            if let record = edit?.record {
                try decoder.take(record)
            } else {
                try takeSource(&decoder, table)
            }
        }
        return try decoder.finish(envelope, minting: mint())
    }

    private func takeSource(
        _ decoder: inout RecordDecoder, _ table: TableSchema
    ) throws(Defect) {
        switch source.form {
        case .record: try decoder.take(source.bytes)
        case .bulkLine:
            if let data = try JSONMembers(source.bytes)["data"] { try decoder.take(data) }
        case .csv:
            let bytes = source.bytes
            let input = bytes.span
            var cursor = CSVCursor(0..<bytes.count)
            guard let header = try cursor.row(input), let row = try cursor.row(input),
                header.count == row.count
            else { throw Defect(.invalidRequest, "the CSV text is no header and one row") }
            for (name, field) in zip(header, row) {
                let name = String(decoding: name.text ?? [], as: UTF8.self)
                guard let column = table.column(named: name) else {
                    throw Defect(
                        .unknownColumn, "table \(table.publicName) has no column \"\(name)\"",
                        column: name, sqlstate: "42703", table: table.publicName)
                }
                let text = field.text ?? []
                try decoder.takeText(column, text.span, field.text == nil ? nil : 0..<text.count)
            }
        }
    }

    /// The columns that are to be sent, as a JSON object: what an operator looks at and edits.
    /// Nothing for a delete.
    ///
    /// - Parameter table: as it is now, if it is there; columns of CSV have no JSON without it.
    package func columns(for table: TableSchema?) throws(Defect) -> [UInt8]? {
        if operation == .delete { return nil }
        if let record = edit?.record { return record }
        switch source.form {
        case .record: return source.bytes.isEmpty ? nil : source.bytes
        case .bulkLine: return try JSONMembers(source.bytes)["data"] ?? Array("{}".utf8)
        case .csv:
            guard let table else { return nil }
            var decoder = RecordDecoder(
                table: table, options: WriteOptions(.insert),
                expectedByteCount: source.bytes.count)
            try takeSource(&decoder, table)
            return try decoder.finish().columnsJSON
        }
    }
}

extension RecordDecoder {
    fileprivate mutating func take(_ object: [UInt8], isKey: Bool = false) throws(Defect) {
        var cursor = JSONCursor(0..<object.count)
        try takeObject(&cursor, object.span, isKey: isKey)
        try cursor.expectEnd(object.span)
    }
}

extension Record {
    /// What the record names, as a JSON object.
    var columnsJSON: [UInt8] {
        var json: [UInt8] = [UInt8(ascii: "{")]
        forEachField { column, elements, range in
            if json.count > 1 { json.append(UInt8(ascii: ",")) }
            if elementLength(elements.span, at: range.lowerBound) < 0 {
                json += table.fields[column].jsonName
                json += "null".utf8
            } else {
                table.appendMember(
                    column, elements, (range.lowerBound + 4)..<range.upperBound, to: &json)
            }
        }
        json.append(UInt8(ascii: "}"))
        return json
    }
}

/// Which dead letter a record comes from. The record takes effect only if the letter is still there
/// and as it was read, and the letter goes with the record's effect.
package struct Redriven: Sendable, Equatable {
    package var letter: Int64
    /// How often the letter had been edited when it was read.
    package var edits: Int32

    package init(letter: Int64, edits: Int32) {
        self.letter = letter
        self.edits = edits
    }
}
