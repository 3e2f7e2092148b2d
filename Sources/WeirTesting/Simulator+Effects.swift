import WeirCore

// Oracles for the two effects that matter: who was answered, and who was sent.
extension Simulator {
    // MARK: Resolutions

    mutating func resolved(_ resolution: Resolution, after finished: Finished?) {
        note("  \(resolution.ticket): \(resolution.verdict)")
        guard let index = index(resolution.ticket) else { return fail("1: an unknown ticket") }
        let waiter = waiters[index]
        guard waiter.state == .open else {
            return fail("1: \(resolution.ticket) was \(waiter.state) and is resolved again")
        }
        waiters[index].state = .resolved(resolution.verdict)
        if waiter.recordCount > 1, resolution.verdict == .rejected { fail("a pack was rejected") }
        switch resolution.verdict {
        case .committed(let position):
            checkCommitted(waiter, at: position, finished)
        case .rejected:
            occurrences.rejected += 1
            checkGuilt(waiter, isCulprit: true, finished)
            deny(waiter)
        case .rolledBack:
            occurrences.rolledBack += 1
            if database.records[waiter.record].group < 0 { fail("rolled back without a group") }
            checkGuilt(waiter, isCulprit: false, finished)
            deny(waiter)
        case .refused(let refusal):
            checkRefusal(refusal, waiter, finished)
        }
    }

    private mutating func checkCommitted(
        _ waiter: Waiter, at position: Int, _ finished: Finished?
    ) {
        guard let finished, finished.outcome == .committed else {
            return fail("5: record \(waiter.record) is called committed without a COMMIT")
        }
        let records = finished.attempt.records
        guard position <= records.count, records[position...].starts(with: waiter.records) else {
            return fail("5: records \(waiter.records) are not at position \(position)")
        }
    }

    /// Only a record that the database refused, or its group, may be told so.
    private mutating func checkGuilt(
        _ waiter: Waiter, isCulprit: Bool, _ finished: Finished?
    ) {
        guard let finished else {
            return fail("9: record \(waiter.record) was rejected and nothing was refused")
        }
        var culprit: Int?
        switch finished.outcome {
        case .recordError(let named): culprit = named
        // The dead letters' own table.
        case .tableFault where finished.attempt.assignment.work == .deadLetter: break
        default: fail("9: record \(waiter.record) was rejected and nothing was refused")
        }
        // A refusal that names nobody, at COMMIT, is the fault of all.
        let named = culprit.map { finished.attempt.records[$0] } ?? waiter.record
        if (named == waiter.record) != isCulprit {
            fail("record \(waiter.record) was blamed and the culprit was \(named)")
        }
        let group = database.records[waiter.record].group
        let unit = group < 0 ? [waiter.record] : groups[group]
        if !unit.contains(where: { database.records[$0].hasOffended }) {
            fail("9: record \(waiter.record) was rejected and is innocent")
        }
    }

    private mutating func checkRefusal(
        _ refusal: Refusal, _ waiter: Waiter, _ finished: Finished?
    ) {
        let record = database.records[waiter.record]
        let isLate = record.entry.deadline <= now
        switch refusal {
        case .outcomeUnknown:
            let wasSent = record.wasAssigned || waiter.isJoined
            if !wasSent { fail("record \(waiter.record) was never sent and is called unknown") }
            if waiter.deadline <= now { occurrences.expiredInFlight += 1 }
            // It may still take effect.
            return
        case .deadlineExceeded where isLate, .databaseUnavailable where isLate:
            occurrences.expiredQueued += 1
        case .retriesExhausted:
            occurrences.exhausted += 1
            guard case .transient = finished?.outcome else {
                return fail("record \(waiter.record) is out of retries without a failure")
            }
        case .tablePaused: break
        case .orderBlocked: checkBlocked(waiter, finished)
        case .draining where isAbandoned: break
        default: fail("record \(waiter.record) was refused late: \(refusal)")
        }
        for record in waiter.records where isInFlight(record) {
            fail("record \(record) is in flight and is denied")
        }
        deny(waiter)
    }

    /// Only behind a record of the same key that was refused, and only where the table is strict.
    private mutating func checkBlocked(_ waiter: Waiter, _ finished: Finished?) {
        occurrences.blocked += 1
        let own = database.records[waiter.record]
        let unit = own.group < 0 ? [waiter.record] : groups[own.group]
        let keys = Set(strictKeys(unit))
        let guilty = (finished?.attempt.records ?? []).filter {
            !keys.isDisjoint(with: strictKeys([$0])) && $0 < waiter.record
        }
        if guilty.isEmpty { fail("record \(waiter.record) is blocked by nobody") }
    }

    private func strictKeys(_ records: [Int]) -> [UInt64] {
        records.map { database.records[$0].entry }.filter(\.isStrict).flatMap(\.keys)
    }

    /// Whoever stood behind a record that was refused has been told.
    mutating func checkNobodyPasses(_ resolutions: [Resolution]) {
        let refused = resolutions.filter { $0.verdict == .rejected }
            .compactMap { waiter($0.ticket)?.record }
        for record in refused {
            let keys = Set(strictKeys([record]))
            guard !keys.isEmpty else { continue }
            for waiter in waiters where waiter.state == .open && waiter.record > record {
                if !keys.isDisjoint(with: strictKeys([waiter.record])) {
                    fail("record \(waiter.record) stands behind \(record) and was not told")
                }
            }
        }
    }

    private mutating func deny(_ waiter: Waiter) {
        for record in waiter.records {
            database.records[record].isDenied = true
            if database.records[record].isEffective {
                fail("record \(record) took effect and is denied")
            }
        }
    }

    // MARK: Assignments

    mutating func assigned(_ assignment: Assignment) {
        note("  \(assignment)")
        occurrences.assignments += 1
        let number = assignment.writer.number
        guard case .idle = writers[number] else {
            return fail("3: writer \(number) is not idle and got a batch")
        }
        if isDrained { fail("8: a batch after the end of the drain") }
        let members = assignment.tickets.compactMap { waiter($0) }
        guard members.count == assignment.tickets.count, !members.isEmpty else {
            return fail("a batch has an unknown ticket")
        }
        let records = members.flatMap(\.records)
        if assignment.work == .resolve { return checkInquiry(assignment, records) }
        checkNumber(assignment)
        for record in records { checkMember(record) }
        if assignment.work == .deadLetter { checkDeadLetter(records) }
        checkKeys(records)
        checkUnits(records, assignment)
        for record in records { database.records[record].wasAssigned = true }
        writers[number] = .busy(Attempt(assignment: assignment, records: records))
    }

    /// What is to be found out is the very attempt that was not answered.
    private mutating func checkInquiry(_ assignment: Assignment, _ records: [Int]) {
        occurrences.inquiries += 1
        guard let open = unresolved[assignment.batch] else {
            return fail("batch \(assignment.batch.number) is asked about, and its outcome is known")
        }
        if open.attempt.records != records { fail("another batch is asked about than was sent") }
        let isAskedTwice = writers.contains {
            if case .busy(let other) = $0 {
                other.assignment.batch == assignment.batch
            } else {
                false
            }
        }
        if isAskedTwice {
            fail("2: batch \(assignment.batch.number) is asked about twice at a time")
        }
        writers[assignment.writer.number] = .busy(
            Attempt(assignment: assignment, records: records))
    }

    private mutating func checkDeadLetter(_ records: [Int]) {
        let record = database.records[records[0]]
        if records.count > 1 || record.group >= 0 && groups[record.group].count > 1 {
            fail("a dead letter is one record")
        }
        if !record.entry.keepsDeadLetters || record.entry.isExclusive {
            fail("record \(records[0]) is to be kept, and its table keeps nothing")
        }
        if !record.hasOffended { fail("9: record \(records[0]) is to be kept, and is innocent") }
    }

    private mutating func checkNumber(_ assignment: Assignment) {
        let isNew = assignment.batch > newestBatch
        if isNew && assignment.attempt != 1 { fail("a new batch starts with its first attempt") }
        newestBatch = max(newestBatch, assignment.batch)
        let attemptsMax = plan.configuration.retry.attemptsMax
        if !(1...attemptsMax).contains(assignment.attempt) { fail("one attempt too many") }
    }

    private mutating func checkMember(_ record: Int) {
        if isInFlight(record) { fail("1: record \(record) is in two batches") }
        if database.records[record].isDenied { fail("record \(record) was denied and is sent") }
        switch waiters[waiterOfRecord[record]].state {
        case .open, .cancelled, .resolved(.refused(.outcomeUnknown)): break
        case .unpacked: fail("record \(record) is sent and its pack is apart")
        case .resolved(let verdict): fail("record \(record) is answered and is sent: \(verdict)")
        }
    }

    private mutating func checkKeys(_ records: [Int]) {
        for (position, record) in records.enumerated() {
            for key in database.records[record].entry.keys {
                for earlier in records[..<position] where earlier >= record && has(earlier, key) {
                    fail("6: key \(key): record \(record) stands behind \(earlier)")
                }
                for open in unresolved.values
                where open.attempt.records.contains(where: { has($0, key) }) {
                    fail("2: key \(key) is in a batch of which nobody knows whether it committed")
                }
                for case .busy(let other) in writers
                where other.records.contains(where: { has($0, key) }) {
                    fail("2: key \(key) is in two batches")
                }
            }
        }
    }

    private func has(_ record: Int, _ key: UInt64) -> Bool {
        let entry = database.records[record].entry
        return entry.orderHash == key || entry.orderKeyHash == key
    }

    /// Groups are whole, dry runs are alone, and only one unit may be larger than a batch.
    private mutating func checkUnits(_ records: [Int], _ assignment: Assignment) {
        var unitCount = 0
        var position = 0
        while position < records.count {
            let group = database.records[records[position]].group
            let unit = group < 0 ? [records[position]] : groups[group]
            if !records[position...].starts(with: unit) { fail("group \(group) is torn") }
            position += unit.count
            unitCount += 1
        }
        let entries = records.map { database.records[$0].entry }
        let isExclusive = entries.contains { $0.isExclusive }
        if isExclusive && unitCount > 1 { fail("a dry run is not alone") }
        if assignment.isIsolated {
            occurrences.isolations += 1
            if unitCount > 1 || records.count == 1 { fail("isolated, and not one group") }
        }
        let bounds = plan.configuration.batch
        if records.count > bounds.recordsMax { fail("4: too many records in a batch") }
        let bytes = entries.reduce(0) { $0 + $1.byteCount }
        if bytes > bounds.bytesMax && unitCount > 1 { fail("4: too many bytes in a batch") }
    }
}
