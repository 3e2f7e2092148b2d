import WeirRecord

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
            guard let high = rest.popFirst().flatMap(hexDigitValue),
                let low = rest.popFirst().flatMap(hexDigitValue)
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
}
