/// Appends `text` as a JSON string, quotes included.
package func appendJSONString(_ text: some StringProtocol, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 { appendJSONEscaped(byte, to: &bytes) }
    bytes.append(UInt8(ascii: "\""))
}

/// Appends UTF-8 bytes as a JSON string, quotes included.
package func appendJSONString(utf8 text: some Sequence<UInt8>, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text { appendJSONEscaped(byte, to: &bytes) }
    bytes.append(UInt8(ascii: "\""))
}

private func appendJSONEscaped(_ byte: UInt8, to bytes: inout [UInt8]) {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(byte)
    case 0x0A:
        bytes += "\\n".utf8
    case 0x0D:
        bytes += "\\r".utf8
    case 0x09:
        bytes += "\\t".utf8
    case 0..<0x20:
        bytes += "\\u00".utf8
        bytes.append(hexDigits[Int(byte >> 4)])
        bytes.append(hexDigits[Int(byte & 15)])
    default:
        bytes.append(byte)
    }
}

let hexDigits = Array("0123456789abcdef".utf8)

extension Array where Element == UInt8 {
    /// The bytes at `range`.
    package init(_ input: Span<UInt8>, _ range: Range<Int>) {
        self.init()
        append(input, range)
    }

    /// Appends `input[range]`.
    package mutating func append(_ input: Span<UInt8>, _ range: Range<Int>) {
        // One memcpy instead of a bounds check for each byte.
        input.extracting(range).withUnsafeBufferPointer { append(contentsOf: $0) }
    }

    package mutating func append(decimal value: Int) {
        if value < 10 && value >= 0 {
            append(0x30 + UInt8(value))
            return
        }
        if value < 0 { append(UInt8(ascii: "-")) }
        var rest = value.magnitude
        // An Int has at most 19 digits.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var start = digits.count
            repeat {
                start -= 1
                digits[start] = 0x30 + UInt8(rest % 10)
                rest /= 10
            } while rest > 0
            append(contentsOf: UnsafeMutableBufferPointer(rebasing: digits[start...]))
        }
    }

    mutating func appendInt32(_ value: Int32) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }

    mutating func appendBigEndian(_ value: UInt64, byteCount: Int) {
        Swift.withUnsafeBytes(of: value.bigEndian) {
            append(contentsOf: UnsafeRawBufferPointer(rebasing: $0.suffix(byteCount)))
        }
    }

    /// Writes a length that was not known when its place was reserved.
    mutating func patchLength(at start: Int) {
        let bits = UInt32(count - start - 4)
        self[start] = UInt8(truncatingIfNeeded: bits >> 24)
        self[start + 1] = UInt8(truncatingIfNeeded: bits >> 16)
        self[start + 2] = UInt8(truncatingIfNeeded: bits >> 8)
        self[start + 3] = UInt8(truncatingIfNeeded: bits)
    }
}
