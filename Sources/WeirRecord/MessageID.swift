internal import Crypto

/// A message ID as callers send it: 1 … 255 printable ASCII characters. In `Idempotency-Key` it may
/// stand in quotes, as the IETF's draft has it, or bare.
package enum MessageID {
    package static let lengthMax = 255

    /// The ID in a header's value.
    package static func parse(header value: String) throws(Defect) -> String {
        var text = Substring(value)
        if text.count >= 2, text.first == "\"", text.last == "\"" {
            text = text.dropFirst().dropLast()
        }
        return try check(String(text))
    }

    package static func check(_ id: String) throws(Defect) -> String {
        let bytes = id.utf8
        guard !bytes.isEmpty, bytes.count <= lengthMax,
            bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7F })
        else {
            throw Defect(
                .invalidMessageID, "a message ID has 1 to \(lengthMax) printable ASCII characters")
        }
        return id
    }

    /// The first 128 bits of the ID's SHA-256.
    package static func hash(_ id: String) -> (high: UInt64, low: UInt64) {
        var digest = SHA256()
        var id = id
        id.withUTF8 { digest.update(bufferPointer: UnsafeRawBufferPointer($0)) }
        var words: (UInt64, UInt64) = (0, 0)
        for (index, byte) in digest.finalize().prefix(16).enumerated() {
            if index < 8 {
                words.0 = words.0 << 8 | UInt64(byte)
            } else {
                words.1 = words.1 << 8 | UInt64(byte)
            }
        }
        return words
    }
}

/// A message as it is remembered: its ID hashed, and what it says.
package struct MessagePrint: Sendable, Equatable {
    /// The first 128 bits of the ID's SHA-256.
    package let high: UInt64
    package let low: UInt64
    /// `Fingerprint`.
    package let fingerprint: UInt64

    package init(_ id: String, fingerprint: UInt64) {
        (high, low) = MessageID.hash(id)
        self.fingerprint = fingerprint
    }
}
