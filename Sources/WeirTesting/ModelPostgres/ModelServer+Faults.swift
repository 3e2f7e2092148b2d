// What goes wrong: connections that are cut, backends that are ended, crashes, failovers.
extension ModelServer {
    // MARK: Connections

    /// The connection breaks. The server goes on with what has reached it or still will, and learns
    /// of the end behind that, if ever.
    ///
    /// - Parameters:
    ///   - messages: of those on their way to the server, how many arrive.
    ///   - replies: of those on their way back, how many arrive; the end follows them.
    ///   - isNoticed: whether the server learns of it. Otherwise `hangUp` tells it later.
    package mutating func cut(
        _ session: SessionID, messages: Int = .max, replies: Int = 0, isNoticed: Bool = true
    ) {
        let number = session.number
        guard !sessions[number].isClientGone else { return }
        let traffic = traffic(session)
        sessions[number].inbox.removeLast(max(0, traffic.messages - messages))
        sessions[number].outbox.removeLast(max(0, traffic.replies - replies))
        sessions[number].outbox.append(.closed)
        sessions[number].isClientGone = true
        if isNoticed { hangUp(session) }
    }

    /// The server learns that its client is gone, once it has done what it was sent.
    package mutating func hangUp(_ session: SessionID) {
        guard !sessions[session.number].isEnded else { return }
        sessions[session.number].inbox.append(.end)
    }

    /// Somebody between client and server lets the open transaction fail, and keeps what the server
    /// says of it: COMMIT, should it come, is answered `ROLLBACK`.
    package mutating func failUnseen(_ session: SessionID) -> Bool {
        guard case .idle = sessions[session.number].activity,
            sessions[session.number].block == .open
        else { return false }
        abort(session.number)
        sessions[session.number].block = .failed
        return true
    }

    // MARK: Backends

    /// `pg_terminate_backend`: at its next step the session ends, unless it has begun to commit,
    /// which it finishes first.
    package mutating func terminate(_ session: SessionID) {
        guard !sessions[session.number].isEnded else { return }
        sessions[session.number].isTerminated = true
    }

    /// `pg_cancel_backend`, or `statement_timeout`.
    package mutating func cancel(_ session: SessionID) {
        switch sessions[session.number].activity {
        case .executing, .waiting: fail(session.number, ServerFailure("57014"))
        case .committing(.durable) where waitsForStandby(session.number):
            sessions[session.number].isWaitCancelled = true
        default: break
        }
    }

    /// The session's next statement fails with this, whatever it is.
    package mutating func inject(_ failure: ServerFailure, _ session: SessionID) {
        sessions[session.number].injected = failure
    }

    // MARK: The server

    /// How much of the log a crash may leave, from what is durable to all that was written.
    package var survivors: ClosedRange<Int> { transactions.durable...transactions.written }

    /// Every session ends and the log ends at `position`. Connections are refused until `recover`.
    package mutating func crash(at position: Int) {
        precondition(survivors.contains(position), "what is durable survives")
        endAll(saying: nil)
        transactions.recover(to: position)
        for index in locks.indices { locks[index] = TableLocks() }
        isRecovering = true
    }

    package mutating func recover() {
        isRecovering = false
    }

    /// The standby of this server, promoted after it had replayed the log up to `position`. This
    /// server goes on as if nothing had happened.
    package func promotedStandby(at position: Int) -> ModelServer {
        precondition(position <= transactions.durable, "a standby gets what is durable")
        var standby = self
        standby.endAll(saying: nil)
        standby.transactions.recover(to: position)
        for index in standby.locks.indices { standby.locks[index] = TableLocks() }
        standby.timeline += 1
        standby.isRecovering = false
        standby.isStandbySilent = false
        return standby
    }
}
