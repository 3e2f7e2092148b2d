import Synchronization
import WeirCore
import WeirRecord

/// Attempts whose COMMIT was not answered, until they are settled: which of the server's processes
/// has, or had, each of them. Shared by the writers of one gateway: another one than lost the
/// connection may find out.
package final class LostAttempts: Sendable {
    /// A process of the server. Its number alone may be another one's by now.
    struct Backend: Equatable, Sendable {
        var processID: Int32
        /// As the server prints it.
        var start: String
    }

    struct Attempt: Equatable, Sendable {
        var backend: Backend
        /// How often somebody waited for it in vain.
        var waitCount = 0
    }

    /// After so many waits in vain the process is ended: what it holds, nobody else gets.
    package static let waitCountMax = 5

    private let attempts = Mutex<[UUID7: Attempt]>([:])

    package init() {}

    func add(_ id: UUID7, _ attempt: Attempt) {
        attempts.withLock { $0[id] = attempt }
    }

    /// Counts a wait in vain and returns the process to be ended, if it is time for that.
    func waited(for id: UUID7) -> Backend? {
        attempts.withLock { attempts in
            attempts[id]?.waitCount += 1
            guard let attempt = attempts[id], attempt.waitCount >= Self.waitCountMax else {
                return nil
            }
            return attempt.backend
        }
    }

    func settle(_ id: UUID7) {
        _ = attempts.withLock { $0.removeValue(forKey: id) }
    }
}
