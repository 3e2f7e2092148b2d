import WeirCore
import WeirRecord

// Steps under the coordinator's lock.
extension Coordinator.State {
    // MARK: Admitting

    mutating func admit(
        _ submission: Coordinator.Submission, now: Timestamp
    ) -> Result<Ticket, Failure> {
        switch machine.admit(entry(for: submission), now: now) {
        case .queued(let ticket), .joined(let ticket, _):
            keep(submission, ticket, groupSerial: 0, now: now)
            return .success(ticket)
        case .refused(let refusal):
            let failure = Failure(refusal, table: submission.record.table.publicName)
            metrics.count(.failed(failure))
            return .failure(failure)
        }
    }

    /// Returns why the group was refused, if it was.
    mutating func admit(
        group: ArraySlice<Coordinator.Submission>, now: Timestamp
    ) -> Failure? {
        switch machine.admit(group: group.map { entry(for: $0) }, now: now) {
        case .success(let admissions):
            groupSerial += 1
            for (submission, admission) in zip(group, admissions) {
                guard let ticket = admission.ticket else { continue }
                keep(submission, ticket, groupSerial: groupSerial, now: now)
            }
            return nil
        case .failure(let refused):
            let table = group.first?.record.table.publicName ?? ""
            let failure = Failure(refused.refusal, table: table)
            for _ in group { metrics.count(.failed(failure)) }
            return failure
        }
    }

    private func entry(for submission: Coordinator.Submission) -> Entry {
        let record = submission.record
        var message: MessageKey?
        if let id = record.messageID {
            let hash = MessageID.hash(id)
            message = MessageKey(
                identity: .init(high: hash.high, low: hash.low), fingerprint: record.fingerprint)
        }
        return Entry(
            table: TableID(record.table.number), orderHash: record.orderHash,
            byteCount: record.byteCount,
            deadline: submission.deadline, message: message, isExclusive: record.options.isDryRun)
    }

    private mutating func keep(
        _ submission: Coordinator.Submission, _ ticket: Ticket, groupSerial: Int, now: Timestamp
    ) {
        while submissions.count <= ticket.slot { submissions.append(nil) }
        var submission = submission
        submission.admittedAt = now
        submission.groupSerial = groupSerial
        submissions[ticket.slot] = submission
    }

    // MARK: Writers

    mutating func takeTask(_ writer: WriterID) -> WriterTask? {
        if let task = tasks[writer.number] {
            tasks[writer.number] = nil
            return task
        }
        if let batch = pending[writer.number] {
            pending[writer.number] = nil
            return .write(batch)
        }
        if isStopping { return .stop }
        if wantsCatalog && !isLoadingCatalog {
            isLoadingCatalog = true
            return .loadCatalog
        }
        return nil
    }

    /// Gives `task` to a writer that waits for one; false when it is doing something.
    mutating func wake(_ writer: Int, _ task: WriterTask, _ actions: inout Coordinator.Actions)
        -> Bool
    {
        guard isParked[writer], tasks[writer] == nil else { return false }
        tasks[writer] = task
        isParked[writer] = false
        actions.wakes.append(writer)
        return true
    }

    /// Once a second: are the idle connections still there, and has a missing table appeared?
    mutating func check(
        now: Timestamp, _ catalog: Catalog?, _ actions: inout Coordinator.Actions
    ) {
        nextCheck = now + Coordinator.checkInterval
        if let catalog, !catalog.missing.isEmpty { wantsCatalog = true }
        if isCatalogOverdue { wantsCatalog = true }
        isCatalogOverdue = false
        for writer in isParked.indices { _ = wake(writer, .check, &actions) }
    }

    // MARK: Effects

    mutating func apply(
        _ effects: Effects, now: Timestamp, _ actions: inout Coordinator.Actions
    ) {
        for resolution in effects.resolutions { resolve(resolution, now: now, &actions) }
        for assignment in effects.assignments {
            let writer = assignment.writer.number
            assignedAt[writer] = now
            let batch = makeBatch(assignment)
            if !wake(writer, .write(batch), &actions) { pending[writer] = batch }
        }
        for transition in effects.transitions {
            metrics.count(transition)
            if case .drained = transition { isDrained = true }
        }
        if !effects.pausedTables.isEmpty {
            wantsCatalog = true
            actions.pausedTables += effects.pausedTables
        }
        if isDrained {
            actions.drained += drainWaiters
            drainWaiters = []
        }
        askForCatalog(&actions)
        arm(now: now, &actions)
    }

    private mutating func askForCatalog(_ actions: inout Coordinator.Actions) {
        guard wantsCatalog && !isLoadingCatalog else { return }
        for writer in isParked.indices where wake(writer, .loadCatalog, &actions) {
            isLoadingCatalog = true
            return
        }
    }

    private mutating func arm(now: Timestamp, _ actions: inout Coordinator.Actions) {
        let due = min(machine.nextDeadline(now: now) ?? .distantFuture, nextCheck)
        // A timer that is set for earlier fires in vain and is set again; that is cheaper than
        // moving it.
        guard due < armed else { return }
        armed = due
        actions.alarm = due
    }

    private func makeBatch(_ assignment: Assignment) -> WriteBatch {
        var records: [Record] = []
        records.reserveCapacity(assignment.tickets.count)
        var groups: [Range<Int>] = []
        var lastSerial = 0
        for ticket in assignment.tickets {
            guard let submission = submissions[ticket.slot] else {
                preconditionFailure("a batch has a record that was settled")
            }
            if submission.groupSerial != 0 {
                let position = records.count
                if submission.groupSerial == lastSerial, let last = groups.last {
                    groups[groups.count - 1] = last.lowerBound..<(position + 1)
                } else {
                    groups.append(position..<(position + 1))
                }
            }
            lastSerial = submission.groupSerial
            records.append(submission.record)
        }
        return WriteBatch(
            number: assignment.batch, attempt: assignment.attempt, records: records, groups: groups,
            isIsolated: assignment.isIsolated)
    }

    private mutating func resolve(
        _ resolution: Resolution, now: Timestamp, _ actions: inout Coordinator.Actions
    ) {
        let slot = resolution.ticket.slot
        // The submission stays until the slot's next one: an answered record may yet be tried
        // again.
        guard let submission = submissions[slot] else {
            preconditionFailure("a ticket was resolved that nobody holds")
        }
        let fate = fate(of: submission, resolution.verdict, actions)
        metrics.count(fate)
        actions.answers.append(
            Answer(
                waiter: submission.waiter, index: submission.index, record: submission.record,
                fate: fate,
                admittedAt: submission.admittedAt))
    }

    private func fate(
        of submission: Coordinator.Submission, _ verdict: Verdict, _ actions: Coordinator.Actions
    ) -> Fate {
        let table = submission.record.table.publicName
        switch verdict {
        case .committed(let position):
            guard let report = actions.report, let receipt = actions.receipt else {
                preconditionFailure("only a finished attempt commits")
            }
            let result = report.results[position]
            if result.effect == .notFound {
                return .failed(Failure(.recordNotFound, "no row has this key", table: table))
            }
            return .stored(result, receipt)
        case .rejected:
            guard let error = actions.report?.error else {
                preconditionFailure("only a database error rejects")
            }
            return .failed(Failure(error, table: table))
        case .rolledBack:
            return .failed(
                Failure(
                    .rolledBack, "another member of the group failed; nothing was written",
                    table: table))
        case .refused(let refusal):
            return .failed(Failure(refusal, table: table))
        }
    }
}
