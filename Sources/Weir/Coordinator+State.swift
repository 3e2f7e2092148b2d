import WeirCore
import WeirRecord

// Steps under the coordinator's lock.
extension Coordinator.State {
    // MARK: Admitting

    /// Returns why the unit was refused, if it was.
    mutating func admit(
        _ unit: Coordinator.Unit, _ source: Coordinator.Source, now: Timestamp,
        _ actions: inout Coordinator.Actions
    ) -> Failure? {
        switch unit {
        case .one(let submission, let entry):
            if case .failure(let failure) = admit(submission, entry, source, now: now, &actions) {
                return failure
            }
            return nil
        case .group(let members, let entries):
            return admit(group: members, entries, source, now: now, &actions)
        case .pack(let pack, let members):
            return admit(pack, members[members.startIndex], source, now: now, &actions)
        }
    }

    mutating func admit(
        _ submission: Coordinator.Submission, _ entry: Entry, _ source: Coordinator.Source,
        now: Timestamp, _ actions: inout Coordinator.Actions
    ) -> Result<Ticket?, Failure> {
        if let replay = replay(submission, entry, now: now, &actions) { return replay.map { nil } }
        let admission = machine.admit(entry, now: now)
        switch admission {
        case .queued(let ticket), .joined(let ticket, _):
            keep(
                .one(told(submission, admission)), submission, ticket, source,
                message: submission.message,
                isJoined: admission.original != nil, now: now, &actions)
            return .success(ticket)
        case .refused(let refusal):
            return .failure(refused(refusal, submission))
        }
    }

    /// Counts a refusal, and puts it into words.
    mutating func refused(_ refusal: Refusal, _ submission: Coordinator.Submission) -> Failure {
        let failure = Failure(refusal, table: submission.record.table.publicName)
        metrics.count(.failed(failure))
        return failure
    }

    private mutating func admit(
        _ pack: Pack, _ first: Coordinator.Submission, _ source: Coordinator.Source,
        now: Timestamp, _ actions: inout Coordinator.Actions
    ) -> Failure? {
        let entry = Entry(
            table: first.record.table.id, orderHash: nil, byteCount: pack.byteCount,
            deadline: first.deadline,
            keepsDeadLetters: first.record.table.policy.onReject == .deadLetter)
        let admission = machine.admit(
            pack: entry, recordCount: pack.records.count, orderHashes: pack.orderHashes,
            hashEnds: pack.hashEnds, now: now)
        switch admission {
        case .queued(let ticket), .joined(let ticket, _):
            keep(.pack(pack), first, ticket, source, now: now, &actions)
            return nil
        case .refused(let refusal):
            let failure = Failure(refusal, table: first.record.table.publicName)
            for _ in pack.records { metrics.count(.failed(failure)) }
            return failure
        }
    }

    private mutating func admit(
        group: ArraySlice<Coordinator.Submission>, _ entries: [Entry], _ source: Coordinator.Source,
        now: Timestamp, _ actions: inout Coordinator.Actions
    ) -> Failure? {
        switch replay(group: group, entries, now: now, &actions) {
        case .success: return nil
        case .failure(let failure): return failure
        case nil: break
        }
        switch machine.admit(group: entries, now: now) {
        case .success(let admissions):
            groupSerial += 1
            var source = source
            for ((submission, entry), admission) in zip(zip(group, entries), admissions) {
                guard let ticket = admission.ticket else { continue }
                keep(
                    .one(told(submission, admission)), submission, ticket, source,
                    groupSerial: groupSerial, message: entry.message,
                    isJoined: admission.original != nil, now: now, &actions)
                source.tick += 1
            }
            return nil
        case .failure(let failure):
            return refused(failure.refusal, group)
        }
    }

    /// Counts the refusal of each member.
    mutating func refused(
        _ refusal: Refusal, _ group: ArraySlice<Coordinator.Submission>
    ) -> Failure {
        let table = group.first?.record.table.publicName ?? ""
        let failure = Failure(refusal, table: table)
        for _ in group { metrics.count(.failed(failure)) }
        return failure
    }

    mutating func cancel(_ ticket: Ticket) {
        guard machine.holds(ticket) else { return }
        machine.cancel(ticket)
        held[ticket.slot]?.isAnswered = true
        holdsAnswered = true
    }

    /// The record that the submission's answer is about. A repetition brings an ID of its own where
    /// the gateway mints them, and that one is stored nowhere: its caller is told the first one.
    private func told(_ submission: Coordinator.Submission, _ admission: Admission) -> Record {
        guard submission.record.mintedColumn != nil, let original = admission.original,
            case .one(let first)? = held[original.slot]?.parcel.cargo
        else { return submission.record }
        return first
    }

    private mutating func keep(
        _ cargo: Cargo, _ submission: Coordinator.Submission, _ ticket: Ticket,
        _ source: Coordinator.Source, groupSerial: Int = 0, message: MessageKey? = nil,
        isJoined: Bool = false, now: Timestamp, _ actions: inout Coordinator.Actions
    ) {
        let parcel = Parcel(
            cargo, waiter: submission.waiter, index: submission.index, admittedAt: now,
            groupSerial: groupSerial, message: message, isJoined: isJoined, tick: source.tick,
            origin: cargo.first.origin ?? source.origin)
        let item = Coordinator.Held(ticket: ticket, parcel: parcel)
        keep(item)
        if actions.logs.takesAll { actions.logs.lines.append(HistoryLine(.received, item)) }
    }

    private mutating func keep(_ item: Coordinator.Held) {
        while held.count <= item.ticket.slot { held.append(nil) }
        held[item.ticket.slot] = item
    }

    private mutating func unpack(_ unpacking: Unpacking) {
        guard let whole = held[unpacking.pack.slot], case .pack(let pack) = whole.parcel.cargo
        else {
            preconditionFailure("only a pack comes apart")
        }
        for (offset, ticket) in unpacking.parts.enumerated() {
            keep(
                .init(
                    ticket: ticket, parcel: whole.parcel.part(offset, of: pack),
                    isAnswered: whole.isAnswered, isTold: whole.isTold, mark: whole.mark))
        }
        held[unpacking.pack.slot] = nil
    }

    // MARK: Writers

    mutating func takeTask(_ writer: WriterID, now: Timestamp) -> WriterTask? {
        if let task = tasks[writer.number] {
            tasks[writer.number] = nil
            return task
        }
        // Before the batch that may have been handed over meanwhile: where every writer always has
        // one, nobody would ever read the catalog.
        if !isStopping, let reading = catalogWatch.begin(now: now) { return .readCatalog(reading) }
        if !isStopping, let messages = lookUps.begin() { return .lookUp(messages) }
        if !isStopping, let question = desk.begin() { return .deadLetters(question) }
        if let batch = pending[writer.number] {
            pending[writer.number] = nil
            return .write(batch)
        }
        return isStopping ? .stop : nil
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

    /// Once a second: are the idle connections still there, and is the catalog what it was?
    mutating func check(
        now: Timestamp, _ catalog: Catalog?, _ actions: inout Coordinator.Actions
    ) {
        nextCheck = now + Coordinator.checkInterval
        forgetAnswered(now: now, &actions)
        desk.wantCount(now: now)
        catalogWatch.check(isMissingTable: catalog.map { !$0.missing.isEmpty } ?? false)
        for writer in isParked.indices { _ = wake(writer, .check, &actions) }
    }

    // MARK: Effects

    mutating func apply(
        _ effects: Effects, now: Timestamp, _ actions: inout Coordinator.Actions
    ) {
        for unpacking in effects.unpackings { unpack(unpacking) }
        for resolution in effects.resolutions { resolve(resolution, now: now, &actions) }
        for transition in effects.transitions {
            metrics.count(transition)
            switch transition {
            case .drained: isDrained = true
            case .willRetry(let batch, _, let reason, _): retryReasons.insert(batch, reason)
            case .deadLettering(let ticket):
                // For the attempt that keeps it, which may come later.
                let attempts = held[ticket.slot]?.mark?.attempt ?? 1
                held[ticket.slot]?.refusal = actions.report?.error.map {
                    Coordinator.Held.Refusal($0, attempts: attempts)
                }
            default: break
            }
        }
        for assignment in effects.assignments {
            let writer = assignment.writer.number
            assignedAt[writer] = now
            let batch = makeBatch(assignment, now: now, &actions)
            if !wake(writer, .write(batch), &actions) { pending[writer] = batch }
        }
        if !effects.pausedTables.isEmpty {
            catalogWatch.want(.load)
            actions.pausedTables += effects.pausedTables
        }
        if isDrained {
            actions.drained += drainWaiters
            drainWaiters = []
        }
        tendCatalog(now: now, &actions)
        tendLookUps(now: now, &actions)
        tendDesk(now: now, &actions)
        if actions.mayWriteInline { grantTurn(&actions) }
        arm(now: now, &actions)
    }

    private mutating func arm(now: Timestamp, _ actions: inout Coordinator.Actions) {
        let due = min(
            machine.nextDeadline(now: now) ?? .distantFuture, nextCheck,
            catalogWatch.nextDeadline, lookUps.nextDeadline, desk.nextDeadline)
        // A timer that is set for earlier fires in vain and is set again; that is cheaper than
        // moving it.
        guard due < armed else { return }
        armed = due
        actions.alarm = due
    }

    /// What the database said of a record that is to be a dead letter, which goes alone.
    private func refusal(of assignment: Assignment) -> Coordinator.Held.Refusal? {
        guard assignment.work != .write else { return nil }
        return assignment.tickets.first.flatMap { held[$0.slot]?.refusal }
    }

    private mutating func makeBatch(
        _ assignment: Assignment, now: Timestamp, _ actions: inout Coordinator.Actions
    ) -> WriteBatch {
        let id = ids.next(unixNanoseconds: time.unixNanoseconds)
        let refusal = refusal(of: assignment)
        // Keeping a record begins to count anew; what is told and stored counts all of it.
        let attempt = assignment.attempt + (refusal.map { $0.attempts - 1 } ?? 0)
        // Finding out is no attempt: what is found out about stays the last one.
        let mark =
            assignment.work == .resolve
            ? nil
            : BatchMark(
                id, attempt: attempt, assignedAt: now,
                reason: assignment.attempt > 1 ? retryReasons.reason(assignment.batch) : nil)
        running[assignment.writer.number] = assignment.tickets
        var records: [Record] = []
        records.reserveCapacity(assignment.tickets.count)
        var groups: [Range<Int>] = []
        var messages: [MessageKey?] = []
        var lastSerial = 0
        for ticket in assignment.tickets {
            guard let item = held[ticket.slot] else {
                preconditionFailure("a batch has a record that was settled")
            }
            if let mark {
                held[ticket.slot]?.mark = mark
                if actions.logs.takesAll {
                    let event = HistoryLine.Event.batched(
                        id, attempt: mark.attempt, mark.reason)
                    actions.logs.lines.append(HistoryLine(event, item))
                }
            }
            let parcel = item.parcel
            if parcel.groupSerial != 0 {
                let position = records.count
                if parcel.groupSerial == lastSerial, let last = groups.last {
                    groups[groups.count - 1] = last.lowerBound..<(position + 1)
                } else {
                    groups.append(position..<(position + 1))
                }
            }
            lastSerial = parcel.groupSerial
            if let message = parcel.message {
                while messages.count < records.count { messages.append(nil) }
                messages.append(message)
            }
            switch parcel.cargo {
            case .one(let record): records.append(record)
            case .pack(let pack): records += pack.records
            }
        }
        while !messages.isEmpty && messages.count < records.count { messages.append(nil) }
        return WriteBatch(
            id: id, number: assignment.batch, attempt: attempt, work: assignment.work,
            records: records, groups: groups,
            isIsolated: assignment.isIsolated, messages: messages,
            unresolved: assignment.work == .resolve ? unresolved[assignment.batch] : nil,
            refusal: refusal?.error)
    }

    private mutating func resolve(
        _ resolution: Resolution, now: Timestamp, _ actions: inout Coordinator.Actions
    ) {
        guard let item = held[resolution.ticket.slot] else {
            preconditionFailure("a ticket was resolved that nobody holds")
        }
        let parcel = item.parcel
        let fates = fates(of: parcel.cargo, resolution.verdict, actions)
        if let message = parcel.message,
            case .stored(let results, let receipt) = fates, let result = results.first
        {
            remember(message, parcel.cargo.first, result, receipt.id)
        }
        let answer = Answer(parcel: parcel, fates: fates)
        write(item, answer, now: now, &actions)
        answer.forEachRun { metrics.count($1, times: $0.count) }
        actions.answers.append(answer)
        if machine.holds(resolution.ticket) {
            // An answered record may yet be tried again, or found out about.
            held[resolution.ticket.slot]?.isAnswered = true
            held[resolution.ticket.slot]?.isTold = true
            holdsAnswered = true
        } else {
            held[resolution.ticket.slot] = nil
        }
    }

    /// Lets go of records that ended after their callers had been answered, or had left.
    private mutating func forgetAnswered(
        now: Timestamp, _ actions: inout Coordinator.Actions
    ) {
        guard holdsAnswered else { return }
        holdsAnswered = false
        for slot in held.indices {
            guard let item = held[slot] else { continue }
            if !machine.holds(item.ticket) {
                writeDropped(item, now: now, &actions)
                held[slot] = nil
            } else if item.isAnswered {
                holdsAnswered = true
            }
        }
    }

    func fates(
        of cargo: Cargo, _ verdict: Verdict, _ actions: Coordinator.Actions
    ) -> Answer.Fates {
        let table = cargo.first.table.publicName
        switch verdict {
        case .committed(let position):
            guard let report = actions.report, let receipt = actions.receipt else {
                preconditionFailure("only a finished attempt commits")
            }
            return .stored(report.results[position..<(position + cargo.count)], receipt)
        case .rejected:
            guard let error = actions.refusal ?? actions.report?.error else {
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
