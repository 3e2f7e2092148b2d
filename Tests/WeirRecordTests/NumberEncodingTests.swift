import Testing
import WeirRecord

@Suite struct NumberEncodingTests {
    private static let integers: [ColumnType] = [.int2, .int4, .int8]

    // MARK: Integers

    @Test(
        arguments: [
            (ColumnType.int2, "-32768", [0x80, 0x00]), (.int2, "32767", [0x7F, 0xFF]),
            (.int2, "-1", [0xFF, 0xFF]), (.int2, "0", [0, 0]), (.int2, "-0", [0, 0]),
            (.int2, "258", [0x01, 0x02]),
            (.int4, "-2147483648", [0x80, 0, 0, 0]),
            (.int4, "2147483647", [0x7F, 0xFF, 0xFF, 0xFF]),
            (.int4, "0", [0, 0, 0, 0]), (.int4, "-0", [0, 0, 0, 0]),
            (.int4, "16909060", [1, 2, 3, 4]),
            (.int8, "-9223372036854775808", [0x80, 0, 0, 0, 0, 0, 0, 0]),
            (.int8, "9223372036854775807", [0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
            (.int8, "-1", [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
            // 2^53 + 1: a binary float would make it 2^53.
            (.int8, "9007199254740993", [0x00, 0x20, 0, 0, 0, 0, 0, 0x01]),
        ] as [(ColumnType, String, [UInt8])])
    func integersAreExact(_ type: ColumnType, json: String, bytes: [UInt8]) throws {
        #expect(try encoded(json, as: type) == bytes)
        #expect(try encoded("\"\(json)\"", as: type) == bytes)
        #expect(try encoded(text: json, as: type) == bytes)
    }

    @Test(arguments: [
        (ColumnType.int2, "32768"), (.int2, "-32769"), (.int2, "40000"), (.int2, "2147483648"),
        (.int4, "2147483648"), (.int4, "-2147483649"), (.int4, "9223372036854775808"),
        (.int8, "9223372036854775808"), (.int8, "-9223372036854775809"),
        (.int8, "18446744073709551616"),
        (.int8, "99999999999999999999"), (.int8, String(repeating: "9", count: 400)),
        (.int8, "-1" + String(repeating: "0", count: 400)),
    ])
    func oneThatDoesNotFitIsRefusedAndNeverRounded(_ type: ColumnType, json: String) {
        for defect in [
            refusal(json, as: type), refusal("\"\(json)\"", as: type),
            refusal(text: json, as: type),
        ] {
            #expect(defect?.code == .invalidValue)
            #expect(defect?.sqlstate == "22003")
            #expect(defect?.column == "c")
            #expect(defect?.detail.contains(json) == false)
        }
    }

    @Test(
        arguments: integers,
        [
            "1.5", "1.0", "1e2", "1E0", "true", "false", "{}", "[]", "[1]", "\"abc\"", "\"\"",
            "\" 1\"", "\"1 \"",
            "\"+1\"", "\"-\"", "\"--1\"", "\"1.0\"", "\"1e2\"", "\"0x1\"", "\"1_0\"", "\"١\"",
        ])
    func whatIsNoIntegerIsRefused(_ type: ColumnType, json: String) {
        let defect = refusal(json, as: type)
        #expect(defect?.code == .invalidValue)
        #expect(defect?.sqlstate == "22P02")
        #expect(defect?.column == "c")
    }

    @Test(arguments: integers, ["01", "-01", "00", "+1", ".5", "1.", "NaN", "Infinity", "-"])
    func whatIsNoJSONNumberIsNoJSON(_ type: ColumnType, json: String) {
        #expect(refusal(json, as: type)?.code == .invalidJSON)
    }

    @Test func everyInt16IsExact() throws {
        for value in Int(Int16.min)...Int(Int16.max) where value % 7 == 0 {
            let bits = UInt16(bitPattern: Int16(value))
            #expect(try encoded("\(value)", as: .int2) == [UInt8(bits >> 8), UInt8(bits & 0xFF)])
        }
    }

    // MARK: Floats

    @Test(arguments: [
        "0", "-0", "1", "-1.5", "0.1", "3.141592653589793", "1e300", "-1E-300", "5e-324",
        "1.7976931348623157e308", "2.2250738585072014e-308", "9007199254740993",
        "123456789012345678901", "0.000", "0e999",
    ])
    func float8HasTheNearestValue(_ json: String) throws {
        let bytes = bigEndian((Double(json) ?? .nan).bitPattern, count: 8)
        #expect(try encoded(json, as: .float8) == bytes)
        #expect(try encoded("\"\(json)\"", as: .float8) == bytes)
        #expect(try encoded(text: json, as: .float8) == bytes)
    }

    @Test(arguments: [
        "0", "-0", "1", "-1.5", "0.1", "3.4028235e38", "1e-45", "16777217", "1.1754944e-38",
    ])
    func float4HasTheNearestValue(_ json: String) throws {
        let bytes = bigEndian(UInt64((Float(json) ?? .nan).bitPattern), count: 4)
        #expect(try encoded(json, as: .float4) == bytes)
        #expect(try encoded(text: json, as: .float4) == bytes)
    }

    /// The words of PostgreSQL's `float8in`, in any case.
    @Test(
        arguments: [
            ("NaN", 0x7FF8_0000_0000_0000), ("nan", 0x7FF8_0000_0000_0000),
            ("Infinity", 0x7FF0_0000_0000_0000), ("infinity", 0x7FF0_0000_0000_0000),
            ("inf", 0x7FF0_0000_0000_0000), ("+Infinity", 0x7FF0_0000_0000_0000),
            ("-Infinity", 0xFFF0_0000_0000_0000), ("-inf", 0xFFF0_0000_0000_0000),
        ] as [(String, UInt64)])
    func whatIsNotFiniteTravelsAsAString(_ word: String, bits: UInt64) throws {
        #expect(try encoded("\"\(word)\"", as: .float8) == bigEndian(bits, count: 8))
        #expect(try encoded(text: word, as: .float8) == bigEndian(bits, count: 8))
        #expect(refusal(word, as: .float8)?.code == .invalidJSON)
    }

    @Test(arguments: [
        (ColumnType.float8, "1e309"), (.float8, "-1e309"), (.float8, "1e99999"),
        (.float4, "3.5e38"), (.float4, "1e39"),
        // PostgreSQL refuses to make zero of what is not zero.
        (.float8, "1e-400"), (.float8, "-0.1e-999"), (.float4, "1e-50"),
    ])
    func aFloatThatDoesNotFitIsRefused(_ type: ColumnType, json: String) {
        #expect(refusal(json, as: type)?.sqlstate == "22003")
        #expect(refusal("\"\(json)\"", as: type)?.sqlstate == "22003")
        #expect(refusal(text: json, as: type)?.sqlstate == "22003")
    }

    @Test(
        arguments: [ColumnType.float4, .float8],
        ["\"\"", "\"abc\"", "\"1,5\"", "\"1.5 x\"", "true", "[]", "{}"])
    func whatIsNoNumberIsRefused(_ type: ColumnType, json: String) {
        #expect(refusal(json, as: type)?.code == .invalidValue)
        #expect(refusal(json, as: type)?.sqlstate == "22P02")
    }

    private func bigEndian(_ bits: UInt64, count: Int) -> [UInt8] {
        (0..<count).reversed().map { UInt8(truncatingIfNeeded: bits >> UInt64($0 * 8)) }
    }
}
