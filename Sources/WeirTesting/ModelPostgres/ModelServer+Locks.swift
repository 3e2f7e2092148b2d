// Who waits for whom: table locks in the order in which they were asked for, waits that end by a
// timeout, and deadlocks.
extension ModelServer {
    /// Takes a table lock, or gets in line for it. It is held until the transaction ends.
    mutating func acquire(_ table: Relation, _ mode: LockMode, _ number: Int) -> Bool {
        let list = table.number
        if locks[list].held.contains(where: { $0.session == number && $0.mode >= mode }) {
            return true
        }
        if !sessions[number].locked.contains(table) { sessions[number].locked.append(table) }
        guard isGrantable(table, mode, number) else {
            if !locks[list].queue.contains(where: { $0.session == number }) {
                locks[list].queue.append(.init(session: number, mode: mode))
            }
            return false
        }
        locks[list].queue.removeAll { $0.session == number }
        locks[list].held.append(.init(session: number, mode: mode))
        return true
    }

    private func isGrantable(_ table: Relation, _ mode: LockMode, _ number: Int) -> Bool {
        let lock = locks[table.number]
        var isHolder = false
        for held in lock.held {
            if held.session == number {
                isHolder = true
            } else if held.mode.conflicts(with: mode) {
                return false
            }
        }
        // Who holds the table already goes first: those in line wait for it in any case.
        if isHolder { return true }
        for waiting in lock.queue {
            if waiting.session == number { break }
            if waiting.mode.conflicts(with: mode) { return false }
        }
        return true
    }

    func isOver(_ wait: Wait, _ number: Int) -> Bool {
        switch wait {
        case .transaction(let xid): transactions.states[xid] != .running
        case .table(let table, let mode): isGrantable(table, mode, number)
        }
    }

    // MARK: Waits that end otherwise

    /// Whether the session's statement waits for somebody, and would go on waiting.
    package func isWaiting(_ session: SessionID) -> Bool {
        guard case .waiting(_, let wait) = sessions[session.number].activity else { return false }
        return !isOver(wait, session.number)
    }

    /// `lock_timeout` has passed.
    package mutating func expireLock(_ session: SessionID) {
        guard case .waiting = sessions[session.number].activity else { return }
        fail(session.number, ServerFailure("55P03"))
    }

    /// Whether the session waits for itself, by way of others.
    package func isDeadlocked(_ session: SessionID) -> Bool {
        var seen: [Int] = []
        var found = blockers(of: session.number)
        while let next = found.popLast() {
            if next == session.number { return true }
            if seen.contains(next) { continue }
            seen.append(next)
            found += blockers(of: next)
        }
        return false
    }

    /// `deadlock_timeout` has passed: if there is a deadlock, this session is the one to give way.
    package mutating func checkDeadlock(_ session: SessionID) {
        guard isDeadlocked(session) else { return }
        fail(session.number, ServerFailure("40P01"))
    }

    private func blockers(of number: Int) -> [Int] {
        guard case .waiting(_, let wait) = sessions[number].activity else { return [] }
        switch wait {
        case .transaction(let xid):
            guard transactions.states[xid] == .running else { return [] }
            return live.map(\.number).filter { sessions[$0].xid == xid }
        case .table(let table, let mode):
            return locks[table.number].held
                .filter { $0.session != number && $0.mode.conflicts(with: mode) }.map(\.session)
        }
    }
}
