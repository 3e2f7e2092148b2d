package import WeirCore
package import WeirRecord

/// What is counted. Kept under the coordinator's lock and read as one consistent copy.
package struct Metrics: Sendable {
    /// Upper bounds of the batch-size histogram's buckets, in records.
    package static let batchSizeBounds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000]

    /// Records by what became of them, in the order of `RowEffect.allCases`.
    package private(set) var effects = Array(repeating: 0, count: RowEffect.allCases.count)
    /// Records that were not stored, by the code that their callers were told.
    package private(set) var failures: [ProblemCode: Int] = [:]
    package private(set) var transactions = 0
    package private(set) var rolledBack = 0
    package private(set) var statements = 0
    package private(set) var batchSizeCounts = Array(repeating: 0, count: batchSizeBounds.count + 1)
    package private(set) var batchSizeSum = 0
    package private(set) var retries: [TransientReason: Int] = [:]
    package private(set) var halvings = 0
    /// Batches whose records went on without those of a table that somebody had locked.
    package private(set) var partings = 0
    /// Records that went alone because an error seemed to speak of them.
    package private(set) var suspicions = 0
    /// Batches whose COMMIT was not answered and could be asked about.
    package private(set) var unresolved = 0
    /// Those of them that turned out to have committed, not to have, and that nobody can find out
    /// about any more.
    package private(set) var resolvedCommitted = 0
    package private(set) var resolvedLost = 0
    package private(set) var resolvedForgotten = 0
    /// Questions put to the database about such batches.
    package private(set) var inquiries = 0
    /// Repetitions that were answered from memory.
    package private(set) var replays = 0
    /// Messages that the database was asked about, and those that it knew.
    package private(set) var lookUps = 0
    package private(set) var lookUpsFound = 0
    /// Dead letters written.
    package private(set) var deadLetters: [DeadLetterKind: Int] = [:]
    /// Dead letters sent again, by what became of them.
    package private(set) var redrives: [RedriveLine.Result: Int] = [:]
    package private(set) var errors: [String: Int] = [:]

    package init() {}

    mutating func count(_ report: BatchReport, of batch: WriteBatch) {
        statements += report.statementCount
        if batch.work == .resolve { inquiries += 1 }
        let size = batch.records.count
        let isOpen =
            batch.work == .resolve
            ? report.finding == nil
            : report.outcome == .unknown && report.unresolved != nil
        // Counted once it has been found out how it ended.
        if isOpen { return }
        if case .committed = report.outcome {
            transactions += 1
            let bucket =
                Self.batchSizeBounds.firstIndex { size <= $0 } ?? Self.batchSizeBounds.count
            batchSizeCounts[bucket] += 1
            batchSizeSum += size
            if let refusal = batch.refusal { countDeadLetters(report, of: batch, refusal) }
        } else {
            rolledBack += 1
        }
        if let error = report.error { errors[error.sqlstate, default: 0] += 1 }
    }

    /// What turned out to have committed says no more of each record.
    private mutating func countDeadLetters(
        _ report: BatchReport, of batch: WriteBatch, _ refusal: DatabaseError
    ) {
        for (position, record) in batch.records.enumerated() {
            let isKnown = report.results.indices.contains(position)
            guard !isKnown || report.results[position].effect == .deadLettered else { continue }
            let kind = DeadLetterKind(table: record.table.publicName, sqlstate: refusal.sqlstate)
            deadLetters[kind, default: 0] += 1
        }
    }

    mutating func countReplay() { replays += 1 }

    mutating func countRedrive(_ result: RedriveLine.Result) {
        redrives[result, default: 0] += 1
    }

    mutating func countLookUps(_ found: [StoredMessage?]) {
        lookUps += found.count
        lookUpsFound += found.count { $0 != nil }
    }

    mutating func count(_ transition: Transition) {
        switch transition {
        case .halved: halvings += 1
        case .parted: partings += 1
        case .willRetry(_, _, let reason, _): retries[reason, default: 0] += 1
        case .suspected: suspicions += 1
        case .deadLettering: break
        case .unresolved: unresolved += 1
        case .resolved(_, .committed): resolvedCommitted += 1
        case .resolved(_, .lost): resolvedLost += 1
        case .resolved(_, .forgotten): resolvedForgotten += 1
        case .drained: break
        }
    }

    mutating func count(recalled found: Recollection) {
        switch found {
        case .nothing: break
        case .committed(let result): effects[result.effect.rawValue] += 1
        case .failed(let failure): count(.failed(failure))
        }
    }

    mutating func count(_ fate: Fate, times count: Int = 1) {
        switch fate {
        case .stored(let result, _): effects[result.effect.rawValue] += count
        case .failed(let failure) where failure.deadLetter != nil:
            effects[RowEffect.deadLettered.rawValue] += count
        case .failed(let failure): failures[failure.code, default: 0] += count
        }
    }
}

/// What dead letters are counted by.
package struct DeadLetterKind: Hashable, Comparable, Sendable {
    package let table: String
    package let sqlstate: String

    package static func < (left: Self, right: Self) -> Bool {
        (left.table, left.sqlstate) < (right.table, right.sqlstate)
    }
}
