@preconcurrency import Dispatch
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The first SIGTERM or SIGINT drains, which the service group sees to; a second one ends the
/// process at once. Nothing is at stake then but answers: what was committed is committed.
final class SignalExit {
    private let sources: [any DispatchSourceSignal]

    init() {
        let count = Counter()
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(
                signal: number, queue: DispatchQueue(label: "weir.signals"))
            source.setEventHandler {
                if count.increment() > 1 { _exit(128 + number) }
            }
            source.activate()
            return source
        }
    }

    private final class Counter: Sendable {
        private let value = Atomic<Int>(0)
        func increment() -> Int { value.wrappingAdd(1, ordering: .relaxed).newValue }
    }
}

/// SIGHUP reads the configuration again.
final class HangUp {
    private let source: any DispatchSourceSignal

    init(_ action: @escaping @Sendable () -> Void) {
        signal(SIGHUP, SIG_IGN)
        source = DispatchSource.makeSignalSource(
            signal: SIGHUP, queue: DispatchQueue(label: "weir.reload"))
        source.setEventHandler(handler: action)
        source.activate()
    }

    deinit { source.cancel() }
}
