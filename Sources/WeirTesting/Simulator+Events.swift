import WeirCore

// What callers, connections and time do to the machine.
extension Simulator {
    // MARK: Records

    /// One to four records and one dispatch, as a request with several items does it.
    mutating func submit(_ first: (entry: Entry, poison: ModelDatabase.Poison)) {
        if random.chance(50) {
            let (admission, effects) = machine.submit(first.entry, now: now)
            admitted(admission, first.entry, first.poison)
            handle(effects)
            return
        }
        var next = first
        for _ in 0...random.below(4) {
            admitted(machine.admit(next.entry, now: now), next.entry, next.poison)
            next = makeEntry()
        }
        handle(machine.dispatch(now: now))
    }

    /// Records of one caller and one table, as a request with many lines sends them.
    mutating func submitPack() {
        let count = 1 + random.below(plan.configuration.batch.recordsMax)
        let first = makeEntry().entry
        // Records of strict tables go one by one.
        if first.isStrict { return }
        var members: [(entry: Entry, poison: ModelDatabase.Poison)] = []
        var bytes = 0
        for _ in 0..<count {
            var member = makeEntry()
            member.entry.message = nil
            member.entry.isExclusive = false
            member.entry.table = first.table
            member.entry.isStrict = false
            member.entry.keepsDeadLetters = first.keepsDeadLetters
            member.entry.deadline = first.deadline
            // Else nearly every pack would come apart.
            if random.chance(80) { member.poison = .none }
            bytes += member.entry.byteCount
            if bytes <= plan.configuration.batch.bytesMax { members.append(member) }
        }
        var pack = members[0].entry
        pack.orderHash = nil
        pack.orderKeyHash = nil
        pack.byteCount = members.reduce(0) { $0 + $1.entry.byteCount }
        let admission = machine.admit(
            pack: pack, recordCount: members.count,
            orderHashes: members.flatMap(\.entry.keys),
            hashEnds: members.indices.map { index in
                Int32(members[...index].reduce(0) { $0 + $1.entry.keys.count })
            }, now: now)
        admitted(pack: admission, members)
        handle(machine.dispatch(now: now))
    }

    mutating func submitGroup() {
        var members: [(entry: Entry, poison: ModelDatabase.Poison)] = []
        for _ in 0...random.below(5) {
            var member = makeEntry()
            // Else nearly every group would have a bad member.
            if random.chance(50) { member.poison = .none }
            members.append(member)
        }
        // A group can be joined when each of its members can.
        if random.chance(50) {
            for index in members.indices { members[index].entry.message = makeMessage() }
        }
        submit(group: members)
    }

    /// A caller sends a message again: as it was, with another payload, or as a dry run.
    mutating func repeatMessage() {
        let known = recentMessages()
        guard let earlier = random.element(of: known) else { return }
        var entry = database.records[earlier].entry
        var poison = database.records[earlier].poison
        entry.deadline = makeDeadline()
        if random.chance(10), let message = entry.message {
            entry.message = MessageKey(
                identity: message.identity, fingerprint: ~message.fingerprint)
            poison = .none
        } else if random.chance(10) {
            entry.isExclusive.toggle()
        }
        submit((entry, poison))
    }

    /// A group as it was, or its first member with the others of another group of its size.
    mutating func repeatGroup() {
        guard !groups.isEmpty else { return }
        let recent = Array(groups.suffix(6))
        let chosen = random.below(recent.count)
        var members = recent[chosen]
        let twin = recent.last { $0.count == members.count && $0 != members }
        if let twin, random.chance(30) { members = [members[0]] + twin.dropFirst() }
        submit(group: members.map { again($0) })
    }

    /// A group out of messages that were sent before, which belong together only by chance.
    mutating func submitMixture() {
        let known = recentMessages()
        guard !known.isEmpty else { return }
        var members: [Int] = []
        for _ in 0...random.below(3) { members.append(known[random.below(known.count)]) }
        submit(group: members.map { again($0) })
    }

    mutating func cancelSomething() {
        let recent = waiters.indices.suffix(30)
        guard !recent.isEmpty else { return }
        let index = recent.startIndex + random.below(recent.count)
        let ticket = waiters[index].ticket
        note("cancel of \(ticket)")
        machine.cancel(ticket)
        // A ticket that was answered names nobody any more, even if its slot is used again.
        guard waiters[index].state == .open else { return }
        waiters[index].state = .cancelled
        occurrences.cancels += 1
    }

    private mutating func submit(group members: [(entry: Entry, poison: ModelDatabase.Poison)]) {
        let entries = members.map(\.entry)
        switch machine.admit(group: entries, now: now) {
        case .failure(let refusal):
            note("group of \(entries.count) refused: \(refusal.refusal)")
            checkAtTheDoor(refusal.refusal)
        case .success(let admissions):
            admitted(group: admissions, members)
        }
        handle(machine.dispatch(now: now))
    }

    private func again(_ record: Int) -> (entry: Entry, poison: ModelDatabase.Poison) {
        let earlier = database.records[record]
        var entry = earlier.entry
        entry.deadline = now + .milliseconds(100)
        return (entry, earlier.poison)
    }

    private func recentMessages() -> [Int] {
        database.records.indices.suffix(20).filter { database.records[$0].entry.message != nil }
    }

    mutating func makeEntry() -> (entry: Entry, poison: ModelDatabase.Poison) {
        // Skewed: low keys are hot.
        let key = random.below(1 + random.below(plan.keyCount))
        var entry = Entry(
            table: TableID(random.below(plan.tableCount)),
            orderHash: random.chance(plan.keyless) ? nil : UInt64(key) << UInt64(plan.keyShift),
            byteCount: 1 + random.below(120), deadline: makeDeadline(),
            isExclusive: random.chance(plan.exclusive))
        if random.chance(plan.doublyOrdered) { entry.orderKeyHash = ~UInt64(random.below(3)) }
        entry.keepsDeadLetters = plan.keepsDeadLetters[entry.table.number]
        entry.isStrict = plan.isStrict[entry.table.number]
        if random.chance(plan.withMessage) { entry.message = makeMessage() }
        guard random.chance(plan.poison) else { return (entry, .none) }
        return (entry, random.chance(20) ? .atCommit : .atStatement)
    }

    private mutating func makeMessage() -> MessageKey {
        messageCount += 1
        return MessageKey(identity: .init(high: 0, low: messageCount), fingerprint: messageCount)
    }

    private mutating func makeDeadline() -> Timestamp {
        switch random.below(20) {
        case 0: now + Nanoseconds(Int64(random.below(1_000_000)))
        case 1 where !plan.endsWithoutDatabase: .distantFuture
        default: now + Nanoseconds(Int64(1 + random.below(200)) * 1_000_000)
        }
    }

    // MARK: Connections

    mutating func connectSomething() {
        let number = random.below(writers.count)
        guard case .disconnected = writers[number] else { return }
        note("writer \(number) connects")
        writers[number] = .idle
        handle(machine.writerReady(WriterID(number), now: now))
    }

    mutating func loseSomething() {
        let number = random.below(writers.count)
        guard case .idle = writers[number] else { return }
        lose(number)
    }

    mutating func lose(_ number: Int) {
        note("writer \(number) is lost")
        writers[number] = .disconnected
        machine.writerLost(WriterID(number))
        occurrences.lostConnections += 1
    }

    mutating func turnTable() {
        let number = random.below(plan.tableCount)
        database.isBroken[number].toggle()
        let isBroken = database.isBroken[number]
        note("table \(number) is \(isBroken ? "broken" : "mended")")
        guard !database.isBroken[number], random.chance(70) else { return }
        handle(machine.resume(TableID(number), now: now))
    }

    // MARK: Time

    private static let spans =
        Array(repeating: 400_000, count: 95) + [3_000_000, 30_000_000, 30_000_000, 300_000_000]
        + [2_000_000_000]

    mutating func passTime() {
        // Now and then long enough for deadlines, and for the pause of a table.
        let spanMax = random.element(of: Self.spans) ?? 0
        now = now + Nanoseconds(Int64(random.below(spanMax)))
        if let due = machine.nextDeadline(now: now), due <= now { fireTimer() }
    }

    mutating func awaitTimer() {
        guard let due = machine.nextDeadline(now: now) else { return }
        now = max(now, due)
        fireTimer()
    }

    private mutating func fireTimer() {
        note("timer")
        handle(machine.timerFired(now: now))
        if let due = machine.nextDeadline(now: now), due <= now {
            fail("10: a timer that has just fired is due again at once")
        }
        // A sweep may be put off, by as much as this.
        let slack = Nanoseconds.milliseconds(10)
        for waiter in waiters.suffix(100)
        where waiter.state == .open && waiter.deadline + slack <= now {
            fail("10: \(waiter.ticket) was not told of its deadline")
        }
    }
}
