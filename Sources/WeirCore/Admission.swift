/// May it enter? Bounds on what the gateway holds, in records and in bytes, from queue to answer.
package struct AdmissionPolicy: Sendable {
    package struct Configuration: Sendable, Equatable {
        /// Records held, those in flight included. Past it: 503 `overloaded`.
        package var recordsMax = 20_000
        package var bytesMax = 64 << 20
        package init() {}
    }

    private let recordsMax: Int
    private let bytesMax: Int
    package private(set) var records = 0
    package private(set) var bytes = 0
    /// Records settled per second, an exponential mean over batches; it prices `retryAfter`.
    private var pace = 1_000.0
    private var lastSettled: Timestamp?

    package init(_ configuration: Configuration) {
        recordsMax = configuration.recordsMax
        bytesMax = configuration.bytesMax
    }

    package var limits: (records: Int, bytes: Int) { (recordsMax, bytesMax) }

    func refusal(adding count: Int, bytes added: Int) -> Refusal? {
        let fits = records + count <= recordsMax && bytes + added <= bytesMax
        return fits ? nil : .overloaded(retryAfter: timeToEmpty)
    }

    mutating func hold(_ count: Int = 1, bytes added: Int) {
        records += count
        bytes += added
    }

    mutating func release(_ count: Int = 1, bytes removed: Int) {
        records -= count
        bytes -= removed
        assert(records >= 0, "a record was released twice")
        assert(bytes >= 0, "more bytes were released than held")
    }

    mutating func settled(_ count: Int, now: Timestamp) {
        defer { lastSettled = now }
        guard let lastSettled, now > lastSettled else { return }
        pace += 0.2 * (Double(count) / (now - lastSettled).seconds - pace)
    }

    /// How long what is held needs at the present pace: 1 … 30 s, since a caller should neither
    /// hammer nor give up.
    private var timeToEmpty: Nanoseconds {
        let seconds = Double(records) / max(pace, 1)
        return Nanoseconds(Int64(min(max(seconds, 1), 30) * 1e9))
    }
}
