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
        case .transient(.connectionLost), .unknown: isConnected = false
        default: break
        }
        note("writer \(number): batch \(attempt.assignment.batch.number): \(outcome)")
        if !isConnected { occurrences.lostConnections += 1 }
        writers[number] = isConnected ? .idle : .disconnected
        let effects = machine.finished(
            WriterID(number), outcome, isConnected: isConnected, now: now)
        handle(effects, after: (attempt, outcome))
    }

    private mutating func judge(_ attempt: Attempt) -> BatchOutcome {
        if random.chance(plan.transient),
            let reason = random.element(of: TransientReason.allCases)
        {
            if sabotage == .applyOnTransient { database.commit(attempt.records) }
            return .transient(reason)
        }
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
