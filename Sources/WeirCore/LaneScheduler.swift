import DequeModule

/// Who is next? Every ordering key falls into a lane; a lane is a FIFO that is in at most one batch
/// at a time. So a key keeps its order, and two batches in flight never wait for each other's row
/// locks.
///
/// A group is one unit that stands in several lanes and leaves when it is at the head of all of
/// them. Groups enter all their lanes in one step, so any two stand in the same order wherever they
/// meet, and the oldest always gets through.
///
/// Slots are the machine's record numbers. A slot that died while queued stays linked until it
/// reaches the head of its lane, and still counts against the bounds.
struct LaneScheduler: Sendable {
    enum Unit: Equatable {
        case single(Int)
        case group([Int])

        /// The first record of the unit, which speaks for all of it.
        var lead: Int {
            switch self {
            case .single(let slot): slot
            case .group(let slots): slots[0]
            }
        }

        func forEach(_ body: (Int) -> Void) {
            switch self {
            case .single(let slot): body(slot)
            case .group(let slots): slots.forEach(body)
            }
        }
    }

    private struct Lane {
        var head: Int32 = -1
        var tail: Int32 = -1
        /// Live records in this lane, every member of a group counted.
        var count: Int32 = 0
        /// In a batch that is in flight: nothing leaves.
        var isBusy = false
        /// In the batch that is being formed: its next unit may still join.
        var isOwned = false
        var isInReady = false
    }

    private struct Node {
        var next: Int32 = -1
        var lane: Int32 = 0
        var group: Int32 = -1
    }

    private struct Group {
        var members: [Int]
        var lanes: [Int32]
        /// Lanes that are not busy and have this group at their head.
        var arrived = 0
    }

    /// Records without an ordering key share lane 0, which is never busy.
    private static let unordered: Int32 = 0

    private var lanes: [Lane]
    private let mask: UInt64
    private var nodes: [Node] = []
    private var groups: [Group?] = []
    private var freeGroups: [Int32] = []
    private var ready = Deque<Int32>()
    private var owned: [Int32] = []
    /// Live records in lanes that are not busy.
    private(set) var waiting = 0

    /// - Parameter laneCount: a power of two, much larger than the records in flight, so that
    ///   distinct keys rarely share a lane.
    init(laneCount: Int) {
        precondition(
            laneCount > 0 && laneCount & (laneCount - 1) == 0, "lane count is a power of two")
        lanes = Array(repeating: Lane(), count: laneCount + 1)
        mask = UInt64(laneCount - 1)
    }

    // MARK: Entering

    mutating func enqueue(_ slot: Int, orderHash: UInt64?) {
        let lane = laneIndex(orderHash)
        nodes(fit: slot)
        nodes[slot] = Node(lane: lane)
        count(1, in: lane)
        link(Int32(slot), to: lane)
    }

    mutating func enqueue(group members: [(slot: Int, orderHash: UInt64?)]) {
        let index: Int32
        if let free = freeGroups.popLast() {
            index = free
        } else {
            index = Int32(groups.count)
            groups.append(nil)
        }
        var heads: [(slot: Int32, lane: Int32)] = []
        let isOrdered = members.contains { $0.orderHash != nil }
        for member in members {
            nodes(fit: member.slot)
            // A member without a key needs no lane of its own as long as another one has one.
            let lane = member.orderHash == nil && isOrdered ? -1 : laneIndex(member.orderHash)
            nodes[member.slot] = Node(lane: lane, group: index)
            if lane >= 0 && !heads.contains(where: { $0.lane == lane }) {
                heads.append((Int32(member.slot), lane))
            }
        }
        // Count members without a lane where the group's first lane is.
        for member in members where nodes[member.slot].lane < 0 {
            nodes[member.slot].lane = heads[0].lane
        }
        for member in members { count(1, in: nodes[member.slot].lane) }
        groups[Int(index)] = Group(members: members.map(\.slot), lanes: heads.map(\.lane))
        for head in heads { link(head.slot, to: head.lane) }
    }

    /// A queued record was answered before its turn.
    mutating func kill(_ slot: Int) {
        count(-1, in: nodes[slot].lane)
    }

    // MARK: Leaving

    /// The unit whose turn it is, if any may leave now.
    mutating func front() -> Unit? {
        while let lane = ready.first {
            let head = lanes[Int(lane)].head
            if head >= 0 && !lanes[Int(lane)].isBusy {
                let group = nodes[Int(head)].group
                if group < 0 { return .single(Int(head)) }
                let waitingGroup = groupState(group)
                if waitingGroup.arrived == waitingGroup.lanes.count {
                    return .group(waitingGroup.members)
                }
            }
            // A lane that became busy, or whose group waits elsewhere: it comes back when that
            // ends.
            ready.removeFirst()
            lanes[Int(lane)].isInReady = false
        }
        return nil
    }

    /// Removes `unit`, which `front` just returned, and keeps its lanes for the batch being formed.
    mutating func take(_ unit: Unit) {
        unit.forEach { count(-1, in: nodes[$0].lane) }
        remove(unit, owns: true)
    }

    /// Removes `unit`, which `front` just returned and whose records have all been killed.
    mutating func discard(_ unit: Unit) {
        remove(unit, owns: false)
    }

    /// Ends the forming of a batch: its lanes are busy until `free`.
    mutating func closeBatch() -> [Int32] {
        for lane in owned {
            lanes[Int(lane)].isOwned = false
            lanes[Int(lane)].isBusy = true
            waiting -= Int(lanes[Int(lane)].count)
            let head = lanes[Int(lane)].head
            if head >= 0, nodes[Int(head)].group >= 0 { arrive(-1, nodes[Int(head)].group) }
        }
        defer { owned = [] }
        return owned
    }

    mutating func free(_ batchLanes: [Int32]) {
        for lane in batchLanes {
            assert(lanes[Int(lane)].isBusy, "a lane was freed twice")
            lanes[Int(lane)].isBusy = false
            waiting += Int(lanes[Int(lane)].count)
            headChanged(lane)
        }
    }

    // MARK: Links

    private func laneIndex(_ orderHash: UInt64?) -> Int32 {
        guard let orderHash else { return Self.unordered }
        return Int32(orderHash & mask) + 1
    }

    private mutating func nodes(fit slot: Int) {
        while nodes.count <= slot { nodes.append(Node()) }
    }

    private func groupState(_ index: Int32) -> Group {
        guard let group = groups[Int(index)] else {
            preconditionFailure("a node outlived its group")
        }
        return group
    }

    private mutating func arrive(_ step: Int, _ group: Int32) {
        groups[Int(group)]?.arrived += step
    }

    private mutating func count(_ step: Int, in lane: Int32) {
        lanes[Int(lane)].count += Int32(step)
        if !lanes[Int(lane)].isBusy { waiting += step }
    }

    private mutating func link(_ slot: Int32, to lane: Int32) {
        let tail = lanes[Int(lane)].tail
        lanes[Int(lane)].tail = slot
        if tail >= 0 {
            nodes[Int(tail)].next = slot
        } else {
            lanes[Int(lane)].head = slot
            if !lanes[Int(lane)].isBusy { headChanged(lane) }
        }
    }

    private mutating func remove(_ unit: Unit, owns: Bool) {
        if let lane = ready.popFirst() { lanes[Int(lane)].isInReady = false }
        switch unit {
        case .single(let slot):
            unlinkHead(of: nodes[slot].lane, owns: owns)
        case .group(let slots):
            let index = nodes[slots[0]].group
            let group = groupState(index)
            groups[Int(index)] = nil
            freeGroups.append(index)
            for lane in group.lanes { unlinkHead(of: lane, owns: owns) }
        }
    }

    private mutating func unlinkHead(of lane: Int32, owns: Bool) {
        let head = lanes[Int(lane)].head
        lanes[Int(lane)].head = nodes[Int(head)].next
        if lanes[Int(lane)].head < 0 { lanes[Int(lane)].tail = -1 }
        if owns && lane != Self.unordered && !lanes[Int(lane)].isOwned {
            lanes[Int(lane)].isOwned = true
            owned.append(lane)
        }
        headChanged(lane)
    }

    /// `lane` is not busy and has a new head, or has just stopped being busy.
    private mutating func headChanged(_ lane: Int32) {
        let head = lanes[Int(lane)].head
        guard head >= 0 else { return }
        let group = nodes[Int(head)].group
        if group >= 0 {
            arrive(1, group)
            let state = groupState(group)
            guard state.arrived == state.lanes.count else { return }
        }
        guard !lanes[Int(lane)].isInReady else { return }
        lanes[Int(lane)].isInReady = true
        ready.append(lane)
    }
}
