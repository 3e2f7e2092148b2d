import Testing
import WeirRecord

@Suite struct RecordDecoderTests {
    @Test func aRecordHoldsWhatItsObjectNames() throws {
        let record = try decode(#" { "id" : 7 , "qty" : -1 , "note" : null , "doc" : [ 1 ] } "#)
        #expect(
            record.fields == [
                "id": [0, 0, 0, 0, 0, 0, 0, 7], "qty": [0xFF, 0xFF, 0xFF, 0xFF], "note": nil,
                "doc": [1] + Array("[ 1 ]".utf8),
            ])
        #expect(record.table === orders)
        #expect(record.options.operation == .insert)
        #expect(record.messageID == nil)
        #expect(record.byteCount > 0)
    }

    @Test func absentIsNotNull() throws {
        let absent = try decode(#"{"id":1}"#)
        let null = try decode(#"{"id":1,"note":null}"#)
        #expect(absent.fields.keys.sorted() == ["id"])
        #expect(null.fields.keys.sorted() == ["id", "note"])
        #expect(absent.columns != null.columns)
        #expect((0..<4).filter { absent.columns.contains($0) } == [0])
        #expect((0..<4).filter { null.columns.contains($0) } == [0, 2])
    }

    @Test func anEmptyObjectInsertsTheDefaults() throws {
        for body in ["{}", " { } "] {
            let record = try decode(body)
            #expect(record.fields.isEmpty)
            #expect(record.columns.isEmpty)
            #expect(!record.hasKey)
            #expect(record.orderHash == nil)
        }
    }

    @Test func theOrderOfMembersDoesNotMatter() throws {
        let members = [#""id":1"#, #""qty":2"#, #""note":"n""#, #""doc":{}"#]
        let expected = try decode("{\(members.joined(separator: ","))}")
        for first in members.indices {
            for second in members.indices where second != first {
                let rest = members.indices.filter { $0 != first && $0 != second }.reversed()
                let order = [first, second] + rest
                let record = try decode("{\(order.map { members[$0] }.joined(separator: ","))}")
                #expect(record.fields == expected.fields)
                #expect(record.columns == expected.columns)
                #expect(record.columns.hashValue == expected.columns.hashValue)
                #expect(record.orderHash == expected.orderHash)
                #expect(record.keyText == expected.keyText)
            }
        }
    }

    @Test(arguments: [
        "", " ", "null", "42", "\"x\"", "[]", "[{}]", "{", "{\"id\"", "{\"id\":1", "{\"id\":1,",
        "{\"id\":1,}", "{\"id\":1}}", "{\"id\":1}{", "{\"id\":1 \"qty\":2}", "{\"id\" 1}", "{id:1}",
        "{,}", "{\"id\":01}", "{\"id\":1},", "{\"id\":1}\u{0}", "{\"id\":}", "{\"id\":1;\"qty\":2}",
        "{\"note\":\"a\nb\"}", "{\"doc\":{\"a\":}}", "{\"doc\":NaN}", "{\"qty\":+1}",
        "{\"doc\":[1,]}",
    ])
    func aBodyThatIsNoObjectIsRefused(_ body: String) {
        #expect(defect(body)?.code == .invalidJSON)
    }

    @Test func aValueMayBeSixtyFourLevelsDeep() throws {
        func doc(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(defect("{\"doc\":\(doc(63))}") == nil)
        #expect(defect("{\"doc\":\(doc(65))}")?.code == .invalidJSON)
        #expect(defect("{\"doc\":\(doc(100_000))}")?.code == .invalidJSON)
        #expect(defect("{\"qty\":\(doc(100_000))}")?.code == .invalidJSON)
    }

    // MARK: Columns

    @Test func whatANewRowNeedsIsAskedForAtTheDoor() throws {
        let table = TableSchema(
            number: 0, schemaName: "shop", name: "t",
            columns: [
                column("id", .int4, nullable: false), column("note", .text),
                column("must", .int4, nullable: false, hasDefault: false),
                column("made", .int4, nullable: false, hasDefault: false, generation: .computed),
            ], primaryKey: [0])
        for rule in [ConflictRule.error, .ignore] {
            var options = WriteOptions(.insert)
            options.onConflict = rule
            #expect {
                let decoder = RecordDecoder(table: table, options: options, expectedByteCount: 0)
                return try decoder.finish()
            } throws: { error in
                let defect = error as? Defect
                return defect?.code == .notNullViolation && defect?.sqlstate == "23502"
                    && defect?.column == "must" && defect?.table == "shop.t"
            }
        }
        #expect(try decode(#"{"must":1}"#, into: table).lackedColumn == nil)
        #expect(
            try decode(#"{"id":1,"note":"x"}"#, .upsert, into: table).lackedColumn?.name == "must")
        #expect(try decode(#"{"id":1,"must":1}"#, .upsert, into: table).lackedColumn == nil)
        #expect(try decode(#"{"id":1,"note":"x"}"#, .patch, into: table).lackedColumn == nil)
    }

    @Test func anUnknownColumnIsNamed() {
        let found = defect(#"{"id":1,"qty":1,"nope\u00e9":2}"#)
        #expect(
            found
                == Defect(
                    .unknownColumn,
                    "table orders has no column \"nopeé\"; it has id, qty, note, doc",
                    column: "nopeé", sqlstate: "42703"))
        #expect(defect(#"{"line":1,"order":"a","Qty":1}"#, in: lines)?.code == .unknownColumn)
        #expect(defect(#"{"":1}"#)?.code == .unknownColumn)
        #expect(defect(#"{"i":1}"#)?.code == .unknownColumn)
        #expect(defect(#"{"idd":1}"#)?.code == .unknownColumn)
    }

    @Test func aLongNameIsNotRepeatedInFull() {
        let name = String(repeating: "n", count: 100_000)
        let found = defect("{\"\(name)\":1}")
        #expect(found?.code == .unknownColumn)
        #expect((found?.detail.utf8.count ?? 0) < 300)
        #expect((found?.column?.utf8.count ?? 0) <= 80)
    }

    @Test(arguments: [
        #"{"qty":1,"qty":1}"#, #"{"qty":1,"qty":2}"#, #"{"qty":1,"note":"","qty":1}"#,
        #"{"id":1,"id":1}"#, #"{"qty":1,"qt\u0079":1}"#, #"{"note":null,"note":null}"#,
    ])
    func aColumnStandsOnceInAnObject(_ body: String) {
        #expect(defect(body)?.code == .invalidJSON)
        #expect(defect(body)?.detail.contains("stands twice in the object") == true)
    }

    @Test(arguments: [Column.Generation.computed, .identityAlways], ["1", "null", "\"x\"", "[]"])
    func whatTheDatabaseGeneratesIsLeftOut(_ generation: Column.Generation, value: String) {
        let table = TableSchema(
            number: 0, name: "t",
            columns: [column("g", .int4, nullable: false, generation: generation)], primaryKey: [])
        let expected = Defect(
            .invalidValue, "column \"g\" is generated by the database; leave it out", column: "g",
            sqlstate: "428C9")
        #expect(defect("{\"g\":\(value)}", in: table) == expected)
        #expect(defect("{}", in: table) == nil)
    }

    @Test func anIdentityByDefaultMayBeSet() throws {
        let table = TableSchema(
            number: 0, name: "t", columns: [column("id", .int4, generation: .identityByDefault)],
            primaryKey: [0])
        #expect(try decode(#"{"id":1}"#, into: table).hasKey)
        #expect(try !decode("{}", into: table).hasKey)
    }

    @Test(arguments: [64, 65, 128, 129, 1_600])
    func tablesMayBeWide(_ count: Int) throws {
        let columns = (0..<count).map { column("column_\($0)", .int4) }
        let wide = TableSchema(number: 0, name: "wide", columns: columns, primaryKey: [count - 1])
        let members = (0..<count).map { "\"column_\($0)\":\($0)" }
        let all = try decode("{\(members.joined(separator: ","))}", into: wide)
        let backwards = try decode("{\(members.reversed().joined(separator: ","))}", into: wide)
        #expect(all.columns == backwards.columns)
        #expect(all.columns.hashValue == backwards.columns.hashValue)
        #expect(all.fields == backwards.fields)
        #expect(all.fields.count == count)
        #expect(
            all.fields["column_\(count - 1)"]??.suffix(2) == [
                UInt8((count - 1) >> 8), UInt8((count - 1) & 0xFF),
            ])
        #expect(all.keyText == "{\"column_\(count - 1)\":\(count - 1)}")
        let last = try decode("{\"column_\(count - 1)\":1}", into: wide)
        #expect((0..<count).filter { last.columns.contains($0) } == [count - 1])
        #expect(!last.columns.isEmpty)
        #expect(last.columns != all.columns)
        #expect(
            defect("{\"column_0\":1,\"column_\(count - 1)\":1,\"column_\(count - 1)\":1}", in: wide)
                != nil)
        #expect(defect("{\"column_\(count)\":1}", in: wide)?.code == .unknownColumn)
    }

    @Test(arguments: [
        ("say \"hi\"", #""say \"hi\"""#), ("größe", #""größe""#), ("größe", #""gr\u00f6\u00dfe""#),
        ("back\\slash", #""back\\slash""#), ("𝄞", #""\uD834\uDD1E""#), ("a\nb", #""a\nb""#),
        ("$1; DROP", #""$1; DROP""#), ("", #""""#), ("id", #""\u0069d""#), (" id", #"" id""#),
    ])
    func aColumnMayHaveAnyName(_ name: String, json: String) throws {
        let table = TableSchema(
            number: 0, name: "t", columns: [column(name, .int4)], primaryKey: [0])
        let record = try decode("{\(json):5}", into: table)
        #expect(record.fields == [name: [0, 0, 0, 5]])
        var key: [UInt8] = []
        appendJSONString(name, to: &key)
        #expect(record.keyText == "{\(String(decoding: key, as: UTF8.self)):5}")
    }

    @Test func namesThatShareAHashPlaceAreToldApart() throws {
        // Half full at most: with 200 columns many probe past one another.
        let columns = (0..<200).map { column("c\($0)", .int4) }
        let table = TableSchema(number: 0, name: "t", columns: columns, primaryKey: [])
        for index in (0..<200).reversed() {
            #expect(try decode("{\"c\(index)\":1}", into: table).columns.contains(index))
            #expect(table.column(named: "c\(index)") == index)
        }
        for index in 200..<2_000 {
            #expect(defect("{\"c\(index)\":1}", in: table)?.code == .unknownColumn)
        }
    }

    // MARK: Rows

    private func row(_ fields: [(Int, String?)], _ table: TableSchema = orders) throws(Defect)
        -> Record
    {
        var decoder = RecordDecoder(
            table: table, options: WriteOptions(.insert), expectedByteCount: 0)
        for (column, text) in fields {
            let bytes = Array((text ?? "").utf8)
            try decoder.takeText(column, bytes.span, text == nil ? nil : 0..<bytes.count)
        }
        return try decoder.finish(Envelope(messageID: "m", fingerprint: 7))
    }

    @Test func aRowMakesTheRecordThatAnObjectMakes() throws {
        let fromRow = try row([(0, "7"), (1, "-1"), (2, nil), (3, "{\"a\":1}")])
        let fromObject = try decode(#"{"id":7,"qty":-1,"note":null,"doc":{"a":1}}"#)
        #expect(fromRow.fields == fromObject.fields)
        #expect(fromRow.keyText == fromObject.keyText)
        #expect(fromRow.orderHash == fromObject.orderHash)
        #expect(fromRow.messageID == "m")
        #expect(fromRow.message == MessagePrint("m", fingerprint: 7))
    }

    @Test func aRowNamesAColumnOnce() {
        let found = #expect(throws: Defect.self) { try row([(1, "1"), (1, "1")]) }
        #expect(found?.detail == "column \"qty\" stands twice in the row")
    }

    @Test func aRowLeavesOutWhatTheDatabaseGenerates() {
        let table = TableSchema(
            number: 0, name: "t",
            columns: [column("g", .int4, nullable: false, generation: .computed)], primaryKey: [])
        for text in ["1", "x", nil] {
            let found = #expect(throws: Defect.self) { try row([(0, text)], table) }
            #expect(found?.sqlstate == "428C9")
        }
    }
}
