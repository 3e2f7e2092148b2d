import WeirPostgres
import WeirRecord

/// A message as the SQL that an application without a gateway would send: one statement, or several
/// in a transaction.
struct CallStatements: Sendable {
    struct Statement {
        var sql: String
        /// In text form, each ended by a zero byte; `nil` is NULL.
        var parameters: [[UInt8]?]
    }

    private let templates: Templates
    /// By the columns that a record names.
    private var sqls: [[Int]: String] = [:]

    init(_ templates: Templates) {
        self.templates = templates
    }

    private mutating func sql(_ columns: [Int]) -> String {
        if let sql = sqls[columns] { return sql }
        let sql = Self.sql(templates, columns)
        sqls[columns] = sql
        return sql
    }

    private static func sql(_ templates: Templates, _ columns: [Int]) -> String {
        let schema = templates.target.schema
        let names = columns.map { quotedIdentifier(schema.columns[$0].name) }
        let holes = names.indices.map { "$\($0 + 1)" }
        switch templates.operation {
        case .insert:
            return
                "INSERT INTO \(schema.sqlName) (\(names.joined(separator: ", "))) "
                + "VALUES (\(holes.joined(separator: ", ")))"
        case .upsert:
            let key = quotedIdentifier(schema.columns[schema.primaryKey[0]].name)
            let sets = names.map { "\($0) = EXCLUDED.\($0)" }.joined(separator: ", ")
            return
                "INSERT INTO \(schema.sqlName) (\((names + [key]).joined(separator: ", "))) "
                + "VALUES (\((holes + ["$\(names.count + 1)"]).joined(separator: ", "))) "
                + "ON CONFLICT (\(key)) DO UPDATE SET \(sets)"
        case .patch:
            let key = quotedIdentifier(schema.columns[schema.primaryKey[0]].name)
            let sets = zip(names, holes).map { "\($0) = \($1)" }.joined(separator: ", ")
            return
                "UPDATE \(schema.sqlName) SET \(sets) WHERE \(key) = $\(names.count + 1)"
        }
    }

    /// - Returns: with BEGIN and COMMIT where there are several.
    mutating func statements(_ message: Int, isPoison: Bool) -> [Statement] {
        let template = templates.template(message)
        let sql = sql(template.columns)
        let pieces = isPoison ? template.poisonedParameters : template.parameters
        let common = pieces.map { piece in piece.map { bytes($0, message) } }
        var list: [Statement] = []
        if templates.operation != .insert, let form = templates.target.keyForm {
            for key in templates.keys(message) {
                list.append(
                    Statement(sql: sql, parameters: common + [bytes(form.pieces, key)]))
            }
        } else {
            list = Array(
                repeating: Statement(sql: sql, parameters: common), count: templates.rowsPerCall)
        }
        guard list.count > 1 else { return list }
        return [Statement(sql: "BEGIN", parameters: [])] + list
            + [Statement(sql: "COMMIT", parameters: [])]
    }

    private func bytes(_ pieces: Pieces, _ message: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        pieces.render(message, to: &bytes)
        bytes.append(0)
        return bytes
    }
}
