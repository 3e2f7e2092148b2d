// From a string token to its text.
extension JSONCursor {
    /// Appends the text of `token` with its escapes resolved.
    package func appendText(
        of token: StringToken, _ input: Span<UInt8>, to bytes: inout [UInt8]
    ) throws(Defect) {
        guard token.hasEscapes else {
            bytes.append(input, token.range)
            return
        }
        var at = token.range.lowerBound
        while at < token.range.upperBound {
            let byte = input[at]
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                at += 1
                continue
            }
            switch input[at + 1] {
            case UInt8(ascii: "b"): bytes.append(0x08)
            case UInt8(ascii: "f"): bytes.append(0x0C)
            case UInt8(ascii: "n"): bytes.append(0x0A)
            case UInt8(ascii: "r"): bytes.append(0x0D)
            case UInt8(ascii: "t"): bytes.append(0x09)
            case UInt8(ascii: "u"):
                at += try appendUnicodeEscape(input, at: at, to: &bytes)
                continue
            default: bytes.append(input[at + 1])
            }
            at += 2
        }
    }

    /// Returns how many bytes of input the escape, or the pair of them, takes.
    private func appendUnicodeEscape(
        _ input: Span<UInt8>, at index: Int, to bytes: inout [UInt8]
    ) throws(Defect) -> Int {
        let first = hexValue(input, at: index + 2) ?? 0
        if first == 0 {
            throw Defect(
                .invalidValue, "PostgreSQL cannot store U+0000 in text", sqlstate: "22021")
        }
        guard (0xD800...0xDFFF).contains(first) else {
            appendScalar(first, to: &bytes)
            return 6
        }
        guard first < 0xDC00, index + 7 < end, input[index + 6] == UInt8(ascii: "\\"),
            input[index + 7] == UInt8(ascii: "u"), let second = hexValue(input, at: index + 8),
            (0xDC00...0xDFFF).contains(second)
        else {
            throw Defect(
                .invalidValue, "half of a surrogate pair stands alone", sqlstate: "22021")
        }
        appendScalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00), to: &bytes)
        return 12
    }

    private func appendScalar(_ value: UInt32, to bytes: inout [UInt8]) {
        guard let scalar = Unicode.Scalar(value) else { return }
        bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    }
}
