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
