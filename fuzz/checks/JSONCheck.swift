import Foundation
import WeirRecord

/// Whether a text is JSON: the gateway's cursor against Foundation's parser, and against itself
/// where the text stands within a longer one.
enum JSONCheck {
    static func finding(_ text: [UInt8]) -> String? {
        let end = acceptedEnd(text, 0..<text.count)
        if let end, end != text.count { return "accepted to \(end) of \(text.count) bytes" }
        // What stands before and behind must not count, whatever it is.
        for (before, behind) in [("\"[{", "\"]}"), ("1", "1"), ("\\", "\\\"u0000")] {
            let longer = Array(before.utf8) + text + Array(behind.utf8)
            let start = before.utf8.count
            let range = start..<(start + text.count)
            if (acceptedEnd(longer, range) == nil) != (end == nil) {
                return "judged otherwise between \(before) and \(behind)"
            }
        }
        // The one rule that is ours: how deep.
        if end == nil, isDeep(text) { return nil }
        let foundation = foundationAccepts(text)
        if (end != nil) == foundation { return nil }
        if end != nil {
            return foundationAccepts(withoutUnrepresentables(text))
                ? nil : "accepted, and Foundation refuses it"
        }
        let strict = withoutTrailingCommas(text)
        return acceptedEnd(strict, 0..<strict.count) != nil
            ? nil : "refused, and Foundation accepts it"
    }

    static func isJSON(_ text: [UInt8]) -> Bool { acceptedEnd(text, 0..<text.count) != nil }

    private static func acceptedEnd(_ text: [UInt8], _ range: Range<Int>) -> Int? {
        var cursor = JSONCursor(range)
        do throws(Defect) {
            try cursor.skipValue(text.span)
            try cursor.expectEnd(text.span)
            return cursor.position - range.lowerBound
        } catch {
            return nil
        }
    }

    private static func isDeep(_ text: [UInt8]) -> Bool {
        text.count { $0 == UInt8(ascii: "[") || $0 == UInt8(ascii: "{") } > JSONCursor.depthMax
    }

    // MARK: Where Foundation differs

    /// Foundation guesses at UTF-16 and UTF-32 by NULs and byte order marks; RFC 8259 has UTF-8.
    private static func foundationAccepts(_ text: [UInt8]) -> Bool {
        let marks: [[UInt8]] = [[0xEF, 0xBB, 0xBF], [0xFE, 0xFF], [0xFF, 0xFE]]
        if text.prefix(4).contains(0) || marks.contains(where: text.starts(with:)) { return false }
        return (try? JSONSerialization.jsonObject(with: Data(text), options: .fragmentsAllowed))
            != nil
    }

    /// Foundation lets commas before a closing bracket pass.
    private static func withoutTrailingCommas(_ text: [UInt8]) -> [UInt8] {
        var kept: [UInt8] = []
        for byte in text.reversed() {
            let next = kept.last { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
            let closes = next == UInt8(ascii: "]") || next == UInt8(ascii: "}")
            if byte != UInt8(ascii: ",") || !closes { kept.append(byte) }
        }
        return kept.reversed()
    }

    /// Foundation refuses half surrogate pairs, which it cannot keep as text, and numbers that no
    /// `Double` holds. Both are in the grammar: the first becomes a letter, the second a zero.
    private static func withoutUnrepresentables(_ text: [UInt8]) -> [UInt8] {
        var kept: [UInt8] = []
        var at = 0
        while at < text.count {
            let byte = text[at]
            if byte == UInt8(ascii: "\""), let end = endOfString(text, at) {
                kept += [byte, byte]
                at = end
            } else if (byte >= 0x30 && byte <= 0x39) || byte == UInt8(ascii: "-") {
                kept.append(0x30)
                while at < text.count, numberBytes.contains(text[at]) { at += 1 }
            } else {
                kept.append(byte)
                at += 1
            }
        }
        return kept
    }

    private static func endOfString(_ text: [UInt8], _ start: Int) -> Int? {
        var cursor = JSONCursor(start..<text.count)
        return (try? cursor.string(text.span)).map { _ in cursor.position }
    }

    private static let numberBytes = Set("0123456789+-.eE".utf8)
}
