import Testing
import WeirRecord

@Suite struct ValueEncodingTests {
    private static let types: [ColumnType] = [
        .boolean, .int2, .int4, .int8, .float4, .float8, .text, .uuid, .bytea, .json, .jsonb,
        .other(sqlName: "pg_catalog.numeric"),
    ]

    // MARK: NULL

    @Test(arguments: types)
    func nullIsSQLNull(_ type: ColumnType) throws {
        #expect(try encoded("null", as: type) == nil)
        #expect(try encoded(text: nil, as: type) == nil)
    }

    @Test(arguments: types)
    func nullInANotNullColumnIsRefused(_ type: ColumnType) {
        let expected = Defect(
            .notNullViolation, "column \"c\" cannot be null", column: "c", sqlstate: "23502")
        #expect(refusal("null", as: type, nullable: false) == expected)
        #expect(refusal(text: nil, as: type, nullable: false) == expected)
    }

    @Test(arguments: types, ["nul", "nULL", "nullx", "n"])
    func aWordThatBeginsLikeNullIsNoJSON(_ type: ColumnType, json: String) {
        #expect(refusal(json, as: type)?.code == .invalidJSON)
    }

    @Test(arguments: types, ["]", "}", ",", ":", "x", "", "'a'", "tru", "[1", "{\"a\"}"])
    func whatIsNoValueIsNoJSON(_ type: ColumnType, json: String) {
        #expect(refusal(json, as: type)?.code == .invalidJSON)
    }

    // MARK: Booleans

    @Test func booleansAreOneByte() throws {
        #expect(try encoded("true", as: .boolean) == [1])
        #expect(try encoded("false", as: .boolean) == [0])
    }

    @Test(arguments: ["1", "0", "\"true\"", "\"t\"", "\"\"", "[]", "{}", "1.5"])
    func onlyTrueAndFalseAreJSONBooleans(_ json: String) {
        #expect(refusal(json, as: .boolean)?.code == .invalidValue)
        #expect(refusal(json, as: .boolean)?.sqlstate == "22P02")
    }

    @Test(arguments: ["true", "t", "1", "TRUE", "True", "yes", "y", "on"])
    func postgreSQLsWordsForTrueAreTrue(_ word: String) throws {
        #expect(try encoded(text: word, as: .boolean) == [1])
    }

    @Test(arguments: ["false", "f", "0", "FALSE", "False", "no", "n", "off"])
    func postgreSQLsWordsForFalseAreFalse(_ word: String) throws {
        #expect(try encoded(text: word, as: .boolean) == [0])
    }

    @Test(arguments: ["", "2", "o", "wahr", "10", "NULL"])
    func otherWordsAreNoBooleans(_ word: String) {
        #expect(refusal(text: word, as: .boolean)?.sqlstate == "22P02")
    }

    // MARK: Text

    @Test(arguments: [
        (#""""#, ""), (#""a\nb""#, "a\nb"), (#""\u00e9é""#, "éé"), (#""\uD834\uDD1E""#, "𝄞"),
        (#""'; DROP TABLE orders; --""#, "'; DROP TABLE orders; --"), (#""null""#, "null"),
        (#""NULL""#, "NULL"), (#"" ""#, " "), (#""\\x00""#, "\\x00"),
    ])
    func textIsStoredByteForByte(_ json: String, text: String) throws {
        #expect(try encoded(json, as: .text) == Array(text.utf8))
        #expect(try encoded(text: text, as: .text) == Array(text.utf8))
    }

    @Test(arguments: ["\u{2028}\u{202E}", "👩‍👩‍👧", "e" + String(repeating: "\u{301}", count: 10_000)])
    func unusualTextIsStoredByteForByte(_ text: String) throws {
        #expect(try encoded("\"\(text)\"", as: .text) == Array(text.utf8))
    }

    @Test(arguments: ["1", "-0.5", "true", "false", "[]", "{}", "[\"a\"]"])
    func aTextColumnTakesStringsOnly(_ json: String) {
        let defect = refusal(json, as: .text)
        #expect(defect?.code == .invalidValue)
        #expect(defect?.detail == "column \"c\" is text and takes a string")
    }

    @Test func textWithNULIsRefusedInItsTextFormToo() {
        for type in [ColumnType.text, .other(sqlName: "x")] {
            let defect = refusal(text: "a\u{0}b", as: type)
            #expect(defect?.sqlstate == "22021")
            #expect(defect?.column == "c")
        }
    }

    // MARK: UUID

    private static let uuid: [UInt8] = [
        0x01, 0x89, 0x0A, 0x5D, 0xAC, 0x96, 0x77, 0x4B, 0xBC, 0xCE, 0xB3, 0x02, 0x09, 0x9A, 0x80,
        0x57,
    ]

    @Test(arguments: [
        "01890a5d-ac96-774b-bcce-b302099a8057", "01890A5D-AC96-774B-BCCE-B302099A8057",
        "01890a5dac96774bbcceb302099a8057", "01890A5Dac96774BBCCEb302099a8057",
    ])
    func uuidsHaveHyphensOrNone(_ text: String) throws {
        #expect(try encoded("\"\(text)\"", as: .uuid) == Self.uuid)
        #expect(try encoded(text: text, as: .uuid) == Self.uuid)
        // An escape in it changes nothing.
        #expect(try encoded("\"\\u0030\(text.dropFirst())\"", as: .uuid) == Self.uuid)
    }

    @Test(arguments: [
        "", "-", "01890a5d", "01890a5d-ac96-774b-bcce-b302099a805",
        "01890a5d-ac96-774b-bcce-b302099a80577",
        "01890a5dac96774bbcceb302099a805", "01890a5dac96774bbcceb302099a80577",
        "01890a5dac96-774b-bcce-b302099a8057", "01890a5-dac96-774b-bcce-b302099a8057",
        "01890a5d-ac96-774b-bcceb302099a8057", "01890a5d-ac96774bbcceb302099a8057",
        "01890a5d-ac96-774b-bcce-b302099a805g", "------------------------------------",
        "01890a5d ac96 774b bcce b302099a8057", "g1890a5dac96774bbcceb302099a8057",
        "01890a5d-ac96-774b-bcceb302099a8057-", "-01890a5dac96-774b-bcce-b302099a8057",
        "01890a5d-ac96-774b-bcce-b302099a8057 ", "é1890a5d-ac96-774b-bcce-b302099a805",
    ])
    func whatIsNoUUIDIsRefused(_ text: String) {
        #expect(refusal("\"\(text)\"", as: .uuid)?.sqlstate == "22P02")
        #expect(refusal(text: text, as: .uuid)?.sqlstate == "22P02")
    }

    @Test(arguments: ["1", "true", "[]", "{}"])
    func aUUIDIsAString(_ json: String) {
        #expect(refusal(json, as: .uuid)?.sqlstate == "22P02")
        #expect(refusal(json, as: .bytea)?.sqlstate == "22P02")
    }

    // MARK: Bytes

    @Test(
        arguments: [
            ("", []), ("\\x", []), ("\\x00", [0]), ("\\xdeadBEEF", [0xDE, 0xAD, 0xBE, 0xEF]),
            // RFC 4648, section 10, and the two digits in which base64url differs.
            ("Zg", Array("f".utf8)), ("Zm8", Array("fo".utf8)), ("Zm9v", Array("foo".utf8)),
            ("Zm9vYg", Array("foob".utf8)), ("Zm9vYmE", Array("fooba".utf8)),
            ("Zm9vYmFy", Array("foobar".utf8)), ("-_-_", [0xFB, 0xFF, 0xBF]), ("AA", [0]),
            ("__8", [0xFF, 0xFF]),
        ] as [(String, [UInt8])])
    func bytesAreHexadecimalOrBase64URL(_ text: String, bytes: [UInt8]) throws {
        let json = text.split(separator: "\\", omittingEmptySubsequences: false).joined(
            separator: "\\\\")
        #expect(try encoded("\"\(json)\"", as: .bytea) == bytes)
        #expect(try encoded(text: text, as: .bytea) == bytes)
    }

    @Test(arguments: [
        "\\", "\\X00", "\\000", "A", "AAAAA", "Zg==", "Zm8=", "+/+/",
        "Zm9v\n", "Zm 9v", "é", "AB", "Zh", "Zm9", "$$$$",
    ])
    func whatIsNeitherIsRefused(_ text: String) {
        #expect(refusal(text: text, as: .bytea)?.sqlstate == "22P02")
        #expect(refusal(text: text, as: .bytea)?.column == "c")
    }

    @Test(arguments: ["\\x0", "\\x0g", "\\x0 0", "\\xé"])
    func badHexadecimalDigitsHaveAStateOfTheirOwn(_ text: String) {
        #expect(refusal(text: text, as: .bytea)?.sqlstate == "22023")
    }

    // MARK: JSON

    @Test(arguments: [
        "1", "-0", "1e400", "1e131071", "123456789012345678901234567890.10", "true", "\"\"", "[]",
        "{ }",
        "{\"a\" :\t[ 1 ] }",
        "{\"b\":1,\"a\":2,\"b\":3}", "\"\\u00e9\\/\"", "\"\\\\u0000\"", "\"\u{2028}\"",
    ])
    func documentsKeepTheirBytes(_ json: String) throws {
        #expect(try encoded(json, as: .json) == Array(json.utf8))
        #expect(try encoded("  \(json) ", as: .json) == Array(json.utf8))
        #expect(try encoded(text: json, as: .json) == Array(json.utf8))
        // Version 1 of jsonb's binary form.
        #expect(try encoded(json, as: .jsonb) == [1] + Array(json.utf8))
        #expect(try encoded(text: json, as: .jsonb) == [1] + Array(json.utf8))
    }

    /// What the types of PostgreSQL disagree about.
    @Test(arguments: [
        ("\"\\u0000\"", "22P05"), ("{\"\\u0000\":1}", "22P05"), ("[\"\\ud800\"]", "22P02"),
        ("\"\\udc00\"", "22P02"), ("\"\\ud800\\u0041\"", "22P02"), ("\"\\ud800x\"", "22P02"),
        ("[1e131072]", "22003"), ("{\"a\":-1E+999999999999}", "22003"), ("1e-16384", "22003"),
    ])
    func jsonbHoldsLessThanJSON(_ json: String, sqlstate: String) throws {
        #expect(try encoded(json, as: .json) == Array(json.utf8))
        #expect(refusal(json, as: .jsonb)?.sqlstate == sqlstate)
        #expect(refusal(text: json, as: .jsonb)?.sqlstate == sqlstate)
        #expect(refusal(json, as: .jsonb)?.column == "c")
    }

    @Test(arguments: [ColumnType.json, .jsonb], ["", "{", "abc", "1 2", "[1,]", "'a'"])
    func aFieldThatIsNoJSONIsABadValue(_ type: ColumnType, text: String) {
        let defect = refusal(text: text, as: type)
        #expect(defect?.code == .invalidValue)
        #expect(defect?.column == "c")
        #expect(defect?.sqlstate == "22P02")
    }

    @Test func theWordNullInAFieldIsADocument() throws {
        #expect(try encoded(text: "null", as: .json) == Array("null".utf8))
    }

    // MARK: Other types

    @Test(arguments: [
        ("\"12.50\"", "12.50"), ("12.50", "12.50"), ("1e400", "1e400"), ("-0", "-0"),
        ("\"{a,b}\"", "{a,b}"),
        ("123456789012345678901234567890.123456789", "123456789012345678901234567890.123456789"),
        ("\"192.168.0.1/24\"", "192.168.0.1/24"), ("\"\"", ""), ("\"\\u00e9\"", "é"),
        ("true", "true"), ("false", "false"),
    ])
    func otherTypesTravelAsTheirText(_ json: String, text: String) throws {
        #expect(try encoded(json, as: .other(sqlName: "\"pg_catalog\".\"x\"")) == Array(text.utf8))
    }

    @Test(arguments: ["[]", "{}", "[1]", "{\"a\":1}"])
    func otherTypesTakeNoDocuments(_ json: String) {
        #expect(refusal(json, as: .other(sqlName: "x"))?.sqlstate == "22P02")
    }

    // MARK: Errors

    @Test(arguments: types)
    func errorTextCarriesNoValue(_ type: ColumnType) {
        let secret = "4111 1111 1111 1111"
        for defect in [refusal("\"\(secret)\"", as: type), refusal(text: secret, as: type)] {
            #expect(defect?.detail.contains("4111") != true)
        }
    }
}
