import Testing
import WeirRecord

@Suite struct FingerprintTests {
    private let reference = #"{"id":1,"qty":2,"note":"n","doc":{"a":1}}"#

    @Test(arguments: [
        #"{"doc":{"a":1},"note":"n","qty":2,"id":1}"#,
        #" { "id" : 1 , "qty" : 2, "note":"n","doc": {"a":1}}"#,
        #"{"id":1,"qty":2,"note":"\u006e","doc":{"a":1}}"#,
        #"{"id":"1","qty":"2","note":"n","doc":{"a":1}}"#,
        #"{"\u0069d":1,"qty":2,"note":"n","doc":{"a":1}}"#,
    ])
    func theSamePayloadHasTheSameFingerprint(_ body: String) throws {
        #expect(try decode(body).fingerprint == decode(reference).fingerprint)
    }

    @Test(arguments: [
        #"{"id":2,"qty":2,"note":"n","doc":{"a":1}}"#,
        #"{"id":1,"qty":3,"note":"n","doc":{"a":1}}"#,
        #"{"id":2,"qty":1,"note":"n","doc":{"a":1}}"#,
        #"{"id":1,"qty":2,"note":"N","doc":{"a":1}}"#,
        #"{"id":1,"qty":2,"note":null,"doc":{"a":1}}"#,
        #"{"id":1,"qty":2,"note":"","doc":{"a":1}}"#,
        #"{"id":1,"qty":2,"doc":{"a":1}}"#, #"{"id":1,"qty":2,"note":"n","doc":{"a":2}}"#,
        #"{"id":1,"qty":2,"note":"n"}"#, #"{"id":1}"#, "{}",
    ])
    func anotherPayloadHasAnother(_ body: String) throws {
        #expect(try decode(body).fingerprint != decode(reference).fingerprint)
    }

    // MARK: What lasts

    /// These stand in databases: a change of any of them makes honest repetitions look like
    /// mistakes for as long as message IDs are remembered.
    @Test(arguments: Vector.all) func aFingerprintIsWhatItWas(_ vector: Vector) throws {
        let print = try decode(vector.body, vector.operation, into: vector.table).fingerprint
        #expect(String(print, radix: 16) == vector.print, "\(vector.body)")
    }

    struct Vector: Sendable {
        let body: String
        let operation: WeirRecord.Operation
        let table: TableSchema
        let print: String

        static let all = [
            Vector(body: "{}", operation: .insert, table: orders, print: "d0ac26498ed24946"),
            Vector(
                body: #"{"id":1}"#, operation: .insert, table: orders, print: "e4f36ea93bab65a1"),
            Vector(
                body: #"{"id":1}"#, operation: .delete, table: orders, print: "ae7bc6508baea58b"),
            Vector(
                body: #"{"id":-7,"qty":2147483647,"note":"é","doc":null}"#, operation: .upsert,
                table: orders, print: "2c18ca086679c4bc"),
            Vector(
                body: #"{"id":1,"doc":{"b":[1,2.50,true,null,"x\ny",{}],"a":{"c":[]}}}"#,
                operation: .patch, table: orders, print: "2c9bfc660f440ba3"),
            Vector(
                body: #"{"order":"o","line":1,"qty":null}"#, operation: .insert, table: lines,
                print: "36347747ea187"),
        ]
    }

    @Test func neitherTheTablesNumberNorItsColumnsPlacesCount() throws {
        let moved = TableSchema(
            number: 90, version: 7, name: "orders",
            columns: [
                column("new", .text), column("note", .text), column("doc", .json),
                column("qty", .int8, nullable: false), column("id", .int8, nullable: false),
            ], primaryKey: [4])
        let before = try decode(reference).fingerprint
        #expect(try decode(reference, into: moved).fingerprint == before)
    }

    @Test func theSchemaCountsAndSoDoesWhereANameEnds() throws {
        func printed(_ schema: String, _ name: String) throws -> UInt64 {
            let table = TableSchema(
                number: 0, schemaName: schema, name: name, columns: orders.columns, primaryKey: [0])
            return try decode(reference, into: table).fingerprint
        }
        let prints = try [
            printed("public", "orders"), printed("shop", "orders"), printed("publi", "corders"),
            printed("shop", "rders"),
        ]
        #expect(Set(prints).count == 4)
    }

    @Test func aRuleCountsWhereTheCallerNamedIt() throws {
        func printed(_ rule: ConflictRule, isSaid: Bool) throws -> UInt64 {
            var options = WriteOptions(.insert)
            options.onConflict = rule
            options.isConflictRuleSaid = isSaid
            let body = Array(reference.utf8)
            var decoder = RecordDecoder(
                table: orders, options: options, expectedByteCount: body.count)
            var cursor = JSONCursor(0..<body.count)
            try decoder.takeObject(&cursor, body.span)
            return try decoder.finish().fingerprint
        }
        // The operator may change the table's rule between a message and its repetition.
        #expect(try printed(.merge, isSaid: false) == printed(.error, isSaid: false))
        let said = try [
            printed(.error, isSaid: false), printed(.error, isSaid: true),
            printed(.merge, isSaid: true),
            printed(.ignore, isSaid: true),
        ]
        #expect(Set(said).count == 4)
    }

    // MARK: Documents

    @Test(arguments: [
        #"{"b":[1,2],"a":{"x":null,"y":true}}"#, #"{"a":{"y":true,"x":null},"b":[1,2]}"#,
        "{ \"a\" : {\"y\":true ,\n\"x\":null}, \"b\":[ 1 , 2 ] }",
        #"{"\u0061":{"\u0079":true,"x":null},"b":[1,2]}"#,
    ])
    func aDocumentIsTheSameHoweverItIsWritten(_ document: String) throws {
        let table = TableSchema(
            number: 0, name: "t", columns: [column("j", .json), column("b", .jsonb)], primaryKey: []
        )
        let reference = #"{"a":{"x":null,"y":true},"b":[1,2]}"#
        #expect(
            try decode("{\"j\":\(document),\"b\":\(document)}", into: table).fingerprint
                == decode("{\"j\":\(reference),\"b\":\(reference)}", into: table).fingerprint)
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
            #"{"a":1,"a":1}"#,
        ]
        let prints = try documents.map { try decode("{\"doc\":\($0)}").fingerprint }
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
            try decode("{\"doc\":\(nested(deep, "1"))}").fingerprint
                != decode("{\"doc\":\(nested(deep, "2"))}").fingerprint)
    }

    @Test func anEscapeThatNoTextCanHaveCountsByItsSpelling() throws {
        let table = TableSchema(number: 0, name: "t", columns: [column("j", .json)], primaryKey: [])
        let prints = try [#""\u0000""#, #""\ud800""#, #""\uD800""#, #""\u0001""#].map {
            try decode("{\"j\":\($0)}", into: table).fingerprint
        }
        #expect(Set(prints).count == 4)
    }

    @Test func eachOperationHasAnother() throws {
        let operations = WeirRecord.Operation.allCases
        let prints = try operations.map { try decode(reference, $0).fingerprint }
        #expect(Set(prints).count == operations.count)
    }

    @Test func eachTableHasAnother() throws {
        let prints = try (0..<50).map { number in
            let table = TableSchema(
                number: number, name: "t\(number)", columns: orders.columns, primaryKey: [0])
            return try decode(reference, into: table).fingerprint
        }
        #expect(Set(prints).count == 50)
    }

    @Test func noTwoOfManyPayloadsShareOne() throws {
        var prints: Set<UInt64> = []
        for id in 0..<60 {
            for qty in 0..<60 {
                prints.insert(try decode("{\"id\":\(id),\"qty\":\(qty)}").fingerprint)
            }
        }
        #expect(prints.count == 3_600)
    }

    @Test func aValueCountsWithItsColumn() throws {
        let pair = TableSchema(
            number: 0, name: "t", columns: [column("a", .text), column("b", .text)], primaryKey: [])
        let prints = try [
            #"{"a":"x","b":"y"}"#, #"{"a":"y","b":"x"}"#, #"{"a":"xy","b":""}"#,
            #"{"a":"","b":"xy"}"#,
            #"{"a":"x"}"#, #"{"b":"x"}"#, #"{"a":null}"#, #"{"b":null}"#, #"{"a":"","b":""}"#, "{}",
        ].map { try decode($0, into: pair).fingerprint }
        #expect(Set(prints).count == prints.count)
    }
}
