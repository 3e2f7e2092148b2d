internal import CLibpq
import Weir
import WeirCore
import WeirRecord

/// One attempt to write a batch: one transaction, in one round trip where nothing has to be looked
/// at before COMMIT.
///
/// Such a one has neither BEGIN nor COMMIT: what stands in a pipeline is one transaction, which its
/// end commits (PostgreSQL, "Extended Query", "Pipelining"). It has committed when the server says
/// that the pipeline has ended and has said of no error before; any other, by the command tag
/// `COMMIT` alone.
struct BatchTransaction {
    let batch: WriteBatch
    let plan: BatchPlan
    let session: Session
    /// `nil` where nothing is remembered.
    let ledger: ReplayLedger?
    let deadline: Timestamp

    /// What the server owes, in the order in which it answers.
    enum Expectation {
        case begin
        case prepare(WriteStatement.Shape, step: Int)
        case prepareLedger(ReplayLedger.Statement)
        /// With the position of the record that the statement is for, if it is for one.
        case ledger(ReplayLedger.Statement, position: Int?)
        case prepareSingle(WriteStatement.Shape, step: Int)
        case deallocate
        case step(Int)
        case deferredChecks
        case commit
    }

    struct Step {
        let plan: BatchPlan.Step
        let statement: WriteStatement
    }

    /// What ended the attempt before COMMIT.
    struct Trouble {
        var error: ServerError
        /// Where it was met, if in a step.
        var step: Int?
        /// Or which statement for the replay tables met it.
        var statement: ReplayLedger.Statement?
        /// The position of the record that it seems to speak of.
        var suspect: Int?
    }

    var steps: [Step] = []
    private var preparing: Set<WriteStatement.Shape> = []
    var preparingSingle: Set<WriteStatement.Shape> = []
    var preparingLedger: Set<ReplayLedger.Statement> = []
    var expected: [Expectation] = []
    /// Of those, how many have been answered.
    private var answeredCount = 0
    /// What each record comes to if nothing else is heard of it.
    var results: [RowResult]
    var trouble: Trouble?
    var completedSteps = 0
    var isCommitSent = false
    /// Results have to be looked at before COMMIT is sent.
    private(set) var looksFirst = false
    /// The end of the pipeline commits.
    private(set) var isImplicit = false

    init(_ batch: WriteBatch, session: Session, ledger: ReplayLedger?, deadline: Timestamp) {
        self.batch = batch
        self.session = session
        self.ledger = ledger
        self.deadline = deadline
        plan = BatchPlan(batch)
        results = batch.records.map { RowResult(.implied(by: $0)) }
        looksFirst = hasToLook
    }

    var isDryRun: Bool { batch.records[0].options.isDryRun }

    mutating func run(_ cache: inout StatementCache, _ parameters: inout [ArrayParameter])
        -> BatchReport
    {
        var report: BatchReport
        cache.beginBatch()
        do {
            if let step = stepToCopy(cache) {
                report = try copy(step, &cache)
            } else {
                report = try attempt(&cache, &parameters)
            }
        } catch {
            report = lost(error)
        }
        report.statementCount = completedSteps
        return report
    }

    private mutating func attempt(
        _ cache: inout StatementCache, _ parameters: inout [ArrayParameter]
    ) throws(Session.Failure) -> BatchReport {
        try sendSteps(&cache, &parameters)
        if isDryRun {
            // What COMMIT would refuse, since there will be none.
            try session.sendCommand("SET CONSTRAINTS ALL IMMEDIATE")
            expected.append(.deferredChecks)
        }
        if looksFirst {
            try session.sendFlushRequest()
            try session.flush(by: deadline)
            try readExpected(&cache)
            if trouble == nil, let failure = findFailure() {
                try rollBack(isAborted: false)
                return failure
            }
            if trouble == nil { try sendCorrections() }
        }
        try sendEnd()
        try readExpected(&cache)
        return try readEnd(&cache)
    }

    private var hasToLook: Bool {
        isDryRun || plan.steps.contains { $0.table.mayDropRows }
            || batch.groups.contains {
                $0.contains {
                    batch.records[$0].options.operation != .insert
                        || batch.records[$0].lackedColumn != nil
                }
            } || resultsAreKept
    }

    // MARK: Sending

    /// All that comes before COMMIT.
    mutating func sendSteps(
        _ cache: inout StatementCache, _ parameters: inout [ArrayParameter]
    ) throws(Session.Failure) {
        try session.enterPipeline()
        // What each sends at most, as a rule: a marker, a gate and the statement, and its ends.
        expected.reserveCapacity(plan.steps.count + 4)
        steps.reserveCapacity(plan.steps.count)
        isImplicit = !looksFirst
        if !isImplicit {
            try session.sendExecute("weir_begin", [])
            expected.append(.begin)
        }
        try sendClaims()
        for step in plan.steps { try send(step, &cache, &parameters) }
    }

    mutating func sendEnd() throws(Session.Failure) {
        if trouble == nil {
            isCommitSent = !isDryRun
            if !isImplicit {
                try session.sendExecute(isDryRun ? "weir_rollback" : "weir_commit", [])
                expected.append(.commit)
            }
        }
        try session.sendSync()
        try session.flush(by: deadline)
    }

    private mutating func send(
        _ step: BatchPlan.Step, _ cache: inout StatementCache, _ parameters: inout [ArrayParameter]
    ) throws(Session.Failure) {
        let entry = cache.entry(step.shape, step.table)
        while let orphan = cache.popOrphan() {
            try session.sendCommand("DEALLOCATE \(orphan)")
            expected.append(.deallocate)
        }
        let isAlone = step.positions.count == 1
        if isAlone && entry.isSinglePrepared {
            return try executeSingle(step, entry, cache.values)
        }
        // A shape that comes in several waves is prepared in the first.
        if !entry.isPrepared && preparing.insert(step.shape).inserted {
            try session.sendPrepare(
                entry.name, entry.statement.sql,
                parameterOIDs: entry.statement.parameterTypes.map(\.arrayOID))
            expected.append(.prepare(step.shape, step: steps.count))
        }
        if isAlone || !entry.statement.isSingleRow {
            try execute(step, entry, &parameters)
            if isAlone { try prepareSingle(step, entry, &cache) }
            return
        }
        for position in step.positions {
            try execute(
                BatchPlan.Step(shape: step.shape, table: step.table, positions: [position]), entry,
                &parameters)
        }
    }

    private mutating func execute(
        _ step: BatchPlan.Step, _ entry: StatementCache.Entry, _ parameters: inout [ArrayParameter]
    ) throws(Session.Failure) {
        let statement = entry.statement
        let count = statement.parameterColumns.count
        while parameters.count < count { parameters.append(ArrayParameter()) }
        // Which parameter a column's values go to.
        var places = Array(repeating: -1, count: step.table.columns.count)
        for (index, column) in statement.parameterColumns.enumerated() {
            places[column] = index
            parameters[index].begin(statement.parameterTypes[index])
        }
        for position in step.positions {
            batch.records[position].forEachField { column, source, range in
                if places[column] >= 0 { parameters[places[column]].append(source, range) }
            }
        }
        for index in 0..<count { parameters[index].end() }
        try session.sendExecute(entry.name, Array(parameters[..<count]))
        expected.append(.step(steps.count))
        steps.append(Step(plan: step, statement: statement))
    }

    // MARK: Reading

    /// Reads what is owed. The first error is kept; the server skips everything after it.
    ///
    /// - Returns: false when some of it has not come by `limit`; it can be read later.
    @discardableResult
    mutating func readExpected(
        _ cache: inout StatementCache, until limit: Timestamp? = nil
    ) throws(Session.Failure) -> Bool {
        while answeredCount < expected.count {
            if let limit, try !session.hasResult(by: limit) { return false }
            let expectation = expected[answeredCount]
            answeredCount += 1
            guard let result = try session.nextResult(by: deadline) else {
                throw .lost("the server left out a result")
            }
            switch result.status {
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK:
                try read(result, expectation, &cache)
            case PGRES_PIPELINE_ABORTED:
                break
            default:
                try meet(result, expectation)
            }
            _ = try session.nextResult(by: deadline)
        }
        expected = []
        answeredCount = 0
        return true
    }

    /// An error, of one of the statements or of COMMIT.
    private mutating func meet(
        _ result: borrowing QueryResult, _ expectation: Expectation
    ) throws(Session.Failure) {
        let error = result.error
        if trouble == nil {
            let step = stepIndex(expectation)
            trouble = Trouble(
                error: error, step: step, statement: ledgerStatement(expectation),
                suspect: position(expectation) ?? suspect(step, error, result.hints))
        }
        if error.isFatal || session.isBad { throw .lost(error.message) }
    }

    /// A deferred constraint is not met in a step: then any record may be meant.
    private func suspect(
        _ step: Int?, _ error: ServerError, _ hints: (detail: String?, context: String?)
    ) -> Int? {
        let positions = step.map { steps[$0].plan.positions } ?? Array(batch.records.indices)
        return Suspicion(records: batch.records, positions: positions).position(error, hints)
    }

    private func position(_ expectation: Expectation) -> Int? {
        if case .ledger(_, let position) = expectation { position } else { nil }
    }

    private func stepIndex(_ expectation: Expectation) -> Int? {
        switch expectation {
        case .step(let index), .prepare(_, let index), .prepareSingle(_, let index): index
        default: nil
        }
    }

    private mutating func read(
        _ result: borrowing QueryResult, _ expectation: Expectation, _ cache: inout StatementCache
    ) throws(Session.Failure) {
        switch expectation {
        case .begin, .deallocate, .deferredChecks, .ledger:
            break
        case .prepareLedger(let statement):
            ledger?.markPrepared(statement)
        case .prepare(let shape, _):
            cache.markPrepared(shape)
        case .prepareSingle(let shape, _):
            cache.markSinglePrepared(shape)
        case .step(let index):
            completedSteps += 1
            StepResult(statement: steps[index].statement, step: steps[index].plan)
                .read(result, into: &results)
        case .commit:
            let tag = isDryRun ? "ROLLBACK" : "COMMIT"
            // A COMMIT that the server turned into ROLLBACK has written nothing.
            if result.commandTag != tag {
                trouble = Trouble(
                    error: ServerError(
                        sqlstate: "40000", severity: "ERROR",
                        message: "the transaction ended with \(result.commandTag)"), step: nil)
            }
        }
    }

    /// What the attempt comes to, once all that was expected has been read.
    mutating func readEnd(_ cache: inout StatementCache) throws(Session.Failure) -> BatchReport {
        try readSync()
        if let trouble {
            try rollBack(isAborted: true)
            return classified(trouble, &cache)
        }
        try session.exitPipeline()
        // Where nothing was looked at before COMMIT, nothing could be amiss; if it was, be honest.
        if !looksFirst && findFailure() != nil { return BatchReport(.unknown) }
        return committed
    }

    /// The end of the pipeline. Where that commits, it may be refused: a deferred constraint is.
    mutating func readSync() throws(Session.Failure) {
        guard let result = try session.nextResult(by: deadline) else { throw Self.noEnd }
        if result.status == PGRES_PIPELINE_SYNC { return }
        guard isImplicit, result.status == PGRES_FATAL_ERROR else { throw Self.noEnd }
        try meet(result, .commit)
        _ = try session.nextResult(by: deadline)
        guard let end = try session.nextResult(by: deadline), end.status == PGRES_PIPELINE_SYNC
        else { throw Self.noEnd }
    }

    private static let noEnd = Session.Failure.lost("the server did not end the pipeline")

    mutating func rollBack(isAborted: Bool) throws(Session.Failure) {
        if !isAborted {
            try session.sendSync()
            try session.flush(by: deadline)
            try readSync()
        }
        try session.exitPipeline()
        // The server has done so by itself.
        if isImplicit { return }
        do {
            try session.query("ROLLBACK", by: deadline)
        } catch {
            // Rolled back all the same, by its end; the connection is not to be used again.
            throw .lost("ROLLBACK failed")
        }
    }
}
