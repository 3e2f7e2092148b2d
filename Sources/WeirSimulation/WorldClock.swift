import Synchronization
import Weir
import WeirCore

/// The time of a world, for all its gateways. Nothing goes off by itself.
final class WorldClock: TimeSource {
    private struct Timer {
        var due = Timestamp.distantFuture
        let action: @Sendable () -> Void
    }

    private struct State {
        var now = Timestamp.zero
        /// In the order in which they were made.
        var timers: [Timer] = []
    }

    private let state = Mutex(State())

    var now: Timestamp { state.withLock { $0.now } }

    /// 2026-01-01 and what has passed since.
    var unixNanoseconds: UInt64 {
        1_767_225_600_000_000_000 + UInt64(now.nanoseconds)
    }

    func advance(to time: Timestamp) {
        state.withLock { $0.now = max($0.now, time) }
    }

    /// When the next timer is due.
    var nextDue: Timestamp {
        state.withLock { $0.timers.reduce(.distantFuture) { min($0, $1.due) } }
    }

    /// Sets off one timer that is due.
    func fireOne() -> Bool {
        let action = state.withLock { state -> (@Sendable () -> Void)? in
            guard let number = state.timers.firstIndex(where: { $0.due <= state.now }) else {
                return nil
            }
            state.timers[number].due = .distantFuture
            return state.timers[number].action
        }
        action?()
        return action != nil
    }

    /// Nobody in a world sleeps.
    func sleep(for span: Nanoseconds) async throws { throw CancellationError() }

    func makeTimer(_ action: @escaping @Sendable () -> Void) -> any DeadlineTimer {
        state.withLock { state in
            state.timers.append(Timer(action: action))
            return WorldTimer(clock: self, number: state.timers.count - 1)
        }
    }

    fileprivate func schedule(_ number: Int, at time: Timestamp) {
        state.withLock { $0.timers[number].due = time }
    }
}

private struct WorldTimer: DeadlineTimer {
    let clock: WorldClock
    let number: Int

    func schedule(at time: Timestamp) { clock.schedule(number, at: time) }
    func cancel() { clock.schedule(number, at: .distantFuture) }
}

/// Where the answers of one gateway go, until the world looks.
final class WorldMailbox: Waiter, Mailbox {
    private let answers = Mutex<[Answer]>([])

    var mailbox: any Mailbox { self }

    func deliver(_ answers: [Answer]) {
        self.answers.withLock { $0 += answers }
    }

    func take() -> [Answer] {
        answers.withLock { answers in
            defer { answers = [] }
            return answers
        }
    }
}
