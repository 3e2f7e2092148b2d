import WeirRecord

/// Conditions that stand in a write statement and fail it when the table is no longer what the
/// records were decoded for (docs/decisions/0012-schema-changes.md).
///
/// They are evaluated once for a statement, in its own snapshot and while it holds its lock on the
/// table: an ALTER TABLE that committed before is seen, and none can come between the look and the
/// write.
struct DefinitionGuard {
    let table: TableSchema

    /// Names nothing, now or ever: reading it as a relation is the error 42P01, which says that
    /// the table is at fault and none of its records.
    private static let stop = "'pg_catalog.weir_definition_changed'"

    /// True while the columns have the types that values for them were encoded for.
    func types(of columns: [Int]) -> String {
        unchanged(columns) { mark in
            "a.atttypid = \(mark.type) AND a.atttypmod = \(mark.modifier) "
                + "AND a.attcollation = \(mark.collation)"
        }
    }

    /// True while a new row needs as much of these columns as it did: who left them out of an
    /// upsert may be told so.
    func needs(of columns: [Int]) -> String {
        unchanged(columns) { "a.attnotnull = \($0.isNotNull) AND a.atthasdef = \($0.hasDefault)" }
    }

    private func unchanged(
        _ columns: [Int], _ condition: (CatalogPlace.Column) -> String
    ) -> String {
        guard let place = table.place, !columns.isEmpty else { return "true" }
        let same = columns.map { column in
            "a.attname = \(quotedLiteral(table.columns[column].name)) AND "
                + condition(place.columns[column])
        }
        return self.condition(
            "(SELECT count(*) FROM pg_catalog.pg_attribute a WHERE a.attrelid = \(relation) "
                + "AND (\(same.joined(separator: " OR ")))) = \(columns.count)")
    }

    /// True while the primary key is the one that keys were read for: under another one a key may
    /// meet several rows.
    var key: String {
        guard let key = table.place?.key else { return "true" }
        return condition(
            "EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = \(relation) "
                + "AND i.indisprimary AND i.indkey::text = \(quotedLiteral(key)))")
    }

    /// Resolved when the statement is planned, and again when the table has changed.
    private var relation: String { "\(quotedLiteral(table.sqlName))::pg_catalog.regclass" }

    private func condition(_ holds: String) -> String {
        "(CASE WHEN \(holds) THEN NULL ELSE \(Self.stop) END)::pg_catalog.regclass IS NULL"
    }
}
