/// Committed before, and not long ago? What the newest messages that committed were told, so that
/// most repetitions are answered without the database. It may forget: the database remembers for
/// longer, and is asked about what is not here.
///
/// It is right for as long as the database has what was committed. Whoever connects to it finds out
/// whether that is so; until somebody has, the window is suspended and knows nothing.
package struct ReplayWindow<First: Sendable>: Sendable {
    package enum Match {
        case none
        /// With what the message was told.
        case same(First)
        /// The ID committed with another payload.
        case reused
    }

    private let recordsMax: Int
    /// In the order in which they came; once it is full, the newest takes the place of the oldest.
    private var messages: [MessageKey] = []
    /// What each of them was told: apart from them, as looking for one passes by several others.
    private var firsts: [First] = []
    private var oldest = 0
    /// Positions in `messages`, or -1, by the low bits of the identities, which are hashes: probed
    /// one by one, never more than half full.
    private var places: [Int32] = []
    package private(set) var isSuspended = true

    /// - Parameter recordsMax: how many are remembered; none with 0.
    package init(recordsMax: Int) {
        self.recordsMax = min(max(recordsMax, 0), 1 << 30)
    }

    package var count: Int { messages.count }

    package func match(_ message: MessageKey) -> Match {
        guard !isSuspended, let at = place(of: message.identity) else { return .none }
        let position = Int(places[at])
        let isSame = messages[position].fingerprint == message.fingerprint
        return isSame ? .same(firsts[position]) : .reused
    }

    /// Remembers a message that committed. What it was told first stays if it is known already.
    package mutating func insert(_ message: MessageKey, _ first: First) {
        guard recordsMax > 0, place(of: message.identity) == nil else { return }
        if count < recordsMax {
            messages.append(message)
            firsts.append(first)
            if count * 2 > places.count { grow() } else { link(count - 1) }
        } else {
            unlink(messages[oldest].identity)
            messages[oldest] = message
            firsts[oldest] = first
            link(oldest)
            oldest = oldest + 1 == recordsMax ? 0 : oldest + 1
        }
    }

    /// The database may have lost what it had committed.
    package mutating func clear() {
        messages = []
        firsts = []
        places = []
        oldest = 0
    }

    /// A connection was lost, and nobody knows yet what the next one leads to.
    package mutating func suspend() { isSuspended = true }

    package mutating func resume() { isSuspended = false }

    // MARK: Places

    private var mask: Int { places.count - 1 }

    private func home(_ identity: MessageKey.Identity) -> Int {
        Int(truncatingIfNeeded: identity.low) & mask
    }

    private func identity(at place: Int) -> MessageKey.Identity {
        messages[Int(places[place])].identity
    }

    private func place(of identity: MessageKey.Identity) -> Int? {
        guard !places.isEmpty else { return nil }
        var at = home(identity)
        while places[at] >= 0 {
            if self.identity(at: at) == identity { return at }
            at = (at + 1) & mask
        }
        return nil
    }

    private mutating func link(_ position: Int) {
        var at = home(messages[position].identity)
        while places[at] >= 0 { at = (at + 1) & mask }
        places[at] = Int32(position)
    }

    /// What the place held back moves up (Knuth, volume 3, 6.4, algorithm R).
    private mutating func unlink(_ identity: MessageKey.Identity) {
        guard var hole = place(of: identity) else { return }
        var at = hole
        while true {
            at = (at + 1) & mask
            guard places[at] >= 0 else { break }
            let isReachable = (at - home(self.identity(at: at))) & mask >= (at - hole) & mask
            if isReachable {
                places[hole] = places[at]
                hole = at
            }
        }
        places[hole] = -1
    }

    private mutating func grow() {
        places = Array(repeating: -1, count: max(64, places.count * 2))
        for position in messages.indices { link(position) }
    }
}
