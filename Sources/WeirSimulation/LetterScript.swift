import Weir
import WeirCore
import WeirPostgres
import WeirRecord
import WeirTesting

/// The transaction that keeps a refused record, on the model server: `DeadLetterTransaction`.
struct LetterScript {
    private enum Stage {
        case written
        case committing
        case aborting
        case rollingBack
        /// A mistake that is built in: the entry follows in a transaction of its own.
        case entryApart
    }

    let batch: WriteBatch
    let attempt: Int
    let mutation: Mutation?
    private var statements: [ReplayLedger.Statement] = []
    private var entry: [[Int]] = []
    private var stage = Stage.written
    private var isCommitSent = false
    private var trouble: (error: ServerError, statement: ReplayLedger.Statement)?

    init(_ batch: WriteBatch, attempt: Int, _ mutation: Mutation?) {
        self.batch = batch
        self.attempt = attempt
        self.mutation = mutation
    }

    private var results: [RowResult] { [RowResult(.deadLettered, deadLetter: Int64(attempt))] }

    mutating func start(
        _ ledger: Ledger, _ registry: Registry
    ) -> Step<TransactionScript.Verdict> {
        let record = batch.records[0]
        let table = WorldTable(rawValue: record.table.number) ?? .kept
        let number = record.row[table.messageColumn]
        if let message = batch.messages.first ?? nil {
            entry = [
                [
                    registry.number(of: message.identity), attempt,
                    Int(truncatingIfNeeded: message.fingerprint), RowEffect.worldDeadLetter,
                    attempt,
                ]
            ]
        }
        let letter = Statement.insert(.init(.deadLetters, [[number, attempt]]))
        // One statement in the gateway: both come about or neither.
        let isApart = mutation == .letterApart
        let tail: [Statement] =
            entry.isEmpty || isApart
            ? [letter] : [letter, ledger.gate(entry, mutation)]
        statements = [.marker, .marker] + tail.map { _ in entry.isEmpty ? .letter : .remembered }
        return .ask([.begin, ledger.marker(attempt)] + tail, endsInSync: false)
    }

    mutating func next(
        _ exchange: Exchange, _ ledger: Ledger
    ) -> Step<TransactionScript.Verdict> {
        if stage == .rollingBack {
            return .done(exchange.isClosed ? .report(lost, nil) : judge())
        }
        if stage == .entryApart {
            var report = committed
            report.isConnected = !exchange.isClosed
            return .done(.report(report, nil))
        }
        if let failure = exchange.failure {
            let index = exchange.completions.count
            trouble = (failure.error, index < statements.count ? statements[index] : .marker)
        }
        if exchange.isClosed { return .done(.report(lost, nil)) }
        switch stage {
        case .written:
            if trouble != nil {
                stage = .aborting
                return .ask([], endsInSync: true)
            }
            stage = .committing
            isCommitSent = true
            statements = []
            return .ask([.commit], endsInSync: true)
        case .committing:
            if trouble == nil, exchange.completions.first?.tag == .commit {
                guard mutation == .letterApart, !entry.isEmpty else {
                    return .done(.report(committed, nil))
                }
                stage = .entryApart
                return .ask([.begin, ledger.entry(entry), .commit], endsInSync: true)
            }
            if trouble == nil {
                trouble = (
                    ServerError(sqlstate: "40000", severity: "ERROR", message: "rolled back"),
                    .marker
                )
            }
            fallthrough
        case .aborting, .rollingBack, .entryApart:
            stage = .rollingBack
            return .ask([.rollback], endsInSync: true)
        }
    }

    private var committed: BatchReport {
        var report = BatchReport(.committed)
        report.results = results
        return report
    }

    private var lost: BatchReport {
        var report = BatchReport(isCommitSent ? .unknown : .transient(.connectionLost))
        if isCommitSent { report.unresolved = Unresolved(id: batch.id, results: results) }
        report.isConnected = false
        return report
    }

    private func judge() -> TransactionScript.Verdict {
        guard let trouble else { return .report(BatchReport(.transient(.other)), nil) }
        let refusal = ReplayLedger.refusal(of: trouble.statement, trouble.error)
        var report = BatchReport(.transient(.other))
        report.error = DatabaseError(trouble.error)
        switch (refusal, ErrorClass(trouble.error)) {
        case (.ordinary, .transient(let reason)):
            report.outcome = .transient(reason)
            report.isConnected = reason != .connectionLost
        case (.broken, .record), (.broken, .table):
            report.outcome = .recordError(culprit: nil)
            report.error = batch.refusal
        case (.broken, _): report.isConnected = false
        default: break
        }
        return .report(report, refusal)
    }
}
