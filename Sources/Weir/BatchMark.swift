package import WeirCore
package import WeirRecord

/// The attempt that a record went into last. One for all records of the attempt.
package final class BatchMark: Sendable {
    package let id: UUID7
    package let attempt: Int
    package let assignedAt: Timestamp
    /// Why the attempt before it was repeated.
    package let reason: TransientReason?

    init(_ id: UUID7, attempt: Int, assignedAt: Timestamp, reason: TransientReason?) {
        self.id = id
        self.attempt = attempt
        self.assignedAt = assignedAt
        self.reason = reason
    }
}

/// Why batches were repeated lately. Bounded: where it has been forgotten, a history has no reason.
struct RetryReasons: Sendable {
    private static let countMax = 128
    private var ring: [(batch: BatchNumber, reason: TransientReason)] = []
    private var next = 0

    mutating func insert(_ batch: BatchNumber, _ reason: TransientReason) {
        if ring.count < Self.countMax {
            ring.append((batch, reason))
        } else {
            ring[next] = (batch, reason)
            next = (next + 1) % Self.countMax
        }
    }

    /// The latest.
    func reason(_ batch: BatchNumber) -> TransientReason? {
        guard !ring.isEmpty else { return nil }
        for offset in 1...ring.count {
            let entry = ring[(next + ring.count - offset) % ring.count]
            if entry.batch == batch { return entry.reason }
        }
        return nil
    }
}
