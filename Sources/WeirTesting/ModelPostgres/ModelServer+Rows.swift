// How rows are written: the unique index, conflicts, and rows that others have in hand.
extension ModelServer {
    private enum Place {
        case free
        case taken(Int)
        /// Somebody's open transaction decides.
        case undecided(Int)
    }

    /// What a unique index says of a key, after PostgreSQL's `_bt_check_unique`: it looks past
    /// every snapshot, at rows that are not committed too.
    private func place(of key: Int, in table: ModelTable, own: Int) -> Place {
        let start = table.start(transactions)
        for position in table.versions(of: key) where position >= start {
            let tuple = table.tuples[position]
            if tuple.xmin != own || own == 0 {
                switch transactions.states[tuple.xmin] {
                case .aborted: continue
                case .running: return .undecided(tuple.xmin)
                case .committed: break
                }
            }
            if tuple.xmax == 0 { return .taken(position) }
            if tuple.xmax == own { continue }
            switch transactions.states[tuple.xmax] {
            case .aborted: return .taken(position)
            case .running: return .undecided(tuple.xmax)
            case .committed: continue
            }
        }
        return .free
    }

    // MARK: INSERT

    mutating func advance(
        _ insert: Statement.Insert, _ execution: inout Execution,
        _ snapshot: ModelTransactions.Snapshot, _ number: Int, rows: Int
    ) -> Progress {
        let table = insert.table.number
        if execution.next == 0, let failure = guarded(insert, snapshot, number) {
            return .failed(failure)
        }
        var left = rows
        while execution.next < insert.rows.count {
            if left == 0 { return .paused }
            left -= 1
            let row = insert.rows[execution.next]
            if let other = insert.unlessIn, !targets(other, [row[0]], snapshot, number).isEmpty {
                execution.next += 1
                continue
            }
            if let refusal = refusal(of: row, table) {
                guard let failure = refusal.failure else {
                    execution.next += 1
                    continue
                }
                return .failed(failure)
            }
            // A plain INSERT writes its row before it looks into the index.
            if insert.conflict == .fail { _ = xid(of: number) }
            guard tables[table].definition.isUnique else {
                add(row, insert, &execution, number)
                continue
            }
            switch place(of: row[0], in: tables[table], own: sessions[number].xid) {
            case .free: add(row, insert, &execution, number)
            case .undecided(let xid): return .waits(.transaction(xid))
            case .taken(let position):
                if let progress = meet(position, row, insert, &execution, number) {
                    return progress
                }
            }
        }
        return .done(.insert(execution.affected))
    }

    /// What an INSERT says that is to fail where another table has rows.
    private func guarded(
        _ insert: Statement.Insert, _ snapshot: ModelTransactions.Snapshot, _ number: Int
    ) -> ServerFailure? {
        if let condition = insert.failsUnless,
            let found = targets(condition.table, [condition.row[0]], snapshot, number).first,
            tables[condition.table.number].tuples[found].values != condition.row
        {
            return ServerFailure("42P01", relation: "weir_generation_changed")
        }
        if let other = insert.failsIfIn,
            !targets(other, insert.rows.map { $0[0] }, snapshot, number).isEmpty
        {
            return ServerFailure("42P01", relation: "weir_message_met")
        }
        return nil
    }

    private mutating func add(
        _ row: [Int], _ insert: Statement.Insert, _ execution: inout Execution, _ number: Int
    ) {
        write(row, insert.table.number, number)
        execution.affected += 1
        if insert.returnsKeys { execution.output.append([row[0]]) }
        execution.next += 1
    }

    /// The key is taken: by a committed row, or by one of this transaction.
    private mutating func meet(
        _ position: Int, _ row: [Int], _ insert: Statement.Insert, _ execution: inout Execution,
        _ number: Int
    ) -> Progress? {
        let table = insert.table.number
        let tuple = tables[table].tuples[position]
        switch insert.conflict {
        case .fail:
            let name = tables[table].definition.keyConstraint
            return .failed(ServerFailure("23505", constraint: name))
        case .ignore:
            execution.next += 1
            return nil
        case .update(let newer):
            if isBusy(tuple.locker, number) { return .waits(.transaction(tuple.locker)) }
            let xid = xid(of: number)
            if tuple.xmin == xid && tuple.command == sessions[number].command {
                // "cannot affect row a second time"
                return .failed(ServerFailure("21000"))
            }
            execution.next += 1
            if let newer, tuple.values[newer] >= row[newer] {
                tables[table].tuples[position].locker = xid
                return nil
            }
            replace(position, by: row, table, number)
            execution.affected += 1
            if insert.returnsKeys { execution.output.append([row[0]]) }
            return nil
        }
    }

    // MARK: UPDATE and DELETE

    /// - Parameter change: `nil` deletes.
    mutating func advance(
        _ relation: Relation, _ change: Statement.Update.Change?, _ execution: inout Execution,
        _ number: Int, rows: Int
    ) -> Progress {
        let table = relation.number
        var left = rows
        while execution.next < execution.targets.count {
            if left == 0 { return .paused }
            left -= 1
            let position = execution.targets[execution.next]
            let tuple = tables[table].tuples[position]
            if isBusy(tuple.xmax, number) { return .waits(.transaction(tuple.xmax)) }
            if isBusy(tuple.locker, number) { return .waits(.transaction(tuple.locker)) }
            if tuple.xmax != 0 && transactions.states[tuple.xmax] == .committed {
                // Replaced since the snapshot: the newest version counts (READ COMMITTED).
                if tuple.next >= 0 {
                    execution.targets[execution.next] = tuple.next
                } else {
                    execution.next += 1
                }
                continue
            }
            if let change {
                let row = change.applied(to: tuple.values)
                if let refusal = refusal(of: row, table) {
                    execution.next += 1
                    guard let failure = refusal.failure else { continue }
                    return .failed(failure)
                }
                replace(position, by: row, table, number)
            } else {
                tables[table].tuples[position].xmax = xid(of: number)
                tables[table].tuples[position].next = -1
                transactions.log()
            }
            execution.affected += 1
            execution.next += 1
        }
        let count = execution.affected
        return .done(change == nil ? .delete(count) : .update(count))
    }

    // MARK: Parts

    private func isBusy(_ xid: Int, _ number: Int) -> Bool {
        xid != 0 && xid != sessions[number].xid && transactions.states[xid] == .running
    }

    private struct RowRefusal {
        /// `nil` where a trigger leaves the row out.
        let failure: ServerFailure?
    }

    /// Triggers come before constraints, and both before the unique index is looked at.
    private func refusal(of row: [Int], _ table: Int) -> RowRefusal? {
        let definition = tables[table].definition
        for rule in definition.rules where rule.applies(to: row) {
            switch rule.action {
            case .raise(let sqlstate): return RowRefusal(failure: ServerFailure(sqlstate))
            case .skip: return RowRefusal(failure: nil)
            case .check, .raiseDeferred: break
            }
        }
        for rule in definition.rules where rule.action == .check && rule.applies(to: row) {
            return RowRefusal(
                failure: ServerFailure("23514", constraint: definition.checkConstraint))
        }
        guard !tables[table].closings.isEmpty, tables[table].isClosed(transactions) else {
            return nil
        }
        return RowRefusal(
            failure: ServerFailure("23514", constraint: ModelTable.closedConstraint))
    }

    private mutating func replace(
        _ position: Int, by row: [Int], _ table: Int, _ number: Int
    ) {
        let next = write(row, table, number)
        tables[table].tuples[position].xmax = sessions[number].xid
        tables[table].tuples[position].next = next
    }

    @discardableResult
    private mutating func write(_ row: [Int], _ table: Int, _ number: Int) -> Int {
        transactions.log()
        let xid = xid(of: number)
        let position = tables[table].append(
            ModelTable.Tuple(values: row, xmin: xid, command: sessions[number].command))
        transactions.note(.init(table: table, tuple: position), by: xid)
        for rule in tables[table].definition.rules where rule.applies(to: row) {
            if case .raiseDeferred = rule.action {
                sessions[number].deferredChecks.append(.init(table: table, tuple: position))
                break
            }
        }
        return position
    }
}

extension Statement.Update.Change {
    func applied(to row: [Int]) -> [Int] {
        var row = row
        switch self {
        case .set(let column, let value): row[column] = value
        case .add(let column, let amount): row[column] += amount
        }
        return row
    }
}
