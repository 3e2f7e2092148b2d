import Weir
import WeirCore
import WeirRecord

/// Reads the definitions of the exposed tables from PostgreSQL's catalog.
struct CatalogQuery {
    let tables: [TableName]
    var policies: [TableName: TablePolicy] = [:]

    func run(on session: Session, by deadline: Timestamp) throws(ConnectFailure) -> Catalog {
        let columns: [[String?]]
        let references: [[String?]]
        var labels: [String: [String]] = [:]
        // Both before the definitions: they may be older than these, and must not be newer.
        let stamp = CatalogStamp(tables: tables)
        let stamps = try stamp.read(on: session, by: deadline)
        let places = try stamp.places(on: session, by: deadline)
        do {
            columns = try session.query(columnsSQL, by: deadline)
            references = try session.query(referencesSQL, by: deadline)
            let enums = CatalogTypes.enums(columns)
            if !enums.isEmpty {
                for row in try session.query(labelsSQL(enums), by: deadline) {
                    labels[row[0] ?? "", default: []].append(row[1] ?? "")
                }
            }
        } catch {
            switch error {
            case .server(let error): throw ConnectFailure("\(error.sqlstate) \(error.message)")
            case .lost(let reason): throw ConnectFailure(reason)
            }
        }
        let ranks = Self.ranks(tables.count, references)
        let types = CatalogTypes(labels: labels)
        let byTable = Dictionary(grouping: columns) { Int($0[0] ?? "") ?? -1 }
        return Catalog(
            tables.enumerated().map { number, name in
                guard let rows = byTable[number] else { return .missing(name: name.publicName) }
                do throws(PolicyMismatch) {
                    return .found(
                        try schema(
                            number, name, rows, types, rank: ranks[number], places[number]))
                } catch {
                    return .missing(name: name.publicName, reason: error.reason)
                }
            }, stamps: stamps)
    }

    /// `(number, schema, name)` of each exposed table, as rows of a VALUES list.
    private var wanted: String {
        tables.enumerated()
            .map { "(\($0), \(quotedLiteral($1.schema)), \(quotedLiteral($1.name)))" }
            .joined(separator: ", ")
    }

    private var columnsSQL: String {
        """
        SELECT w.number, a.attname, b.nspname, b.typname,
               pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull OR b.isnotnull,
               a.atthasdef OR a.attidentity <> '' OR at.typdefault IS NOT NULL, a.attidentity,
               a.attgenerated,
               pg_catalog.array_position(
                   (i.indkey::int2[])[0:i.indnkeyatts - 1], a.attnum),
               c.relkind = 'p',
               c.relkind NOT IN ('r', 'p') OR c.relhasrules OR EXISTS (
                   SELECT FROM pg_catalog.pg_trigger g
                   WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgtype & 3 = 3
                     AND g.tgenabled <> 'D'),
               COALESCE(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '') LIKE 'nextval(%',
               pg_catalog.pg_get_expr(d.adbin, d.adrelid),
               EXISTS (SELECT FROM pg_catalog.pg_collation k
                       WHERE k.oid = a.attcollation AND NOT k.collisdeterministic),
               b.base, b.typtype, GREATEST(a.atttypmod, b.typmod),
               e.base, e.nspname, e.typname, e.typtype, e.typmod, e.isnotnull, el.typdelim,
               s.nspname, s.typname, s.typtype, s.typmod
        FROM (VALUES \(wanted)) AS w(number, nspname, relname)
        JOIN pg_catalog.pg_namespace n ON n.nspname = w.nspname
        JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.relname
             AND c.relkind IN ('r', 'p', 'v', 'f')
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        JOIN pg_catalog.pg_type at ON at.oid = a.atttypid
        JOIN LATERAL \(behindDomains("a.atttypid")) AS b ON true
        LEFT JOIN pg_catalog.pg_type el ON el.oid = b.typelem AND el.typarray = b.base
        LEFT JOIN LATERAL \(behindDomains("el.oid")) AS e ON true
        LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = COALESCE(e.base, b.base)
        LEFT JOIN LATERAL \(behindDomains("r.rngsubtype")) AS s ON true
        LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary
        ORDER BY w.number, a.attnum
        """
    }

    /// A subquery for the type that a chain of domains ends at, with what the domains add.
    private func behindDomains(_ type: String) -> String {
        """
        (WITH RECURSIVE chain(oid, typmod, isnotnull) AS (
            SELECT \(type), -1, false
          UNION ALL
            SELECT t.typbasetype,
                   CASE WHEN t.typtypmod = -1 THEN chain.typmod ELSE t.typtypmod END,
                   chain.isnotnull OR t.typnotnull
            FROM chain JOIN pg_catalog.pg_type t ON t.oid = chain.oid WHERE t.typtype = 'd')
         SELECT t.oid AS base, n.nspname, t.typname, t.typtype, t.typelem, chain.typmod,
                chain.isnotnull
         FROM chain JOIN pg_catalog.pg_type t ON t.oid = chain.oid AND t.typtype <> 'd'
         JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace)
        """
    }

    /// The labels of these enums, each in their order.
    private func labelsSQL(_ types: Set<String>) -> String {
        """
        SELECT enumtypid, enumlabel FROM pg_catalog.pg_enum
        WHERE enumtypid IN (\(types.sorted().joined(separator: ", ")))
        ORDER BY enumtypid, enumsortorder
        """
    }

    private var referencesSQL: String {
        """
        SELECT f.number, t.number
        FROM (VALUES \(wanted)) AS f(number, nspname, relname)
        JOIN pg_catalog.pg_namespace fn ON fn.nspname = f.nspname
        JOIN pg_catalog.pg_class fc ON fc.relnamespace = fn.oid AND fc.relname = f.relname
        JOIN pg_catalog.pg_constraint k ON k.conrelid = fc.oid AND k.contype = 'f'
        JOIN pg_catalog.pg_class tc ON tc.oid = k.confrelid
        JOIN pg_catalog.pg_namespace tn ON tn.oid = tc.relnamespace
        JOIN (VALUES \(wanted)) AS t(number, nspname, relname)
             ON t.nspname = tn.nspname AND t.relname = tc.relname
        WHERE f.number <> t.number
        """
    }

    private func schema(
        _ number: Int, _ name: TableName, _ rows: [[String?]], _ types: CatalogTypes,
        rank: Int, _ place: CatalogStamp.Place?
    ) throws(PolicyMismatch) -> TableSchema {
        var key: [(place: Int, column: Int)] = []
        var columns: [Column] = []
        for (index, row) in rows.enumerated() {
            if let place = row[9].flatMap(Int.init) { key.append((place, index)) }
            var column = Column(
                name: row[1] ?? "", type: types.type(row), typeName: row[4] ?? "",
                isNullable: row[5] != "t", hasDefault: row[6] == "t",
                generation: generation(
                    identity: row[7], computed: row[8], isSerial: row[12] == "t"))
            column.constantDefault = row[13].flatMap(CatalogTypes.constant)
            column.hasLooseCollation = row[14] == "t"
            columns.append(column)
        }
        let primaryKey = key.sorted { $0.place < $1.place }.map(\.column)
        let policy = policies[name] ?? TablePolicy()
        if let rule = policy.id {
            let (column, id) = try DeclaredID.resolve(
                rule, columns: columns, primaryKey: primaryKey)
            columns[column].declaredID = id
        }
        try policy.check(columns: columns, primaryKey: primaryKey)
        return TableSchema(
            number: number, version: CatalogVersion.next(), schemaName: name.schema,
            name: name.name,
            columns: columns, primaryKey: primaryKey,
            rank: rank,
            mayDropRows: rows[0][11] == "t", isPartitioned: rows[0][10] == "t",
            policy: policy, place: place?.inOrder(of: columns))
    }

    private func generation(
        identity: String?, computed: String?, isSerial: Bool
    ) -> Column.Generation {
        if computed == "s" || computed == "v" { return .computed }
        switch identity {
        case "a": return .identityAlways
        case "d": return .identityByDefault
        default: return isSerial ? .identityByDefault : .none
        }
    }

    /// For each table the length of the longest chain of references that starts at it. Circles end
    /// where they were entered: no order serves them.
    private static func ranks(_ count: Int, _ references: [[String?]]) -> [Int] {
        var ranks = Array(repeating: 0, count: count)
        let edges = references.compactMap { row -> (from: Int, to: Int)? in
            guard let from = row[0].flatMap(Int.init), let to = row[1].flatMap(Int.init) else {
                return nil
            }
            return (from, to)
        }
        for _ in 0..<count {
            for edge in edges where ranks[edge.from] <= ranks[edge.to] && ranks[edge.to] < count {
                ranks[edge.from] = ranks[edge.to] + 1
            }
        }
        return ranks
    }
}

/// `'text'`, for the names that the operator exposes; a quote inside is doubled. Strings conform to
/// the standard on each of our connections, so a backslash means itself.
package func quotedLiteral(_ text: String) -> String {
    // By scalars: a quote with a combining mark behind it is one character, and still a quote.
    var literal = "'"
    for scalar in text.unicodeScalars {
        if scalar == "'" { literal.unicodeScalars.append(scalar) }
        literal.unicodeScalars.append(scalar)
    }
    return literal + "'"
}
