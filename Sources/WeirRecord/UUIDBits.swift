/// The 128 bits of any UUID, and the 26 digits that TypeIDs write them with: Crockford's base 32 in
/// lower case, two zero bits in front (TypeID specification 0.3.0).
package struct UUIDBits: Hashable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package static let digitCount = 26

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The bits of 26 digits; `nil` where they are others, or say more than 128 bits.
    package init?(digits: ArraySlice<UInt8>) {
        guard digits.count == Self.digitCount, let first = digits.first,
            first <= UInt8(ascii: "7")
        else { return nil }
        var bits = UUIDBits(high: 0, low: 0)
        for digit in digits {
            let value = crockfordValues[Int(digit)]
            guard value < 32 else { return nil }
            bits.high = bits.high << 5 | bits.low >> 59
            bits.low = bits.low << 5 | UInt64(value)
        }
        self = bits
    }

    /// Sixteen bytes, as PostgreSQL's uuid has them.
    init(bigEndian bytes: ArraySlice<UInt8>) {
        precondition(bytes.count == 16, "a UUID has 128 bits")
        high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The hexadecimal form that PostgreSQL prints; `nil` for anything else.
    init?(hexadecimal text: some Collection<UInt8>) {
        guard text.count == 36 else { return nil }
        var bits = UUIDBits(high: 0, low: 0)
        for byte in text where byte != UInt8(ascii: "-") {
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            default: return nil
            }
            bits.high = bits.high << 4 | bits.low >> 60
            bits.low = bits.low << 4 | UInt64(digit)
        }
        self = bits
    }

    package func appendDigits(to bytes: inout [UInt8]) {
        for digit in 0..<Self.digitCount {
            // 130 bits: two zero bits, then the 128.
            let shift = 125 - digit * 5
            let value: UInt64
            if shift >= 64 {
                value = high >> UInt64(shift - 64)
            } else if shift > 59 {
                value = high << UInt64(64 - shift) | low >> UInt64(shift)
            } else {
                value = low >> UInt64(shift)
            }
            bytes.append(crockfordDigits[Int(value & 31)])
        }
    }

    func appendBigEndian(to bytes: inout [UInt8]) {
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: high >> UInt64(shift)))
        }
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: low >> UInt64(shift)))
        }
    }
}

private let crockfordDigits = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)

/// For each byte the value of the digit that it is; 255 where it is none.
private let crockfordValues: [UInt8] = {
    var values = Array(repeating: UInt8.max, count: 256)
    for (value, digit) in crockfordDigits.enumerated() { values[Int(digit)] = UInt8(value) }
    return values
}()
