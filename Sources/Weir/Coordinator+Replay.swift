import Synchronization
package import WeirCore
package import WeirRecord

// Messages that committed not long ago: their repetitions are answered without the database.
extension Coordinator {
    /// How many are remembered unless it is said otherwise; some 10 MB.
    package static let replayRecordsMax = 65_536
}

extension MessageKey {
    package init(_ print: MessagePrint) {
        self.init(
            identity: .init(high: print.high, low: print.low), fingerprint: print.fingerprint)
    }
}

extension Coordinator.Submission {
    /// What the core is told of the record.
    var entry: Entry {
        Entry(
            table: record.table.id, orderHash: record.orderHash,
            orderKeyHash: record.orderKeyHash, byteCount: record.byteCount, deadline: deadline,
            // A dead letter that is sent again neither joins a repetition of its message, which
            // would be told what it was told first, nor is joined by one.
            message: record.redriven == nil ? message : nil,
            isExclusive: record.options.isDryRun,
            keepsDeadLetters: record.table.policy.onReject == .deadLetter
                && record.redriven == nil,
            isStrict: record.table.policy.order == .strict)
    }

    /// The message, if the record carries one and is no dry run.
    var message: MessageKey? {
        guard !record.options.isDryRun, let print = record.message else { return nil }
        return MessageKey(print)
    }
}

extension Coordinator.State {
    /// A database's key may be as long as an index entry. Those longer than this are left to the
    /// database, so that the window's memory has a bound.
    private static let replayKeyByteCountMax = 256

    /// Answers a message that is remembered, in place of the core; or says why it is refused.
    /// `nil` when it is new as far as is known here.
    mutating func replay(
        _ submission: Coordinator.Submission, _ entry: Entry, now: Timestamp,
        _ actions: inout Coordinator.Actions
    ) -> Result<Void, Failure>? {
        guard let message = entry.message else { return nil }
        switch window.match(message) {
        case .none: return nil
        case .reused: return .failure(refused(.messageIDReused, submission))
        case .same(let first):
            replay(submission, first, now: now, &actions)
            return .success(())
        }
    }

    /// As above, for a group: all of it is remembered, or the database has to say.
    mutating func replay(
        group: ArraySlice<Coordinator.Submission>, _ entries: [Entry], now: Timestamp,
        _ actions: inout Coordinator.Actions
    ) -> Result<Void, Failure>? {
        // A dry run leaves nothing behind, so nothing that is remembered answers it.
        guard !window.isSuspended, !entries.contains(where: \.isExclusive) else { return nil }
        var firsts: [FirstResult] = []
        for entry in entries {
            guard let message = entry.message else { continue }
            switch window.match(message) {
            case .none: break
            case .reused: return .failure(refused(.messageIDReused, group))
            case .same(let first): firsts.append(first)
            }
        }
        guard !firsts.isEmpty, firsts.count == entries.count else { return nil }
        for (submission, first) in zip(group, firsts) {
            replay(submission, first, now: now, &actions)
        }
        return .success(())
    }

    private mutating func replay(
        _ submission: Coordinator.Submission, _ first: FirstResult, now: Timestamp,
        _ actions: inout Coordinator.Actions
    ) {
        let result = RowResult(
            .replayed, key: first.key, first: first, deadLetter: first.deadLetter)
        let receipt = BatchReceipt(
            id: first.batchID, recordCount: 1, assignedAt: now, finishedAt: now,
            databaseTime: .zero)
        let parcel = Parcel(
            .one(submission.record), waiter: submission.waiter, index: submission.index,
            admittedAt: now)
        let answer = Answer(parcel: parcel, fates: .stored([result], receipt))
        metrics.count(answer.fate)
        metrics.countReplay()
        actions.answers.append(answer)
    }

    /// Remembers what a message was told when it committed, if the database remembers it too.
    mutating func remember(
        _ message: MessageKey, _ record: Record, _ result: RowResult, _ id: UUID7
    ) {
        guard let first = first(result, of: record, id),
            first.key?.count ?? 0 <= Self.replayKeyByteCountMax
        else { return }
        window.insert(message, first)
    }

    private func first(_ result: RowResult, of record: Record, _ id: UUID7) -> FirstResult? {
        switch result.effect {
        case .inserted, .updated, .deleted, .unchanged, .ignored:
            return FirstResult(
                effect: result.effect, batchID: id, key: result.key ?? record.mintedKey)
        // A dead letter may be redriven, here or elsewhere: only the database knows.
        case .replayed: return result.first?.effect == .deadLettered ? nil : result.first
        case .deadLettered, .notFound, .messageIDReused: return nil
        }
    }
}
