import Testing
import WeirRecord

/// Texts that are TypeIDs and texts that are none: `valid.yml` and `invalid.yml` of the
/// specification, version 0.3.0, as tables.
@Suite struct TypeIDTests {
    struct Valid: Sendable {
        var text: String
        var prefix: String
        var high: UInt64
        var low: UInt64
    }

    static let valid = [
        Valid(text: "00000000000000000000000000", prefix: "", high: 0, low: 0),
        Valid(text: "00000000000000000000000001", prefix: "", high: 0, low: 1),
        Valid(text: "0000000000000000000000000a", prefix: "", high: 0, low: 10),
        Valid(text: "0000000000000000000000000g", prefix: "", high: 0, low: 16),
        Valid(text: "00000000000000000000000010", prefix: "", high: 0, low: 32),
        Valid(text: "7zzzzzzzzzzzzzzzzzzzzzzzzz", prefix: "", high: .max, low: .max),
        Valid(
            text: "prefix_0123456789abcdefghjkmnpqrs", prefix: "prefix",
            high: 0x0110_C853_1D09_52D8, low: 0xD73E_1194_E95B_5F19),
        Valid(
            text: "prefix_01h455vb4pex5vsknk084sn02q", prefix: "prefix",
            high: 0x0189_0A5D_AC96_774B, low: 0xBCCE_B302_099A_8057),
        Valid(text: "pre_fix_00000000000000000000000000", prefix: "pre_fix", high: 0, low: 0),
        Valid(
            text: String(repeating: "a", count: 63) + "_00000000000000000000000000",
            prefix: String(repeating: "a", count: 63), high: 0, low: 0),
    ]

    @Test(arguments: valid) func whatTheSpecificationCallsValidIs(_ expected: Valid) throws {
        let found = try #require(TypeIDText(Array(expected.text.utf8)[...]))
        #expect(found.prefix == expected.prefix)
        #expect(found.bits == UUIDBits(high: expected.high, low: expected.low))
        var digits: [UInt8] = []
        found.bits.appendDigits(to: &digits)
        #expect(String(decoding: digits, as: UTF8.self) == expected.text.suffix(26))
    }

    @Test(
        arguments: [
            ("prefix-uppercase", "PREFIX_00000000000000000000000000"),
            ("prefix-numeric", "12345_00000000000000000000000000"),
            ("prefix-period", "pre.fix_00000000000000000000000000"),
            ("prefix-non-ascii", "préfix_00000000000000000000000000"),
            ("prefix-spaces", "  prefix_00000000000000000000000000"),
            (
                "prefix-64-chars",
                String(repeating: "a", count: 64) + "_00000000000000000000000000"
            ),
            ("separator-empty-prefix", "_00000000000000000000000000"),
            ("separator-empty", "_"),
            ("suffix-short", "prefix_1234567890123456789012345"),
            ("suffix-long", "prefix_123456789012345678901234567"),
            ("suffix-spaces", "prefix_1234567890123456789012345 "),
            ("suffix-uppercase", "prefix_0123456789ABCDEFGHJKMNPQRS"),
            ("suffix-hyphens", "prefix_123456789-123456789-123456"),
            ("suffix-wrong-alphabet", "prefix_ooooooiiiiiiuuuuuuulllllll"),
            ("suffix-ambiguous-crockford", "prefix_i23456789ol23456789oi23456"),
            ("suffix-hyphens-crockford", "prefix_123456789-0123456789-0123456"),
            ("suffix-overflow", "prefix_8zzzzzzzzzzzzzzzzzzzzzzzzz"),
            ("prefix-underscore-start", "_prefix_00000000000000000000000000"),
            ("prefix-underscore-end", "prefix__00000000000000000000000000"),
            ("empty", ""), ("prefix-empty", "prefix_"), ("prefix-alone", "prefix"),
        ])
    func whatTheSpecificationCallsInvalidIs(_ name: String, _ text: String) {
        #expect(TypeIDText(Array(text.utf8)[...]) == nil, "\(name)")
    }

    @Test func aPrefixIsLettersWithUnderscoresBetween() {
        for prefix in ["", "a", "ab", "a_b", "a__b", String(repeating: "z", count: 63)] {
            #expect(TypeIDText.isPrefix(prefix.utf8), "\(prefix)")
        }
        for prefix in ["_", "a_", "_a", "A", "a1", "a-b", "é", String(repeating: "z", count: 64)] {
            #expect(!TypeIDText.isPrefix(prefix.utf8), "\(prefix)")
        }
    }

    @Test func mintedIDsAreReadBack() throws {
        let generator = IDGenerator()
        for step in UInt64(0)..<2_000 {
            let id = generator.next(unixNanoseconds: 1_700_000_000_000_000_000 + step * 7_777)
            let found = try #require(TypeIDText(Array(id.typeID("order").utf8)[...]))
            #expect(found == TypeIDText(Array(id.typeID("order").utf8)[...]))
            #expect(found.prefix == "order")
            #expect(found.bits == UUIDBits(high: id.high, low: id.low))
        }
    }
}
