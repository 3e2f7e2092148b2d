import Testing
import WeirRecord

@Suite struct IdentifierTests {
    private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz")

    /// The 128 bits of a TypeID, by the specification's own words; `nil` where it is none.
    private static func bits(of typeID: String, prefix: String) -> (high: UInt64, low: UInt64)? {
        guard typeID.hasPrefix(prefix + "_") else { return nil }
        let digits = typeID.dropFirst(prefix.count + 1)
        guard digits.count == 26, let first = digits.first, first <= "7" else { return nil }
        var bits: (high: UInt64, low: UInt64) = (0, 0)
        for digit in digits {
            guard let value = alphabet.firstIndex(of: digit) else { return nil }
            bits.high = bits.high << 5 | bits.low >> 59
            bits.low = bits.low << 5 | UInt64(value)
        }
        return bits
    }

    // MARK: TypeID

    /// `valid.yml` of the specification. They hold this suite's reader, which holds the writer.
    @Test(
        arguments: [
            ("00000000000000000000000000", 0, 0), ("00000000000000000000000001", 0, 1),
            ("0000000000000000000000000a", 0, 10), ("0000000000000000000000000g", 0, 16),
            ("00000000000000000000000010", 0, 32),
            ("7zzzzzzzzzzzzzzzzzzzzzzzzz", 0xFFFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF),
            ("0123456789abcdefghjkmnpqrs", 0x0110_C853_1D09_52D8, 0xD73E_1194_E95B_5F19),
            ("01h455vb4pex5vsknk084sn02q", 0x0189_0A5D_AC96_774B, 0xBCCE_B302_099A_8057),
        ] as [(String, UInt64, UInt64)])
    func theReaderKnowsTheSpecificationsVectors(_ digits: String, high: UInt64, low: UInt64) throws
    {
        let bits = try #require(Self.bits(of: "prefix_" + digits, prefix: "prefix"))
        #expect(bits.high == high)
        #expect(bits.low == low)
    }

    @Test func aTypeIDIsAPrefixAndTwentySixDigits() throws {
        for seed in UInt64(0)..<2_000 {
            let id = IDGenerator(seed: seed).next(
                unixNanoseconds: seed &* 9_876_543_210_123_457 >> 4)
            let text = id.typeID("req")
            let bits = try #require(Self.bits(of: text, prefix: "req"))
            #expect(bits.high == id.high)
            #expect(bits.low == id.low)
        }
    }

    @Test func theSpecificationsExampleComesOut() throws {
        // The seed that gives its random bits is found by going through the mix backwards.
        let nanoseconds =
            0x0189_0A5D_AC96 * 1_000_000 + (0x74B * 1_000_000 as UInt64 + 4_095) / 4_096
        let tick: UInt64 = 0x0189_0A5D_AC96 << 12 | 0x74B
        let seed = Self.unmixed(0x3CCE_B302_099A_8057 << 2) &- tick &* 0x9E37_79B9_7F4A_7C15
        let id = IDGenerator(seed: seed).next(unixNanoseconds: nanoseconds)
        #expect(id.high == 0x0189_0A5D_AC96_774B)
        #expect(id.low == 0xBCCE_B302_099A_8057)
        #expect(id.typeID("prefix") == "prefix_01h455vb4pex5vsknk084sn02q")
    }

    private static func unmixed(_ mixed: UInt64) -> UInt64 {
        func unshifted(_ value: UInt64, _ shift: UInt64) -> UInt64 {
            var result = value
            for _ in 0..<(64 / shift + 1) { result = value ^ result >> shift }
            return result
        }
        // The inverses of SplitMix64's two odd factors modulo 2^64.
        let second = unshifted(mixed, 31) &* 0x3196_42B2_D24D_8EC3
        return unshifted(unshifted(second, 27) &* 0x96DE_1B17_3F11_9089, 30)
    }

    @Test func aTypeIDIsAppended() {
        var bytes = Array("x".utf8)
        let id = IDGenerator(seed: 0).next(unixNanoseconds: 0)
        id.appendTypeID("msg", to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == "x" + id.typeID("msg"))
    }

    // MARK: UUID

    @Test func versionAndVariantStandInTheirPlaces() {
        let generator = IDGenerator()
        for step in UInt64(0)..<10_000 {
            let id = generator.next(unixNanoseconds: 1_700_000_000_000_000_000 + step * 333_333)
            #expect(id.high >> 12 & 0xF == 7)
            #expect(id.low >> 62 == 2)
        }
    }

    @Test func theTimeStandsInFront() {
        for nanoseconds in [0, 999_999, 1_000_000, 1_700_000_000_123_456_789, UInt64.max] {
            let id = IDGenerator().next(unixNanoseconds: nanoseconds)
            // A generator that is new has given out nothing: only tick 0 is skipped.
            #expect(id.high >> 16 == nanoseconds / 1_000_000)
            let fraction = nanoseconds % 1_000_000 * 4_096 / 1_000_000
            #expect(id.high & 0xFFF == (nanoseconds == 0 ? 1 : fraction))
        }
    }

    @Test func identifiersRiseWhateverTheClockDoes() {
        let generator = IDGenerator()
        var random = SeededNumbers(seed: 4)
        var clock: UInt64 = 1_700_000_000_000_000_000
        var last = ""
        for _ in 0..<20_000 {
            // Forward, still, or back by as much as an hour.
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5: clock += UInt64.random(in: 0...2_000_000, using: &random)
            case 9: clock -= UInt64.random(in: 0...3_600_000_000_000, using: &random)
            default: break
            }
            let id = generator.next(unixNanoseconds: clock).typeID("req")
            #expect(id > last)
            last = id
        }
    }

    @Test func identifiersOfFourTasksAreDistinct() async {
        let generator = IDGenerator()
        let ids = await withTaskGroup(of: [UUID7].self) { tasks in
            for _ in 0..<4 {
                tasks.addTask {
                    (0..<50_000).map {
                        generator.next(unixNanoseconds: 1_700_000_000_000_000_000 + $0 * 50)
                    }
                }
            }
            return await tasks.reduce(into: []) { $0 += $1 }
        }
        #expect(ids.count == 200_000)
        #expect(Set(ids).count == 200_000)
        #expect(Set(ids.map(\.low)).count == 200_000)
    }

    @Test func twoProcessesDoNotMeet() {
        let generators = [IDGenerator(), IDGenerator()]
        let ids = (0..<10_000).flatMap { step in
            generators.map { $0.next(unixNanoseconds: 1_700_000_000_000_000_000 + step * 1_000) }
        }
        #expect(Set(ids).count == 20_000)
    }

    // MARK: Message IDs

    @Test(arguments: [
        ("edit-7f3c-42", "edit-7f3c-42"), ("\"edit-7f3c-42\"", "edit-7f3c-42"), ("a", "a"),
        ("\"a\"", "a"), ("a b", "a b"), ("../x", "../x"),
        ("'; DROP TABLE x; --", "'; DROP TABLE x; --"), ("~!{}", "~!{}"), ("\"a\"b\"", "a\"b"),
        ("\"a", "\"a"), ("a\"", "a\""),
    ])
    func aMessageIDStandsInQuotesOrBare(_ header: String, id: String) throws {
        #expect(try MessageID.parse(header: header) == id)
        #expect(try MessageID.check(id) == id)
    }

    @Test(arguments: [
        "", "\"\"", "a\nb", "\n", "a\r\n", "a\u{0}b", "\u{1F}", "\u{7F}", "é", "€", "a\u{80}",
        "a\u{301}", "𝄞",
    ])
    func aMessageIDIsPrintableASCII(_ header: String) {
        let found = #expect(throws: Defect.self) { try MessageID.parse(header: header) }
        #expect(found?.code == .invalidMessageID)
        #expect(found?.code.status == 400)
        #expect(throws: Defect.self) { try MessageID.check(header == "\"\"" ? "" : header) }
    }

    @Test func aMessageIDHas255CharactersAtMost() throws {
        let longest = String(repeating: "x", count: 255)
        #expect(MessageID.lengthMax == 255)
        #expect(try MessageID.parse(header: longest) == longest)
        #expect(try MessageID.parse(header: "\"\(longest)\"") == longest)
        #expect(throws: Defect.self) { try MessageID.parse(header: longest + "x") }
        #expect(throws: Defect.self) { try MessageID.parse(header: "\"\(longest)x\"") }
        #expect(throws: Defect.self) { try MessageID.check(longest + "x") }
    }

    @Test func everyPrintableCharacterIsAllowed() throws {
        let all = String(decoding: UInt8(0x20)...0x7E, as: UTF8.self)
        #expect(try MessageID.check(all) == all)
        for byte in UInt8(0)...0x7F where !(0x20...0x7E).contains(byte) {
            #expect(throws: Defect.self) { try MessageID.check(String(UnicodeScalar(byte))) }
        }
    }

    /// FIPS 180-4's examples, the first half of each digest.
    @Test(
        arguments: [
            ("abc", 0xBA78_16BF_8F01_CFEA, 0x4141_40DE_5DAE_2223),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 0x248D_6A61_D206_38B8,
                0xE5C0_2693_0C3E_6039
            ),
        ] as [(String, UInt64, UInt64)])
    func theHashIsSHA256(_ id: String, high: UInt64, low: UInt64) {
        let hash = MessageID.hash(id)
        #expect(hash.high == high)
        #expect(hash.low == low)
    }
}
