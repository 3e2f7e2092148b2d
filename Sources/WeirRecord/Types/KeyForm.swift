// Keys that PostgreSQL holds equal, in one form: their records keep their order.
extension ColumnType {
    /// Whether one value has several encodings.
    var hasKeyForm: Bool {
        switch self {
        case .float4, .float8, .numeric, .character, .interval: true
        default: false
        }
    }

    /// Appends the array element `bytes[range]` once more, as equal values all have it: a number
    /// without trailing zeros, zero without a sign, char(n) without padding, days and months of an
    /// interval carried over.
    func appendKeyForm(_ range: Range<Int>, to bytes: inout [UInt8]) {
        let start = bytes.count
        bytes += bytes[range]
        let value = start + 4
        guard bytes.count > value else { return }
        switch self {
        case .float4:
            let number = Float(
                bitPattern: UInt32(truncatingIfNeeded: unsignedInteger(bytes, value..<bytes.count)))
            replace(number.isZero ? 0 : number.isNaN ? Float.nan : number, &bytes, from: value)
        case .float8:
            let number = Double(bitPattern: unsignedInteger(bytes, value..<bytes.count))
            replace(number.isZero ? 0 : number.isNaN ? Double.nan : number, &bytes, from: value)
        case .numeric:
            NumericForm.dropTrailingZeros(&bytes, from: value)
        case .interval:
            IntervalForm.normalise(&bytes, from: value)
        case .character:
            while bytes.count > value && bytes[bytes.count - 1] == 0x20 { bytes.removeLast() }
            bytes.patchLength(at: start)
        default:
            return
        }
    }

    private func replace(_ number: Float, _ bytes: inout [UInt8], from start: Int) {
        bytes.removeSubrange(start...)
        bytes.appendBigEndian(UInt64(number.bitPattern), byteCount: 4)
    }

    private func replace(_ number: Double, _ bytes: inout [UInt8], from start: Int) {
        bytes.removeSubrange(start...)
        bytes.appendBigEndian(number.bitPattern, byteCount: 8)
    }
}
