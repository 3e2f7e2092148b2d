import Weir
import WeirRecord

/// From the rows that a statement returned to the result of each of its records.
struct StepResult {
    let statement: WriteStatement
    let step: BatchPlan.Step

    func read(_ result: borrowing QueryResult, into results: inout [RowResult]) {
        let count = step.positions.count
        switch statement.returns {
        case .nothing:
            let written = step.shape.returnsRow ? result.rowCount : result.affectedCount
            fill(written == count ? .inserted : missing, result, into: &results)
        case .keys:
            fill(result.rowCount == count ? .inserted : missing, result, into: &results)
        case .wasInserted:
            guard result.rowCount == count else { return fill(.notFound, result, into: &results) }
            for (row, position) in step.positions.enumerated() {
                let wasInserted = result.text(row, 0) == "t"
                results[position] = RowResult(
                    wasInserted ? .inserted : .updated, row: representation(result, row))
            }
        case .ordinals:
            let (met, missed) = effects
            for position in step.positions { results[position] = RowResult(missed) }
            for row in 0..<result.rowCount {
                let position = step.positions[result.integer(row, 0) - 1]
                results[position] = RowResult(met, row: representation(result, row))
            }
        case .newer:
            readVersioned(.inserted, .updated, missed: .ignored, result, into: &results)
        case .newerOrOlder:
            readVersioned(.updated, .ignored, missed: .notFound, result, into: &results)
        }
    }

    /// - Parameters:
    ///   - met: what those did whose row says yes.
    ///   - other: what those did whose row says no.
    ///   - missed: what those did that have no row.
    private func readVersioned(
        _ met: RowEffect, _ other: RowEffect, missed: RowEffect, _ result: borrowing QueryResult,
        into results: inout [RowResult]
    ) {
        for position in step.positions { results[position] = RowResult(missed) }
        for row in 0..<result.rowCount {
            let position = step.positions[result.integer(row, 0) - 1]
            let effect = result.text(row, 1) == "t" ? met : other
            results[position] = RowResult(
                effect, row: effect == .ignored ? nil : representation(result, row))
        }
    }

    /// What a record did that was to be inserted and was not.
    private var missing: RowEffect {
        step.shape.kind == .insertIgnoring ? .ignored : .notFound
    }

    /// What a record did whose `ord` came back, and what one did whose `ord` did not.
    private var effects: (met: RowEffect, missed: RowEffect) {
        switch step.shape.kind {
        case .insertIgnoring: (.inserted, .ignored)
        case .delete: (.deleted, .notFound)
        default:
            statement.parameterColumns.count > step.table.primaryKey.count
                ? (.updated, .notFound) : (.unchanged, .notFound)
        }
    }

    private func fill(
        _ effect: RowEffect, _ result: borrowing QueryResult, into results: inout [RowResult]
    ) {
        for (row, position) in step.positions.enumerated() {
            guard effect == .inserted else {
                results[position] = RowResult(effect)
                continue
            }
            results[position] = RowResult(
                effect, key: statement.returns == .keys ? key(result, row) : nil,
                row: representation(result, row))
        }
    }

    private func representation(_ result: borrowing QueryResult, _ row: Int) -> [UInt8]? {
        guard step.shape.returnsRow else { return nil }
        return step.table.translated(row: Array(result.bytes(row, statement.leadingColumnCount)))
    }

    private func key(_ result: borrowing QueryResult, _ row: Int) -> [UInt8] {
        var json: [UInt8] = []
        for (index, column) in step.table.primaryKey.enumerated() {
            json.append(UInt8(ascii: index == 0 ? "{" : ","))
            let definition = step.table.columns[column]
            appendJSONString(definition.name, to: &json)
            json.append(UInt8(ascii: ":"))
            let text = result.bytes(row, index)
            if let id = definition.declaredID {
                id.appendJSON(printed: text, to: &json)
            } else if definition.type.isBareInJSON {
                json += text
            } else {
                appendJSONString(utf8: text, to: &json)
            }
        }
        json.append(UInt8(ascii: "}"))
        return json
    }
}
