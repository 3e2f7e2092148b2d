import Foundation
import Testing
import WeirRecord

/// Records and rows with small damage, always the same ones: what is taken says what the text says.
/// Whether a damaged text is JSON at all is looked at in fuzz/checks.
@Suite struct MutationTests {
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
        var comparedCount = 0
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
            try expectSameValues(fields, text, &comparedCount)
        }
        #expect((100...4_900).contains(acceptedCount))
        #expect(comparedCount * 10 > acceptedCount * 9)
    }

    /// Compares the columns whose values Foundation keeps exactly.
    private func expectSameValues(
        _ fields: [String: [UInt8]?], _ text: [UInt8], _ comparedCount: inout Int
    ) throws {
        guard let object = try? JSONSerialization.jsonObject(with: Data(text)) as? [String: Any]
        else {
            // JSON that Foundation cannot keep: half a surrogate pair, a number beyond a Double.
            return
        }
        comparedCount += 1
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
