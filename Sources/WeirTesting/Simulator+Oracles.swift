import WeirCore

// What must be true of each answer of the machine, whatever the history. Numbers are those of the
// invariants in docs/ARCHITECTURE.md.
extension Simulator {
    typealias Finished = (attempt: Attempt, outcome: BatchOutcome)

    // MARK: Admission

    mutating func admitted(
        _ admission: Admission, _ entry: Entry, _ poison: ModelDatabase.Poison, group: Int = -1
    ) {
        let key = entry.orderHash.map(String.init) ?? "-"
        note("table \(entry.table.number), key \(key): \(admission)")
        switch admission {
        case .refused(let refusal):
            checkAtTheDoor(refusal)
        case .queued(let ticket):
            checkIsOpen()
            queued(ticket, entry, poison, group: group)
        case .joined(let ticket, let original):
            checkIsOpen()
            joined(ticket, to: original, entry)
        }
    }

    mutating func admitted(
        group admissions: [Admission], _ members: [(entry: Entry, poison: ModelDatabase.Poison)]
    ) {
        guard admissions.count == members.count else {
            return fail("a group of \(members.count) got \(admissions.count) answers")
        }
        occurrences.groups += 1
        let first = database.records.count
        // A group leaves the queue as one, and is rolled back as one if any member is a dry run.
        let isExclusive = members.contains { $0.entry.isExclusive }
        let deadline = members.reduce(Timestamp.distantFuture) { min($0, $1.entry.deadline) }
        for (admission, member) in zip(admissions, members) {
            var entry = member.entry
            entry.deadline = deadline
            entry.isExclusive = isExclusive
            admitted(admission, entry, member.poison, group: groups.count)
        }
        let fresh = Array(first..<database.records.count)
        if fresh.count == members.count { return groups.append(fresh) }
        if !fresh.isEmpty { fail("a group was queued in part") }
        checkGroupJoin(admissions)
    }

    mutating func admitted(
        pack admission: Admission, _ members: [(entry: Entry, poison: ModelDatabase.Poison)]
    ) {
        note("pack of \(members.count): \(admission)")
        switch admission {
        case .refused(let refusal): checkAtTheDoor(refusal)
        case .joined: fail("a pack joined something")
        case .queued(let ticket):
            checkIsOpen()
            occurrences.packs += 1
            let first = database.records.count
            for (entry, poison) in members {
                database.records.append(
                    .init(
                        sequence: database.records.count, entry: entry, poison: poison, group: -1))
                waiterOfRecord.append(waiters.count)
            }
            add(
                Waiter(
                    ticket: ticket, record: first, recordCount: members.count,
                    deadline: members[0].entry.deadline, isJoined: false))
        }
    }

    mutating func unpacked(_ unpacking: Unpacking) {
        note("  \(unpacking.pack) comes apart")
        occurrences.unpackings += 1
        guard let index = index(unpacking.pack) else { return fail("1: an unknown pack") }
        let pack = waiters[index]
        guard pack.recordCount == unpacking.parts.count else {
            return fail("\(pack.recordCount) records became \(unpacking.parts.count)")
        }
        waiters[index].state = .unpacked
        for (ticket, record) in zip(unpacking.parts, pack.records) {
            waiterOfRecord[record] = waiters.count
            add(
                Waiter(
                    ticket: ticket, record: record, deadline: pack.deadline, isJoined: false,
                    state: pack.state))
        }
    }

    private mutating func checkGroupJoin(_ admissions: [Admission]) {
        let joined = admissions.compactMap { $0.ticket }.compactMap { waiter($0)?.record }
        guard let first = joined.first else { return }
        occurrences.groupJoins += 1
        let group = database.records[first].group
        // A group of one is a single record to whoever joins it.
        guard joined.count > 1 else { return }
        if group < 0 || groups[group].sorted() != joined.sorted() {
            fail("a group joined records that are not one group")
        }
    }

    private mutating func queued(
        _ ticket: Ticket, _ entry: Entry, _ poison: ModelDatabase.Poison, group: Int
    ) {
        let record = database.records.count
        database.records.append(
            .init(sequence: record, entry: entry, poison: poison, group: group))
        waiterOfRecord.append(waiters.count)
        add(Waiter(ticket: ticket, record: record, deadline: entry.deadline, isJoined: false))
        if entry.isExclusive { occurrences.exclusives += 1 }
        guard let message = entry.message, !entry.isExclusive else { return }
        if let earlier = recordOfMessage[message.identity], isLive(earlier) {
            fail("7: record \(record) has the message of record \(earlier), which is in flight")
        }
        recordOfMessage[message.identity] = record
    }

    private mutating func joined(_ ticket: Ticket, to original: Ticket, _ entry: Entry) {
        guard let waiter = waiter(original) else { return fail("joined an unknown ticket") }
        occurrences.joins += 1
        let record = database.records[waiter.record]
        if waiter.isJoined { fail("joined a ticket that had joined another") }
        if record.entry.message != entry.message { fail("joined another message") }
        if record.entry.isExclusive || entry.isExclusive { fail("joined, and one is a dry run") }
        if record.isDenied { fail("joined a record that is answered") }
        add(
            Waiter(
                ticket: ticket, record: waiter.record, deadline: entry.deadline, isJoined: true))
    }

    private mutating func checkIsOpen() {
        if isDraining { fail("8: a record was admitted after drain") }
    }

    mutating func checkAtTheDoor(_ refusal: Refusal) {
        let isConnected = writers.contains { if case .disconnected = $0 { false } else { true } }
        switch refusal {
        case .overloaded: occurrences.overloads += 1
        case .messageIDReused: occurrences.reusedMessages += 1
        case .draining where isDraining, .databaseUnavailable where !isConnected: break
        case .tablePaused, .groupTooLarge: break
        default: fail("refused at the door: \(refusal)")
        }
    }

    // MARK: Tickets

    private mutating func add(_ waiter: Waiter) {
        let slot = waiter.ticket.slot
        while waiterOfSlot.count <= slot { waiterOfSlot.append(-1) }
        let earlier = waiterOfSlot[slot]
        if earlier >= 0 {
            if waiters[earlier].state == .open { fail("a ticket in use was given again") }
            if waiters[earlier].ticket == waiter.ticket { fail("a ticket came back") }
        }
        waiterOfSlot[slot] = waiters.count
        waiters.append(waiter)
    }

    func index(_ ticket: Ticket) -> Int? {
        guard ticket.slot < waiterOfSlot.count else { return nil }
        let index = waiterOfSlot[ticket.slot]
        return index >= 0 && waiters[index].ticket == ticket ? index : nil
    }

    func waiter(_ ticket: Ticket) -> Waiter? {
        index(ticket).map { waiters[$0] }
    }

    func isInFlight(_ record: Int) -> Bool {
        writers.contains {
            if case .busy(let attempt) = $0 { attempt.records.contains(record) } else { false }
        } || isUnresolved(record)
    }

    func isUnresolved(_ record: Int) -> Bool {
        unresolved.values.contains { $0.attempt.records.contains(record) }
    }

    private func isLive(_ record: Int) -> Bool {
        waiters[waiterOfRecord[record]].state == .open || isInFlight(record)
    }

    // MARK: Effects

    mutating func handle(_ given: Effects, after finished: Finished? = nil) {
        let effects = sabotaged(given)
        for unpacking in effects.unpackings { unpacked(unpacking) }
        for resolution in effects.resolutions { resolved(resolution, after: finished) }
        for assignment in effects.assignments { assigned(assignment) }
        for table in effects.pausedTables {
            occurrences.pauses += 1
            let isPoisoned = isRefusal(finished?.outcome) && plan.keepsDeadLetters[table.number]
            if isPoisoned { occurrences.breakers += 1 }
            if finished?.outcome != .tableFault(table) && !isPoisoned {
                fail("table \(table.number) was paused")
            }
        }
        for transition in effects.transitions { passed(transition) }
        checkNobodyPasses(effects.resolutions)
    }

    private func isRefusal(_ outcome: BatchOutcome?) -> Bool {
        if case .recordError? = outcome { true } else { false }
    }

    private mutating func passed(_ transition: Transition) {
        switch transition {
        case .halved: occurrences.halvings += 1
        case .parted: occurrences.partings += 1
        case .willRetry: occurrences.retries += 1
        case .suspected: occurrences.suspicions += 1
        case .deadLettering: break
        case .unresolved: occurrences.unresolved += 1
        case .resolved(_, .committed): occurrences.resolvedCommitted += 1
        case .resolved(_, .lost): occurrences.resolvedLost += 1
        case .resolved(_, .forgotten): occurrences.resolvedForgotten += 1
        case .drained:
            if isDrained { fail("drained twice") }
            isDrained = true
            occurrences.drains += 1
        }
    }

    private mutating func sabotaged(_ effects: Effects) -> Effects {
        var effects = effects
        switch sabotage {
        case .repeatResolution: effects.resolutions += effects.resolutions.prefix(1)
        case .loseResolution: effects.resolutions = Array(effects.resolutions.dropFirst())
        case .repeatAssignment: effects.assignments += effects.assignments.prefix(1)
        case .rejectInnocent:
            effects.resolutions = effects.resolutions.map {
                if case .committed = $0.verdict { Resolution($0.ticket, .rejected) } else { $0 }
            }
        case .loseBlocked:
            effects.resolutions.removeAll { $0.verdict == .refused(.orderBlocked) }
        default: break
        }
        return effects
    }

    // MARK: After each event, and at the end

    mutating func examine() {
        if let broken = database.failure { fail(broken) }
        for waiter in waiters.suffix(50) where waiter.state == .open {
            if !machine.holds(waiter.ticket) { fail("1: \(waiter.ticket) is forgotten and open") }
        }
        let violations = machine.violations(now: now)
        if !violations.isEmpty { fail(violations.joined(separator: "; ")) }
    }

    private func isAsCommitted(_ record: ModelDatabase.Record) -> Bool {
        record.isEffective || record.entry.isExclusive
    }

    mutating func examineEnd() {
        guard failure == nil else { return }
        if machine.gauges.recordsHeld != 0 && unresolved.isEmpty {
            fail("drained with records held")
        }
        for waiter in waiters {
            switch waiter.state {
            case .open:
                fail("1: \(waiter.ticket) of record \(waiter.record) was never resolved")
            case .resolved(.committed):
                for record in waiter.records where !isAsCommitted(database.records[record]) {
                    fail("5: record \(record) is called committed and is not")
                }
            default: break
            }
        }
        for group in groups where Set(group.map { database.records[$0].isEffective }).count > 1 {
            fail("a group took effect in part: records \(group)")
        }
    }
}
