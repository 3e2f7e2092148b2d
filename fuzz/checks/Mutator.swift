/// Damages inputs, always in the same way for the same seed.
package struct Mutator: Sendable {
    private var state: UInt64

    package init(seed: UInt64) {
        state = seed
    }

    private static let tokens = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "null", "true", "NULL", "-", "0", "1e5", ".",
        "e-9",
        "\\u00e9", "\\u0000", "\\ud83d", "\\u12", "\u{1F}", " ", "\n", "\r\n", "é", "𝄞", "[[[",
        "]]]",
        "{\"a\":", "\"\"", "\"id\":", "\"op\":\"insert\",", "\"data\":", "infinity", "NaN", "-0",
        "9999999999", "2024-02-29", "24:00:00", "+15:59", "P1Y", "{}", "[1,2)", "::1/64", "\\\\x0f",
        "\u{0}", "+", "/", "'",
    ].map { Array($0.utf8) }

    /// One to four times: a byte changed, removed or doubled, a token or a piece of another input
    /// put in, a piece moved.
    package mutating func mutated(_ bytes: [UInt8], with other: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0...below(4) {
            guard !bytes.isEmpty else { return [UInt8(below(256))] }
            let at = below(bytes.count)
            let end = min(bytes.count, at + 1 + below(12))
            switch below(9) {
            case 0: bytes[at] = UInt8(below(256))
            case 1: bytes[at] ^= 1 << UInt8(below(8))
            case 2: bytes.remove(at: at)
            case 3: bytes.insert(bytes[at], at: at)
            case 4, 5: bytes.insert(contentsOf: Self.tokens[below(Self.tokens.count)], at: at)
            case 6: bytes.removeSubrange(at..<end)
            case 7:
                guard !other.isEmpty else { continue }
                let start = below(other.count)
                bytes.insert(contentsOf: other[start...].prefix(1 + below(24)), at: at)
            default:
                let piece = bytes[at..<end]
                bytes.removeSubrange(at..<end)
                bytes.insert(contentsOf: piece, at: below(bytes.count + 1))
            }
        }
        return bytes
    }

    /// SplitMix64.
    package mutating func below(_ bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((value ^ (value >> 31)) % UInt64(bound))
    }
}
