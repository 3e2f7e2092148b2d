import Synchronization

/// Mints identifiers: UUIDs of version 7 (RFC 9562, section 5.7), written as TypeIDs (specification
/// 0.3.0): a prefix, `_`, and 26 digits of Crockford's base 32. They rise within the process.
package final class IDGenerator: Sendable {
    /// Milliseconds since 1970 and a 12-bit fraction of one, as a single count; the last one given
    /// out.
    private let lastTick = Atomic<UInt64>(0)
    private let seed: UInt64

    package init(seed: UInt64 = UInt64.random(in: .min ... .max)) {
        self.seed = seed
    }

    /// - Parameter unixNanoseconds: the wall clock. When it stands still or goes back, the count
    ///   goes on.
    package func next(unixNanoseconds: UInt64) -> UUID7 {
        id(tick: reserve(1, unixNanoseconds: unixNanoseconds))
    }

    /// Mints `count` IDs in a row without making them: the first one's tick, which those of the
    /// others follow.
    package func reserve(_ count: Int, unixNanoseconds: UInt64) -> UInt64 {
        precondition(count > 0, "somebody wants an ID")
        let milliseconds = unixNanoseconds / 1_000_000
        // RFC 9562, section 6.2, method 3: the fraction of the millisecond stands in rand_a.
        let fraction = (unixNanoseconds % 1_000_000) << 12 / 1_000_000
        let now = milliseconds << 12 | fraction
        var last = lastTick.load(ordering: .relaxed)
        while true {
            let tick = max(now, last + 1)
            let (exchanged, original) = lastTick.compareExchange(
                expected: last, desired: tick + UInt64(count - 1), ordering: .relaxed)
            if exchanged { return tick }
            last = original
        }
    }

    /// The ID that was minted at this tick.
    package func id(tick: UInt64) -> UUID7 { UUID7(tick: tick, random: mixed(tick)) }

    /// When the ID was minted, if it was minted here.
    package func tick(of id: UUID7) -> UInt64? {
        let tick = (id.high >> 16) << 12 | (id.high & 0xFFF)
        return self.id(tick: tick) == id ? tick : nil
    }

    /// Distinct ticks give distinct numbers; the seed keeps processes apart. These bits need to be
    /// unlike, not secret.
    private func mixed(_ tick: UInt64) -> UInt64 {
        var value = tick &* 0x9E37_79B9_7F4A_7C15 &+ seed
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

/// 128 bits with version 7 and variant 2 in their places.
package struct UUID7: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    var bits: UUIDBits { UUIDBits(high: high, low: low) }

    /// One that was stored.
    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// When it was minted.
    package var unixMilliseconds: UInt64 { high >> 16 }

    init(tick: UInt64, random: UInt64) {
        high = (tick >> 12) << 16 | 0x7000 | (tick & 0xFFF)
        low = 0x8000_0000_0000_0000 | random >> 2
    }

    /// Appends `prefix_…`, for example `req_01kas3y8v5fj1rkx2q3w4e5r6t`.
    package func appendTypeID(_ prefix: StaticString, to bytes: inout [UInt8]) {
        prefix.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: "_"))
        bits.appendDigits(to: &bytes)
    }

    package func typeID(_ prefix: StaticString) -> String {
        var bytes: [UInt8] = []
        appendTypeID(prefix, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}
