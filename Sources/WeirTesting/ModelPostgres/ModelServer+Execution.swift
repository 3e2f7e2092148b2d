// How a statement is carried out, row by row, and where it stops to wait.
extension ModelServer {
    typealias Execution = ModelSession.Execution
    typealias Wait = ModelSession.Wait

    enum Progress {
        case done(CommandTag)
        case waits(Wait)
        case failed(ServerFailure)
        /// Enough rows for one step.
        case paused
    }

    mutating func carryOn(_ given: Execution, _ number: Int, rows: Int) {
        var execution = given
        sessions[number].activity = .idle
        switch advance(&execution, number, rows: rows) {
        case .done(let tag):
            if sessions[number].checksAtOnce, let failure = failedCheck(number) {
                return fail(number, failure)
            }
            sessions[number].reply(
                .complete(tag, rows: execution.output, hasWarning: execution.hasWarning))
        case .waits(let wait):
            sessions[number].activity = .waiting(execution, wait)
        case .failed(let failure):
            fail(number, failure)
        case .paused:
            sessions[number].activity = .executing(execution)
        }
    }

    private mutating func advance(
        _ execution: inout Execution, _ number: Int, rows: Int
    ) -> Progress {
        let wanted = execution.statement.locks
        while execution.locksTaken < wanted.count {
            let (table, mode) = wanted[execution.locksTaken]
            guard acquire(table, mode, number) else { return .waits(.table(table, mode)) }
            execution.locksTaken += 1
        }
        // After the locks: a statement that waited for one sees what was done meanwhile.
        let snapshot = execution.snapshot ?? transactions.snapshot
        execution.snapshot = snapshot
        switch execution.statement {
        case .begin, .commit, .rollback:
            preconditionFailure("these are no statements of a transaction")
        case .insert(let insert):
            return advance(insert, &execution, snapshot, number, rows: rows)
        case .update(let update):
            if execution.next == 0 && execution.targets.isEmpty {
                execution.targets = targets(update.table, update.keys, snapshot, number)
            }
            return advance(update.table, update.change, &execution, number, rows: rows)
        case .delete(let table, let keys):
            if execution.next == 0 && execution.targets.isEmpty {
                execution.targets = targets(table, keys, snapshot, number)
            }
            return advance(table, nil, &execution, number, rows: rows)
        case .select(let table, let keys):
            execution.output = targets(table, keys, snapshot, number)
                .map { tables[table.number].tuples[$0].values }
            return .done(.select(execution.output.count))
        case .probe(let table):
            execution.output = [[hasRows(table, snapshot, number) ? 1 : 0]]
            return .done(.select(1))
        case .lock:
            return .done(.lockTable)
        case .close(let table): return redefine(table, isClosed: true, number)
        case .open(let table): return redefine(table, isClosed: false, number)
        case .truncate(let table):
            let count = tables[table.number].tuples.count
            tables[table.number].truncations.append(.init(xid: xid(of: number), value: count))
            transactions.log()
            return .done(.truncateTable)
        case .checkConstraints:
            sessions[number].checksAtOnce = true
            execution.hasWarning = sessions[number].block == .implicit
            return .done(.setConstraints)
        case .identify:
            let identity = identity
            execution.output = [[identity.system, identity.timeline, identity.position]]
            return .done(.select(1))
        case .terminate(let session):
            let isThere = live.contains(session)
            if isThere { terminate(session) }
            execution.output = [[isThere ? 1 : 0]]
            execution.hasWarning = !isThere
            return .done(.select(1))
        }
    }

    /// The transaction's number, given when it first writes.
    mutating func xid(of number: Int) -> Int {
        if sessions[number].xid == 0 { sessions[number].xid = transactions.begin() }
        return sessions[number].xid
    }

    private mutating func redefine(_ table: Relation, isClosed: Bool, _ number: Int) -> Progress {
        if tables[table.number].isClosed(transactions) == isClosed {
            // There is a constraint of that name already, or there is none.
            return .failed(ServerFailure(isClosed ? "42710" : "42704"))
        }
        tables[table.number].closings.append(.init(xid: xid(of: number), value: isClosed))
        transactions.log()
        return .done(.alterTable)
    }

    func hasRows(
        _ table: Relation, _ snapshot: ModelTransactions.Snapshot, _ number: Int
    ) -> Bool {
        let stored = tables[table.number]
        return stored.tuples.dropFirst(stored.start(transactions)).contains {
            transactions.sees($0, snapshot, own: sessions[number].xid)
        }
    }

    func targets(
        _ table: Relation, _ keys: [Int], _ snapshot: ModelTransactions.Snapshot, _ number: Int
    ) -> [Int] {
        let stored = tables[table.number]
        let start = stored.start(transactions)
        var found: [Int] = []
        for key in keys {
            for position in stored.versions(of: key) where position >= start {
                let isRow = transactions.sees(
                    stored.tuples[position], snapshot, own: sessions[number].xid)
                if isRow { found.append(position) }
            }
        }
        return found
    }
}

extension Statement {
    /// The tables that it locks, in the order in which it does.
    var locks: [(Relation, LockMode)] {
        switch self {
        case .begin, .commit, .rollback, .checkConstraints, .identify, .terminate: []
        case .insert(let insert):
            [(insert.table, .rowExclusive)]
                + [insert.unlessIn, insert.failsIfIn, insert.failsUnless?.table]
                .compactMap { $0.map { ($0, .accessShare) } }
        case .update(let update): [(update.table, .rowExclusive)]
        case .delete(let table, _): [(table, .rowExclusive)]
        case .select(let table, _), .probe(let table): [(table, .accessShare)]
        case .lock(let table), .close(let table), .open(let table), .truncate(let table):
            [(table, .accessExclusive)]
        }
    }
}
