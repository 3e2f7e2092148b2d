@preconcurrency import Dispatch
package import WeirCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The machine's clocks.
package struct SystemTime: TimeSource {
    package init() {}

    package var now: Timestamp {
        Timestamp(nanoseconds: Int64(read(CLOCK_MONOTONIC)))
    }

    package var unixNanoseconds: UInt64 { read(CLOCK_REALTIME) }

    private func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    package func sleep(for span: Nanoseconds) async throws {
        try await Task.sleep(for: .nanoseconds(span.count))
    }

    package func makeTimer(_ action: @escaping @Sendable () -> Void) -> any DeadlineTimer {
        DispatchTimer(action)
    }
}

/// A dispatch timer on a queue of its own.
private final class DispatchTimer: DeadlineTimer {
    private let source: any DispatchSourceTimer

    init(_ action: @escaping @Sendable () -> Void) {
        source = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "weir.timer"))
        source.setEventHandler(handler: action)
        source.schedule(deadline: .distantFuture)
        source.activate()
    }

    func schedule(at time: Timestamp) {
        let wait = time - SystemTime().now
        source.schedule(
            deadline: .now() + .nanoseconds(Int(max(wait.count, 0))), leeway: .microseconds(100))
    }

    func cancel() {
        source.cancel()
    }
}
