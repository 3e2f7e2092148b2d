import Testing
import WeirRecord

/// RFC 8259, strictly. What Foundation says to the same texts: `MutationTests`.
@Suite struct JSONGrammarTests {
    @Test(arguments: [
        "{}", "[]", " [ ] ", "null", "true", "false", "\"\"", "0", "-0", "42", "-1", "1.5",
        "-1.5e-7", "1E+3", "1e0", "0.0", "0e1", "123456789012345678901234567890", "[1,2,3]",
        "[[],[],{}]", "{\"a\":1}", "{\"a\":{\"b\":[{\"c\":null}]}}", "\t\r\n [ 1 ,\n2 ] \t",
        "{ \"a\" : 1 , \"b\" : 2 }", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"", "\"\u{7F}\"",
        "\"é€𝄞\"", "\"\u{2028}\u{2029}\u{202E}\"", "\"👩‍👩‍👧\"", "\"\\uD834\\uDD1E\"", "{\"\":0}",
        "{\"a\":1,\"a\":2}", "[\"\",[]]",
    ])
    func thisIsJSON(_ text: String) {
        #expect(syntaxDefect(text) == nil)
    }

    @Test(arguments: [
        "", " ", "\n\t", "nul", "nulll", "NULL", "True", "tru", "truefalse", "'a'", "a",
        "undefined", "NaN", "Infinity", "-Infinity", "+1", "01", "-01", "00", ".5", "1.", "1.e1",
        "1e", "1e+", "-", "--1", "- 1", "0x10", "1_000", "1,000", "1 2", "0b1", "1f", "1.2.3", "e5",
        "[", "]", "[1", "[1,", "[1,]", "[,1]", "[,]", "[1 2]", "[1}", "[1]]", "[1],", "[][]",
        "[1;2]", "{", "}", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,}",
        "{\"a\"}", "{a:1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "{1:2}", "{null:1}", "{\"a\":}",
        "{\"a\":1]", "{\"a\":1}}", "{'a':1}", "{\"a\"::1}", "{\"a\":1:2}", "{\"a\",\"b\"}",
        "{[]:1}", "\"", "\"a", "\"a\\", "\"a\\\"", "\"\\x\"", "\"\\'\"", "\"\\u\"", "\"\\u12\"",
        "\"\\u123g\"", "\"\\u+123\"", "\"\\U0041\"", "\"a\nb\"", "\"a\tb\"", "\"\u{0}\"",
        "\"\u{1F}\"", "\"a\"b", "// c\n1", "/* c */ 1", "1 // c", "# c\n1", "\u{FEFF}1", "\u{A0}1",
        "\u{B}1", "\u{C}1", "1\u{0}",
    ])
    func thisIsNoJSON(_ text: String) {
        #expect(syntaxDefect(text)?.code == .invalidJSON)
    }

    // MARK: Depth

    @Test(arguments: [("[", "]"), ("{\"a\":", "}")])
    func sixtyFourLevelsAreAcceptedAndNotOneMore(_ opening: String, closing: String) {
        func nested(_ depth: Int) -> String {
            let inner = opening == "[" ? "" : "0"
            return String(repeating: opening, count: depth) + inner
                + String(repeating: closing, count: depth)
        }
        #expect(syntaxDefect(nested(64)) == nil)
        #expect(syntaxDefect(nested(65))?.code == .invalidJSON)
        #expect(syntaxDefect(nested(100_000))?.code == .invalidJSON)
    }

    @Test(arguments: ["[", "{\"a\":", "[{\"a\":"])
    func aHundredThousandOpenLevelsAreRefused(_ opening: String) {
        let text = String(repeating: opening, count: 100_000)
        #expect(syntaxDefect(text)?.detail.hasPrefix("nested deeper than 64") == true)
    }

    @Test func levelsThatWereClosedDoNotCount() {
        let deep = String(repeating: "[", count: 63) + String(repeating: "]", count: 63)
        #expect(
            syntaxDefect("[" + Array(repeating: deep, count: 50).joined(separator: ",") + "]")
                == nil)
    }

    @Test func objectsAndArraysAreToldApartAtEveryLevel() {
        var random = SeededNumbers(seed: 1)
        for _ in 0..<200 {
            let isObject = (0..<64).map { _ in Bool.random(using: &random) }
            let opening = isObject.map { $0 ? "{\"k\":" : "[" }.joined()
            let closing = isObject.reversed().map { $0 ? "}" : "]" }
            #expect(syntaxDefect(opening + "1" + closing.joined()) == nil)
            let wrong = Int.random(in: 0..<64, using: &random)
            var mixed = closing
            mixed[wrong] = mixed[wrong] == "]" ? "}" : "]"
            #expect(syntaxDefect(opening + "1" + mixed.joined())?.code == .invalidJSON)
        }
    }

    // MARK: UTF-8

    /// Unicode 15, table 3-7: the first and last of each row, and one past each bound.
    @Test(
        arguments: [
            [0xC2, 0x80], [0xDF, 0xBF], [0xE0, 0xA0, 0x80], [0xE1, 0x80, 0x80], [0xEC, 0xBF, 0xBF],
            [0xED, 0x80, 0x80], [0xED, 0x9F, 0xBF], [0xEE, 0x80, 0x80], [0xEF, 0xBF, 0xBF],
            [0xF0, 0x90, 0x80, 0x80], [0xF1, 0x80, 0x80, 0x80], [0xF3, 0xBF, 0xBF, 0xBF],
            [0xF4, 0x8F, 0xBF, 0xBF],
        ] as [[UInt8]])
    func wellFormedSequencesAreAccepted(_ sequence: [UInt8]) throws {
        #expect(String(validating: sequence, as: UTF8.self) != nil)
        #expect(syntaxDefect([0x22] + sequence + [0x22]) == nil)
        let body = Array(#"{"id":1,"note":""#.utf8) + sequence + Array(#""}"#.utf8)
        #expect(try decode(body).fields["note"] == sequence)
    }

    @Test(
        arguments: [
            [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC2], [0xC2, 0x7F], [0xC2, 0xC0],
            [0xDF, 0x22], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF], [0xE1, 0x80], [0xE1, 0x80, 0x7F],
            [0xE1, 0x80, 0xC0], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xEF, 0xBF],
            [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF], [0xF0, 0x90, 0x80],
            [0xF1, 0x80, 0x80, 0x41], [0xF1, 0x80, 0x41, 0x80], [0xF4, 0x90, 0x80, 0x80],
            [0xF5, 0x80, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFE], [0xFF],
            [0xC3, 0xA9, 0xA9],
        ] as [[UInt8]])
    func illFormedSequencesAreRefused(_ sequence: [UInt8]) {
        #expect(String(validating: sequence, as: UTF8.self) == nil)
        #expect(syntaxDefect([0x22] + sequence + [0x22])?.code == .invalidJSON)
        // In a member's name, and where the text ends within the sequence.
        let name = Array("{\"".utf8) + sequence + Array("\":1}".utf8)
        #expect(syntaxDefect(name)?.code == .invalidJSON)
        #expect(syntaxDefect([0x22] + sequence)?.code == .invalidJSON)
        #expect(syntaxDefect(sequence)?.code == .invalidJSON)
    }

    @Test func everySequenceOfTwoBytesIsJudgedAsSwiftJudgesIt() {
        for lead in UInt8(0x80)...0xFF {
            for trail in UInt8(0x20)...0xFF where trail != 0x22 && trail != 0x5C {
                let isValid = String(validating: [lead, trail], as: UTF8.self) != nil
                #expect((syntaxDefect([0x22, lead, trail, 0x22]) == nil) == isValid)
            }
        }
    }

    // MARK: Ends

    private static let rich = """
        {"id": -12, "qty": 3.5e+2, "note": "é\\u00e9 \\uD834\\uDD1E \\"q\\" 𝄞", "doc": {"a":
        [true, false, null, {}, [], [1, -0.5E-3, ""]], "\\u0062": {"c": {"d": [[[]]]}}}, "n": null}
        """

    @Test func everyPrefixOfADocumentIsRefused() {
        let text = Array(Self.rich.utf8)
        #expect(syntaxDefect(text) == nil)
        for length in 0..<text.count {
            #expect(syntaxDefect(Array(text[..<length]))?.code == .invalidJSON)
        }
    }

    @Test func whatStandsBehindTheRangeIsNotRead() {
        let text = Array(Self.rich.utf8)
        for length in 0..<text.count {
            // The whole is there, but the cursor may see a part of it.
            var cursor = JSONCursor(0..<length)
            #expect(throws: Defect.self) { try cursor.skipValue(text.span) }
            #expect(cursor.position <= length)
        }
    }

    @Test func everyPrefixOfARecordIsRefused() throws {
        let body = Array(#"{"id":42,"qty":7,"note":"a\u00e9\"é𝄞","doc":{"a":[1,{"b":null}]}}"#.utf8)
        _ = try decode(body)
        for length in 0..<body.count {
            #expect(throws: Defect.self) { try decode(Array(body[..<length])) }
        }
    }

    @Test func aDefectSaysWhere() {
        #expect(syntaxDefect("[1,x]")?.detail == "expected a value at byte 3")
        #expect(syntaxDefect("[1,")?.detail == "expected a value where the text ends")
        #expect(syntaxDefect("{\"a\" 1}")?.detail == "expected ':' at byte 5")
        #expect(syntaxDefect("1 1")?.detail == "expected nothing more at byte 2")
    }

    @Test func aValueIsPassedOverWithoutTheSpaceAroundIt() throws {
        let text = Array("  [ 1 ]  ,2".utf8)
        var cursor = JSONCursor(0..<text.count)
        let first = try cursor.skipValue(text.span)
        try cursor.expect(UInt8(ascii: ","), text.span)
        let second = try cursor.skipValue(text.span)
        #expect([first, second] == [2..<7, 10..<11])
        try cursor.expectEnd(text.span)
    }

    @Test func manyMembersAreNoTrouble() {
        let members = (0..<100_000).map { "\"k\($0)\":0" }.joined(separator: ",")
        #expect(syntaxDefect("{\(members)}") == nil)
        #expect(defect("{\(members)}")?.code == .unknownColumn)
    }
}
