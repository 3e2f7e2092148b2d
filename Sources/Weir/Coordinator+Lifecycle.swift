import Logging
import Synchronization
package import WeirCore
import WeirRecord

// Starting and stopping.
extension Coordinator {
    package var isStopping: Bool { state.withLock { $0.isStopping } }

    /// How many of the writers are really run: the connection budget.
    package func setBudget(_ connections: Int) {
        state.withLock { $0.budget = connections }
    }

    package var budget: Int { state.withLock { $0.budget } }

    /// Says that the first attempt to reach the database is over: the listener may accept.
    package func markStarted() {
        let waiters = state.withLock { state in
            defer { state.startWaiters = [] }
            state.hasStarted = true
            return state.startWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns once the pool has opened its connections, or has found that it cannot yet.
    package func started() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if !state.hasStarted { state.startWaiters.append(continuation) }
                return state.hasStarted
            }
            if isOver { continuation.resume() }
        }
    }

    /// Says that the listener accepts.
    package func markAccepting() {
        state.withLock { $0.isAccepting = true }
    }

    /// Ends a drain that takes too long: everybody who is left is told what is known by now, and
    /// what was not sent yet never is.
    package func abandonDrain() {
        let now = time.now
        act(now) { state, actions in
            actions.drained += state.drainWaiters
            state.drainWaiters = []
            return state.machine.abandon(now: now)
        }
    }

    /// Refuses new records and returns when the last one has been answered.
    package func drain() async {
        await withCheckedContinuation { continuation in
            let now = time.now
            act(now) { state, actions in
                if state.isDrained {
                    actions.drained.append(continuation)
                } else {
                    state.drainWaiters.append(continuation)
                }
                return state.machine.drain(now: now)
            }
        }
    }

    /// Lets the writers go.
    package func stop() {
        let now = time.now
        act(now) { state, actions in
            state.isStopping = true
            for writer in state.isParked.indices { _ = state.wake(writer, .stop, &actions) }
            return .none
        }
    }

    package func connectFailed(_ writer: WriterID, _ failure: ConnectFailure, failures: Int) {
        let isNews = state.withLock { state in
            defer { state.lastFailure = failure.reason }
            return state.lastFailure != failure.reason
        }
        // One line for each new reason, not one for each connection and attempt.
        if isNews {
            logger.warning(
                "cannot connect to the database; trying again",
                metadata: ["reason": "\(failure.reason)"])
        }
    }

    // MARK: Figures

    /// Broken invariants of the core; empty when all is well. It looks at everything: for tests and
    /// the simulator.
    package func violations() -> [String] {
        let now = time.now
        return state.withLock { $0.machine.violations(now: now) }
    }

    /// Counters and gauges, as of one moment.
    package func figures() -> (metrics: Metrics, gauges: Machine.Gauges, budget: Int) {
        state.withLock { ($0.metrics, $0.machine.gauges, $0.budget) }
    }

    /// Whether writes are accepted, and if not, why.
    package var unreadiness: String? {
        state.withLock { state in
            if state.machine.gauges.isDraining { return "draining" }
            if catalogStore.catalog == nil {
                return state.lastFailure.map { "database unavailable: \($0)" } ?? "starting"
            }
            return state.isAccepting ? nil : "starting"
        }
    }

    /// Why the database cannot be reached, if it cannot.
    package var databaseTrouble: String? {
        state.withLock { state in
            guard state.machine.gauges.connections == 0 else { return nil }
            return state.lastFailure ?? "no connection"
        }
    }
}
