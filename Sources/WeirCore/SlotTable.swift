/// What the machine holds, by slot, and what state each is in: mostly one record a slot.
struct SlotTable: Sendable {
    enum State: Sendable {
        case free
        /// In a lane. Becomes `assigned` when a batch takes it, `dead` when its deadline comes
        /// first.
        case queued
        /// In an attempt. Becomes `resting` when the attempt is to be repeated, `unresolved` when
        /// its outcome has to be found out; else it is settled.
        case assigned
        /// In a batch that waits for its next attempt; certainly not written.
        case resting
        /// In a batch of which nobody knows yet whether it committed, between attempts to find out
        /// and during them. Becomes `resting` when it turns out not to be written; else it is
        /// settled.
        case unresolved
        /// Waits for the answer of another record with the same message ID.
        case joined
        /// Answered before its turn; leaves with its unit.
        case dead
    }

    struct Slot: Sendable {
        var generation: UInt32 = 0
        var state = State.free
        /// Nobody waits any more: answered, or the caller has gone.
        var isAnswered = false
        var table = TableID(0)
        /// Records that this slot stands for; more than one in a pack.
        var recordCount = 1
        /// Of all its records.
        var byteCount = 0
        var admittedAt = Timestamp.zero
        var deadline = Timestamp.zero
        var message: MessageKey?
        var isExclusive = false
        var keepsDeadLetters = false
        var isStrict = false
        /// Its ordering keys; a pack's stand in `Machine.packKeys`.
        var orderHash: UInt64?
        var orderKeyHash: UInt64?
        /// Slots of the unit that this one leads; 0 for the other members of a group.
        var unitSize = 1
        /// The first member of the unit.
        var lead = 0
        /// Which member of its group it is.
        var place = 0
        /// The newest of the tickets that joined, and for each of those the next.
        var joined: Int = -1
    }

    private(set) var slots: [Slot] = []
    private var free: [Int] = []

    subscript(slot: Int) -> Slot {
        get { slots[slot] }
        _modify { yield &slots[slot] }
    }

    var count: Int { slots.count }

    mutating func allocate(
        _ entry: Entry, recordCount: Int = 1, state: State, now: Timestamp
    ) -> Int {
        let slot: Int
        if let recycled = free.popLast() {
            slot = recycled
        } else {
            slot = slots.count
            slots.append(Slot())
        }
        slots[slot] = Slot(
            generation: slots[slot].generation, state: state, table: entry.table,
            recordCount: recordCount, byteCount: entry.byteCount, admittedAt: now,
            deadline: entry.deadline,
            message: entry.message, isExclusive: entry.isExclusive,
            keepsDeadLetters: entry.keepsDeadLetters, isStrict: entry.isStrict,
            orderHash: entry.orderHash, orderKeyHash: entry.orderKeyHash, lead: slot)
        return slot
    }

    /// A slot for one of the records of a pack, in the pack's own state.
    mutating func split(
        off pack: Int, byteCount: Int, keys: (UInt64?, UInt64?)
    ) -> Int {
        let whole = slots[pack]
        let entry = Entry(
            table: whole.table, orderHash: keys.0, orderKeyHash: keys.1, byteCount: byteCount,
            deadline: whole.deadline, keepsDeadLetters: whole.keepsDeadLetters,
            isStrict: whole.isStrict)
        let slot = allocate(entry, state: whole.state, now: whole.admittedAt)
        slots[slot].isAnswered = whole.isAnswered
        return slot
    }

    mutating func release(_ slot: Int) {
        assert(slots[slot].state != .free, "a slot was released twice")
        slots[slot].state = .free
        slots[slot].message = nil
        slots[slot].generation &+= 1
        free.append(slot)
    }

    /// The members of a group, in their order. Looks at all slots: for what is rare.
    func unit(of lead: Int) -> [Int] {
        slots.indices.filter { slots[$0].state != .free && slots[$0].lead == lead }
            .sorted { slots[$0].place < slots[$1].place }
    }

    func ticket(_ slot: Int) -> Ticket {
        Ticket(slot: slot, generation: slots[slot].generation)
    }

    /// The slot of `ticket`, unless its record has been settled since.
    func slot(of ticket: Ticket) -> Int? {
        guard ticket.slot < slots.count else { return nil }
        let found = slots[ticket.slot]
        return found.state != .free && found.generation == ticket.generation ? ticket.slot : nil
    }
}
