// DispatchQueue is thread-safe, but is not marked Sendable on Linux.
@preconcurrency import Dispatch

/// Runs an actor's jobs one at a time on a queue that is allowed to block.
///
/// libpq waits on a socket. On Swift's cooperative pool, which has a thread per core, a few such
/// waits would stall everything else, so each connection waits on a queue of its own. The queue is
/// serial: Dispatch overcommits those, so that a blocked one takes no thread from the others.
///
/// `@unchecked`: its only state is a dispatch queue, which is safe to use from any thread.
package final class BlockingExecutor: SerialExecutor, @unchecked Sendable {
    private let queue: DispatchQueue

    package init(label: String) {
        queue = DispatchQueue(label: label, qos: .userInitiated)
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async {
            job.runSynchronously(on: self.asUnownedSerialExecutor())
        }
    }

    package func checkIsolated() {
        dispatchPrecondition(condition: .onQueue(queue))
    }
}
