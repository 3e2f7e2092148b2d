@preconcurrency import Dispatch
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The first SIGINT or SIGTERM ends the run early and keeps what was measured; the second one ends
/// the process. The scratch table of the latter is dropped by the next run.
final class InterruptOnce {
    private let sources: [any DispatchSourceSignal]

    init(_ action: @escaping @Sendable () -> Void) {
        let count = Count()
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(
                signal: number, queue: DispatchQueue(label: "weir.interrupt"))
            source.setEventHandler {
                if count.increment() > 1 { _exit(130) }
                complain("ending early; once more to leave at once")
                action()
            }
            source.activate()
            return source
        }
    }

    private final class Count: Sendable {
        private let value = Atomic<Int>(0)
        func increment() -> Int { value.wrappingAdd(1, ordering: .relaxed).newValue }
    }
}
