// DispatchQueue is thread-safe, but is not marked Sendable on Linux.
@preconcurrency import Dispatch
import Synchronization

/// Runs an actor's jobs one at a time on a queue that is allowed to block.
///
/// libpq waits on a socket. On Swift's cooperative pool, which has a thread per core, a few such
/// waits would stall everything else, so each connection waits on a queue of its own. The queue is
/// serial: Dispatch overcommits those, so that a blocked one takes no thread from the others.
///
/// `@unchecked`: its only state is a dispatch queue, which is safe to use from any thread, and an
/// atomic.
package final class BlockingExecutor: SerialExecutor, @unchecked Sendable {
    private let queue: DispatchQueue
    private let isLent = Atomic(false)

    package init(label: String) {
        queue = DispatchQueue(label: label, qos: .userInitiated)
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async {
            job.runSynchronously(on: self.asUnownedSerialExecutor())
        }
    }

    /// Runs `body` on the thread that calls, in the place of a job of this executor.
    ///
    /// Whoever calls this sees to it that the executor's own thread waits meanwhile, inside a job,
    /// and that both pass one lock when they hand over to each other.
    package func lend<Result>(_ body: () -> Result) -> Result {
        isLent.store(true, ordering: .relaxed)
        defer { isLent.store(false, ordering: .relaxed) }
        return body()
    }

    /// While the executor is lent its own thread does nothing, so that it is the borrower who asks.
    package func checkIsolated() {
        if isLent.load(ordering: .relaxed) { return }
        dispatchPrecondition(condition: .onQueue(queue))
    }
}
