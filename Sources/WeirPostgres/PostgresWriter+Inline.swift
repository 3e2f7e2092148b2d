package import Weir
package import WeirCore
import WeirRecord

/// The attempt to write a batch on the thread that handed it over, as far as it came there.
enum InlineAttempt {
    /// Sent whole, and not answered in time.
    case sent(BatchTransaction, begun: Timestamp)
    /// It did not commit.
    case ended(BatchReport)
}

// A record whose caller is alone is written on the thread that brought it, which has nobody else to
// serve: no other thread is woken for it, and none for its answer.
extension PostgresWriter {
    /// More than this might not fit into the socket's buffer at once.
    private static let byteCountMax = 16 << 10

    package nonisolated func writeInline(
        _ batch: WriteBatch, within limit: Nanoseconds
    ) -> BatchReport? {
        executor.lend { assumeIsolated { $0.begin(batch, within: limit) } }
    }

    private func begin(_ batch: WriteBatch, within limit: Nanoseconds) -> BatchReport? {
        let begun = SystemTime().now
        guard batch.work == .write, batch.records.count == 1,
            batch.records[0].byteCount <= Self.byteCountMax,
            batch.messages.isEmpty || ledger?.expectsRepetitions != true,
            let session = freshSession(now: begun)
        else { return nil }
        var transaction = BatchTransaction(
            batch, session: session, ledger: ledger, deadline: deadline(from: begun))
        // What is looked at before COMMIT takes two waits.
        guard !transaction.looksFirst else { return nil }
        if let report = transaction.send(&cache, &parameters) {
            inlineAttempt = .ended(settled(report, of: batch, on: session, begun: begun))
            return nil
        }
        let asked = SystemTime().now
        let window = AnswerWatch.isPossible ? answerWatch.window : nil
        let answer = transaction.read(
            &cache, until: begun + limit,
            watching: window.map { (asked + $0.begin, asked + $0.end) })
        answerWatch.note(SystemTime().now - asked)
        guard let report = answer else {
            inlineAttempt = .sent(transaction, begun: begun)
            return nil
        }
        let end = settled(report, of: batch, on: session, begun: begun)
        if end.outcome == .committed { return end }
        inlineAttempt = .ended(end)
        return nil
    }

    package func goOn(_ batch: WriteBatch) -> BatchReport {
        guard let attempt = inlineAttempt else { return write(batch) }
        inlineAttempt = nil
        switch attempt {
        case .ended(let report): return report
        case .sent(var transaction, let begun):
            let report = transaction.read(&cache)
            // What a connection that is lost still has to say would be taken for something else.
            switch report.isConnected ? transaction.refusal : nil {
            // It was rolled back, and more than one transaction is needed.
            case .messageMet, .generationClosed: return write(batch)
            case .letterGone, .ordinary, .broken, nil:
                return settled(report, of: batch, on: transaction.session, begun: begun)
            }
        }
    }
}

extension BatchTransaction {
    /// Sends all of it, COMMIT included. Returns how the attempt ended, if it did already.
    fileprivate mutating func send(
        _ cache: inout StatementCache, _ parameters: inout [ArrayParameter]
    ) -> BatchReport? {
        cache.beginBatch()
        do {
            try sendSteps(&cache, &parameters)
            try sendEnd()
            return nil
        } catch {
            return lost(error)
        }
    }

    /// Reads what has been answered by `limit`: the attempt's report, or `nil` where there is more
    /// to wait for than that.
    ///
    /// - Parameter window: from when to when the thread looks for it without going to sleep.
    fileprivate mutating func read(
        _ cache: inout StatementCache, until limit: Timestamp,
        watching window: (begin: Timestamp, end: Timestamp)?
    ) -> BatchReport? {
        do {
            if let window { try session.watch(from: window.begin, until: window.end) }
            guard try readExpected(&cache, until: limit), trouble == nil,
                try session.hasResult(by: limit)
            else { return nil }
            return counted(try readEnd(&cache))
        } catch {
            return counted(lost(error))
        }
    }

    /// Reads the rest.
    fileprivate mutating func read(_ cache: inout StatementCache) -> BatchReport {
        do {
            try readExpected(&cache)
            return counted(try readEnd(&cache))
        } catch {
            return counted(lost(error))
        }
    }

    private func counted(_ report: BatchReport) -> BatchReport {
        var report = report
        report.statementCount = completedSteps
        return report
    }
}
