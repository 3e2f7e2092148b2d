package import WeirCore

/// Where the shell gets its time from: the machine's clock, or a test's.
package protocol TimeSource: Sendable {
    /// Monotonic.
    var now: Timestamp { get }
    /// Nanoseconds since 1970, for what people read.
    var unixNanoseconds: UInt64 { get }
    func sleep(for span: Nanoseconds) async throws
    /// Calls `action` at `time` or soon after. A later call for the same source replaces the
    /// earlier one.
    func makeTimer(_ action: @escaping @Sendable () -> Void) -> any DeadlineTimer
}

/// One deadline that can be moved.
package protocol DeadlineTimer: Sendable {
    func schedule(at time: Timestamp)
    func cancel()
}
