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
        package init() {}
    }

    package enum Decision: Equatable, Sendable {
        case now
        case at(Timestamp)
    }

    package let recordsMax: Int
    package let bytesMax: Int
    private let lingerMax: Nanoseconds

    package init(_ configuration: Configuration) {
        precondition(configuration.recordsMax >= 1, "a batch holds at least one record")
        recordsMax = configuration.recordsMax
        bytesMax = configuration.bytesMax
        lingerMax = Nanoseconds(configuration.lingerMax)
    }

    /// For a queue that is not empty and a writer that is idle.
    ///
    /// - Parameters:
    ///   - waiting: records that no lane holds back.
    ///   - oldest: when the first of them was admitted.
    ///   - active: writers with a batch.
    func decide(
        waiting: Int, bytes: Int, oldest: Timestamp, active: Int, isDraining: Bool, now: Timestamp
    ) -> Decision {
        if active == 0 || isDraining || waiting >= recordsMax || bytes >= bytesMax { return .now }
        let due = oldest + lingerMax
        return due <= now ? .now : .at(due)
    }
}
