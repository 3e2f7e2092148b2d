/// Seen before, and not answered yet? Maps a message in flight to the record that carries it, so
/// that a retry which overtakes its original waits for the same answer instead of being written
/// again.
struct InFlight: Sendable {
    enum Match: Equatable {
        case none
        case same(slot: Int)
        /// The ID is in flight with another payload.
        case reused
    }

    private var slots: [MessageKey.Identity: (slot: Int, fingerprint: UInt64)] = [:]

    func match(_ message: MessageKey?) -> Match {
        guard let message, let found = slots[message.identity] else { return .none }
        return found.fingerprint == message.fingerprint ? .same(slot: found.slot) : .reused
    }

    func slot(of identity: MessageKey.Identity) -> Int? { slots[identity]?.slot }

    mutating func insert(_ message: MessageKey?, slot: Int) {
        guard let message else { return }
        slots[message.identity] = (slot, message.fingerprint)
    }

    mutating func remove(_ message: MessageKey?) {
        guard let message else { return }
        slots[message.identity] = nil
    }

    var isEmpty: Bool { slots.isEmpty }
}
