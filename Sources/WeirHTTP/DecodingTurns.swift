package import WeirCore

/// A request whose records are decoded piece by piece.
package protocol TakesTurns: AnyObject {
    /// Records of which something is still to be heard.
    var onTheirWay: Int { get }
    /// When something was last heard of them, or when the last of them was handed over.
    var heardAt: Timestamp { get }
    /// It has something to decode, and somebody takes the answers.
    var mayGoOn: Bool { get }
}

/// Whose records are decoded next, of the requests with many records that one event loop serves:
/// the oldest one's that may go on. One request after the other, since neighbours in a request tend
/// to be neighbours in the table, and rows of one range of keys cost PostgreSQL less than rows of
/// several ranges that take turns (docs/decisions/0020-large-batches.md).
///
/// How many are on their way is bounded for all of them together: the queue is everybody's. A
/// request of which nothing has been heard for `patience` waits for something that others need not
/// wait for, a lock mostly, and does not count in the window any more; all the same there are never
/// more than half as many again on their way.
package struct DecodingTurns<Request: TakesTurns> {
    package static var patience: Nanoseconds { .milliseconds(50) }

    private let windowMax: Int
    /// The oldest first.
    private var requests: [Request] = []

    /// - Parameter windowMax: records that may be on their way at once.
    package init(windowMax: Int) {
        self.windowMax = windowMax
    }

    package mutating func add(_ request: Request) { requests.append(request) }

    package mutating func remove(_ request: Request) { requests.removeAll { $0 === request } }

    /// Whose turn it is, and how many records there is room for.
    ///
    /// - Complexity: of the number of requests.
    package func next(now: Timestamp) -> (request: Request, room: Int)? {
        let all = requests.reduce(0) { $0 + $1.onTheirWay }
        let unheard = requests.reduce(0) { $0 + (isHeard($1, now) ? 0 : $1.onTheirWay) }
        let roomInAll = windowMax + windowMax / 2 - all
        for request in requests where request.mayGoOn {
            // Its own records count in any case.
            let unheardOthers = unheard - (isHeard(request, now) ? 0 : request.onTheirWay)
            let room = min(windowMax - (all - unheardOthers), roomInAll)
            if room > 0 { return (request, room) }
        }
        return nil
    }

    /// When there may be room though nothing has been heard; `nil` where nobody waits for it.
    package func retryAt(now: Timestamp) -> Timestamp? {
        guard requests.contains(where: { $0.mayGoOn }) else { return nil }
        return requests.filter { $0.onTheirWay > 0 && isHeard($0, now) }
            .map { $0.heardAt + Self.patience }.min()
    }

    private func isHeard(_ request: Request, _ now: Timestamp) -> Bool {
        now - request.heardAt < Self.patience
    }
}
