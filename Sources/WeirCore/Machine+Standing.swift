// Where a message in flight stands, for those who ask.
extension Machine {
    package enum Standing: Equatable, Sendable {
        /// Waits for its first attempt.
        case queued
        /// In an attempt.
        case assigned
        /// Waits for its next attempt; certainly not written.
        case resting
        /// Whether its last attempt committed is being found out.
        case unresolved
    }

    /// The ticket that carries the message, and where it stands; `nil` when the message is not in
    /// flight.
    package func standing(of identity: MessageKey.Identity) -> (ticket: Ticket, Standing)? {
        guard let slot = inFlight.slot(of: identity) else { return nil }
        let standing: Standing
        switch slots[slot].state {
        case .queued: standing = .queued
        case .assigned: standing = .assigned
        case .resting: standing = .resting
        case .unresolved: standing = .unresolved
        // Those that joined carry no message, and the others are in flight no more.
        case .joined, .dead, .free: return nil
        }
        return (slots.ticket(slot), standing)
    }
}
