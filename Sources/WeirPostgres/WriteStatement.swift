package import WeirRecord

/// How one shape of records is written: the SQL, its parameters, and what its rows say.
///
/// Values come as one array per column, and for updates `ord` counts the elements, so that a
/// returned row names its record. Identifiers come from the catalog only.
package final class WriteStatement {
    /// Which statement records need: those with equal shapes share one.
    package struct Shape: Hashable {
        var table: Int
        var version: Int
        package var kind: Kind
        var columns: ColumnSet
        var returnsRow: Bool
        /// The column that tells newer rows from older ones, where only newer ones are written.
        package var versionColumn: Int?

        init(_ record: Record) {
            table = record.table.number
            version = record.table.version
            columns = record.columns
            returnsRow = record.options.returnsRow
            kind = Kind(record)
            versionColumn = Self.versionColumn(record)
        }

        /// Whether the record's own shape is this one, without making it.
        func fits(_ record: Record) -> Bool {
            table == record.table.number && version == record.table.version
                && columns == record.columns && returnsRow == record.options.returnsRow
                && kind == Kind(record) && versionColumn == Self.versionColumn(record)
        }

        /// Whether records of this shape have no key until the database has made it.
        func returnsKeys(of table: TableSchema) -> Bool {
            !table.primaryKey.isEmpty && !hasKey(of: table)
        }

        func hasKey(of table: TableSchema) -> Bool {
            !table.primaryKey.isEmpty && table.primaryKey.allSatisfy { columns.contains($0) }
        }

        private static func versionColumn(_ record: Record) -> Int? {
            guard let column = record.options.versionColumn, record.options.mayMeetRow,
                record.columns.contains(column), !record.table.primaryKey.contains(column)
            else { return nil }
            return column
        }
    }

    package enum Kind: Int, Hashable {
        case insert
        case insertIgnoring
        case upsert
        case patch
        case delete

        package init(_ record: Record) {
            switch (record.options.operation, record.options.onConflict) {
            case (.insert, .error): self = .insert
            case (.insert, .ignore): self = .insertIgnoring
            case (.insert, .merge), (.upsert, _): self = .upsert
            case (.patch, _): self = .patch
            case (.delete, _): self = .delete
            }
        }
    }

    /// What the rows that come back look like.
    enum Returns: Equatable {
        /// None: the command tag counts.
        case nothing
        /// One for each record, in their order: the key's columns.
        case keys
        /// One for each record, in their order: whether it was inserted.
        case wasInserted
        /// One for each record that met a row: its `ord`.
        case ordinals
        /// One for each record that was newer than its row: its `ord`, and whether it was inserted.
        case newer
        /// One for each record that met a row: its `ord`, and whether it was newer.
        case newerOrOlder
    }

    let sql: String
    /// The same for one record alone, whose values are plain parameters: `nil` where there is none.
    ///
    /// It does not look at the catalog. It is to be prepared behind `sql`, in a transaction in
    /// which that was executed; the server itself then refuses it for any other definition
    /// (`definitionColumns`).
    let singleSQL: String?
    /// For each parameter the column whose values it takes.
    let parameterColumns: [Int]
    let parameterTypes: [ColumnType]
    let returns: Returns
    /// Columns of a returned row before the JSON of the row itself.
    let leadingColumnCount: Int
    /// Each record has to stand in a statement of its own.
    let isSingleRow: Bool

    init(_ shape: Shape, table: TableSchema) {
        let present = table.columns.indices.filter { shape.columns.contains($0) }
        let parameters = shape.kind == .delete ? table.primaryKey : present
        parameterColumns = parameters
        parameterTypes = parameters.map { table.columns[$0].type }
        let text = StatementText(table: table, present: present, parameters: parameters)
        let row = shape.returnsRow ? "row_to_json(t.*)" : nil
        let one = StatementText(
            table: table, present: present, parameters: parameters, isSingle: true)
        let lacksColumns =
            shape.kind == .upsert && table.firstMissing(in: shape.columns) != nil
        let lacking =
            lacksColumns ? table.requiredColumns.filter { !shape.columns.contains($0) } : []
        let hasSingle = !present.isEmpty && !table.mayDropRows
        switch shape.kind {
        case .insert:
            let keys = table.primaryKey.map { "t." + text.name($0) }
            returns = shape.returnsKeys(of: table) ? .keys : .nothing
            leadingColumnCount = returns == .keys ? keys.count : 0
            let columns = (returns == .keys ? keys : []) + [row].compactMap { $0 }
            sql = text.insert + text.returning(columns)
            singleSQL =
                hasSingle ? one.insert + one.returning(columns + one.definitionColumns) : nil
            isSingleRow = present.isEmpty
        case .insertIgnoring:
            // A row of the result for each record that was inserted; its key finds the record,
            // where the key is stored as it was sent. A rounded one would find another or none.
            let isFound =
                shape.hasKey(of: table)
                && table.primaryKey.allSatisfy { table.columns[$0].isExact }
            let keys = table.primaryKey.map { "t." + text.name($0) }
            returns = isFound ? .ordinals : keys.isEmpty ? .nothing : .keys
            leadingColumnCount = isFound ? 1 : keys.count
            singleSQL = nil
            sql =
                isFound
                ? text.insertIgnoring(row: row)
                : text.insert + " ON CONFLICT DO NOTHING"
                    + text.returning(keys + [row].compactMap { $0 })
            isSingleRow = !isFound || present.isEmpty
        case .upsert where shape.versionColumn != nil, .patch where shape.versionColumn != nil:
            let version = shape.versionColumn ?? 0
            let isUpsert = shape.kind == .upsert && !lacksColumns
            returns = isUpsert ? .newer : .newerOrOlder
            leadingColumnCount = 2
            singleSQL = nil
            isSingleRow = table.isKeySpeltFreely
            sql =
                isUpsert
                ? text.upsert(newerBy: version, isSingleRow: isSingleRow, row: row)
                : text.patch(newerBy: version, row: row, lacking: lacking)
        case .upsert where lacksColumns:
            // A row could not be inserted without these columns, and PostgreSQL would say so before
            // it looked for the row: so one that is there is updated, and nothing else can be done.
            returns = .ordinals
            leadingColumnCount = 1
            singleSQL = nil
            sql = text.patch(row: row, lacking: lacking)
            isSingleRow = table.isKeySpeltFreely
        case .upsert:
            returns = .wasInserted
            leadingColumnCount = 1
            let columns = [text.wasInserted] + [row].compactMap { $0 }
            sql = text.upsert + text.returning(columns)
            singleSQL =
                hasSingle ? one.upsert + one.returning(columns + one.definitionColumns) : nil
            isSingleRow = table.isKeySpeltFreely
        case .patch:
            returns = .ordinals
            leadingColumnCount = 1
            singleSQL = nil
            sql = text.patch(row: row)
            isSingleRow = table.isKeySpeltFreely
        case .delete:
            returns = .ordinals
            leadingColumnCount = 1
            singleSQL = nil
            sql = text.delete + text.returning(["u.ord"] + [row].compactMap { $0 })
            isSingleRow = table.isKeySpeltFreely
        }
    }
}

extension TableSchema {
    /// Whether one key may be written in several ways, as `1.0` and `1.00`: a statement that got
    /// both would change the row for one of them and tell the other that there is none.
    fileprivate var isKeySpeltFreely: Bool {
        !primaryKey.allSatisfy { columns[$0].isExact }
    }
}

/// The parts that the statements of one shape are put together from.
struct StatementText {
    let table: TableSchema
    let present: [Int]
    let parameters: [Int]
    /// One record, its values in parameters of their own.
    var isSingle = false

    func name(_ column: Int) -> String { quotedIdentifier(table.columns[column].name) }

    /// A parameter's element, cast where it travels as text. The cast has no length: the assignment
    /// to the column applies that, and refuses what is too long instead of cutting it.
    func value(_ column: Int) -> String {
        let place = isSingle ? parameters.firstIndex(of: column) : nil
        let element = place.map { "$\($0 + 1)" } ?? "u.c\(column)"
        return table.columns[column].type.castName.map { "\(element)::\($0)" } ?? element
    }

    func source(ordinality: Bool) -> String {
        let arrays = parameters.enumerated().map { index, column in
            "$\(index + 1)::\(table.columns[column].type.wireArrayName)"
        }
        var names = parameters.map { "c\($0)" }
        if ordinality { names.append("ord") }
        return "unnest(\(arrays.joined(separator: ", ")))"
            + (ordinality ? " WITH ORDINALITY" : "") + " AS u(\(names.joined(separator: ", ")))"
    }

    var insert: String {
        guard !present.isEmpty else { return "INSERT INTO \(table.sqlName) AS t DEFAULT VALUES" }
        let columns = present.map(name).joined(separator: ", ")
        let values = present.map(value).joined(separator: ", ")
        let into = "INSERT INTO \(table.sqlName) AS t (\(columns)) "
        guard !isSingle else { return into + "VALUES (\(values))" }
        return into + "SELECT \(values) FROM " + source(ordinality: false)
            + " WHERE \(definition.types(of: present))"
    }

    /// For each column that is written a NULL of its type, length and collation. After a change of
    /// the table the server plans a prepared statement again, under its lock on the table, and
    /// refuses it if its rows would be of other types: so the definition is looked at when it
    /// changes and not each time. They read no column, which would take a privilege.
    var definitionColumns: [String] {
        present.map { "(NULL::\(table.sqlName)).\(name($0))" }
    }

    func insertIgnoring(row: String?) -> String {
        let columns = present.map(name).joined(separator: ", ")
        let values = present.map(value).joined(separator: ", ")
        let keys = table.primaryKey.enumerated().map { "t.\(name($1)) AS k\($0)" }
        let same = table.primaryKey.enumerated().map { "i.k\($0) = \(value($1))" }
        let rowColumn = row.map { ", \($0) AS j" } ?? ""
        return "WITH u AS MATERIALIZED (SELECT * FROM \(source(ordinality: true))), i AS "
            + "(INSERT INTO \(table.sqlName) AS t (\(columns)) SELECT \(values) FROM u "
            + "WHERE \(definition.types(of: present)) ON CONFLICT DO NOTHING "
            + "RETURNING \(keys.joined(separator: ", "))\(rowColumn)) "
            + "SELECT u.ord\(row == nil ? "" : ", i.j") FROM i JOIN u ON "
            + same.joined(separator: " AND ")
    }

    var upsert: String {
        let key = table.primaryKey.map(name).joined(separator: ", ")
        let changed = present.filter { !table.primaryKey.contains($0) }
        // With nothing to change the row is still locked and returned, so that the answer is true.
        let assigned = changed.isEmpty ? [table.primaryKey[0]] : changed
        let changes = assigned.map { "\(name($0)) = EXCLUDED.\(name($0))" }
        return insert + " ON CONFLICT (\(key)) DO UPDATE SET \(changes.joined(separator: ", "))"
    }

    /// A row that `ON CONFLICT DO UPDATE` met carries its locker in `xmax`; a new one carries
    /// nothing. Rows of partitioned tables do not show it, so those ask whether the row was there
    /// before the statement.
    var wasInserted: String {
        guard table.isPartitioned else { return "(t.xmax = 0)" }
        let same = table.primaryKey.map { "o.\(name($0)) = t.\(name($0))" }
        return
            "NOT EXISTS (SELECT FROM \(table.sqlName) o WHERE \(same.joined(separator: " AND ")))"
    }

    var definition: DefinitionGuard { DefinitionGuard(table: table) }

    /// - Parameter lacking: columns without which no row can be inserted instead.
    func sameKey(lacking: [Int]) -> String {
        lacking.isEmpty ? sameKey : "\(sameKey) AND \(definition.needs(of: lacking))"
    }

    private var sameKey: String {
        table.primaryKey.map { "t.\(name($0)) = \(value($0))" }.joined(separator: " AND ")
            + " AND " + definition.key
    }

    /// - Parameter lacking: columns without which no row can be inserted instead.
    func patch(row: String?, lacking: [Int] = []) -> String {
        let sameKey = sameKey(lacking: lacking)
        let changed = present.filter { !table.primaryKey.contains($0) }
        let columns = ["u.ord"] + [row].compactMap { $0 }
        guard !changed.isEmpty else {
            return "SELECT \(columns.joined(separator: ", ")) FROM \(source(ordinality: true)) "
                + "JOIN \(table.sqlName) AS t ON \(sameKey)"
        }
        let changes = changed.map { "\(name($0)) = \(value($0))" }
        return "UPDATE \(table.sqlName) AS t SET \(changes.joined(separator: ", ")) "
            + "FROM \(source(ordinality: true)) WHERE \(sameKey) "
            + "AND \(definition.types(of: present))" + returning(columns)
    }

    var delete: String {
        "DELETE FROM \(table.sqlName) AS t USING \(source(ordinality: true)) WHERE \(sameKey)"
            + " AND \(definition.types(of: table.primaryKey))"
    }

    func returning(_ columns: [String]) -> String {
        columns.isEmpty ? "" : " RETURNING " + columns.joined(separator: ", ")
    }
}
