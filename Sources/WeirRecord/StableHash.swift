/// FNV-1a with a final mix: the same in every process and every version, so that two gateways agree
/// on an order, and a fingerprint in the database means tomorrow what it meant today.
///
/// It tells values apart that were not chosen to collide. Where somebody could gain from a
/// collision, as with message IDs, a cryptographic hash stands instead.
package struct StableHash {
    private var state: UInt64

    package init(seed: UInt64 = 0) {
        state = 0xCBF2_9CE4_8422_2325 ^ seed
    }

    @inline(__always)
    package mutating func add(_ byte: UInt8) {
        state = (state ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
    }

    mutating func add(_ input: Span<UInt8>, _ range: Range<Int>) {
        for index in range { add(input[index]) }
    }

    package mutating func add(_ text: some StringProtocol) {
        for byte in text.utf8 { add(byte) }
    }

    /// The eight bytes of `word`, the lowest first.
    mutating func add(word: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            add(UInt8(truncatingIfNeeded: word >> shift))
        }
    }

    package var value: UInt64 {
        var hash = state ^ state >> 32
        hash = hash &* 0xD6E8_FEB8_6659_FD93
        return hash ^ (hash >> 32)
    }
}

func stableHash(_ input: Span<UInt8>, _ range: Range<Int>, seed: UInt64 = 0) -> UInt64 {
    var hash = StableHash(seed: seed)
    hash.add(input, range)
    return hash.value
}
