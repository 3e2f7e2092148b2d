internal import CLibpq
import Weir
import WeirCore
import WeirRecord

// Many rows for one table and nothing else: COPY, which costs the server less from some thousand
// rows on. docs/decisions/0005-unnest-and-copy.md has the figures.
extension PostgresWriter {
    /// From this many records on, a batch of plain inserts into one table is written by COPY.
    package static let copyCountMin = 1_000
}

extension BatchTransaction {
    private static let chunkByteCount = 128 << 10

    /// The batch's one step, where COPY does the same as the statement would.
    func stepToCopy(_ cache: StatementCache) -> BatchPlan.Step? {
        guard plan.steps.count == 1, let step = plan.steps.first,
            step.positions.count >= PostgresWriter.copyCountMin, batch.groups.isEmpty,
            !batch.isIsolated,
            step.shape.kind == .insert, !step.shape.returnsRow, !step.table.mayDropRows,
            !isDryRun, cache.takesCopy(step.table)
        else { return nil }
        let statement = WriteStatement(step.shape, table: step.table)
        let isBinary = statement.parameterTypes.allSatisfy { $0.castName == nil }
        return statement.returns == .nothing && !statement.isSingleRow && isBinary ? step : nil
    }

    mutating func copy(
        _ step: BatchPlan.Step, _ cache: inout StatementCache
    ) throws(Session.Failure) -> BatchReport {
        let statement = WriteStatement(step.shape, table: step.table)
        try claim(&cache)
        if let trouble {
            try rollBack(isAborted: true)
            return classified(trouble, &cache)
        }
        try begin(statement, step.table)
        if trouble == nil {
            try sendRows(step, statement)
            try readResults(expecting: "COPY \(step.positions.count)")
        }
        if trouble == nil {
            completedSteps += 1
            isCommitSent = true
            // COPY takes no such condition of its own. It has locked the table, so that the
            // definition it met is the one that is looked at now. When it met another one it may
            // have refused a row for that: the statement, which writes the pieces, has the last
            // word.
            let definition = DefinitionGuard(table: step.table)
            try session.sendQuery(
                "SELECT \(definition.types(of: statement.parameterColumns)); COMMIT")
            try session.flush(by: deadline)
            try readResults(expecting: "COMMIT")
        }
        guard let trouble else { return committed }
        do {
            try session.query("ROLLBACK", by: deadline)
        } catch {
            throw .lost("ROLLBACK failed")
        }
        return failed(trouble, step, &cache)
    }

    /// What COPY cannot do for this table, the statement can: the batch comes again.
    private func failed(
        _ trouble: Trouble, _ step: BatchPlan.Step, _ cache: inout StatementCache
    ) -> BatchReport {
        guard trouble.error.sqlstate == "0A000" else { return classified(trouble, &cache) }
        cache.giveUpCopy(step.table)
        return BatchReport(.transient(.other))
    }

    /// Begins the transaction and leaves in it what is remembered of the batch: by the extended
    /// protocol, which COPY has no part in.
    private mutating func claim(_ cache: inout StatementCache) throws(Session.Failure) {
        guard ledger != nil else { return }
        try session.enterPipeline()
        try session.sendExecute("weir_begin", [])
        expected.append(.begin)
        try sendClaims()
        try session.sendSync()
        try session.flush(by: deadline)
        try readExpected(&cache)
        try readSync()
        if trouble == nil { try session.exitPipeline() }
    }

    private mutating func begin(
        _ statement: WriteStatement, _ table: TableSchema
    ) throws(Session.Failure) {
        let columns = statement.parameterColumns.map { quotedIdentifier(table.columns[$0].name) }
        let begin = ledger == nil ? "BEGIN; " : ""
        try session.sendQuery(
            "\(begin)COPY \(table.sqlName) (\(columns.joined(separator: ", "))) "
                + "FROM STDIN (FORMAT binary)")
        try session.flush(by: deadline)
        while let result = try session.nextResult(by: deadline) {
            if result.status == PGRES_COPY_IN { return }
            try note(result)
        }
        guard trouble == nil else { return }
        throw .lost("the server did not ask for the rows")
    }

    /// PostgreSQL's documentation of COPY, "Binary Format": a signature, flags, the length of an
    /// extension; each row with the count of its fields, which have the form of array elements; -1.
    private func sendRows(
        _ step: BatchPlan.Step, _ statement: WriteStatement
    ) throws(Session.Failure) {
        let data = WireBuffer()
        let signature: [UInt8] = [
            0x50, 0x47, 0x43, 0x4F, 0x50, 0x59, 0x0A, 0xFF, 0x0D, 0x0A, 0x00,
        ]
        data.append(signature, 0..<signature.count)
        data.append(UInt32(0))
        data.append(UInt32(0))
        var places = Array(repeating: -1, count: step.table.columns.count)
        for (index, column) in statement.parameterColumns.enumerated() { places[column] = index }
        for position in step.positions {
            append(batch.records[position], places, statement.parameterColumns.count, to: data)
            if data.count >= Self.chunkByteCount {
                try session.sendCopyData(data, by: deadline)
                data.removeAll()
            }
        }
        data.append(Int16(-1))
        try session.sendCopyData(data, by: deadline)
        try session.endCopy(by: deadline)
    }

    private func append(_ record: Record, _ places: [Int], _ count: Int, to data: WireBuffer) {
        data.append(Int16(count))
        // Records tend to name their columns in the table's order.
        var next = 0
        var isInOrder = true
        record.forEachField { column, source, range in
            isInOrder = isInOrder && places[column] == next
            guard isInOrder else { return }
            data.append(source, range)
            next += 1
        }
        while next < count {
            record.forEachField { column, source, range in
                if places[column] == next { data.append(source, range) }
            }
            next += 1
        }
    }

    private mutating func readResults(expecting tag: String) throws(Session.Failure) {
        var last = ""
        while let result = try session.nextResult(by: deadline) {
            try note(result)
            last = result.commandTag
        }
        guard trouble == nil, last != tag else { return }
        trouble = Trouble(
            error: ServerError(
                sqlstate: "40000", severity: "ERROR", message: "\(tag) was answered with \(last)"))
    }

    private mutating func note(_ result: borrowing QueryResult) throws(Session.Failure) {
        switch result.status {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK: return
        default:
            let error = result.error
            if trouble == nil {
                let suspicion = Suspicion(
                    records: batch.records, positions: plan.steps.first?.positions ?? [])
                trouble = Trouble(
                    error: error,
                    suspect: suspicion.position(error, result.hints, isCopy: true))
            }
            if error.isFatal || session.isBad { throw .lost(error.message) }
        }
    }
}
