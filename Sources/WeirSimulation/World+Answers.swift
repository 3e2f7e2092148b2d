import Weir
import WeirCore
import WeirRecord
import WeirTesting

// What each answer may be: held against the server that its gateway knows as the newest one, at the
// moment at which it is given.
extension World {
    func told(_ index: Int, _ fate: Fate) {
        let submission = submissions[index]
        gateways[submission.gateway]?.answeredCount += 1
        guard submission.incarnation == incarnations[submission.gateway] else {
            return fail("1: submission \(index) is answered by a gateway that is gone")
        }
        switch submission.state {
        case .abandoned: return fail("1: submission \(index) is answered, and its caller has left")
        case .answered: return fail("1: submission \(index) is answered twice")
        case .open:
            submissions[index].state = .answered
            submissions[index].mayGoOn = false
        }
        mix(index)
        switch fate {
        case .stored(let result, let receipt): stored(index, result, receipt)
        case .failed(let failure): failed(index, failure)
        }
        closed(index)
    }

    private func view(of gateway: Int) -> Int { gateways[gateway]?.view ?? 0 }

    // MARK: Stored

    private func stored(_ index: Int, _ result: RowResult, _ receipt: BatchReceipt) {
        let number = submissions[index].message
        let message = messages[number]
        let server = view(of: submissions[index].gateway)
        note("  message \(number) is \(result.effect) by server \(server)")
        mix(result.effect.rawValue)
        if message.isBad {
            fail("ABORTED: message \(number) is bad and is called \(result.effect)")
        }
        guard let attempt = registry.known(result.first?.batchID ?? receipt.id) else {
            return fail("message \(number) is answered with an attempt that never was")
        }
        check(number, attempt, result, server)
        if result.effect == .replayed {
            checkReplay(index, receipt, attempt)
        } else if submissions[index].isFirst {
            checkOrder(index, server)
        }
        if submissions[index].isLate {
            if result.effect != .replayed, message.seenOn == server,
                message.seenAttempt != attempt, case .stored = message.standing
            {
                fail("TWICE: message \(number) was answered before, and is \(result.effect) again")
            }
            // After a failover the answer before is void, and this one counts.
            if case .stored = message.standing {
                messages[number].seenOn = server
                messages[number].seenAttempt = attempt
            }
            return
        }
        if result.effect == .ignored { count(.oldVersionIgnored) }
        settle(number, .stored, seenOn: server)
        messages[number].seenAttempt = attempt
        let unit = units[message.unit]
        if unit.isGroup { count(.groupCommitted) }
        moveOwnRow(message)
    }

    /// The effect is in the database, by the transaction that the answer names.
    private func check(_ number: Int, _ attempt: Int, _ result: RowResult, _ server: Int) {
        let message = messages[number]
        let truth = servers[server].truth
        guard let transaction = truth.markers[attempt], transaction >= 0 else {
            return fail(
                "LOST: message \(number) is called \(result.effect) by attempt \(attempt), which "
                    + "has not committed on server \(server)")
        }
        if let id = message.id {
            guard let entry = truth.entries[id] else {
                return fail("LOST: message \(number) is called \(result.effect) and has no entry")
            }
            if entry.attempt != attempt || entry.transaction != transaction {
                fail("message \(number) was written by another attempt than \(attempt)")
            }
            let effect = result.first?.effect ?? result.effect
            if RowEffect(world: entry.outcome) != effect {
                fail("message \(number) is called \(effect) and its entry says \(entry.outcome)")
            }
        }
        guard message.table.isAppendOnly else { return }
        if truth.rows[number]?.transaction != transaction {
            fail("LOST: message \(number) is called \(result.effect) and is not there")
        }
    }

    private func checkReplay(_ index: Int, _ receipt: BatchReceipt, _ attempt: Int) {
        let number = submissions[index].message
        if messages[number].id == nil && !units[messages[number].unit].isGroup {
            fail("message \(number) has no ID and is called a repetition")
        }
        let known = registry.known(receipt.id)
        count(known == attempt ? .replayedFromWindow : .replayedFromDatabase)
        if let began = attempts[attempt]?.generation, began < currentGeneration {
            count(.seamReplay)
        }
    }

    /// Per key as admitted by this gateway.
    private func checkOrder(_ index: Int, _ server: Int) {
        let submission = submissions[index]
        let message = messages[submission.message]
        guard message.table.isAppendOnly, let place = servers[server].truth.rows[message.number]
        else { return }
        let key = OrderKey(
            gateway: submission.gateway, incarnation: submission.incarnation,
            table: message.table.rawValue, key: message.row[0], server: server)
        if let (earlier, before) = newest[key], (earlier < index) != (before < place) {
            fail(
                "6: submissions \(earlier) and \(index) of one key took effect in another order")
        }
        if newest[key].map({ $0.submission < index }) ?? true { newest[key] = (index, place) }
    }

    private func settle(_ number: Int, _ standing: Message.Standing, seenOn server: Int?) {
        guard !messages[number].isFinal else { return }
        messages[number].standing = standing
        messages[number].seenOn = server
    }

    /// A caller's own row: what it does next depends on how far it has got.
    private func moveOwnRow(_ message: Message) {
        guard isOfOwnRow(message.unit) else { return }
        let caller = units[message.unit].caller
        switch message.record.options.operation {
        case .insert: callers[caller].ownRow = 1
        case .delete: callers[caller].ownRow = 0
        default: break
        }
    }

    // MARK: Failed

    private func failed(_ index: Int, _ failure: Failure) {
        let number = submissions[index].message
        note("  message \(number): \(failure.code.rawValue)")
        mix(failure.code.rawValue.utf8.count)
        if failure.deadLetter != nil { return deadLettered(index) }
        switch failure.code {
        case .outcomeUnknown:
            count(.toldUnknown)
            submissions[index].mayGoOn = true
            messages[number].mayBeWritten = true
            if !mayBeRepeated(number) {
                settle(number, .givenUp, seenOn: nil)
                disown(number)
            }
        case .messageIDReused:
            count(.messageReused)
            // It may still be in flight elsewhere.
            messages[number].mayBeWritten = true
            let id = messages[number].id
            let hasVariant = messages.contains { $0.id == id && $0.number != id }
            if !hasVariant { fail("message \(number) is called reused, and its ID is its own") }
            settle(number, .rejected, seenOn: nil)
        case .overloaded, .databaseUnavailable, .tablePaused, .draining, .retriesExhausted,
            .orderBlocked, .deadlineExceeded:
            notWritten(index, failure.code)
        case .rolledBack, .checkViolation, .foreignKeyViolation, .triggerException:
            rejected(index, failure.code)
        case .recordNotFound, .uniqueViolation:
            // A step of a caller's own row that was done twice, or one before it that is lost.
            if !hasFailedOver {
                fail("TWICE or LOST: message \(number) is a next step: \(failure.code.rawValue)")
            }
            callers[units[messages[number].unit].caller].ownRow =
                failure.code == .uniqueViolation ? 1 : 0
            settle(number, .rejected, seenOn: nil)
        default: fail("message \(number) has an answer that cannot be: \(failure.code.rawValue)")
        }
    }

    private func notWritten(_ index: Int, _ code: ProblemCode) {
        let number = submissions[index].message
        switch code {
        case .orderBlocked: count(.orderBlocked)
        case .tablePaused:
            count(.tablePaused)
            units[messages[number].unit].isPaused = true
        case .deadlineExceeded: count(.deadlineExceeded)
        case .retriesExhausted: count(.retriesExhausted)
        default: break
        }
        checkAbsent(index, "is called not written")
    }

    private func rejected(_ index: Int, _ code: ProblemCode) {
        let number = submissions[index].message
        let unit = units[messages[number].unit]
        count(code == .rolledBack ? .groupRolledBack : .rejected)
        if code == .rolledBack && !unit.isGroup { fail("message \(number) has no group") }
        let isGuilty = messages[number].isBad
        let hasGuilty = unit.members.contains { messages[$0].isBad }
        if !(unit.isGroup ? hasGuilty : isGuilty) {
            fail("9: message \(number) is rejected and nothing is wrong with it")
        }
        // A deferred constraint is met at COMMIT, where nobody is named.
        let hasDeferred = unit.members.contains {
            BadValue.deferred.values.contains(messages[$0].row[WorldTable.value])
        }
        if unit.isGroup && code != .rolledBack && !isGuilty && !hasDeferred {
            fail("message \(number) is blamed for another member of its group")
        }
        checkAbsent(index, "is rejected")
        settle(number, .rejected, seenOn: nil)
    }

    /// Without a message ID it was sent once, and was certainly not written.
    private func checkAbsent(_ index: Int, _ what: String) {
        let number = submissions[index].message
        let gateway = submissions[index].gateway
        guard !mayBeRepeated(number), !submissions[index].isLate else { return }
        // A server that was replaced may have it: also where another gateway had sent it there, has
        // not found it on the server that took over, and told its caller so.
        let server = view(of: gateway)
        let wasElsewhere = submissions[..<index].contains {
            $0.message == number && $0.gateway != gateway
        }
        if server != primary && wasElsewhere { return }
        if servers[server].truth.rows[number] != nil {
            fail("ABORTED: message \(number) \(what) and is there")
        }
    }

    private func deadLettered(_ index: Int) {
        let number = submissions[index].message
        let message = messages[number]
        let server = view(of: submissions[index].gateway)
        count(.deadLettered)
        if message.table != .kept { fail("DEAD: message \(number) is kept, and its table is not") }
        if !message.isBad { fail("DEAD: message \(number) is kept and nothing is wrong with it") }
        if servers[server].truth.letters[number] == nil {
            fail("DEAD: message \(number) is called kept and is not on server \(server)")
        }
        settle(number, .deadLettered, seenOn: server)
    }

    /// Its caller may send it again by another name: what has not begun by now never may.
    private func disown(_ number: Int) {
        count(.disowned)
        messages[number].disownedAt = clock.unixNanoseconds / 1_000_000
    }
}
