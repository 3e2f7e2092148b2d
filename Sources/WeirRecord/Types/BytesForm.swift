// uuid and bytea: from their text to their bytes.
extension ValueEncoding {
    func encodeUUID(
        _ input: Span<UInt8>, _ range: Range<Int>, to bytes: inout [UInt8]
    ) throws(Defect) {
        bytes.appendInt32(16)
        var digits = 0
        var high: UInt8 = 0
        for index in range {
            let byte = input[index]
            // Hyphens where RFC 9562 has them, or nowhere.
            if byte == UInt8(ascii: "-") {
                guard range.count == 36, [8, 13, 18, 23].contains(index - range.lowerBound) else {
                    throw defect(.malformed)
                }
                continue
            }
            guard let value = hexDigitValue(byte), digits < 32 else { throw defect(.malformed) }
            if digits % 2 == 0 { high = value << 4 } else { bytes.append(high | value) }
            digits += 1
        }
        guard digits == 32 else { throw defect(.malformed) }
    }

    func encodeBytes(
        _ input: Span<UInt8>, _ range: Range<Int>, to bytes: inout [UInt8]
    ) throws(Defect) {
        let start = bytes.count
        bytes.appendInt32(0)
        let isHex = range.count >= 2 && input[range.lowerBound] == UInt8(ascii: "\\")
        if isHex {
            guard input[range.lowerBound + 1] == UInt8(ascii: "x"), range.count % 2 == 0 else {
                throw defect(
                    input[range.lowerBound + 1] == UInt8(ascii: "x") ? .badHex : .malformed)
            }
            for index in stride(from: range.lowerBound + 2, to: range.upperBound, by: 2) {
                guard let high = hexDigitValue(input[index]),
                    let low = hexDigitValue(input[index + 1])
                else { throw defect(.badHex) }
                bytes.append(high << 4 | low)
            }
        } else {
            try appendBase64URL(input, range, to: &bytes)
        }
        bytes.patchLength(at: start)
    }

    /// RFC 4648, section 5, without padding; the unused bits of the last digit are zero.
    private func appendBase64URL(
        _ input: Span<UInt8>, _ range: Range<Int>, to bytes: inout [UInt8]
    ) throws(Defect) {
        var buffer: UInt32 = 0
        var bits = 0
        for index in range {
            let value: UInt8 =
                switch input[index] {
                case 0x41...0x5A: input[index] - 0x41
                case 0x61...0x7A: input[index] - 0x61 + 26
                case 0x30...0x39: input[index] - 0x30 + 52
                case UInt8(ascii: "-"): 62
                case UInt8(ascii: "_"): 63
                default: throw defect(.malformed)
                }
            buffer = buffer << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: buffer >> UInt32(bits)))
            }
        }
        guard bits < 6, buffer & ((1 << UInt32(bits)) - 1) == 0 else { throw defect(.malformed) }
    }
}

extension ValueFault {
    fileprivate static let badHex = ValueFault.refused(
        sqlstate: "22023", because: "behind \\x stand pairs of hexadecimal digits")
}
