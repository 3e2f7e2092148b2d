import Logging
import Synchronization
package import WeirCore
import WeirRecord

// What became of messages: written down as they end, and told to those who ask.
extension Coordinator {
    /// Records that one entry of the history may stand for: those of a pack.
    static let packRecordsMax = 25_000

    /// Tells what is known of a message, by the caller's own ID or by a minted one: `nil` where
    /// nothing is. What took effect and is not remembered here, the database is asked for.
    ///
    /// - Parameter resume: called on any thread, once.
    package func history(
        of id: String, by deadline: Timestamp,
        _ resume: @escaping @Sendable (Result<MessageHistory?, Failure>) -> Void
    ) {
        let now = time.now
        let hash = MessageID.hash(id)
        let identity = MessageKey.Identity(high: hash.high, low: hash.low)
        let tick = TypeIDText(Array(id.utf8)[...]).flatMap { text in
            text.prefix == "msg"
                ? ids.tick(of: UUID7(high: text.bits.high, low: text.bits.low)) : nil
        }
        let unixMilliseconds = time.unixNanoseconds / 1_000_000
        let catalog = catalogStore.catalog
        let name = name
        var known: MessageHistory?
        act(now) { state, actions in
            known = state.history(identity, tick, now: now) { moment in
                unixMilliseconds - UInt64(clamping: (now - moment).count / 1_000_000)
            } table: { number in
                catalog.flatMap { number < $0.tables.count ? $0.publicName(number) : nil }
            }
            known?.instance = name.instance
            known?.version = name.version
            let isSettled = known.map { $0.isFinal || $0.state != .settled } ?? false
            if isSettled {
                actions.told.append { [known] in resume(.success(known)) }
            } else {
                // Another gateway may have written what failed here, or redriven a dead letter.
                let local = known
                let waiter = LookUps.Waiter(identity: identity, deadline: deadline) { result in
                    switch result {
                    case .success(let stored?):
                        let found = MessageHistory(stored)
                        resume(.success(local?.outcome == found.outcome ? local : found))
                    case .success(nil): resume(.success(local))
                    case .failure(let failure):
                        resume(local.map { .success($0) } ?? .failure(failure))
                    }
                }
                if !state.lookUps.add(waiter) {
                    let failure = Failure(.overloaded(retryAfter: .seconds(1)), table: "")
                    actions.told.append { waiter.resume(.failure(failure)) }
                }
            }
            return .none
        }
    }

    /// Whether somebody waits for what the database knows of a message.
    package var isLookingUp: Bool { state.withLock { !$0.lookUps.isEmpty } }

    /// What the database said, in the order of the questions.
    func lookedUp(_ stored: [StoredMessage?]) {
        act(time.now) { state, actions in
            let waiters = state.lookUps.ended()
            for (waiter, message) in zip(waiters, stored) {
                actions.told.append { waiter.resume(.success(message)) }
            }
            precondition(waiters.count == stored.count, "each question has an answer")
            state.metrics.countLookUps(stored)
            return .none
        }
    }

    func lookUpFailed(_ failure: ConnectFailure) {
        logger.warning("cannot look up messages", metadata: ["reason": "\(failure.reason)"])
        act(time.now) { state, actions in
            let refusal = Failure(.databaseUnavailable(retryAfter: .seconds(1)), table: "")
            for waiter in state.lookUps.ended() {
                actions.told.append { waiter.resume(.failure(refusal)) }
            }
            return .none
        }
    }
}

extension Coordinator.State {
    // MARK: Looking

    fileprivate func history(
        _ identity: MessageKey.Identity, _ tick: UInt64?, now: Timestamp,
        at wall: (Timestamp) -> UInt64, table: (Int) -> String?
    ) -> MessageHistory? {
        if let (ticket, standing) = machine.standing(of: identity), let item = held[ticket.slot] {
            var history = MessageHistory(item, standing, at: wall)
            history.table = table(item.parcel.cargo.first.table.number)
            return history
        }
        let minted = tick.flatMap {
            self.history.find(minted: $0, countMax: Coordinator.packRecordsMax)
        }
        guard let entry = minted ?? self.history.find(identity) else { return nil }
        var history = MessageHistory(entry, isHeld: machine.holds(entry.ticket), at: wall)
        history.table = table(Int(entry.table))
        return history
    }

    /// Has the waiting questions asked, if that can be done now, and ends those that wait in vain.
    mutating func tendLookUps(now: Timestamp, _ actions: inout Coordinator.Actions) {
        guard !lookUps.isEmpty else { return }
        let gauges = machine.gauges
        var gone: [LookUps.Waiter] = []
        var refusal = Refusal.databaseUnavailable(retryAfter: .seconds(1))
        if isStopping {
            gone = lookUps.giveUp()
            refusal = .draining
        } else if gauges.connections == 0 {
            gone = lookUps.giveUp()
        } else {
            gone = lookUps.expire(now: now)
        }
        let failure = Failure(refusal, table: "")
        for waiter in gone { actions.told.append { waiter.resume(.failure(failure)) } }
        guard !isStopping, lookUps.isDue,
            let writer = isParked.indices.first(where: { isParked[$0] && tasks[$0] == nil }),
            let identities = lookUps.begin()
        else { return }
        _ = wake(writer, .lookUp(identities), &actions)
    }

    // MARK: Writing down

    /// Writes down what a record or a pack came to.
    mutating func write(
        _ item: Coordinator.Held, _ answer: Answer, isLate: Bool = false, now: Timestamp,
        _ actions: inout Coordinator.Actions
    ) {
        guard item.isWrittenDown else { return }
        var batchID = item.mark?.id
        if case .stored(_, let receipt) = answer.fates { batchID = receipt.id }
        answer.forEachRun { places, fate in
            // A repetition says nothing new of the message that committed.
            guard let outcome = MessageHistory.Outcome(fate) else { return }
            write(item, places, outcome, batchID, isLate, now, &actions)
        }
    }

    private mutating func write(
        _ item: Coordinator.Held, _ range: Range<Int>, _ outcome: MessageHistory.Outcome,
        _ batchID: UUID7?, _ isLate: Bool, _ now: Timestamp, _ actions: inout Coordinator.Actions
    ) {
        let parcel = item.parcel
        var entry = HistoryRing.Entry(
            identity: parcel.message?.identity,
            tick: parcel.tick == 0 ? 0 : parcel.tick + UInt64(range.lowerBound), count: range.count,
            outcome: outcome, table: parcel.cargo.first.table.number, receivedAt: parcel.admittedAt,
            endedAt: now, ticket: item.ticket)
        if let mark = item.mark {
            entry.attempts = Int32(clamping: mark.attempt)
            entry.batchedAt = mark.assignedAt
            entry.batchID = batchID ?? mark.id
            entry.reason = mark.reason
        }
        entry.origin = parcel.origin
        history.insert(entry)
        if actions.logs.takes(outcome, isLate: isLate) {
            actions.logs.lines.append(
                HistoryLine(item, entry, isLate: isLate, offset: range.lowerBound))
        }
    }

    /// Writes down what became of records whose callers were answered before, or had left.
    ///
    /// - Parameter effects: of the step in which the attempt ended; not carried out yet.
    mutating func writeLate(
        _ writer: WriterID, _ outcome: BatchOutcome, _ effects: Effects, now: Timestamp,
        _ actions: inout Coordinator.Actions
    ) {
        guard holdsAnswered else { return }
        var position = 0
        for ticket in running[writer.number] {
            guard let item = held[ticket.slot], item.ticket == ticket else { continue }
            let start = position
            position += item.parcel.cargo.count
            guard item.isAnswered, !machine.holds(ticket),
                !effects.unpackings.contains(where: { $0.pack == ticket })
            else { continue }
            held[ticket.slot]?.isWritten = true
            let fates = lateFates(item.parcel.cargo, outcome, at: start, actions)
            let answer = Answer(parcel: item.parcel, fates: fates)
            write(item, answer, isLate: true, now: now, &actions)
        }
    }

    private func lateFates(
        _ cargo: Cargo, _ outcome: BatchOutcome, at position: Int, _ actions: Coordinator.Actions
    ) -> Answer.Fates {
        let table = cargo.first.table.publicName
        let none = Nanoseconds.zero
        switch outcome {
        case .committed: return fates(of: cargo, .committed(position: position), actions)
        case .recordError(let culprit):
            let isGuilty = culprit == nil || culprit == position
            guard let error = actions.report?.error else { break }
            return isGuilty
                ? .failed(Failure(error, table: table)) : fates(of: cargo, .rolledBack, actions)
        case .tableFault: return .failed(Failure(.tablePaused(retryAfter: none), table: table))
        case .unknown, .unresolved: return .failed(Failure(.outcomeUnknown, table: table))
        case .transient: break
        }
        return .failed(Failure(.retriesExhausted, table: table))
    }

    /// Writes down a record that left without an attempt that would have said so: it was queued, or
    /// between attempts, and is certainly not written.
    mutating func writeDropped(
        _ item: Coordinator.Held, now: Timestamp, _ actions: inout Coordinator.Actions
    ) {
        guard item.isWrittenDown, !item.isWritten else { return }
        let outcome: MessageHistory.Outcome =
            item.isTold ? .failed(.deadlineExceeded, sqlstate: nil) : .abandoned
        write(item, 0..<item.parcel.cargo.count, outcome, nil, true, now, &actions)
    }
}

extension Coordinator.Held {
    /// Those that joined another one are that one's repetitions; a dry run leaves nothing.
    fileprivate var isWrittenDown: Bool {
        !parcel.isJoined && (parcel.tick != 0 || parcel.message != nil)
            && !parcel.cargo.first.options.isDryRun
    }
}

extension MessageHistory.Outcome {
    /// `nil` for an answer that speaks of an earlier message.
    init?(_ fate: Fate) {
        switch fate {
        case .stored(let result, _):
            if result.effect == .replayed { return nil }
            self = .stored(result.effect)
        case .failed(let failure):
            switch failure.code {
            case .messageIDReused: return nil
            case .outcomeUnknown: self = .unknown(isResolving: false)
            case .deadLettered:
                guard let note = failure.deadLetter, !note.isRepetition else { return nil }
                self = .deadLettered(note.number)
            default: self = .failed(failure.code, sqlstate: failure.sqlstate)
            }
        }
    }
}

extension MessageHistory {
    /// A message in flight.
    fileprivate init(
        _ item: Coordinator.Held, _ standing: Machine.Standing, at wall: (Timestamp) -> UInt64
    ) {
        switch standing {
        case .queued: self.init(.queued)
        case .assigned: self.init(.inBatch)
        case .resting: self.init(.resting)
        case .unresolved:
            self.init(.unresolved)
            outcome = .unknown(isResolving: true)
        }
        receivedAt = wall(item.parcel.admittedAt)
        if let mark = item.mark {
            batchID = mark.id
            batchedAt = wall(mark.assignedAt)
            attempts = mark.attempt
            lastReason = mark.reason
        }
        requestID = item.parcel.origin?.requestID
        traceID = item.parcel.origin?.traceID
    }

    /// One that has ended.
    ///
    /// - Parameter isHeld: something of it goes on all the same.
    fileprivate init(
        _ entry: HistoryRing.Entry, isHeld: Bool, at wall: (Timestamp) -> UInt64
    ) {
        let isUnknown = if case .unknown = entry.outcome { true } else { false }
        self.init(isUnknown && isHeld ? .unresolved : .settled)
        outcome = isUnknown ? .unknown(isResolving: isHeld) : entry.outcome
        receivedAt = wall(entry.receivedAt)
        endedAt = wall(entry.endedAt)
        if let id = entry.batchID {
            batchID = id
            batchedAt = wall(entry.batchedAt)
            attempts = Int(entry.attempts)
            lastReason = entry.reason
        }
        requestID = entry.origin?.requestID
        traceID = entry.origin?.traceID
    }
}
