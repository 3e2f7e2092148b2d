import Weir
import WeirCore
import WeirPostgres
import WeirRecord
import WeirTesting

/// One transaction of a batch on the model server: `BatchTransaction`, statement by statement. What
/// it sends, when it looks at results before COMMIT, and what it makes of errors are that file's.
struct TransactionScript {
    /// What a statement was sent for, in the order in which the server answers.
    private enum Purpose {
        case begin
        case ledger(ReplayLedger.Statement)
        /// A step of the plan; its statement is about these positions.
        case step(Int, [Int])
        case commit
    }

    enum Verdict {
        case report(BatchReport, ReplayLedger.Refusal?)
        /// The entries are still to be written: a mistake that is built in.
        case committedWithoutEntries(BatchReport)
    }

    let batch: WriteBatch
    let attempt: Int
    let mutation: Mutation?
    private let plan: BatchPlan
    private let looksFirst: Bool
    private var purposes: [Purpose] = []
    private(set) var results: [RowResult]
    private(set) var isCommitSent = false
    private var completedCount = 0
    private var trouble: (error: ServerError, purpose: Purpose)?
    private var failure: BatchReport?
    private var stage = Stage.begun

    private enum Stage {
        case begun
        /// Everything up to COMMIT was sent.
        case committing
        /// The pipeline is to end, and ROLLBACK to follow.
        case aborting
        case rollingBack
    }

    init(_ batch: WriteBatch, attempt: Int, _ mutation: Mutation?) {
        self.batch = batch
        self.attempt = attempt
        self.mutation = mutation
        plan = BatchPlan(batch)
        results = batch.records.map { RowResult(.implied(by: $0)) }
        looksFirst =
            plan.steps.contains { $0.table.mayDropRows || $0.shape.kind != .insert }
            || batch.groups.contains {
                $0.contains { batch.records[$0].options.operation != .insert }
            }
    }

    // MARK: Sending

    mutating func start(_ ledger: Ledger, _ registry: Registry) -> Step<Verdict> {
        var statements = [ledger.marker(attempt)]
        purposes = [.ledger(.marker)]
        if looksFirst {
            statements.insert(.begin, at: 0)
            purposes.insert(.begin, at: 0)
        }
        let entries = entries(registry)
        if !entries.isEmpty && mutation != .entriesApart {
            statements.append(ledger.gate(entries, mutation))
            purposes.append(.ledger(.gate))
        }
        for (index, step) in plan.steps.enumerated() {
            for (statement, positions) in Self.statements(step, batch) {
                statements.append(statement)
                purposes.append(.step(index, positions))
            }
        }
        if looksFirst { return .ask(statements, endsInSync: false) }
        return commit(behind: statements)
    }

    private mutating func commit(behind statements: [Statement]) -> Step<Verdict> {
        stage = .committing
        isCommitSent = true
        purposes.append(.commit)
        // Without BEGIN the end of the pipeline commits.
        return .ask(statements + (looksFirst ? [.commit] : []), endsInSync: true)
    }

    /// Rows for the replay table, in the order in which all gateways claim messages.
    func entries(_ registry: Registry) -> [[Int]] {
        batch.messagePositions.compactMap { position in
            guard let message = batch.messages[position] else { return nil }
            let effect = RowEffect.implied(by: batch.records[position])
            return [
                registry.number(of: message.identity), attempt,
                Int(truncatingIfNeeded: message.fingerprint), effect.rawValue, 0,
            ]
        }
    }

    /// Patches and deletes go one by one, where the gateway has one statement for many: each row is
    /// met or missed by itself in either.
    private static func statements(
        _ step: BatchPlan.Step, _ batch: WriteBatch
    ) -> [(Statement, [Int])] {
        guard let table = WorldTable(rawValue: step.table.number) else { return [] }
        let relation = table.relation
        let rows = step.positions.map { batch.records[$0].row }
        switch step.shape.kind {
        case .insert: return [(.insert(.init(relation, rows)), step.positions)]
        case .insertIgnoring:
            return [
                (
                    .insert(.init(relation, rows, conflict: .ignore, returnsKeys: true)),
                    step.positions
                )
            ]
        case .upsert:
            let conflict = Statement.Insert.Conflict.update(ifNewer: step.shape.versionColumn)
            return [
                (
                    .insert(.init(relation, rows, conflict: conflict, returnsKeys: true)),
                    step.positions
                )
            ]
        case .patch:
            return zip(step.positions, rows).map { position, row in
                let change = Statement.Update.Change.set(
                    column: WorldTable.writer, to: row[WorldTable.writer])
                return (.update(.init(relation, keys: [row[0]], change)), [position])
            }
        case .delete:
            return zip(step.positions, rows).map { position, row in
                (.delete(from: relation, keys: [row[0]]), [position])
            }
        }
    }

    // MARK: Reading

    mutating func next(
        _ exchange: Exchange, _ ledger: Ledger, _ registry: Registry, hint: Int?
    ) -> Step<Verdict> {
        if stage == .rollingBack {
            return .done(exchange.isClosed ? .report(lost(), nil) : judge(hint))
        }
        read(exchange)
        if exchange.isClosed { return .done(.report(lost(), nil)) }
        switch stage {
        case .begun:
            if trouble == nil, let failure = failure(in: results) {
                self.failure = failure
            }
            if trouble != nil || failure != nil {
                stage = .aborting
                return .ask([], endsInSync: true)
            }
            return commit(behind: corrections(ledger, registry))
        case .committing:
            guard trouble != nil else {
                let report = committed
                return .done(
                    mutation == .entriesApart
                        ? .committedWithoutEntries(report) : .report(report, nil))
            }
            guard looksFirst else { return .done(judge(hint)) }
            fallthrough
        case .aborting, .rollingBack:
            stage = .rollingBack
            return .ask([.rollback], endsInSync: true)
        }
    }

    private mutating func corrections(_ ledger: Ledger, _ registry: Registry) -> [Statement] {
        guard mutation != .entriesApart else { return [] }
        var wrong: [(key: Int, effect: RowEffect)] = []
        for position in batch.messagePositions {
            let effect = results[position].effect
            guard effect != .implied(by: batch.records[position]),
                let message = batch.messages[position]
            else { continue }
            wrong.append((registry.number(of: message.identity), effect))
        }
        let statements = ledger.corrections(wrong)
        for _ in statements { purposes.append(.ledger(.results)) }
        return statements
    }

    private mutating func read(_ exchange: Exchange) {
        for (purpose, completion) in zip(purposes, exchange.completions) {
            read(completion, purpose)
        }
        if let failure = exchange.failure, exchange.completions.count < purposes.count {
            trouble = (failure.error, purposes[exchange.completions.count])
        }
        purposes = []
    }

    private mutating func read(_ completion: Exchange.Completion, _ purpose: Purpose) {
        switch purpose {
        case .begin, .ledger: break
        case .commit where completion.tag != .commit && mutation != .rollbackIsSuccess:
            trouble = (
                ServerError(sqlstate: "40000", severity: "ERROR", message: "rolled back"), purpose
            )
        case .commit: break
        case .step(_, let positions):
            completedCount += 1
            switch completion.tag {
            case .insert(let count):
                let kind = WriteStatement.Kind(batch.records[positions[0]])
                if kind == .insert {
                    for position in positions where count != positions.count {
                        results[position] = RowResult(.notFound)
                    }
                } else {
                    let met = completion.rows.map { $0[0] }
                    for position in positions where !met.contains(batch.records[position].row[0]) {
                        results[position] = RowResult(.ignored)
                    }
                }
            case .update(0), .delete(0): results[positions[0]] = RowResult(.notFound)
            default: break
            }
        }
    }

    // MARK: Judging

    private var committed: BatchReport {
        var report = BatchReport(.committed)
        report.results = results
        return report
    }

    /// A record whose row did not come about, where that must not be committed.
    private func failure(in results: [RowResult]) -> BatchReport? {
        for (position, result) in results.enumerated() where result.effect == .notFound {
            let isMember = batch.groups.contains { $0.contains(position) }
            let operation = batch.records[position].options.operation
            let isDropped = operation == .insert || operation == .upsert
            guard isMember || isDropped else { continue }
            let isNamed = !isDropped || plan.steps.contains { $0.positions == [position] }
            var report = BatchReport(.recordError(culprit: isNamed ? position : nil))
            report.error = DatabaseError(
                code: isDropped ? .triggerException : .recordNotFound,
                sqlstate: isDropped ? "" : "02000", message: "no row")
            return report
        }
        return nil
    }

    /// - Parameter hint: the position that the error's text would speak of.
    private func judge(_ hint: Int?) -> Verdict {
        guard let trouble else {
            return .report(failure ?? BatchReport(.transient(.other)), nil)
        }
        if case .ledger(let statement) = trouble.purpose {
            return judge(statement, trouble.error)
        }
        var positions: [Int] = []
        if case .step(_, let named) = trouble.purpose { positions = named }
        let errorClass = ErrorClass(trouble.error)
        var report: BatchReport
        switch errorClass {
        case .record:
            report = BatchReport(
                .recordError(culprit: positions.count == 1 ? positions[0] : nil))
            if positions.count != 1 { report.suspect = hint }
        case .transient(let reason): report = BatchReport(.transient(reason))
        case .table:
            let table = batch.records[positions.first ?? 0].table
            report = BatchReport(.tableFault(table.id))
        case .stop: report = BatchReport(.transient(.other))
        }
        report.error = DatabaseError(trouble.error)
        report.isConnected =
            errorClass != .stop && report.outcome != .transient(.connectionLost)
        return .report(report, nil)
    }

    private func judge(_ statement: ReplayLedger.Statement, _ error: ServerError) -> Verdict {
        let refusal = ReplayLedger.refusal(of: statement, error)
        var report = BatchReport(.transient(.other))
        switch refusal {
        case .messageMet, .generationClosed: break
        case .letterGone: preconditionFailure("nobody sends dead letters again here")
        case .ordinary:
            guard case .transient(let reason) = ErrorClass(error) else { break }
            report.outcome = .transient(reason)
            report.isConnected = reason != .connectionLost
        case .broken:
            report.outcome = .transient(.connectionLost)
            report.isConnected = false
        }
        report.error = DatabaseError(error)
        return .report(report, refusal)
    }

    /// The connection is gone.
    private func lost() -> BatchReport {
        if mutation == .answerBeforeCommit && isCommitSent && trouble == nil {
            var report = committed
            report.isConnected = false
            return report
        }
        let stepCount = plan.steps.count
        var isCertain = !isCommitSent || (trouble != nil && completedCount < stepCount)
        if mutation == .blindRewrite { isCertain = true }
        var report = BatchReport(isCertain ? .transient(.connectionLost) : .unknown)
        if !isCertain { report.unresolved = Unresolved(id: batch.id, results: results) }
        report.isConnected = false
        return report
    }
}

extension Record {
    /// Its values by column. They are all numbers; what it leaves out is 0.
    var row: [Int] {
        var row = Array(repeating: 0, count: table.columns.count)
        forEachField { column, bytes, range in
            var value: UInt64 = 0
            for byte in bytes[(range.lowerBound + 4)..<range.upperBound] {
                value = value << 8 | UInt64(byte)
            }
            row[column] = Int(truncatingIfNeeded: value)
        }
        return row
    }
}
