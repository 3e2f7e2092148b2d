import Synchronization
import Weir
package import WeirCore

/// What became of the question whether a new generation of message IDs is due.
package enum ReplayRotation: Equatable, Sendable {
    case rotated
    case notDue
    /// Somebody has held a lock for too long; nothing has changed.
    case busy
}

/// When that question is put next. Shared by all writers of a pool, so that one of them puts it.
package final class RotationSchedule: Sendable {
    /// A generation is older than the window by this at most, which is little beside the shortest
    /// window of an hour.
    package static let interval = Nanoseconds.seconds(300)

    private let next = Mutex(Timestamp.zero)

    package init() {}

    /// Whether it is to be put now; if so, it is taken to have been.
    func isDue(now: Timestamp) -> Bool {
        next.withLock { next in
            guard next <= now else { return false }
            next = now + Self.interval
            return true
        }
    }
}
