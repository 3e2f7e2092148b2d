import Synchronization
package import Weir
package import WeirCore

/// A clock that a test moves. Timers and sleepers that have come due go off while it is moved, in
/// the order of their times; nothing goes off by itself.
package final class ManualClock: TimeSource {
    private struct Timer {
        var due = Timestamp.distantFuture
        let action: @Sendable () -> Void
    }

    private struct Sleeper {
        let due: Timestamp
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct Watcher {
        let limit: Timestamp
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var now = Timestamp.zero
        var timers: [Int: Timer] = [:]
        var sleepers: [Int: Sleeper] = [:]
        var watchers: [Watcher] = []
        var count = 0

        var earliest: Timestamp {
            let due = timers.values.map(\.due) + sleepers.values.map(\.due)
            return due.min() ?? .distantFuture
        }

        mutating func number() -> Int {
            count += 1
            return count
        }

        /// Those who wait for an alarm that has now been set.
        mutating func takeWatchers() -> [Watcher] {
            let due = earliest
            let satisfied = watchers.filter { due <= $0.limit }
            watchers.removeAll { due <= $0.limit }
            return satisfied
        }
    }

    private let state = Mutex(State())

    package init() {}

    package var now: Timestamp { state.withLock { $0.now } }

    /// 2026-01-01 and what has passed since.
    package var unixNanoseconds: UInt64 {
        1_767_225_600_000_000_000 + UInt64(now.nanoseconds)
    }

    // MARK: The test's side

    /// Moves the clock, stopping at each alarm on the way.
    package func advance(by span: Nanoseconds) {
        let target = now + span
        while let goOff = next(by: target) { goOff() }
        state.withLock { $0.now = target }
    }

    private func next(by target: Timestamp) -> (() -> Void)? {
        state.withLock { state in
            let due = state.earliest
            guard due <= target else { return nil }
            state.now = max(state.now, due)
            if let (number, timer) = state.timers.first(where: { $0.value.due == due }) {
                state.timers[number]?.due = .distantFuture
                return timer.action
            }
            guard let (number, sleeper) = state.sleepers.first(where: { $0.value.due == due })
            else { return nil }
            state.sleepers[number] = nil
            return { sleeper.continuation.resume() }
        }
    }

    /// Returns once something waits for a time within `span` from now, or the test is cancelled.
    package func alarm(within span: Nanoseconds) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let satisfied = state.withLock { state in
                    let limit = Task.isCancelled ? Timestamp.distantFuture : state.now + span
                    state.watchers.append(Watcher(limit: limit, continuation: continuation))
                    return state.takeWatchers()
                }
                for watcher in satisfied { watcher.continuation.resume() }
            }
        } onCancel: {
            let watchers = state.withLock { state in
                defer { state.watchers = [] }
                return state.watchers
            }
            for watcher in watchers { watcher.continuation.resume() }
        }
    }

    // MARK: TimeSource

    package func sleep(for span: Nanoseconds) async throws {
        let number = state.withLock { $0.number() }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let (isCancelled, satisfied) = state.withLock { state in
                    // Inside the lock, or a cancellation could pass between the look and the entry.
                    guard !Task.isCancelled else { return (true, [Watcher]()) }
                    state.sleepers[number] = Sleeper(
                        due: state.now + span, continuation: continuation)
                    return (false, state.takeWatchers())
                }
                if isCancelled { continuation.resume(throwing: CancellationError()) }
                for watcher in satisfied { watcher.continuation.resume() }
            }
        } onCancel: {
            let sleeper = state.withLock { $0.sleepers.removeValue(forKey: number) }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    package func makeTimer(_ action: @escaping @Sendable () -> Void) -> any DeadlineTimer {
        let number = state.withLock { state in
            let number = state.number()
            state.timers[number] = Timer(action: action)
            return number
        }
        return ManualTimer(clock: self, number: number)
    }

    fileprivate func schedule(_ number: Int, at time: Timestamp) {
        let satisfied = state.withLock { state in
            state.timers[number]?.due = time
            return state.takeWatchers()
        }
        for watcher in satisfied { watcher.continuation.resume() }
    }
}

private struct ManualTimer: DeadlineTimer {
    let clock: ManualClock
    let number: Int

    func schedule(at time: Timestamp) { clock.schedule(number, at: time) }
    func cancel() { clock.schedule(number, at: .distantFuture) }
}
