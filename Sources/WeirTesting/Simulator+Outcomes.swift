import WeirCore

// What the database does with an attempt.
extension Simulator {
    mutating func finishSomething() {
        let busy = writers.indices.filter { if case .busy = writers[$0] { true } else { false } }
        guard let number = random.element(of: busy) else { return }
        finish(number, staysConnected: random.chance(96))
    }

    mutating func finish(_ number: Int, staysConnected: Bool) {
        guard case .busy(let attempt) = writers[number] else { return }
        let outcome = judge(attempt)
        var isConnected = staysConnected
        switch outcome {
        case _ where attempt.assignment.work == .resolve: break
        case .transient(.connectionLost), .unknown, .unresolved: isConnected = false
        default: break
        }
        if attempt.assignment.work == .resolve { found(outcome, attempt, isConnected: isConnected) }
        note("writer \(number): batch \(attempt.assignment.batch.number): \(outcome)")
        if !isConnected { occurrences.lostConnections += 1 }
        writers[number] = isConnected ? .idle : .disconnected
        let effects = machine.finished(
            WriterID(number), outcome, suspect: suspect(attempt, outcome), isConnected: isConnected,
            now: now)
        handle(effects, after: (attempt, outcome))
    }

    /// What an inquiry says. Once it has said it, that is so.
    private mutating func answerInquiry(_ attempt: Attempt) -> BatchOutcome {
        guard let open = unresolved[attempt.assignment.batch] else { return .unresolved }
        if random.chance(plan.deaf) {
            // An error of the inquiry says nothing of the attempt.
            return random.chance(50) ? .recordError(culprit: nil) : .unresolved
        }
        // What would have told is gone.
        if random.chance(plan.forgotten) { return .unknown }
        if sabotage == .denyCommit { return .transient(.connectionLost) }
        return open.isApplied ? .committed : .transient(.connectionLost)
    }

    private mutating func found(
        _ outcome: BatchOutcome, _ attempt: Attempt, isConnected: Bool
    ) {
        switch outcome {
        case .committed: break
        case .unknown where isConnected: break
        case .transient where isConnected:
            // Their callers know nothing, and may have sent them again: they are not written now.
            for record in attempt.records where database.records[record].entry.deadline <= now {
                database.records[record].isDenied = true
                occurrences.droppedAsUnknown += 1
            }
        default: return
        }
        unresolved[attempt.assignment.batch] = nil
    }

    /// What an error seems to speak of: the right record mostly, any other now and then.
    private mutating func suspect(_ attempt: Attempt, _ outcome: BatchOutcome) -> Int? {
        if outcome == .transient(.lockTimeout) {
            // Any record of the statement that waited; its table is what counts.
            return random.chance(80) ? random.below(attempt.records.count + 1) : nil
        }
        guard case .recordError = outcome, random.chance(plan.suspicion) else { return nil }
        if random.chance(15) { return random.below(attempt.records.count + 1) }
        return attempt.records.firstIndex { database.records[$0].hasOffended }
    }

    private mutating func keep(_ attempt: Attempt) -> BatchOutcome {
        if random.chance(5) {
            occurrences.deadLettersRefused += 1
            return random.chance(50)
                ? .recordError(culprit: nil) : .tableFault(TableID(plan.tableCount))
        }
        if random.chance(plan.unresolved) {
            let isApplied = random.chance(50)
            if isApplied { database.keep(attempt.records[0]) }
            unresolved[attempt.assignment.batch] = (attempt, isApplied)
            return .unresolved
        }
        database.keep(attempt.records[0])
        occurrences.deadLetters += 1
        return .committed
    }

    private mutating func judge(_ attempt: Attempt) -> BatchOutcome {
        if attempt.assignment.work == .resolve { return answerInquiry(attempt) }
        if random.chance(plan.transient),
            let reason = random.element(of: TransientReason.allCases)
        {
            if sabotage == .applyOnTransient && attempt.assignment.work == .write {
                database.commit(attempt.records)
            }
            return .transient(reason)
        }
        if attempt.assignment.work == .deadLetter { return keep(attempt) }
        if attempt.records.count > plan.heavyCount { return .transient(.statementTimeout) }
        if let table = database.brokenTable(in: attempt.records) { return .tableFault(table) }
        let offenders = database.offenders(in: attempt.records)
        if !offenders.isEmpty && sabotage != .commitPoison {
            if sabotage == .tearGroup && database.records[attempt.records[0]].group >= 0 {
                database.apply(attempt.records[0])
            }
            return .recordError(culprit: culprit(offenders, attempt))
        }
        if random.chance(plan.unknown) {
            let isApplied = random.chance(50)
            if isApplied {
                database.commit(attempt.records)
                occurrences.unknownsApplied += 1
            } else {
                occurrences.unknownsLost += 1
            }
            return .unknown
        }
        if random.chance(plan.unresolved) {
            let isApplied = random.chance(50)
            if isApplied { database.commit(attempt.records) }
            unresolved[attempt.assignment.batch] = (attempt, isApplied)
            return .unresolved
        }
        commit(attempt)
        return .committed
    }

    /// A statement that held one record names it; COMMIT names nobody.
    private mutating func culprit(_ offenders: [Int], _ attempt: Attempt) -> Int? {
        let isAlone = attempt.assignment.isIsolated || attempt.records.count == 1
        guard isAlone else { return nil }
        return offenders.first { database.records[attempt.records[$0]].poison != .atCommit }
    }

    private mutating func commit(_ attempt: Attempt) {
        occurrences.commits += 1
        switch sabotage {
        case .loseCommit: break
        case .applyReversed: database.commit(attempt.records.reversed())
        default: database.commit(attempt.records)
        }
        if sabotage == .applyTwice {
            for record in attempt.records { database.apply(record) }
        }
    }
}
