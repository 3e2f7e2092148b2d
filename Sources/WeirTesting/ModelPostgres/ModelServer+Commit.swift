// COMMIT in three steps: its record is written, then durable, then seen. And its opposite.
extension ModelServer {
    /// Deferred constraints are checked first; the first one that fails ends the transaction.
    mutating func beginCommit(_ number: Int) {
        if let failure = failedCheck(number) {
            sessions[number].block = .none
            fail(number, failure)
            guard !sessions[number].isCommitCommand else { return }
            // A sync that fails is answered all the same.
            sessions[number].isSkipping = false
            sessions[number].reply(.ready(.idle))
            return
        }
        let xid = sessions[number].xid
        // A transaction that wrote nothing leaves no trace in the log.
        if xid == 0 { return finishCommit(number) }
        transactions.writeCommit(xid)
        sessions[number].activity = .committing(.written)
    }

    mutating func carryOn(commit stage: ModelSession.CommitStage, _ number: Int) {
        switch stage {
        case .written:
            transactions.flush(sessions[number].xid)
            sessions[number].activity = .committing(.durable)
        case .durable:
            transactions.end(sessions[number].xid, .committed)
            finishCommit(number)
        }
    }

    private mutating func finishCommit(_ number: Int) {
        // COMMIT without BEGIN commits what came before it, and complains.
        let isImplicit = sessions[number].block == .implicit
        let isUnheard = sessions[number].isTerminated && waitsForStandby(number)
        forget(number)
        sessions[number].block = .none
        sessions[number].activity = .idle
        if isUnheard {
            // It gave up waiting for the standby, and says nothing to its client any more.
            return end(number)
        }
        let hasWarning = sessions[number].isWaitCancelled || isImplicit
        sessions[number].isWaitCancelled = false
        sessions[number].reply(
            sessions[number].isCommitCommand
                ? .complete(.commit, hasWarning: hasWarning)
                : .ready(sessions[number].status))
    }

    mutating func abort(_ number: Int) {
        if sessions[number].xid != 0 { transactions.end(sessions[number].xid, .aborted) }
        forget(number)
    }

    /// The transaction is over: its locks are free.
    private mutating func forget(_ number: Int) {
        sessions[number].xid = 0
        sessions[number].command = 0
        sessions[number].deferredChecks = []
        sessions[number].checksAtOnce = false
        for table in sessions[number].locked {
            locks[table.number].held.removeAll { $0.session == number }
            locks[table.number].queue.removeAll { $0.session == number }
        }
        sessions[number].locked = []
    }

    /// The first deferred constraint that a row of this transaction breaks.
    mutating func failedCheck(_ number: Int) -> ServerFailure? {
        let checks = sessions[number].deferredChecks
        sessions[number].deferredChecks = []
        for check in checks {
            let row = tables[check.table].tuples[check.tuple].values
            for rule in tables[check.table].definition.rules where rule.applies(to: row) {
                if case .raiseDeferred(let sqlstate) = rule.action {
                    return ServerFailure(sqlstate)
                }
            }
        }
        return nil
    }
}
