import WeirRecord

// Writes that apply only where they are newer than the row: late ones change nothing, and are told
// so. A row without a version is older than any.
extension StatementText {
    /// - Parameter isSingleRow: one key may be spelt in several ways, so that what is stored does
    ///   not say which record it came from; there is only one then.
    func upsert(newerBy version: Int, isSingleRow: Bool, row: String?) -> String {
        let key = table.primaryKey.map(name).joined(separator: ", ")
        let columns = present.map(name).joined(separator: ", ")
        let values = present.map(value).joined(separator: ", ")
        let changes = present.filter { !table.primaryKey.contains($0) }
            .map { "\(name($0)) = EXCLUDED.\(name($0))" }.joined(separator: ", ")
        let keys = table.primaryKey.enumerated().map { "t.\(name($1)) AS k\($0)" }
        let same = table.primaryKey.enumerated().map { "w.k\($0) = \(value($1))" }
            .joined(separator: " AND ")
        let written = keys + ["\(wasInserted) AS fresh"] + (row.map { ["\($0) AS j"] } ?? [])
        let json = row == nil ? "" : ", w.j"
        return "WITH u AS MATERIALIZED (SELECT * FROM \(source(ordinality: true))), w AS "
            + "(INSERT INTO \(table.sqlName) AS t (\(columns)) SELECT \(values) FROM u "
            + "WHERE \(definition.types(of: present)) ON CONFLICT (\(key)) DO UPDATE "
            + "SET \(changes) WHERE \(isNewer(version, "EXCLUDED.\(name(version))"))"
            + returning(written) + ") "
            + (isSingleRow
                ? "SELECT 1, w.fresh\(json) FROM w"
                : "SELECT u.ord, w.fresh\(json) FROM w JOIN u ON \(same)")
    }

    /// - Parameter lacking: columns without which no row can be inserted instead.
    func patch(newerBy version: Int, row: String?, lacking: [Int]) -> String {
        let sameKey = sameKey(lacking: lacking)
        let changes = present.filter { !table.primaryKey.contains($0) }
            .map { "\(name($0)) = \(value($0))" }.joined(separator: ", ")
        let written = ["u.ord"] + (row.map { ["\($0) AS j"] } ?? [])
        return "WITH u AS MATERIALIZED (SELECT * FROM \(source(ordinality: true))), w AS "
            + "(UPDATE \(table.sqlName) AS t SET \(changes) FROM u WHERE \(sameKey) "
            + "AND \(definition.types(of: present)) AND \(isNewer(version, value(version)))"
            + returning(written) + ") "
            + "SELECT w.ord, true\(row == nil ? "" : ", w.j") FROM w UNION ALL "
            + "SELECT u.ord, false\(row == nil ? "" : ", NULL") FROM u JOIN \(table.sqlName) AS t "
            + "ON \(sameKey) WHERE NOT EXISTS (SELECT FROM w WHERE w.ord = u.ord)"
    }

    private func isNewer(_ version: Int, _ value: String) -> String {
        "(t.\(name(version)) IS NULL OR t.\(name(version)) < \(value))"
    }
}
