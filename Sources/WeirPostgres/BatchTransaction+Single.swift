import Weir
import WeirRecord

// A record that is alone in its statement, as those of a lone caller are: plain parameters cost the
// server less than arrays of one element, and no look at the catalog is needed.
extension BatchTransaction {
    /// Has the server know the form for one record, behind a statement that has looked whether the
    /// table is what it was: its lock keeps the table so until the transaction ends. Shapes that
    /// come alone once are not worth it.
    mutating func prepareSingle(
        _ step: BatchPlan.Step, _ entry: StatementCache.Entry, _ cache: inout StatementCache
    ) throws(Session.Failure) {
        guard let sql = entry.statement.singleSQL else { return }
        guard entry.hasBeenAlone else { return cache.markAlone(step.shape) }
        guard preparingSingle.insert(step.shape).inserted else { return }
        try session.sendPrepare(
            entry.singleName, sql, parameterOIDs: entry.statement.parameterTypes.map(\.elementOID))
        expected.append(.prepareSingle(step.shape, step: steps.count - 1))
    }

    mutating func executeSingle(
        _ step: BatchPlan.Step, _ entry: StatementCache.Entry, _ values: ParameterList
    ) throws(Session.Failure) {
        let statement = entry.statement
        let record = batch.records[step.positions[0]]
        values.removeAll()
        for column in statement.parameterColumns {
            record.forEachField { if $0 == column { values.append(element: $1, $2) } }
        }
        try session.sendExecute(entry.singleName, values)
        expected.append(.step(steps.count))
        steps.append(Step(plan: step, statement: statement))
    }
}
