import Foundation
import Testing
import WeirRecord

/// Valid texts with small damage, always the same ones. Foundation's parser is the other opinion.
@Suite struct MutationTests {
    private static let documents = [
        #"{"id": -12, "qty": 3.5e+2, "note": "é\u00e9 \"q\" 𝄞", "doc": {"a": [true, {}, []]}}"#,
        #"[[1,-0.5E-3,"",{"b":{"c":[[[]]]}}],"\\\/\b\f\n\r\t",0,1e0,-0]"#,
        #"{"a":{"b":{"c":{"d":{"e":[1,2,3,{"f":null}]}}}},"g":[{},{},[{}]],"h":""}"#,
        #"["\uD834\uDD1E","\u0041","ÿ","€","𐍈"," ","nulltruefalse"]"#,
        #"123456.789e-2"#, #""text""#, #" [ null , true , false ] "#,
    ]

    private static let tokens = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "null", "true", "-", "0", "1e5", ".", "\\u00e9",
        "\\u12", "e",
        "\u{1F}", " ", "\n", "é", "[[[", "]]]", "{\"a\":", "\"\"", "/", "'", "\u{0}", "+",
    ].map { Array($0.utf8) }

    /// One to three times: a byte changed, removed or doubled, a token put in, a piece moved.
    private static func mutated(_ text: [UInt8], using random: inout SeededNumbers) -> [UInt8] {
        var text = text
        for _ in 0..<Int.random(in: 1...3, using: &random) where !text.isEmpty {
            let at = Int.random(in: 0..<text.count, using: &random)
            let end = min(text.count, at + Int.random(in: 1...8, using: &random))
            switch Int.random(in: 0..<8, using: &random) {
            case 0: text[at] = UInt8.random(in: .min ... .max, using: &random)
            case 1: text[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 2: text.remove(at: at)
            case 3: text.insert(text[at], at: at)
            case 4, 5: text.insert(contentsOf: tokens.randomElement(using: &random) ?? [], at: at)
            case 6: text.removeSubrange(at..<end)
            default:
                let piece = text[at..<end]
                text.removeSubrange(at..<end)
                text.insert(contentsOf: piece, at: Int.random(in: 0...text.count, using: &random))
            }
        }
        return text
    }

    // MARK: Syntax

    /// Foundation guesses at UTF-16 and UTF-32 by NULs and byte order marks; RFC 8259 has UTF-8.
    private static func foundationAccepts(_ text: [UInt8]) -> Bool {
        let marks: [[UInt8]] = [[0xEF, 0xBB, 0xBF], [0xFE, 0xFF], [0xFF, 0xFE]]
        if text.prefix(4).contains(0) || marks.contains(where: text.starts(with:)) { return false }
        return (try? JSONSerialization.jsonObject(with: Data(text), options: .fragmentsAllowed))
            != nil
    }

    /// The text without commas that stand before a bracket: Foundation lets these pass, RFC 8259
    /// does not.
    private static func withoutTrailingCommas(_ text: [UInt8]) -> [UInt8] {
        var kept: [UInt8] = []
        for byte in text.reversed() {
            let next = kept.last { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
            let closes = next == UInt8(ascii: "]") || next == UInt8(ascii: "}")
            if byte != UInt8(ascii: ",") || !closes { kept.append(byte) }
        }
        return kept.reversed()
    }

    /// The text without what Foundation refuses although the grammar has it: half surrogate pairs,
    /// which it cannot keep as text, and numbers that no `Double` holds.
    private static func withoutUnrepresentables(_ text: [UInt8]) -> [UInt8] {
        Array(
            String(decoding: text, as: UTF8.self)
                .replacing(/\\u[0-9a-fA-F]{4}/, with: "\\u0041")
                .replacing(/[eE]\+?[0-9]{3,}/, with: "e1").utf8)
    }

    @Test(arguments: UInt64(0)..<4)
    func damagedTextsAreJudgedAsFoundationJudgesThem(_ seed: UInt64) {
        var random = SeededNumbers(seed: seed)
        var acceptedCount = 0
        for _ in 0..<5_000 {
            let document = Self.documents.randomElement(using: &random) ?? ""
            let text = Self.mutated(Array(document.utf8), using: &random)
            let isAccepted = syntaxDefect(text) == nil
            if isAccepted { acceptedCount += 1 }
            if isAccepted == Self.foundationAccepts(text) { continue }
            #expect(
                isAccepted
                    ? Self.foundationAccepts(Self.withoutUnrepresentables(text))
                    : syntaxDefect(Self.withoutTrailingCommas(text)) == nil,
                "accepted: \(isAccepted): \(String(decoding: text, as: UTF8.self))")
        }
        // The damage is neither always fatal nor never.
        #expect((250...4_750).contains(acceptedCount))
    }

    // MARK: Records

    private static let table = TableSchema(
        number: 0, name: "t",
        columns: [
            column("id", .int8, nullable: false), column("small", .int2), column("on", .boolean),
            column("note", .text), column("uid", .uuid), column("raw", .bytea),
            column("ratio", .float8),
            column("price", .other(sqlName: "pg_catalog.numeric")), column("doc", .jsonb),
        ],
        primaryKey: [0])

    private static let body =
        #"{"id": 42, "small": -7, "on": true, "note": "a\u00e9\n𝄞", "price": 12.50, "#
        + #""uid": "01890a5d-ac96-774b-bcce-b302099a8057", "raw": "\\xDEad", "ratio": 1.5e3, "#
        + #""doc": {"a": [1, {"b": null}], "c": "\u0064"}}"#

    @Test(arguments: UInt64(10)..<14)
    func aDamagedRecordIsRefusedOrHoldsWhatTheTextSays(_ seed: UInt64) throws {
        var random = SeededNumbers(seed: seed)
        var acceptedCount = 0
        for _ in 0..<5_000 {
            let text = Self.mutated(Array(Self.body.utf8), using: &random)
            guard let record = try? decode(text, into: Self.table) else { continue }
            acceptedCount += 1
            #expect(syntaxDefect(text) == nil)
            let fields = record.fields
            let present = Self.table.columns.indices.filter { record.columns.contains($0) }
            #expect(Set(fields.keys) == Set(present.map { Self.table.columns[$0].name }))
            #expect(record.hasKey == (fields["id"] != nil))
            #expect(!record.hasKey || syntaxDefect(record.keyText) == nil)
            try expectSameValues(fields, text)
        }
        #expect((100...4_900).contains(acceptedCount))
    }

    /// Compares the columns whose values Foundation keeps exactly.
    private func expectSameValues(_ fields: [String: [UInt8]?], _ text: [UInt8]) throws {
        guard let object = try? JSONSerialization.jsonObject(with: Data(text)) as? [String: Any]
        else {
            // Half a surrogate pair within the document: PostgreSQL's to refuse.
            #expect(Self.foundationAccepts(Self.withoutUnrepresentables(text)))
            return
        }
        #expect(Set(object.keys) == Set(fields.keys))
        for (name, value) in object {
            let bytes = try #require(fields[name])
            if value is NSNull {
                #expect(bytes == nil)
                continue
            }
            let found = try #require(bytes)
            switch name {
            case "id", "small":
                let number = (value as? NSNumber)?.int64Value ?? Int64(value as? String ?? "")
                let width = name == "id" ? 8 : 2
                #expect(number.map { Self.bigEndian(UInt64(bitPattern: $0), width) } == found)
            case "ratio":
                let number = (value as? NSNumber)?.doubleValue ?? Double(value as? String ?? "")
                #expect(number.map { Self.bigEndian($0.bitPattern, 8) } == found)
            case "on":
                #expect((value as? Bool).map { [$0 ? 1 : 0] } == found)
            case "note":
                #expect((value as? String).map { Array($0.utf8) } == found)
            case "doc":
                #expect(found.first == 1)
                #expect(syntaxDefect(Array(found.dropFirst())) == nil)
            case "uid":
                #expect(found.count == 16)
            default:
                break
            }
        }
    }

    private static func bigEndian(_ bits: UInt64, _ byteCount: Int) -> [UInt8] {
        (0..<byteCount).reversed().map { UInt8(truncatingIfNeeded: bits >> UInt64($0 * 8)) }
    }

    // MARK: CSV

    @Test(arguments: UInt64(20)..<22)
    func damagedRowsNeverCrash(_ seed: UInt64) {
        var random = SeededNumbers(seed: seed)
        let original = Array("id,note\r\n1,\"a \"\"q\"\" é\"\r\n2,NULL\n3,\"x\ny\"\n,\n".utf8)
        for _ in 0..<5_000 {
            let text = Self.mutated(original, using: &random)
            var cursor = CSVCursor(0..<text.count)
            var last = 0
            while let row = try? cursor.row(text.span) {
                #expect(!row.isEmpty)
                #expect(cursor.position > last && cursor.position <= text.count)
                last = cursor.position
            }
        }
    }
}
