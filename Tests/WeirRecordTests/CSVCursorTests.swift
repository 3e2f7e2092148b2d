import Testing
import WeirRecord

/// RFC 4180, with `NULL` in bare letters for NULL.
@Suite struct CSVCursorTests {
    private static func rows(_ text: [UInt8]) throws(Defect) -> [[String?]] {
        var cursor = CSVCursor(0..<text.count)
        var rows: [[String?]] = []
        while let row = try cursor.row(text.span) {
            rows.append(row.map { $0.text.map { String(decoding: $0, as: UTF8.self) } })
        }
        #expect(cursor.isAtEnd)
        return rows
    }

    private static func rows(_ text: String) throws(Defect) -> [[String?]] {
        try rows(Array(text.utf8))
    }

    @Test(
        arguments: [
            ("", []), ("\n", []), ("\r\n\n\r\n", []), ("a", [["a"]]), ("a\n", [["a"]]),
            ("a\r\n", [["a"]]), ("a,b\nc,d", [["a", "b"], ["c", "d"]]),
            ("a,b\r\nc,d\r\n", [["a", "b"], ["c", "d"]]), ("a\n\n\nb\n", [["a"], ["b"]]),
            (",", [["", ""]]), (",,\n", [["", "", ""]]), ("a,", [["a", ""]]),
            ("a,\n", [["a", ""]]), (" a , b ", [[" a ", " b "]]), ("é,𝄞", [["é", "𝄞"]]),
            ("a\rb,c", [["a\rb", "c"]]), ("a\r", [["a\r"]]),
        ] as [(String, [[String?]])])
    func rowsAreLinesAndFieldsStandBetweenCommas(_ text: String, rows: [[String?]]) throws {
        #expect(try Self.rows(text) == rows)
    }

    @Test(
        arguments: [
            ("\"a\"", [["a"]]), ("\"\"", [[""]]), ("\"a,b\",c", [["a,b", "c"]]),
            ("\"a\nb\"\nc", [["a\nb"], ["c"]]),
            ("\"a\r\nb\",c\r\nd,e", [["a\r\nb", "c"], ["d", "e"]]),
            ("\"say \"\"hi\"\"\"", [["say \"hi\""]]), ("\"\"\"\"", [["\""]]),
            ("\"\"\"\"\"\"", [["\"\""]]), ("\"\",\"\"", [["", ""]]), ("\"\n\"", [["\n"]]),
            ("a\"b,c", [["a\"b", "c"]]), ("a\"\",b", [["a\"\"", "b"]]), (" \"a\"", [[" \"a\""]]),
        ] as [(String, [[String?]])])
    func quotesHoldCommasQuotesAndLines(_ text: String, rows: [[String?]]) throws {
        #expect(try Self.rows(text) == rows)
    }

    @Test(
        arguments: [
            ("NULL", [[nil]]), ("\"NULL\"", [["NULL"]]),
            ("NULL,\"NULL\",,\"\"", [[nil, "NULL", "", ""]]), ("null,Null", [["null", "Null"]]),
            (" NULL,NULL ", [[" NULL", "NULL "]]), ("NULLS,ANULL", [["NULLS", "ANULL"]]),
            ("NULL\r\nNULL\n", [[nil], [nil]]), ("\\N", [["\\N"]]),
        ] as [(String, [[String?]])])
    func theBareWordIsNullAndNothingElseIs(_ text: String, rows: [[String?]]) throws {
        #expect(try Self.rows(text) == rows)
    }

    @Test func theCallerSeesRaggedRows() throws {
        #expect(try Self.rows("a,b,c\n1,2\n1,2,3,4\n").map(\.count) == [3, 2, 4])
    }

    @Test(arguments: ["\"", "\"a", "\"a\"\"", "a,\"b\n", "a\n\"b,c\nd", "\"a\nb\nc"])
    func aQuoteThatDoesNotEndIsRefused(_ text: String) {
        let found = #expect(throws: Defect.self) { try Self.rows(text) }
        #expect(found?.code == .invalidRequest)
        #expect(found?.detail.hasSuffix("a quoted field does not end") == true)
    }

    @Test(arguments: ["\"a\"b", "\"a\" ,b", "\"a\"\rb", "\"a\"\"\"b", "x,\"a\" \n", "\"a\"\r"])
    func nothingStandsBetweenAQuoteAndTheComma(_ text: String) {
        let found = #expect(throws: Defect.self) { try Self.rows(text) }
        #expect(found?.detail == "line 1: expected a comma after a quoted field")
    }

    @Test(
        arguments: [[0xFF], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80]]
            as [[UInt8]])
    func fieldsAreUTF8(_ bytes: [UInt8]) {
        for text in [bytes, [0x22] + bytes + [0x22], Array("a,".utf8) + bytes + Array(",b\n".utf8)]
        {
            let found = #expect(throws: Defect.self) { try Self.rows(text) }
            #expect(found?.detail == "line 1: expected UTF-8")
        }
    }

    @Test func linesAreCountedAsAnEditorCountsThem() throws {
        let text = Array("h1,h2\r\n\n\"a\nb\",\"c\r\nd\"\nlast,\"x\n".utf8)
        var cursor = CSVCursor(0..<text.count)
        _ = try cursor.row(text.span)
        #expect(cursor.line == 1)
        _ = try cursor.row(text.span)
        #expect(cursor.line == 3)
        let found = #expect(throws: Defect.self) { try cursor.row(text.span) }
        #expect(found?.detail == "line 6: a quoted field does not end")
    }

    @Test func everyPrefixEndsOrIsRefused() {
        let text = Array("a,\"b \"\"q\"\" é\",NULL\r\n\"x\r\ny\",,𝄞\n".utf8)
        for length in 0...text.count {
            // In an array of its own, so that a step too far would trap.
            _ = try? Self.rows(Array(text[..<length]))
        }
    }

    @Test func anyTextComesBackFromQuotes() throws {
        var random = SeededNumbers(seed: 3)
        let alphabet = Array(",\"\r\n aNUL\u{e9}")
        for _ in 0..<500 {
            let table = (0..<3).map { _ in
                (0..<4).map { _ in
                    String(
                        (0..<Int.random(in: 0...6, using: &random)).map { _ in
                            alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
                        })
                }
            }
            let text = table.map { row in
                row.map {
                    "\""
                        + $0.split(separator: "\"", omittingEmptySubsequences: false)
                        .joined(separator: "\"\"") + "\""
                }.joined(separator: ",")
            }.joined(separator: "\r\n")
            #expect(try Self.rows(text) == table)
        }
    }
}
