import DequeModule

/// Who is next? Every ordering key that is held has a lane; a lane is a FIFO that is in at most one
/// batch at a time. So a key keeps its order, and two batches in flight never wait for each other's
/// row locks.
///
/// A group is one unit that stands in several lanes and leaves when it is at the head of all of
/// them; so does a pack, which is one slot with many records. They enter all their lanes in one
/// step, so any two stand in the same order wherever they meet, and the oldest always gets through.
///
/// Slots are the machine's record numbers. A slot that died while queued stays linked until it
/// reaches the head of its lane, and still counts against the bounds.
struct LaneScheduler: Sendable {
    enum Unit: Equatable {
        case single(Int)
        /// The slots of a group, or the one slot of a pack or of a record with two keys.
        case spanning([Int])

        /// The first slot of the unit, which speaks for all of it.
        var lead: Int {
            switch self {
            case .single(let slot): slot
            case .spanning(let slots): slots[0]
            }
        }

        func forEach(_ body: (Int) -> Void) {
            switch self {
            case .single(let slot): body(slot)
            case .spanning(let slots): slots.forEach(body)
            }
        }
    }

    private struct Lane {
        var hash: UInt64 = 0
        var head: Int32 = -1
        var tail: Int32 = -1
        /// Live records that count here: a spanning unit's slots count in one lane each.
        var count: Int32 = 0
        /// The last spanning unit that entered, so that it enters once.
        var visitor: Int32 = -1
        /// In a batch that is in flight: nothing leaves.
        var isBusy = false
        /// In the batch that is being formed: its next unit may still join.
        var isOwned = false
        var isInReady = false
    }

    /// A unit's place in one lane.
    private struct Node {
        var next: Int32 = -1
        /// A slot, or -1 - the number of a span.
        var owner: Int32 = 0
    }

    private struct Span {
        var members: [Int] = []
        var lanes: [Int32] = []
        /// Lanes that are not busy and have this unit at their head.
        var arrived = 0
    }

    /// Where a slot's records count, and how many they are.
    private struct Home {
        var lane: Int32 = 0
        var count: Int32 = 0
    }

    /// Records without an ordering key share lane 0, which is never busy.
    private static let unordered: Int32 = 0

    private var lanes = [Lane()]
    private var freeLanes: [Int32] = []
    private var directory = LaneDirectory()
    private var nodes: [Node] = []
    private var freeNodes: [Int32] = []
    private var spans: [Span] = []
    private var freeSpans: [Int32] = []
    /// By slot.
    private var homes: [Home] = []
    private var ready = Deque<Int32>()
    private var owned: [Int32] = []
    /// Live records in lanes that are not busy.
    private(set) var waiting = 0

    // MARK: Entering

    mutating func enqueue(_ slot: Int, _ orderHash: UInt64?, _ orderKeyHash: UInt64?) {
        if let orderHash, let orderKeyHash {
            return enqueue(pack: slot, orderHashes: [orderHash, orderKeyHash], count: 1)
        }
        let lane = lane(orderHash ?? orderKeyHash)
        settle(slot, in: lane, count: 1)
        link(Int32(slot), to: lane)
    }

    mutating func enqueue(group members: [(slot: Int, keys: (UInt64?, UInt64?))]) {
        let span = makeSpan(members.map(\.slot))
        // A member without a key needs no lane of its own as long as another one has one.
        for member in members {
            if let hash = member.keys.0 { visit(lane(hash), span) }
            if let hash = member.keys.1 { visit(lane(hash), span) }
        }
        if spans[Int(span)].lanes.isEmpty { visit(Self.unordered, span) }
        let first = spans[Int(span)].lanes[0]
        for member in members {
            let hash = member.keys.0 ?? member.keys.1
            settle(member.slot, in: hash.map { lane($0) } ?? first, count: 1)
        }
        link(span)
    }

    /// A slot with several ordering keys, or several records; without any key, none of them has
    /// one.
    mutating func enqueue(pack slot: Int, orderHashes: [UInt64], count: Int) {
        let span = makeSpan([slot])
        spans[Int(span)].lanes.reserveCapacity(max(orderHashes.count, 1))
        for hash in orderHashes { visit(lane(hash), span) }
        if orderHashes.isEmpty { visit(Self.unordered, span) }
        settle(slot, in: spans[Int(span)].lanes[0], count: count)
        link(span)
    }

    /// A queued record was answered before its turn.
    mutating func kill(_ slot: Int) {
        count(-Int(homes[slot].count), in: homes[slot].lane)
    }

    /// What is queued with the key, in order.
    func units(of orderHash: UInt64) -> [Unit] {
        guard let lane = directory.lane(orderHash) else { return [] }
        var units: [Unit] = []
        var node = lanes[Int(lane)].head
        while node >= 0 {
            let owner = nodes[Int(node)].owner
            units.append(
                owner >= 0 ? .single(Int(owner)) : .spanning(spans[Int(-1 - owner)].members))
            node = nodes[Int(node)].next
        }
        return units
    }

    // MARK: Leaving

    /// The unit whose turn it is, if any may leave now.
    mutating func front() -> Unit? {
        while let lane = ready.first {
            let head = lanes[Int(lane)].head
            if head >= 0 && !lanes[Int(lane)].isBusy {
                let owner = nodes[Int(head)].owner
                if owner >= 0 { return .single(Int(owner)) }
                if hasArrived(-1 - owner) { return .spanning(spans[Int(-1 - owner)].members) }
            }
            // A lane that became busy, or whose unit waits elsewhere: it comes back when that ends.
            ready.removeFirst()
            lanes[Int(lane)].isInReady = false
        }
        return nil
    }

    /// Removes `unit`, which `front` just returned, and keeps its lanes for the batch being formed.
    mutating func take(_ unit: Unit) {
        unit.forEach { kill($0) }
        remove(owns: true)
    }

    /// Removes the unit that `front` just returned and whose records have all been killed.
    mutating func discard() {
        remove(owns: false)
    }

    /// Removes `unit`, which `front` just returned, for a batch of its own: its lanes are busy
    /// until `free`. `nil`, and nothing is done, where the batch being formed has one of them.
    mutating func takeApart(_ unit: Unit) -> [Int32]? {
        guard let first = ready.first else { preconditionFailure("nothing was at the front") }
        let owner = nodes[Int(lanes[Int(first)].head)].owner
        let spanned = owner >= 0 ? [first] : spans[Int(-1 - owner)].lanes
        guard !spanned.contains(where: { lanes[Int($0)].isOwned }) else { return nil }
        let before = owned.count
        take(unit)
        let taken = Array(owned[before...])
        owned.removeSubrange(before...)
        makeBusy(taken)
        return taken
    }

    /// Divides the lanes of a batch: those of `keys`, and the others.
    func split(_ batchLanes: [Int32], _ keys: Set<UInt64>) -> (own: [Int32], others: [Int32]) {
        var lanes = batchLanes
        let middle = lanes.partition { keys.contains(self.lanes[Int($0)].hash) }
        return (Array(lanes[middle...]), Array(lanes[..<middle]))
    }

    /// Ends the forming of a batch: its lanes are busy until `free`.
    mutating func closeBatch() -> [Int32] {
        defer { owned = [] }
        makeBusy(owned)
        return owned
    }

    private mutating func makeBusy(_ taken: [Int32]) {
        for lane in taken {
            lanes[Int(lane)].isOwned = false
            lanes[Int(lane)].isBusy = true
            waiting -= Int(lanes[Int(lane)].count)
            let head = lanes[Int(lane)].head
            if head >= 0, nodes[Int(head)].owner < 0 { arrive(-1, -1 - nodes[Int(head)].owner) }
        }
    }

    mutating func free(_ batchLanes: [Int32]) {
        for lane in batchLanes {
            assert(lanes[Int(lane)].isBusy, "a lane was freed twice")
            lanes[Int(lane)].isBusy = false
            waiting += Int(lanes[Int(lane)].count)
            headChanged(lane)
            if lanes[Int(lane)].head < 0 { close(lane) }
        }
    }

    // MARK: Spanning units

    private mutating func makeSpan(_ members: [Int]) -> Int32 {
        let index: Int32
        if let free = freeSpans.popLast() {
            index = free
        } else {
            index = Int32(spans.count)
            spans.append(Span())
        }
        spans[Int(index)].members = members
        return index
    }

    /// Adds `lane` to those of the unit, unless it is among them.
    private mutating func visit(_ lane: Int32, _ span: Int32) {
        guard lanes[Int(lane)].visitor != span else { return }
        lanes[Int(lane)].visitor = span
        spans[Int(span)].lanes.append(lane)
    }

    private mutating func link(_ span: Int32) {
        for index in spans[Int(span)].lanes.indices {
            let lane = spans[Int(span)].lanes[index]
            lanes[Int(lane)].visitor = -1
            link(-1 - span, to: lane)
        }
    }

    private func hasArrived(_ span: Int32) -> Bool {
        spans[Int(span)].arrived == spans[Int(span)].lanes.count
    }

    private mutating func arrive(_ step: Int, _ span: Int32) {
        spans[Int(span)].arrived += step
    }

    // MARK: Links

    /// The lane of the key, opened if it has none.
    private mutating func lane(_ orderHash: UInt64?) -> Int32 {
        guard let orderHash else { return Self.unordered }
        if let lane = directory.lane(orderHash) { return lane }
        let lane: Int32
        if let free = freeLanes.popLast() {
            lane = free
        } else {
            lane = Int32(lanes.count)
            lanes.append(Lane())
        }
        lanes[Int(lane)].hash = orderHash
        directory.insert(orderHash, lane)
        return lane
    }

    /// Nobody of this key is queued or in a batch. The lane may still stand in `ready`, where it
    /// does no harm to the key that has it next.
    private mutating func close(_ lane: Int32) {
        guard lane != Self.unordered else { return }
        directory.remove(lanes[Int(lane)].hash)
        freeLanes.append(lane)
    }

    private mutating func settle(_ slot: Int, in lane: Int32, count records: Int) {
        while homes.count <= slot { homes.append(Home()) }
        homes[slot] = Home(lane: lane, count: Int32(records))
        count(records, in: lane)
    }

    private mutating func count(_ step: Int, in lane: Int32) {
        lanes[Int(lane)].count += Int32(step)
        if !lanes[Int(lane)].isBusy { waiting += step }
    }

    private mutating func link(_ owner: Int32, to lane: Int32) {
        let node: Int32
        if let free = freeNodes.popLast() {
            node = free
            nodes[Int(node)] = Node(owner: owner)
        } else {
            node = Int32(nodes.count)
            nodes.append(Node(owner: owner))
        }
        let tail = lanes[Int(lane)].tail
        lanes[Int(lane)].tail = node
        if tail >= 0 {
            nodes[Int(tail)].next = node
        } else {
            lanes[Int(lane)].head = node
            if !lanes[Int(lane)].isBusy { headChanged(lane) }
        }
    }

    /// Removes the unit at the head of the first ready lane.
    private mutating func remove(owns: Bool) {
        guard let lane = ready.popFirst() else { preconditionFailure("nothing was at the front") }
        lanes[Int(lane)].isInReady = false
        let owner = nodes[Int(lanes[Int(lane)].head)].owner
        guard owner < 0 else { return unlinkHead(of: lane, owns: owns) }
        let span = Int(-1 - owner)
        let spanned = spans[span].lanes
        spans[span] = Span()
        freeSpans.append(Int32(span))
        for lane in spanned { unlinkHead(of: lane, owns: owns) }
    }

    private mutating func unlinkHead(of lane: Int32, owns: Bool) {
        let head = lanes[Int(lane)].head
        freeNodes.append(head)
        lanes[Int(lane)].head = nodes[Int(head)].next
        if lanes[Int(lane)].head < 0 { lanes[Int(lane)].tail = -1 }
        if owns && lane != Self.unordered && !lanes[Int(lane)].isOwned {
            lanes[Int(lane)].isOwned = true
            owned.append(lane)
        }
        headChanged(lane)
        if lanes[Int(lane)].head < 0 && !lanes[Int(lane)].isOwned { close(lane) }
    }

    /// `lane` is not busy and has a new head, or has just stopped being busy.
    private mutating func headChanged(_ lane: Int32) {
        let head = lanes[Int(lane)].head
        guard head >= 0 else { return }
        let owner = nodes[Int(head)].owner
        if owner < 0 {
            arrive(1, -1 - owner)
            guard hasArrived(-1 - owner) else { return }
        }
        guard !lanes[Int(lane)].isInReady else { return }
        lanes[Int(lane)].isInReady = true
        ready.append(lane)
    }
}
