import Synchronization
import Weir
import WeirCore

/// What the one who runs a benchmark can do meanwhile: ask for the end, and look.
package final class BenchControl: Sendable {
    private struct State {
        var isInterrupted = false
        var shift: Shift?
        var progress: Progress?
    }

    /// How far it is.
    package struct Progress: Sendable {
        package var phase: BenchPhase
        package var cell: Cell
        /// Of the visit before, rows a second.
        package var rate: Double
        /// Seconds from the beginning, and how long it is to take.
        package var elapsed: Double
        package var seconds: Double
    }

    private let state = Mutex(State())

    package init() {}

    package func interrupt() {
        state.withLock {
            $0.isInterrupted = true
            $0.shift?.stop()
        }
    }

    package var isInterrupted: Bool { state.withLock { $0.isInterrupted } }
    package var progress: Progress? { state.withLock { $0.progress } }

    func begin(_ shift: Shift, _ progress: Progress) {
        state.withLock {
            $0.shift = shift
            $0.progress = progress
            if $0.isInterrupted { shift.stop() }
        }
    }

    func end() { state.withLock { $0.shift = nil } }
}
