import Testing
import WeirRecord

@Suite struct FingerprintTests {
    private let reference = #"{"id":1,"qty":2,"note":"n","doc":{"a":1}}"#

    @Test(arguments: [
        #"{"doc":{"a":1},"note":"n","qty":2,"id":1}"#,
        #" { "id" : 1 , "qty" : 2, "note":"n","doc": {"a":1}}"#,
        #"{"id":1,"qty":2,"note":"\u006e","doc":{"a":1}}"#,
        #"{"\u0069d":1,"qty":2,"note":"n","doc":{"a":1}}"#,
        "{\"id\":1,\n\t\"qty\":2,\r\n\"note\":\"n\",\"doc\":{ \"\\u0061\" : 1 } }",
    ])
    func theSamePayloadHasTheSameFingerprint(_ body: String) throws {
        #expect(try fingerprint(body) == fingerprint(reference))
    }

    @Test(arguments: [
        #"{"id":2,"qty":2,"note":"n","doc":{"a":1}}"#,
        #"{"id":1,"qty":3,"note":"n","doc":{"a":1}}"#,
        #"{"id":2,"qty":1,"note":"n","doc":{"a":1}}"#,
        #"{"id":1,"qty":2,"note":"N","doc":{"a":1}}"#,
        #"{"id":1,"qty":2,"note":null,"doc":{"a":1}}"#,
        #"{"id":1,"qty":2,"note":"","doc":{"a":1}}"#,
        #"{"id":1,"qty":"2","note":"n","doc":{"a":1}}"#,
        #"{"id":1,"qty":2.0,"note":"n","doc":{"a":1}}"#,
        #"{"id":1,"qty":2,"doc":{"a":1}}"#, #"{"id":1,"qty":2,"note":"n","doc":{"a":2}}"#,
        #"{"id":1,"qty":2,"note":"n"}"#, #"{"id":1}"#, "{}",
    ])
    func anotherPayloadHasAnother(_ body: String) throws {
        #expect(try fingerprint(body) != fingerprint(reference))
    }

    // MARK: What lasts

    /// These stand in databases: a change of any of them makes honest repetitions look like
    /// mistakes for as long as message IDs are remembered. Another program that follows
    /// docs/decisions/0018-fingerprints.md found them as well.
    @Test(arguments: Vector.all) func aFingerprintIsWhatItWas(_ vector: Vector) throws {
        let print = try fingerprint(
            vector.body, vector.operation, into: vector.table, path: vector.path, key: vector.key,
            rule: vector.rule, version: vector.version)
        #expect(String(print, radix: 16) == vector.print, "\(vector.body ?? "")")
    }

    struct Vector: Sendable {
        var body: String?
        var operation = WeirRecord.Operation.insert
        var table = orders
        var path: [String]?
        var key: String?
        var rule: ConflictRule?
        var version: String?
        let print: String

        static let all = [
            Vector(body: "{}", print: "eec790dfb615c473"),
            Vector(body: #"{"id":1}"#, print: "9458a103cf5c8150"),
            Vector(operation: .delete, path: ["1"], print: "4c094b4b09cad277"),
            Vector(
                body: #"{"qty":2147483647,"note":"é","doc":null}"#, operation: .upsert,
                path: ["-7"], rule: .merge, version: "qty", print: "b8a97396bb0264d0"),
            Vector(
                body: #"{"doc":{"b":[1,2.50,true,null,"x\ny",{}],"a":{"c":[]}}}"#,
                operation: .patch, key: #"{"id":1}"#, print: "244ff884a51f39bf"),
            Vector(
                body: #"{"qty":null}"#, operation: .upsert, table: lines,
                key: #"{"order":"o","line":1}"#, print: "89c53b82f1e3e7d4"),
            Vector(
                body: #"{"qty":null}"#, operation: .upsert, table: lines, path: ["o", "1"],
                print: "cc17277020350883"),
        ]
    }

    @Test func theTablesDefinitionDoesNotCount() throws {
        let moved = TableSchema(
            number: 90, version: 7, name: "orders", columns: [column("id", .text)], primaryKey: [])
        #expect(try fingerprint(reference, into: moved) == fingerprint(reference))
    }

    @Test func theSchemaCountsAndSoDoesWhereANameEnds() throws {
        func printed(_ schema: String, _ name: String) throws -> UInt64 {
            let table = TableSchema(
                number: 0, schemaName: schema, name: name, columns: orders.columns, primaryKey: [0])
            return try fingerprint(reference, into: table)
        }
        let prints = try [
            printed("public", "orders"), printed("shop", "orders"), printed("publi", "corders"),
            printed("shop", "rders"),
        ]
        #expect(Set(prints).count == 4)
    }

    @Test func whatTheCallerSaidOfRowsThatExistCounts() throws {
        let said = try [
            fingerprint(reference), fingerprint(reference, rule: .error),
            fingerprint(reference, rule: .merge), fingerprint(reference, rule: .ignore),
            fingerprint(reference, version: "qty"), fingerprint(reference, version: "id"),
        ]
        #expect(Set(said).count == said.count)
    }

    // MARK: Where the key stands

    @Test func aKeyOfOnePartIsTheSameInPathAndLine() throws {
        for key in [#"{"id":42}"#, #"{"id":"42"}"#, #"{ "id" : "\u00342" }"#] {
            #expect(
                try fingerprint("{}", .upsert, key: key) == fingerprint("{}", .upsert, path: ["42"])
            )
        }
        // The column may have been renamed since.
        #expect(
            try fingerprint("{}", .upsert, key: #"{"number":42}"#)
                == fingerprint("{}", .upsert, path: ["42"]))
    }

    @Test func otherKeysDiffer() throws {
        let prints = try [
            fingerprint("{}", .upsert, path: ["42"]), fingerprint("{}", .upsert, path: ["43"]),
            fingerprint("{}", .upsert, path: ["4", "2"]),
            fingerprint("{}", .upsert, path: ["", "42"]),
            fingerprint("{}", .upsert, path: ["42", ""]), fingerprint("{}", .upsert),
            fingerprint(nil, .upsert, path: ["42"]), fingerprint(#"{"id":42}"#, .upsert),
            fingerprint(#"{"id":42}"#, .upsert, path: ["42"]),
            fingerprint("{}", .upsert, key: "{}"),
            fingerprint("{}", .upsert, key: #"{"a":4,"b":2}"#),
            fingerprint("{}", .upsert, key: #"{"b":4,"a":2}"#),
        ]
        #expect(Set(prints).count == prints.count)
    }

    // MARK: Rows

    @Test func aRowSaysWhatAnObjectOfStringsSays() throws {
        func printed(_ fields: [(String, String?)]) -> UInt64 {
            var print = Fingerprint(orders, .insert, rule: nil, version: nil)
            print.takeRow(
                fields.map { CSVCursor.Field(text: $0.1.map { Array($0.utf8) }) },
                names: fields.map { PayloadHash.text($0.0) })
            return print.value
        }
        let row = printed([("id", "7"), ("note", nil)])
        #expect(try row == fingerprint(#"{"note":null,"id":"7"}"#))
        #expect(row == printed([("note", nil), ("id", "7")]))
        #expect(row != printed([("id", "7"), ("note", "")]))
        #expect(row != printed([("id", "7")]))
    }

    // MARK: Documents

    @Test(arguments: [
        #"{"b":[1,2],"a":{"x":null,"y":true}}"#, #"{"a":{"y":true,"x":null},"b":[1,2]}"#,
        "{ \"a\" : {\"y\":true ,\n\"x\":null}, \"b\":[ 1 , 2 ] }",
        #"{"\u0061":{"\u0079":true,"x":null},"b":[1,2]}"#,
    ])
    func aDocumentIsTheSameHoweverItIsWritten(_ document: String) throws {
        let reference = #"{"a":{"x":null,"y":true},"b":[1,2]}"#
        #expect(
            try fingerprint("{\"j\":\(document)}") == fingerprint("{\"j\":\(reference)}"))
        #expect(try fingerprint(document) == fingerprint(reference))
    }

    @Test func documentsThatSayOtherThingsDiffer() throws {
        let documents = [
            "null", "true", "false", "0", "1", "1.0", "10e-1", "-1", #""1""#, #""""#, #""null""#,
            "[]",
            "{}", "[[]]", "[{}]", "[null]", "[1]", "[1,2]", "[2,1]", "[[1],2]", "[[1,2]]",
            "[1,[2]]",
            #"{"a":1}"#, #"{"a":2}"#, #"{"b":1}"#, #"{"1":"a"}"#, #"{"a":{"b":1}}"#,
            #"{"a":1,"b":2}"#, #"{"a":2,"b":1}"#, #"{"a":{"b":1},"c":{}}"#,
            #"{"a":{"c":{},"b":1}}"#,
            #"{"a":[1,2]}"#, #"{"a":[2,1]}"#, #"[{"a":1},{"b":1}]"#, #"[{"b":1},{"a":1}]"#,
            #"{"a":1,"a":1}"#, #""12345678""#, #""123456780""#, #""1234567""#, #""12345678\t""#,
        ]
        let prints = try documents.map { try fingerprint("{\"doc\":\($0)}") }
        #expect(Set(prints).count == documents.count)
    }

    @Test func aDeepDocumentIsWalkedLikeAnyOther() throws {
        func nested(_ depth: Int, _ core: String) -> String {
            String(repeating: "[{\"a\":", count: depth) + core
                + String(repeating: "}]", count: depth)
        }
        // As deep as a record may nest.
        let deep = JSONCursor.depthMax / 2 - 1
        #expect(
            try fingerprint("{\"doc\":\(nested(deep, "1"))}")
                != fingerprint("{\"doc\":\(nested(deep, "2"))}"))
        #expect(throws: Defect.self) { try fingerprint("{\"doc\":\(nested(2_000, "1"))}") }
    }

    @Test func anEscapeThatNoTextCanHaveCountsByItsSpelling() throws {
        let prints = try [#""\u0000""#, #""\ud800""#, #""\uD800""#, #""\u0001""#].map {
            try fingerprint("{\"j\":\($0)}")
        }
        #expect(Set(prints).count == 4)
    }

    @Test(arguments: [
        "", "[]", "1", "{", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, #"{"a":1}x"#, "{a:1}",
    ])
    func whatIsNoObjectSaysNothing(_ body: String) {
        #expect(throws: Defect.self) { try fingerprint(body) }
    }

    // MARK: What else counts

    @Test func eachOperationHasAnother() throws {
        let operations = WeirRecord.Operation.allCases
        let prints = try operations.map { try fingerprint(reference, $0) }
        #expect(Set(prints).count == operations.count)
    }

    @Test func eachTableHasAnother() throws {
        let prints = try (0..<50).map { number in
            let table = TableSchema(
                number: number, name: "t\(number)", columns: orders.columns, primaryKey: [0])
            return try fingerprint(reference, into: table)
        }
        #expect(Set(prints).count == 50)
    }

    @Test func noTwoOfManyPayloadsShareOne() throws {
        var prints: Set<UInt64> = []
        for id in 0..<60 {
            for qty in 0..<60 {
                prints.insert(try fingerprint("{\"id\":\(id),\"qty\":\(qty)}"))
            }
        }
        #expect(prints.count == 3_600)
    }

    @Test func aValueCountsWithItsName() throws {
        let prints = try [
            #"{"a":"x","b":"y"}"#, #"{"a":"y","b":"x"}"#, #"{"a":"xy","b":""}"#,
            #"{"a":"","b":"xy"}"#,
            #"{"a":"x"}"#, #"{"b":"x"}"#, #"{"a":null}"#, #"{"b":null}"#, #"{"a":"","b":""}"#, "{}",
        ].map { try fingerprint($0) }
        #expect(Set(prints).count == prints.count)
    }
}
