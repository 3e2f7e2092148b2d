import Testing
import WeirRecord

/// Columns that hold declared IDs: which may, and how records with them are decoded.
@Suite struct DeclaredIDTests {
    private static let id = IDGenerator(seed: 7).next(unixNanoseconds: 1_700_000_000_123_456_789)

    /// `orders(id, note)` with an ID of this rule over a column of this type.
    private func table(_ type: ColumnType, _ form: IDRule.Form = .typeID) throws -> TableSchema {
        let rule = IDRule(column: "id", prefix: form == .typeID ? "order" : "", form: form)
        var columns = [column("id", type, nullable: false), column("note", .text)]
        let (position, declared) = try DeclaredID.resolve(rule, columns: columns, primaryKey: [0])
        columns[position].declaredID = declared
        return TableSchema(number: 1, name: "orders", columns: columns, primaryKey: [0])
    }

    private func minted(
        _ body: String, _ operation: WeirRecord.Operation = .insert, into table: TableSchema,
        path: [String]? = nil, id: UUID7 = DeclaredIDTests.id
    ) throws(Defect) -> Record {
        let bytes = Array(body.utf8)
        var decoder = RecordDecoder(
            table: table, options: WriteOptions(operation), expectedByteCount: bytes.count)
        if let path { try decoder.takePathKey(path.map { Array($0.utf8) }) }
        var cursor = JSONCursor(0..<bytes.count)
        try decoder.takeObject(&cursor, bytes.span)
        return try decoder.finish(Envelope(messageID: "m", fingerprint: 7), minting: id)
    }

    private var text: String { Self.id.typeID("order") }

    @Test func anAbsentIDIsMintedAndStoredAsTheColumnWants() throws {
        let asText = try minted(#"{"note":"x"}"#, into: table(.text))
        #expect(asText.fields["id"] == Array(text.utf8))
        #expect(asText.keyText == #"{"id":"\#(text)"}"#)
        let asBits = try minted(#"{"note":"x"}"#, .upsert, into: table(.uuid))
        #expect(asBits.fields["id"]??.count == 16)
        #expect(asBits.keyText == #"{"id":"\#(text)"}"#)
        let bare = try minted("{}", into: table(.uuid, .uuid))
        #expect(bare.fields["id"] == asBits.fields["id"])
        #expect(bare.keyText.contains("-7"))
        for record in [asText, asBits, bare] {
            #expect(record.mintedColumn == 0)
            #expect(record.hasKey)
        }
    }

    @Test func anIDThatWasSentIsKept() throws {
        let sent = "order_01h455vb4pex5vsknk084sn02q"
        for type in [ColumnType.text, .uuid] {
            let record = try minted(#"{"id":"\#(sent)"}"#, into: table(type))
            #expect(record.keyText == #"{"id":"\#(sent)"}"#)
            #expect(record.mintedColumn == nil)
            let path = try minted("{}", .patch, into: table(type), path: [sent])
            #expect(path.keyText == #"{"id":"\#(sent)"}"#)
        }
        let bits = try minted(#"{"id":"\#(sent)"}"#, into: table(.uuid)).fields["id"]
        #expect(
            bits == [
                0x01, 0x89, 0x0A, 0x5D, 0xAC, 0x96, 0x77, 0x4B, 0xBC, 0xCE, 0xB3, 0x02, 0x09, 0x9A,
                0x80, 0x57,
            ])
    }

    @Test(arguments: [
        (
            #""customer_01h455vb4pex5vsknk084sn02q""#,
            "this is a `customer` ID; table orders takes `order` IDs"
        ),
        (#""01h455vb4pex5vsknk084sn02q""#, "this ID has no prefix; table orders takes `order` IDs"),
        (#""order_01H455VB4PEX5VSKNK084SN02Q""#, "base 32 in lower case"),
        (#""order_81h455vb4pex5vsknk084sn02q""#, "base 32 in lower case"),
        (#""0189 0a5d""#, "column \"id\" takes `order` IDs"), (#""""#, "takes `order` IDs"),
        ("7", "takes `order` IDs"), ("true", "takes `order` IDs"), ("{}", "takes `order` IDs"),
        (#""\u006frder_01h455vb4pex5vsknk084sn02""#, "takes `order` IDs"),
        (#""01890a5d-ac96-774b-bcce-b302099a8057""#, "takes `order` IDs"),
    ])
    func anotherIDIsRefused(_ value: String, _ reason: String) throws {
        for type in [ColumnType.text, .uuid] {
            let table = try table(type)
            let defect = #expect(throws: Defect.self) {
                try minted(#"{"id":\#(value)}"#, into: table)
            }
            #expect(defect?.code == .invalidValue)
            #expect(defect?.column == "id")
            #expect(defect?.detail.contains(reason) == true, "\(defect?.detail ?? "")")
        }
    }

    @Test func nullIsNotAbsent() throws {
        let table = try table(.text)
        let defect = #expect(throws: Defect.self) { try minted(#"{"id":null}"#, into: table) }
        #expect(defect?.code == .notNullViolation)
    }

    @Test func aKeyThatMustBeSaidIsNotMinted() throws {
        let table = try table(.uuid)
        for operation in [WeirRecord.Operation.patch, .delete] {
            let defect = #expect(throws: Defect.self) { try minted("{}", operation, into: table) }
            #expect(defect?.code == .missingKey)
        }
    }

    // MARK: Rows

    @Test(arguments: [
        (
            #"{"id":"01890a5d-ac96-774b-bcce-b302099a8057","note":"x"}"#,
            #"{"id":"order_01h455vb4pex5vsknk084sn02q","note":"x"}"#
        ),
        // Deeper members of that name, and texts that look like one, stay as they are.
        (
            #"{"note":{"id":"01890a5d"},"text":"{\"id\":\"","id":"01890a5d-ac96-774b-bcce-b302099a8057"}"#,
            #"{"note":{"id":"01890a5d"},"text":"{\"id\":\"","id":"order_01h455vb4pex5vsknk084sn02q"}"#
        ),
        (#"{"note":["\ud800",{"id":1}],"id":null}"#, #"{"note":["\ud800",{"id":1}],"id":null}"#),
        ("{}", "{}"), (#"{"note":"x"}"#, #"{"note":"x"}"#), (#"{"id":"#, #"{"id":"#),
    ])
    func aRowShowsTheIDAsCallersKnowIt(_ row: String, _ expected: String) throws {
        let translated = try table(.uuid).translated(row: Array(row.utf8))
        #expect(String(decoding: translated, as: UTF8.self) == expected)
        #expect(try table(.text).translated(row: Array(row.utf8)) == Array(row.utf8))
        #expect(try table(.uuid, .uuid).translated(row: Array(row.utf8)) == Array(row.utf8))
    }

    // MARK: Columns

    @Test(
        arguments: [
            ("nope", .typeID, "is no column; there is id, ref, name, short, long, fixed, made"),
            ("ref", .typeID, "is bigint"), ("ref", .uuid, "needs a uuid column"),
            ("short", .typeID, "takes 32 characters; \"short\" is character varying(31)"),
            ("fixed", .typeID, "is character(40)"), ("long", .uuid, "needs a uuid column"),
            ("made", .typeID, "is generated by the database"),
            ("name", .typeID, "is not in the primary key"),
        ] as [(String, IDRule.Form, String)])
    func aColumnThatCannotHoldIDsIsNamed(
        _ name: String, _ form: IDRule.Form, _ reason: String
    ) {
        func typed(_ name: String, _ type: ColumnType, _ typeName: String) -> Column {
            var column = column(name, type, nullable: false)
            column.typeName = typeName
            return column
        }
        var columns = [
            typed("id", .uuid, "uuid"), typed("ref", .int8, "bigint"), typed("name", .text, "text"),
            typed("short", .text, "character varying(31)"),
            typed("long", .text, "character varying(32)"), typed("fixed", .text, "character(40)"),
            typed("made", .uuid, "uuid"),
        ]
        columns[6].generation = .computed
        let rule = IDRule(column: name, prefix: "order", form: form)
        let mismatch = #expect(throws: PolicyMismatch.self) {
            try DeclaredID.resolve(rule, columns: columns, primaryKey: [0, 1, 3, 4, 5, 6])
        }
        #expect(mismatch?.reason.contains(reason) == true, "\(mismatch?.reason ?? "")")
        let fits = IDRule(column: "long", prefix: "order", form: .typeID)
        #expect(throws: Never.self) {
            try DeclaredID.resolve(fits, columns: columns, primaryKey: [0, 4])
        }
    }
}
