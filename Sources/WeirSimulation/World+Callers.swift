import Weir
import WeirCore
import WeirRecord
import WeirTesting

// What callers send, to whom, and how often.
extension World {
    func canAct(_ caller: Int) -> Bool {
        let one = callers[caller]
        if one.open.contains(where: { units[$0].due.map { $0 <= now } ?? false }) { return true }
        return !isHealing && unitsLeft > 0 && one.open.count < one.window
    }

    func act(_ caller: Int) {
        if !isHealing && random.chance(plan.disconnects) { return disconnect(caller) }
        if !isHealing && random.chance(plan.twins) { return sendTwin() }
        let due = callers[caller].open.first { units[$0].due.map { $0 <= now } ?? false }
        if let due { return send(due) }
        guard unitsLeft > 0 else { return }
        unitsLeft -= 1
        makeUnit(caller)
    }

    /// Sends something again that is under way or has been answered: a caller that does not know
    /// that somebody else has sent it, or a copy that was held up on its way.
    private func sendTwin() {
        // The one that is about to begin counts as begun.
        let generation = max(currentGeneration, maintainer.map { $0.number + 1 } ?? 0)
        let recent = units.suffix(12).filter { unit in
            // What is older may have been forgotten by now.
            unit.generation >= generation - 1
                && unit.members.allSatisfy(mayBeRepeated)
                && !unit.members.contains { messages[$0].standing.isGivenUp }
        }
        guard let unit = random.element(of: Array(recent)) else { return }
        if !unit.isGroup && random.chance(10) { return sendVariant(of: unit.members[0]) }
        send(unit.number)
    }

    /// Another payload with an ID that was sent before.
    private func sendVariant(of number: Int) {
        let message = messages[number]
        guard message.table.isAppendOnly, message.id == number else { return }
        let original = units[message.unit]
        makeUnit(
            caller: original.caller, isGroup: false, generation: original.generation
        ) { unit in
            [add(message.table, key: message.row[0], value: 800, idOf: number, unit: unit)]
        }
    }

    private func disconnect(_ caller: Int) {
        let open = submissions.indices.suffix(20).filter {
            submissions[$0].state == .open && tickets[$0] != nil
        }
        guard let index = random.element(of: Array(open)), let ticket = tickets[index] else {
            return
        }
        note("the caller of submission \(index) leaves")
        count(.disconnected)
        abandon(index)
        gateways[submissions[index].gateway]?.coordinator.cancel(ticket)
        stir(submissions[index].gateway)
    }

    /// Nobody will hear of the submission any more.
    func abandon(_ index: Int) {
        guard submissions[index].state == .open else { return }
        submissions[index].state = .abandoned
        let number = submissions[index].message
        messages[number].mayBeWritten = true
        if !mayBeRepeated(number) && !messages[number].isFinal {
            messages[number].standing = .givenUp
        }
        closed(index)
    }

    // MARK: Making

    private func makeUnit(_ caller: Int) {
        if random.chance(plan.groups) {
            return makeUnit(caller: caller, isGroup: true) { unit in
                let hasIDs = !random.chance(plan.anonymous)
                return (0...random.below(3)).map { _ in
                    // Else nearly every group would have a bad member.
                    addAppended(
                        unit: unit, hasID: hasIDs || random.chance(30), bad: plan.bad / 3,
                        tables: [.appended, .filtered, .kept])
                }
            }
        }
        switch random.below(10) {
        case 0..<3 where callers[caller].open.allSatisfy { !isOfOwnRow($0) }:
            makeUnit(caller: caller, isGroup: false) { [addOwnStep(caller, unit: $0)] }
        case 3..<5:
            makeUnit(caller: caller, isGroup: false) { [addVersion(unit: $0)] }
        default:
            makeUnit(caller: caller, isGroup: false) { unit in
                let hasID = !random.chance(plan.anonymous)
                let count = random.chance(70) ? 1 : 1 + random.below(4)
                let tables: [WorldTable] = [.appended, .kept, .strict, .filtered]
                let table = tables[random.below(tables.count)]
                return (0..<count).map { _ in
                    addAppended(unit: unit, hasID: hasID, bad: plan.bad, tables: [table])
                }
            }
        }
    }

    /// - Parameter generation: as old as its messages' IDs are.
    private func makeUnit(
        caller: Int, isGroup: Bool, generation: Int? = nil, _ members: (Int) -> [Int]
    ) {
        let number = units.count
        units.append(Unit(number: number, members: [], isGroup: isGroup, caller: caller))
        let members = members(number)
        units[number] = Unit(
            number: number, members: members, isGroup: isGroup && members.count > 1,
            generation: generation ?? currentGeneration, due: now, caller: caller)
        callers[caller].open.append(number)
        send(number)
    }

    private func addAppended(
        unit: Int, hasID: Bool, bad: Int, tables: [WorldTable]
    ) -> Int {
        let table = tables[random.below(tables.count)]
        var value = random.below(100)
        if random.chance(bad) {
            let kinds: [BadValue] =
                table == .filtered ? [.check, .deferred, .raised, .left] : [.check, .deferred]
            value = kinds[random.below(kinds.count)].values.lowerBound
        }
        return add(
            table, key: random.below(plan.keyCount), value: value,
            idOf: hasID ? messages.count : nil, unit: unit)
    }

    private func add(
        _ table: WorldTable, key: Int, value: Int, idOf id: Int?, unit: Int
    ) -> Int {
        let number = messages.count
        let record = WorldRecords.appended(table, [key, number, value], id: id)
        return add(
            Message(
                number: number, id: id, record: record, table: table, row: [key, number, value],
                isBad: BadValue.allCases.contains { $0.values.contains(value) }, unit: unit))
    }

    /// The next step of a caller's own row, which fails when it is done twice or never.
    private func addOwnStep(_ caller: Int, unit: Int) -> Int {
        let key = 1_000 + callers[caller].ownKey
        let operation: WeirRecord.Operation
        if callers[caller].ownRow == 0 {
            operation = .insert
        } else {
            operation = random.chance(60) ? .patch : .delete
        }
        return addRow(operation, [key, 0, messages.count], unit: unit)
    }

    /// A write that is ignored where a newer one has come before it.
    private func addVersion(unit: Int) -> Int {
        let version = 1 + messages.count / 2 + random.below(8)
        return addRow(
            .upsert, [2_000 + random.below(plan.keyCount), version, messages.count], unit: unit)
    }

    private func addRow(_ operation: WeirRecord.Operation, _ row: [Int], unit: Int) -> Int {
        let number = messages.count
        return add(
            Message(
                number: number, id: number,
                record: WorldRecords.row(operation, row, id: number), table: .rows, row: row,
                isBad: false, unit: unit))
    }

    /// A record that tells whether a gateway works.
    @discardableResult
    func addProbe(_ table: WorldTable = .appended, at gateway: Int) -> Int {
        let unit = units.count
        units.append(Unit(number: unit, members: [], isGroup: false, caller: 0))
        let message = add(table, key: 99, value: 0, idOf: messages.count, unit: unit)
        units[unit] = Unit(
            number: unit, members: [message], isGroup: false, generation: currentGeneration,
            due: now, caller: 0, gateway: gateway)
        callers[0].open.append(unit)
        return message
    }

    private func add(_ message: Message) -> Int {
        messages.append(message)
        numbers[ObjectIdentifier(message.record)] = message.number
        if let id = message.id, let print = message.record.message {
            registry.add(.init(high: print.high, low: print.low), id)
        }
        return message.number
    }

    func isOfOwnRow(_ unit: Int) -> Bool {
        units[unit].members.contains { messages[$0].row[0] >= 1_000 && messages[$0].row[0] < 2_000 }
    }

    // MARK: Sending

    private func send(_ number: Int) {
        units[number].sends += 1
        units[number].due = nil
        let unit = units[number]
        let alive = gateways.indices.filter { gateways[$0] != nil }
        // A caller stays with its gateway mostly.
        let usual = unit.caller % gateways.count
        let other = random.element(of: alive)
        let chosen = unit.gateway ?? (random.chance(70) && alive.contains(usual) ? usual : other)
        guard let gateway = chosen, let coordinator = gateways[gateway]?.coordinator else {
            return rest(number)
        }
        let isLate = unit.members.allSatisfy { messages[$0].isFinal }
        let members =
            unit.isGroup || isLate
            ? unit.members : unit.members.filter { !messages[$0].isFinal }
        let heldGeneration = gateways[gateway]?.heldGeneration ?? .max
        gateways[gateway]?.heldGeneration = min(heldGeneration, unit.generation)
        let wait =
            plan.isHurried && !isHealing
            ? Nanoseconds.milliseconds(Int64(1 + random.below(20))) : .seconds(5)
        note("unit \(number) \(members) is sent to gateway \(gateway)")
        let first = submissions.count
        for message in members { open(message, at: gateway, isLate: isLate) }
        let list = members.enumerated().map { offset, message in
            Coordinator.Submission(
                record: messages[message].record, waiter: mailbox(gateway),
                index: first + offset, deadline: now + wait, group: unit.isGroup ? 1 : 0)
        }
        if list.count == 1 && !unit.isGroup {
            // As an event loop hands over what it has gathered.
            let origin = RecordOrigin(.said("unit \(number)"))
            for result in coordinator.submit(each: [(list[0], origin)]) {
                switch result {
                case .success(let ticket): tickets[first] = ticket
                case .failure(let failure): refused(first, failure)
                }
            }
        } else {
            for (index, failure) in coordinator.submit(list) { refused(index, failure) }
        }
        stir(gateway)
    }

    private func mailbox(_ gateway: Int) -> any Waiter {
        gateways[gateway]?.mailbox ?? WorldMailbox()
    }

    private func open(_ message: Int, at gateway: Int, isLate: Bool) {
        // Messages with one ID stand together, with that of the first.
        let name = messages[message].id ?? message
        let same = sendings[name, default: []].map { submissions[$0] }.filter {
            $0.mayGoOn && $0.gateway == gateway && $0.incarnation == incarnations[gateway]
        }
        sendings[name, default: []].append(submissions.count)
        if same.contains(where: { $0.state == .open }) { count(.joined) }
        submissions.append(
            Submission(
                message: message, gateway: gateway, incarnation: incarnations[gateway],
                isFirst: same.isEmpty, isLate: isLate, generation: currentGeneration))
        tickets.append(nil)
        units[messages[message].unit].openCount += 1
    }

    private func refused(_ index: Int, _ failure: Failure) {
        gateways[submissions[index].gateway]?.refusedCount += 1
        told(index, .failed(failure))
    }

    /// One of a unit's submissions is over: if that was the last, the unit is settled or is sent
    /// again.
    func closed(_ index: Int) {
        let number = messages[submissions[index].message].unit
        units[number].openCount -= 1
        guard units[number].openCount == 0 else { return }
        if units[number].members.allSatisfy({ messages[$0].isFinal }) {
            callers[units[number].caller].open.removeAll { $0 == number }
        } else if callers[units[number].caller].open.contains(number) {
            rest(number)
        }
    }

    private func rest(_ number: Int) {
        // A table is paused for a second.
        let wait = units[number].isPaused ? 1_000_000_000 : 20_000_000
        units[number].isPaused = false
        units[number].due = now + Nanoseconds(Int64(1 + random.below(wait)))
    }

    /// Whether sending it again is safe: it has a message ID, or its group has one.
    func mayBeRepeated(_ number: Int) -> Bool {
        let unit = units[messages[number].unit]
        return messages[number].id != nil
            || unit.isGroup && unit.members.contains { messages[$0].id != nil }
    }

    /// Of the primary's memory of messages.
    var currentGeneration: Int { servers[primary].model.row(.generation, 0)?[1] ?? 0 }
}

extension Message.Standing {
    var isGivenUp: Bool { if case .givenUp = self { true } else { false } }
}
