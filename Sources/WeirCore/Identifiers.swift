/// Names one admitted record until its fate is told. A slot is used again for later records; the
/// generation tells an old ticket from a new one.
package struct Ticket: Hashable, Sendable {
    package let slot: Int
    package let generation: UInt32

    package init(slot: Int, generation: UInt32) {
        self.slot = slot
        self.generation = generation
    }
}

/// A table, or one of the definitions that it has had in this process: the core compares no more
/// than numbers, and what it says of one it says of no other.
package struct TableID: Hashable, Sendable {
    package let number: Int
    package init(_ number: Int) { self.number = number }
}

/// One writer, which is one connection: 0 ..< the connection budget.
package struct WriterID: Hashable, Sendable {
    package let number: Int
    package init(_ number: Int) { self.number = number }
}

/// Counts batches in this process. Every attempt of a batch keeps its number.
package struct BatchNumber: Hashable, Comparable, Sendable {
    package let number: UInt64
    package init(_ number: UInt64) { self.number = number }
    package static func < (left: BatchNumber, right: BatchNumber) -> Bool {
        left.number < right.number
    }
}

/// The caller's message ID, hashed to 128 bits, and what it was sent with.
///
/// The identity must come from a cryptographic hash: two IDs that collide would share one answer.
package struct MessageKey: Sendable, Equatable {
    package struct Identity: Hashable, Sendable {
        package let high: UInt64
        package let low: UInt64
        package init(high: UInt64, low: UInt64) {
            self.high = high
            self.low = low
        }
    }
    package let identity: Identity
    /// A hash of table, operation and payload. The same ID with another fingerprint is a caller's
    /// mistake.
    package let fingerprint: UInt64

    package init(identity: Identity, fingerprint: UInt64) {
        self.identity = identity
        self.fingerprint = fingerprint
    }
}
