import Testing
import WeirRecord

/// A record is read again from the bytes with which it came.
@Suite struct StoredRecordTests {
    private static let id = UUID7(high: 0x0190_0000_0000_7000, low: 0x8000_0000_0000_0001)

    private func stored(
        _ operation: WeirRecord.Operation, _ form: RecordSource.Form, _ bytes: String,
        key: String? = nil, edit: StoredRecord.Edit? = nil
    ) -> StoredRecord {
        StoredRecord(
            operation, RecordSource(form, Array(bytes.utf8)), key: key.map { Array($0.utf8) },
            edit: edit)
    }

    private func decoded(
        _ stored: StoredRecord, for table: TableSchema = orders
    ) throws(Defect) -> Record {
        try stored.decode(
            for: table, WriteOptions(stored.operation), Envelope(), minting: Self.id)
    }

    private func columns(_ stored: StoredRecord) throws -> String? {
        try stored.columns(for: orders).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func eachFormMakesTheRecordThatItMadeFirst() throws {
        let first = try decode(#"{"id":7,"qty":2,"note":"a, \"b\"","doc":{"x":1}}"#)
        let forms = [
            stored(.insert, .record, #" {"id":7,"qty":2,"note":"a, \"b\"","doc":{"x":1}} "#),
            stored(
                .insert, .bulkLine,
                #"{"op":"insert","table":"orders","id":"m","#
                    + #""data":{"id":7,"qty":2,"note":"a, \"b\"","doc":{"x":1}}}"#),
            stored(.insert, .csv, "id,qty,note,doc\r\n7,2,\"a, \"\"b\"\"\",\"{\"\"x\"\":1}\"\r\n"),
        ]
        for form in forms {
            let record = try decoded(form)
            #expect(record.fields == first.fields)
        }
    }

    @Test func theKeyComesFromWhereItWasKept() throws {
        let patched = try decoded(stored(.patch, .record, #"{"qty":3}"#, key: #"{"id":9}"#))
        #expect(patched.keyText == #"{"id":9}"#)
        let deleted = try decoded(stored(.delete, .record, "", key: #"{"id":9}"#))
        #expect(deleted.keyText == #"{"id":9}"#)
        let line = #"{"op":"delete","table":"orders","key":{"id":9}}"#
        #expect(try decoded(stored(.delete, .bulkLine, line, key: #"{"id":9}"#)).hasKey)
        #expect(throws: Defect.self) { try decoded(stored(.patch, .record, #"{"qty":3}"#)) }
    }

    @Test func anEditStandsInForWhatCame() throws {
        let edit = StoredRecord.Edit(record: Array(#"{"id":8,"qty":5}"#.utf8))
        let insert = stored(.insert, .csv, "id,qty\n7,-2\n", key: #"{"id":7}"#, edit: edit)
        #expect(try decoded(insert).keyText == #"{"id":8}"#)
        let moved = StoredRecord.Edit(key: Array(#"{"id":8}"#.utf8))
        let patch = stored(.patch, .record, #"{"qty":3}"#, key: #"{"id":7}"#, edit: moved)
        #expect(try decoded(patch).keyText == #"{"id":8}"#)
        for edit in [edit, moved, StoredRecord.Edit()] {
            #expect(try StoredRecord.Edit(stored: edit.bytes) == edit)
        }
    }

    @Test func whatIsEditedIsShownAsColumns() throws {
        #expect(try columns(stored(.insert, .record, #"{"qty":1}"#)) == #"{"qty":1}"#)
        #expect(
            try columns(stored(.insert, .bulkLine, #"{"op":"insert","data":{"qty":1}}"#))
                == #"{"qty":1}"#)
        #expect(
            try columns(stored(.insert, .csv, "id,qty,note,doc\n7,2,NULL,\"[1]\"\n"))
                == #"{"id":7,"qty":2,"note":null,"doc":[1]}"#)
        #expect(try columns(stored(.delete, .record, "", key: #"{"id":1}"#)) == nil)
        let csv = stored(.insert, .csv, "id\n7\n")
        #expect(try csv.columns(for: nil) == nil)
    }

    @Test func whatNoLongerFitsIsSaid() {
        let gone = stored(.insert, .csv, "id,colour\n7,red\n")
        #expect(throws: Defect.self) { try decoded(gone) }
        #expect(throws: Defect.self) { try decoded(stored(.insert, .record, #"{"colour":1}"#)) }
        #expect(throws: Defect.self) { try decoded(stored(.insert, .csv, "id,qty\n7\n")) }
    }

    /// What its caller sends is what decides whether it is a repetition.
    @Test func aLetterKeepsTheFingerprintOfWhatWasSentFirst() throws {
        let envelope = Envelope(
            messageID: "m", fingerprint: 42, redriven: Redriven(letter: 1, edits: 0))
        let edited = stored(.insert, .record, #"{"id":1,"qty":1}"#)
        let record = try edited.decode(
            for: orders, WriteOptions(.insert), envelope, minting: Self.id)
        #expect(record.message?.fingerprint == 42 && record.redriven?.letter == 1)
    }
}
