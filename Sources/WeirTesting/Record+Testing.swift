package import WeirRecord

// Records for tests.
extension Record {
    /// The record that a caller's JSON makes, as the data API would decode it.
    ///
    /// - Parameter key: a JSON object with the key, as in a line of `/v1/bulk`.
    package static func decoded(
        _ json: String, for table: TableSchema, _ options: WriteOptions = WriteOptions(.insert),
        key: String? = nil, messageID: String? = nil
    ) throws(Defect) -> Record {
        try decoded(json, for: table, options, key: key, envelope: Envelope(messageID: messageID))
    }

    /// The same with what a request says beside the record.
    ///
    /// - Parameter id: what is minted where the table declares IDs and the record has none.
    package static func decoded(
        _ json: String, for table: TableSchema, _ options: WriteOptions, key: String?,
        envelope: Envelope, minting id: UUID7? = nil
    ) throws(Defect) -> Record {
        var decoder = RecordDecoder(
            table: table, options: options, expectedByteCount: json.utf8.count)
        if let key { try decoder.take(key, isKey: true) }
        try decoder.take(json, isKey: false)
        var envelope = envelope
        if envelope.messageID != nil && envelope.fingerprint == nil {
            envelope.fingerprint = try Fingerprint.of(json, for: table, options, key: key)
        }
        guard let id else { return try decoder.finish(envelope) }
        return try decoder.finish(envelope, minting: id)
    }
}

extension Fingerprint {
    /// Of a line of `/v1/bulk` with this `data` and `key`.
    package static func of(
        _ json: String, for table: TableSchema, _ options: WriteOptions = WriteOptions(.insert),
        key: String? = nil
    ) throws(Defect) -> UInt64 {
        var print = Fingerprint(
            table, options.operation, rule: options.isConflictRuleSaid ? options.onConflict : nil,
            version: options.isVersionColumnSaid
                ? options.versionColumn.map { table.columns[$0].name } : nil)
        if let key {
            let bytes = Array(key.utf8)
            var cursor = JSONCursor(0..<bytes.count)
            try print.takeKey(&cursor, bytes.span)
        }
        let bytes = Array(json.utf8)
        var cursor = JSONCursor(0..<bytes.count)
        try print.takeData(&cursor, bytes.span)
        return print.value
    }
}

extension RecordDecoder {
    fileprivate mutating func take(_ json: String, isKey: Bool) throws(Defect) {
        let bytes = Array(json.utf8)
        var cursor = JSONCursor(0..<bytes.count)
        try takeObject(&cursor, bytes.span, isKey: isKey)
        try cursor.expectEnd(bytes.span)
    }
}
