import WeirCore
package import WeirRecord

/// A record that the database refused, as it is kept in weir.dead_letter.
package struct DeadLetter: Sendable, Equatable {
    package var number: Int64
    /// Microseconds since 1970, here and below.
    package var at: Int64
    /// Of what all letters of its group share.
    package var fingerprint: Int64
    package var table: String
    package var operation: String
    package var messageID: String?
    package var orderKey: String?
    /// A JSON object.
    package var key: String?
    package var mediaType: String?
    package var sqlstate: String?
    package var constraint: String?
    package var column: String?
    package var code: String
    package var reason: String
    package var attempts: Int
    package var request: String?
    package var trace: String?
    package var instance: String?
    package var version: String?
    package var configurationHash: String?
    package var onConflict: String?
    package var versionColumn: String?
    package var messageFingerprint: Int64?
    package var edits: Int32
    package var editedAt: Int64?
    package var redrives: Int
    package var redrivenAt: Int64?
    package var redriveCode: String?
    package var redriveReason: String?
    /// Lists leave it out.
    package var body: Body?

    package struct Body: Sendable, Equatable {
        /// The exact bytes that came.
        package var raw: [UInt8]
        /// What is sent instead, as `StoredRecord.Edit` has it.
        package var edited: [UInt8]?

        package init(raw: [UInt8], edited: [UInt8]?) {
            self.raw = raw
            self.edited = edited
        }
    }

    package init(
        number: Int64, at: Int64, fingerprint: Int64, table: String, operation: String,
        code: String, reason: String
    ) {
        self.number = number
        self.at = at
        self.fingerprint = fingerprint
        self.table = table
        self.operation = operation
        self.code = code
        self.reason = reason
        attempts = 1
        edits = 0
        redrives = 0
    }

    package var cursor: DeadLetterCursor { DeadLetterCursor(at: at, number: number) }

    /// The record as it is kept; `nil` where the letter's body has not been read, or where it was
    /// written by a program that knows more forms than this one.
    package func stored() throws(Defect) -> StoredRecord? {
        guard let body, let operation = WeirRecord.Operation(rawValue: operation) else {
            return nil
        }
        let form = mediaType.flatMap(RecordSource.Form.init(rawValue:)) ?? .record
        return StoredRecord(
            operation, RecordSource(form, body.raw), key: key.map { Array($0.utf8) },
            edit: try body.edited.map(StoredRecord.Edit.init(stored:)))
    }

    /// The record that is to be sent again.
    ///
    /// - Parameters:
    ///   - table: as it is now.
    ///   - isDryRun: writes, and rolls back.
    package func record(
        for table: TableSchema, isDryRun: Bool, minting mint: @autoclosure () -> UUID7
    ) throws(Defect) -> Record {
        guard let stored = try stored() else {
            throw Defect(
                .invalidRequest, "this dead letter is of a form that this version does not know",
                table: table.publicName)
        }
        var options = WriteOptions(stored.operation)
        options.isDryRun = isDryRun
        let rule = onConflict.flatMap(ConflictRule.init(rawValue:))
        options.onConflict = rule ?? table.policy.onConflict
        options.isConflictRuleSaid = rule != nil
        if options.mayMeetRow {
            options.versionColumn =
                try versionColumn.map(table.versionColumn(named:))
                ?? table.versionColumn
            options.isVersionColumnSaid = versionColumn != nil
        }
        var envelope = Envelope(messageID: messageID)
        // Where the message has been forgotten, its caller is told that the ID was used: whether
        // with the same payload, nobody knows any more.
        envelope.fingerprint =
            messageFingerprint.map { UInt64(bitPattern: $0) } ?? stored.source.hash
        envelope.orderKey = try orderKey.map(OrderKey.init)
        envelope.origin = request.map {
            RecordOrigin(.said($0), trace: trace.flatMap(TraceID.init(hexadecimal:)))
        }
        if !isDryRun { envelope.redriven = Redriven(letter: number, edits: edits) }
        return try stored.decode(for: table, options, envelope, minting: mint())
    }
}

/// Letters that share what was wrong with them.
package struct DeadLetterGroup: Sendable, Equatable {
    package var fingerprint: Int64
    package var table: String
    package var sqlstate: String?
    package var constraint: String?
    package var column: String?
    package var code: String
    package var reason: String
    package var count: Int64
    /// The number of its oldest letter.
    package var sample: Int64
    /// Microseconds since 1970.
    package var firstAt: Int64
    package var lastAt: Int64

    package init(
        fingerprint: Int64, table: String, sqlstate: String?, constraint: String?, column: String?,
        code: String, reason: String, count: Int64, sample: Int64, firstAt: Int64, lastAt: Int64
    ) {
        self.fingerprint = fingerprint
        self.table = table
        self.sqlstate = sqlstate
        self.constraint = constraint
        self.column = column
        self.code = code
        self.reason = reason
        self.count = count
        self.sample = sample
        self.firstAt = firstAt
        self.lastAt = lastAt
    }
}
