import Testing
import WeirRecord

@Suite struct JSONStringTests {
    @Test(arguments: [
        (#""""#, ""), (#""abc""#, "abc"), (#""\"\\\/""#, "\"\\/"),
        (#""\b\f\n\r\t""#, "\u{8}\u{C}\n\r\t"), (#""\u0041\u00e9\u20AC""#, "Aé€"),
        (#""\uD834\uDD1E""#, "𝄞"), (#""\ud800\udc00""#, "\u{10000}"),
        (#""\udbff\udfff""#, "\u{10FFFF}"),
        (#""\uD7FF\uE000""#, "\u{D7FF}\u{E000}"), (#""\uFFFF\u0001""#, "\u{FFFF}\u{1}"),
        (#""a\\u0041""#, "a\\u0041"), (#""\\\\""#, "\\\\"), (#""é\né""#, "é\né"),
        (#""\u0022\u005C""#, "\"\\"), ("\"\u{7F}\u{2028}\"", "\u{7F}\u{2028}"),
    ])
    func escapesAreResolved(_ json: String, text: String) throws {
        #expect(try unescaped(json) == text)
    }

    @Test(arguments: [
        #""\ud800""#, #""\udbff ""#, #""\udc00""#, #""\udfff\ud800""#, #""\ud800\ud800""#,
        #""\ud800A""#, #""\ud800\u0041""#, #""\ud800\n""#, #""x\ud83d""#, #""\ud800\\udc00""#,
    ])
    func halfASurrogatePairIsNoText(_ json: String) {
        let defect = refusal(json, as: .text)
        #expect(defect?.code == .invalidValue)
        #expect(defect?.sqlstate == "22021")
        #expect(defect?.column == "c")
        // In a document of JSON it is PostgreSQL's to judge.
        #expect(refusal(json, as: .json) == nil)
    }

    @Test(arguments: [#""\u0000""#, #""a\u0000b""#, #""\u0000\u0000""#])
    func postgreSQLStoresNoNUL(_ json: String) {
        let defect = refusal(json, as: .text)
        #expect(defect?.code == .invalidValue)
        #expect(defect?.sqlstate == "22021")
        #expect(defect?.column == "c")
        #expect(throws: Defect.self) { try unescaped(json) }
    }

    @Test(arguments: [ColumnType.uuid, .bytea, .int4, .float8, .other(sqlName: "x")])
    func aDefectInAnEscapeNamesTheColumn(_ type: ColumnType) {
        #expect(refusal(#""\u0000""#, as: type)?.column == "c")
        #expect(refusal(#""\ud800""#, as: type)?.column == "c")
    }

    @Test func aNameWithNULIsNoColumn() {
        #expect(defect(#"{"i\u0000d":1}"#)?.code.status == 422)
        #expect(defect(#"{"\ud800":1}"#)?.code.status == 422)
    }

    // MARK: Writing

    @Test func whatIsWrittenReadsBackAsItself() throws {
        var random = SeededNumbers(seed: 2)
        for _ in 0..<500 {
            let highest: UInt32 = Bool.random(using: &random) ? 0x7F : 0x10FFFF
            let scalars = (0..<20).compactMap { _ in
                Unicode.Scalar(UInt32.random(in: 1...highest, using: &random))
            }
            let text = String(String.UnicodeScalarView(scalars))
            var json: [UInt8] = []
            appendJSONString(text, to: &json)
            #expect(syntaxDefect(json) == nil)
            #expect(try unescaped(String(decoding: json, as: UTF8.self)) == text)
            var same: [UInt8] = []
            appendJSONString(utf8: text.utf8, to: &same)
            #expect(same == json)
        }
    }

    @Test(arguments: [
        ("", #""""#), ("a\"b\\c", #""a\"b\\c""#), ("\n\r\t", #""\n\r\t""#),
        ("\u{0}\u{8}\u{1F}", #""\u0000\u0008\u001f""#), ("/é𝄞\u{7F}", "\"/é𝄞\u{7F}\""),
    ])
    func onlyWhatMustBeIsEscaped(_ text: String, json: String) {
        var bytes: [UInt8] = []
        appendJSONString(text, to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == json)
    }
}

/// What the bulk envelope reads with: names, short texts and lines.
@Suite struct JSONTokenTests {
    @Test(arguments: [
        (#""table""#, true), (#""tabl""#, false), (#""tables""#, false), (#""Table""#, false),
        (#""""#, false),
        // With escapes it has to be read before it can be compared.
        (#""t\u0061ble""#, false),
    ])
    func aTokenMatchesAWordByteForByte(_ json: String, matches: Bool) throws {
        let bytes = Array(json.utf8)
        var cursor = JSONCursor(0..<bytes.count)
        let token = try cursor.string(bytes.span)
        let found = JSONCursor.matches(token, "table", bytes.span)
        #expect(found == matches)
    }

    @Test(arguments: [(#" "é" "#, "é"), (#""a\u00e9\n""#, "aé\n"), (#""""#, "")])
    func theNextStringIsText(_ json: String, text: String) throws {
        let bytes = Array(json.utf8)
        var cursor = JSONCursor(0..<bytes.count)
        let found = try cursor.text(bytes.span)
        #expect(found == text)
        try cursor.expectEnd(bytes.span)
    }

    @Test(arguments: ["", "1", "null", "a", #""a"#, #""\ud800""#, #""\u0000""#])
    func whatIsNoStringIsNoText(_ json: String) {
        let bytes = Array(json.utf8)
        var cursor = JSONCursor(0..<bytes.count)
        #expect(throws: Defect.self) { try cursor.text(bytes.span) }
    }

    @Test(
        arguments: [
            ("", [""]), ("a", ["a"]), ("a\n", ["a"]), ("a\nb", ["a", "b"]),
            ("\n\na", ["", "", "a"]), ("a\r\n\u{0}b\n", ["a\r", "\u{0}b"]),
        ] as [(String, [String])])
    func aLineEndsBeforeTheNewline(_ text: String, lines: [String]) {
        // Behind the range stands a newline that is not the text's.
        let bytes = Array(text.utf8) + [0x0A]
        var cursor = JSONCursor(0..<(bytes.count - 1))
        var found: [String] = []
        repeat {
            let line = cursor.takeLine(bytes.span)
            found.append(String(decoding: bytes[line], as: UTF8.self))
            cursor.position += 1
        } while cursor.position < cursor.end
        #expect(found == lines)
    }
}
