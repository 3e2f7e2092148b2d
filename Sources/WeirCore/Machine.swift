/// The gateway's decisions, as a value. Events go in with the time at which they happened; what to
/// do comes out as `Effects`. It reads no clock, draws no randomness but its seeded own, and waits
/// for nothing, so that a test steps it by hand and a simulator explores its schedules.
///
/// The invariants that it keeps are numbered in docs/ARCHITECTURE.md and checked by `violations()`.
package struct Machine: Sendable {
    package struct Configuration: Sendable, Equatable {
        package var writersMax = 1
        package var admission = AdmissionPolicy.Configuration()
        package var batch = BatchFormer.Configuration()
        package var retry = RetryPolicy.Configuration()
        package var poison = MassPoisonBreaker.Configuration()
        package var seed: UInt64 = 0
        package init() {}
    }

    enum Writer: Sendable {
        /// No connection. Becomes `idle` when it has one.
        case disconnected
        /// Connected, without a batch. Becomes `busy`, or `disconnected`.
        case idle
        /// In an attempt. Becomes `idle` or `disconnected` when the attempt is reported.
        case busy(BatchRun)
    }

    let former: BatchFormer
    var limiter: ConcurrencyLimiter
    let retryPolicy: RetryPolicy
    var admission: AdmissionPolicy
    var slots = SlotTable()
    var lanes = LaneScheduler()
    var inFlight = InFlight()
    var pauses = TablePauses()
    var locks = TableLocks()
    var breaker: MassPoisonBreaker
    /// By the slot of the pack.
    var packKeys: [Int: PackKeys] = [:]
    var random: SplitMix64

    var writers: [Writer]
    /// Idle writers, the last one used on top: its caches are warm.
    var idle: [WriterID] = []
    var busyCount = 0
    /// Writers whose batch is large.
    var largeCount = 0
    var connectedCount = 0
    /// Batches between attempts.
    var resting: [BatchRun] = []
    var batchCount: UInt64 = 0
    /// Bytes of records that are queued and alive.
    var queuedBytes = 0

    /// No held record's deadline is earlier, unless a sweep has just been skipped for being too
    /// soon.
    var earliestDeadline = Timestamp.distantFuture
    var lastSweep = Timestamp.zero
    var isDraining = false
    var hasReportedDrained = false

    package init(_ configuration: Configuration) {
        precondition(configuration.writersMax >= 1, "somebody must write")
        former = BatchFormer(configuration.batch)
        limiter = ConcurrencyLimiter(limitMax: configuration.writersMax)
        retryPolicy = RetryPolicy(configuration.retry)
        breaker = MassPoisonBreaker(configuration.poison)
        admission = AdmissionPolicy(configuration.admission)
        random = SplitMix64(seed: configuration.seed)
        writers = Array(repeating: .disconnected, count: configuration.writersMax)
    }

    // MARK: Records

    /// Admits one record and hands out a batch if one is due.
    package mutating func submit(_ entry: Entry, now: Timestamp) -> (Admission, Effects) {
        let admission = admit(entry, now: now)
        return (admission, dispatch(now: now))
    }

    /// Admits one record. `dispatch` must follow, once for any number of records.
    package mutating func admit(_ entry: Entry, now: Timestamp) -> Admission {
        if let refusal = refusal(entry, now: now) { return .refused(refusal) }
        let entry = anonymous(entry, isExclusive: entry.isExclusive)
        switch inFlight.match(entry.message) {
        case .reused:
            return .refused(.messageIDReused)
        case .same(let original):
            if let refusal = admission.refusal(adding: 1, bytes: 0) { return .refused(refusal) }
            return join(entry, to: original, now: now)
        case .none:
            break
        }
        if let refusal = admission.refusal(adding: 1, bytes: entry.byteCount) {
            return .refused(refusal)
        }
        let slot = hold(entry, now: now)
        lanes.enqueue(slot, entry.orderHash, entry.orderKeyHash)
        return .queued(slots.ticket(slot))
    }

    /// Admits records of one caller and one table that travel as one for as long as nothing is
    /// wrong with any of them: one ticket, one place in the queue, one answer. They are refused
    /// together. When an attempt that holds them fails they come apart: see `Unpacking`.
    ///
    /// - Parameters:
    ///   - entry: speaks for all; its bytes are theirs together. It has no message, its order
    ///     hashes are not looked at, and it is neither exclusive nor strict: a record that is
    ///     blocked by an earlier one would block its whole pack.
    ///   - orderHashes: of each record in turn, as many as it has.
    ///   - hashEnds: where those of each record end. Not needed where each has one, or none has.
    package mutating func admit(
        pack entry: Entry, recordCount: Int, orderHashes: [UInt64], hashEnds: [Int32] = [],
        now: Timestamp
    ) -> Admission {
        precondition(
            recordCount <= former.recordsMax && entry.byteCount <= former.bytesMax,
            "a pack is no larger than a batch")
        precondition(entry.message == nil && !entry.isExclusive, "a pack is anonymous")
        precondition(!entry.isStrict, "a pack is not strict")
        if let refusal = refusal(entry, recordCount: recordCount, orderHashes, now: now) {
            return .refused(refusal)
        }
        if let refusal = admission.refusal(adding: recordCount, bytes: entry.byteCount) {
            return .refused(refusal)
        }
        let slot = hold(entry, recordCount: recordCount, now: now)
        lanes.enqueue(pack: slot, orderHashes: orderHashes, count: recordCount)
        if recordCount > 1 {
            packKeys[slot] = PackKeys(hashes: orderHashes, ends: hashEnds)
        } else {
            slots[slot].orderHash = orderHashes.first
            slots[slot].orderKeyHash = orderHashes.dropFirst().first
        }
        return .queued(slots.ticket(slot))
    }

    /// Admits records that commit together or not at all. They are refused together too: the result
    /// has one element per entry, or a refusal that stands for all.
    package mutating func admit(
        group entries: [Entry], now: Timestamp
    ) -> Result<[Admission], GroupRefusal> {
        guard !entries.isEmpty else { return .success([]) }
        guard entries.count <= former.recordsMax else {
            return .failure(GroupRefusal(.groupTooLarge))
        }
        for entry in entries {
            if let refusal = refusal(entry, now: now) { return .failure(GroupRefusal(refusal)) }
        }
        // A group with a dry run in it is one: it is rolled back as a whole.
        let isExclusive = entries.contains { $0.isExclusive }
        let entries = entries.map { anonymous($0, isExclusive: isExclusive) }
        guard !repeatsMessage(entries) else { return .failure(GroupRefusal(.messageIDReused)) }
        let originals = entries.map { inFlight.match($0.message) }
        if originals.contains(where: { $0 != .none }) {
            return joinGroup(entries, originals, now: now)
        }
        let bytes = entries.reduce(0) { $0 + $1.byteCount }
        guard bytes <= admission.limits.bytes else { return .failure(GroupRefusal(.groupTooLarge)) }
        if let refusal = admission.refusal(adding: entries.count, bytes: bytes) {
            return .failure(GroupRefusal(refusal))
        }
        // One deadline for all: a group leaves the queue whole, whichever way it leaves.
        let deadline = entries.reduce(Timestamp.distantFuture) { min($0, $1.deadline) }
        let held = entries.map { entry in
            var member = entry
            member.deadline = deadline
            return hold(member, now: now)
        }
        for (place, slot) in held.enumerated() {
            slots[slot].unitSize = 0
            slots[slot].lead = held[0]
            slots[slot].place = place
        }
        slots[held[0]].unitSize = held.count
        lanes.enqueue(group: zip(held, entries).map { ($0, ($1.orderHash, $1.orderKeyHash)) })
        return .success(held.map { .queued(slots.ticket($0)) })
    }

    /// The caller of `ticket` has gone. A queued record is dropped; one that is in a transaction is
    /// written all the same. No resolution follows.
    package mutating func cancel(_ ticket: Ticket) {
        guard let slot = slots.slot(of: ticket), !slots[slot].isAnswered else { return }
        slots[slot].isAnswered = true
        if slots[slot].state == .queued && slots[slot].unitSize == 1 && slots[slot].joined < 0 {
            bury(slot)
        }
    }

    /// Refuses new records and sends what waits without lingering. `Transition.drained` tells when
    /// nothing is left.
    package mutating func drain(now: Timestamp) -> Effects {
        isDraining = true
        return dispatch(now: now)
    }

    /// The table's definition has been read again, or somebody says that it may be written.
    package mutating func resume(_ table: TableID, now: Timestamp) -> Effects {
        pauses.clear(table)
        return dispatch(now: now)
    }

    // MARK: Parts of admitting

    /// - Parameter orderHashes: of a pack.
    private mutating func refusal(
        _ entry: Entry, recordCount: Int = 1, _ orderHashes: [UInt64] = [], now: Timestamp
    ) -> Refusal? {
        if isDraining { return .draining }
        if connectedCount == 0 { return .databaseUnavailable(retryAfter: .seconds(1)) }
        if let remaining = pauses.remaining(entry.table, now: now) {
            let hash = entry.message?.identity.low ?? entry.orderHash
            breaker.turnedAway(recordCount, hash.map { [$0] } ?? orderHashes, of: entry.table)
            return .tablePaused(retryAfter: remaining)
        }
        return nil
    }

    /// A dry run leaves nothing behind, so it neither gives its answer to another record with its
    /// message ID nor takes one.
    private func anonymous(_ entry: Entry, isExclusive: Bool) -> Entry {
        guard isExclusive else { return entry }
        var entry = entry
        entry.isExclusive = true
        entry.message = nil
        return entry
    }

    /// Two records with one message ID can neither both be written nor wait for each other.
    private func repeatsMessage(_ entries: [Entry]) -> Bool {
        var seen: Set<MessageKey.Identity> = []
        return entries.contains { $0.message.map { !seen.insert($0.identity).inserted } ?? false }
    }

    private mutating func hold(
        _ entry: Entry, recordCount: Int = 1, state: SlotTable.State = .queued, now: Timestamp
    ) -> Int {
        let slot = slots.allocate(entry, recordCount: recordCount, state: state, now: now)
        admission.hold(recordCount, bytes: entry.byteCount)
        if state == .queued {
            inFlight.insert(entry.message, slot: slot)
            queuedBytes += entry.byteCount
        }
        earliestDeadline = min(earliestDeadline, entry.deadline)
        return slot
    }

    private mutating func join(_ entry: Entry, to original: Int, now: Timestamp) -> Admission {
        var entry = entry
        entry.byteCount = 0
        entry.message = nil
        let slot = hold(entry, state: .joined, now: now)
        slots[slot].joined = slots[original].joined
        slots[original].joined = slot
        return .joined(slots.ticket(slot), to: slots.ticket(original))
    }

    /// A retried group joins its original member by member, those without a message ID by their
    /// place; any other overlap is a mistake.
    private mutating func joinGroup(
        _ entries: [Entry], _ originals: [InFlight.Match], now: Timestamp
    ) -> Result<[Admission], GroupRefusal> {
        guard let members = members(entries, originals) else {
            return .failure(GroupRefusal(.messageIDReused))
        }
        if let refusal = admission.refusal(adding: entries.count, bytes: 0) {
            return .failure(GroupRefusal(refusal))
        }
        return .success(zip(entries, members).map { join($0, to: $1, now: now) })
    }

    /// The members of the one group that the entries repeat, in their order.
    private func members(_ entries: [Entry], _ originals: [InFlight.Match]) -> [Int]? {
        var known: [Int?] = []
        for original in originals {
            switch original {
            case .none: known.append(nil)
            case .same(let slot): known.append(slot)
            case .reused: return nil
            }
        }
        guard let lead = known.lazy.compactMap({ $0 }).first.map({ slots[$0].lead }),
            slots[lead].unitSize == known.count
        else { return nil }
        let unit = slots.unit(of: lead)
        let members = known.indices.map { known[$0] ?? unit[$0] }
        let isSame = known.indices.allSatisfy { place in
            let slot = members[place]
            let hasNoID = entries[place].message == nil && slots[slot].message == nil
            return slots[slot].lead == lead && (known[place] != nil || hasNoID)
        }
        return isSame && members[0] == lead ? members : nil
    }
}

/// Why a whole group was not admitted.
package struct GroupRefusal: Error, Equatable {
    package let refusal: Refusal
    init(_ refusal: Refusal) { self.refusal = refusal }
}
