import WeirPostgres
import WeirRecord

/// The rows that edits choose from, written before the run.
extension Templates {
    /// Statements that insert them, some hundred rows each.
    package var seedingSQL: [String] {
        guard operation == .patch, let form = target.keyForm else { return [] }
        let schema = target.schema
        var plan = LoadPlan(phases: [])
        plan.seed = seed
        // A whole row, not only what an edit changes.
        guard let rows = try? Templates(target, plan) else { return [] }
        let key = schema.columns[schema.primaryKey[0]].name
        let named = rows.columns.filter { $0 != target.marker && !schema.primaryKey.contains($0) }
        let names = ([key] + named.map { schema.columns[$0].name }).map(quotedIdentifier)
        return stride(from: 0, to: hotKeys, by: 500).map { start in
            let values = (start..<min(start + 500, hotKeys)).map { number in
                let template = rows.template(number)
                let texts = named.map { column -> String in
                    let place = rows.columns.firstIndex(of: column) ?? 0
                    return template.parameters[place]?.text(number) ?? ""
                }
                return "("
                    + ([form.pieces.text(number)] + texts).map(quotedLiteral)
                    .joined(separator: ", ") + ")"
            }
            return "INSERT INTO \(schema.sqlName) (\(names.joined(separator: ", "))) VALUES "
                + values.joined(separator: ", ")
        }
    }
}
