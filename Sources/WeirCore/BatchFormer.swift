/// Is it a batch yet? Natural batching: an idle database gets the record at once; a busy one leaves
/// records to gather until a connection returns, and opens a second transaction only for a full
/// batch or for a record that has waited for the longest linger.
///
/// Few busy connections beat many half-idle ones: docs/decisions/0003-natural-batching.md has the
/// figures.
package struct BatchFormer: Sendable {
    package struct Configuration: Sendable, Equatable {
        package var recordsMax = 5_000
        package var bytesMax = 4 << 20
        /// How long a record may wait for a busy connection before it opens another transaction.
        package var lingerMax: Duration = .milliseconds(5)
        /// A batch with this many records is large, or with half its most, if that is less.
        package var largeRecords = 500
        /// But never one with fewer than this.
        package var largeRecordsMin = 200
        /// Or with half of the most bytes, and at least so many.
        package var largeBytesMin = 64 << 10
        package init() {}
    }

    package enum Decision: Equatable, Sendable {
        case now
        case at(Timestamp)
    }

    package let recordsMax: Int
    package let bytesMax: Int
    let linger: Nanoseconds
    private let largeRecordsMin: Int
    private let largeBytesMin: Int

    package init(_ configuration: Configuration) {
        precondition(configuration.recordsMax >= 1, "a batch holds at least one record")
        recordsMax = configuration.recordsMax
        bytesMax = configuration.bytesMax
        linger = Nanoseconds(configuration.lingerMax)
        largeRecordsMin = max(
            min(configuration.recordsMax / 2, configuration.largeRecords),
            configuration.largeRecordsMin)
        largeBytesMin = max(configuration.bytesMax / 2, configuration.largeBytesMin)
    }

    /// Whether it is a batch by whose like the database's throughput is decided.
    func isLarge(records: Int, bytes: Int) -> Bool {
        records >= largeRecordsMin || bytes >= largeBytesMin
    }

    /// For a queue that is not empty and a writer that is idle.
    ///
    /// - Parameters:
    ///   - waiting: records that no lane holds back.
    ///   - oldest: when the first of them was admitted.
    ///   - active: writers with a batch.
    ///   - largeUntil: how long there are as many large batches in flight as may be, if nothing
    ///     ends before.
    func decide(
        waiting: Int, bytes: Int, oldest: Timestamp, active: Int, largeUntil: Timestamp,
        isDraining: Bool, now: Timestamp
    ) -> Decision {
        if active == 0 || isDraining { return .now }
        if largeUntil > now { return .at(largeUntil) }
        if waiting >= recordsMax || bytes >= bytesMax { return .now }
        let due = oldest + linger
        return due <= now ? .now : .at(due)
    }
}
