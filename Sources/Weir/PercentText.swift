/// Text as it stands in a path or a query (RFC 3986, section 2.1).
package enum PercentText {
    /// Not percent-encoded, or something else than UTF-8 without NUL behind it.
    package struct Malformed: Error {}

    /// The bytes that `part` stands for.
    package static func bytes(_ part: some Collection<UInt8>) throws(Malformed) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(part.count)
        var rest = part[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexadecimal),
                let low = rest.popFirst().flatMap(hexadecimal)
            else { throw Malformed() }
            bytes.append(high << 4 | low)
        }
        guard !bytes.contains(0), String(validating: bytes, as: UTF8.self) != nil else {
            throw Malformed()
        }
        return bytes
    }

    package static func text(_ part: some Collection<UInt8>) throws(Malformed) -> String {
        String(decoding: try bytes(part), as: UTF8.self)
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
