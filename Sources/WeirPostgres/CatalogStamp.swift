import Weir
import WeirCore
import WeirRecord

/// What is cheap to ask of the catalog: whether anything that concerns the exposed tables has
/// changed since it was read (docs/decisions/0012-schema-changes.md).
///
/// A stamp is a hash of the `xmin` of every catalog row that a definition is made of: each ALTER,
/// CREATE, DROP and GRANT writes new ones. It may change for nothing, and never stays the same
/// over a change.
struct CatalogStamp {
    let tables: [TableName]

    /// Planning the question takes ten times as long as answering it, so a connection that asks it
    /// again and again prepares it.
    func prepare(
        _ name: String, on session: Session, by deadline: Timestamp
    ) throws(ConnectFailure) {
        _ = try session.catalogRows("PREPARE \(name) AS \(stampsSQL)", by: deadline)
    }

    /// A stamp for each table, by its number; `nil` where there is no such table.
    func read(
        on session: Session, by deadline: Timestamp, prepared name: String? = nil
    ) throws(ConnectFailure) -> [String?] {
        var stamps = [String?](repeating: nil, count: tables.count)
        let question = name.map { "EXECUTE \($0)" } ?? stampsSQL
        for row in try session.catalogRows(question, by: deadline) {
            guard let number = row[0].flatMap(Int.init), stamps.indices.contains(number) else {
                continue
            }
            stamps[number] = row[1]
        }
        return stamps
    }

    /// Where each found table stands in the catalog, by its number.
    ///
    /// To be read before the columns: a place that is older than its definition stops statements
    /// that were right, and the next look puts that straight. A newer one would let wrong ones
    /// through.
    func places(
        on session: Session, by deadline: Timestamp
    ) throws(ConnectFailure) -> [Int: Place] {
        var places: [Int: Place] = [:]
        for row in try session.catalogRows(placesSQL, by: deadline) {
            guard let number = row[0].flatMap(Int.init), let name = row[1],
                let type = row[2].flatMap(UInt32.init), let modifier = row[3].flatMap(Int32.init),
                let collation = row[4].flatMap(UInt32.init)
            else { continue }
            places[number, default: Place(key: row[5])].columns[name] = .init(
                type: type, modifier: modifier, collation: collation, isNotNull: row[6] == "t",
                hasDefault: row[7] == "t")
        }
        return places
    }

    struct Place {
        let key: String?
        var columns: [String: CatalogPlace.Column] = [:]

        /// In the order of a definition's columns.
        func inOrder(of columns: [Column]) -> CatalogPlace {
            CatalogPlace(columns: columns.map { self.columns[$0.name] ?? .none }, key: key)
        }
    }

    /// The exposed tables that are there: `w.number`, `n` of pg_namespace, `c` of pg_class.
    private var wanted: String {
        let names = tables.enumerated()
            .map { "(\($0), \(quotedLiteral($1.schema)), \(quotedLiteral($1.name)))" }
            .joined(separator: ", ")
        return """
            (VALUES \(names)) AS w(number, nspname, relname)
            JOIN pg_catalog.pg_namespace n ON n.nspname = w.nspname
            JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.relname
                 AND c.relkind IN ('r', 'p', 'v', 'f')
            """
    }

    /// Types of the system never change, so only others are followed: to what their domains,
    /// arrays and ranges are made of.
    private var stampsSQL: String {
        """
        WITH RECURSIVE used(number, type) AS (
            SELECT w.number, a.atttypid FROM \(wanted)
            JOIN pg_catalog.pg_attribute a
                 ON a.attrelid = c.oid AND a.attnum > 0 AND a.atttypid >= 16384
          UNION
            SELECT used.number, next.type FROM used
            JOIN pg_catalog.pg_type t ON t.oid = used.type
            LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
            CROSS JOIN LATERAL (VALUES (t.typbasetype), (t.typelem), (r.rngsubtype)) next(type)
            WHERE next.type >= 16384),
        types(number, stamp) AS (
            SELECT used.number, pg_catalog.string_agg(
                pg_catalog.concat_ws(' ', t.oid, t.xmin, m.xmin, (
                    SELECT pg_catalog.string_agg(e.xmin::text, ' ' ORDER BY e.oid)
                    FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid)), ',' ORDER BY t.oid)
            FROM used JOIN pg_catalog.pg_type t ON t.oid = used.type
            JOIN pg_catalog.pg_namespace m ON m.oid = t.typnamespace GROUP BY used.number)
        SELECT w.number, pg_catalog.hashtextextended(pg_catalog.concat_ws('|',
            c.oid, c.xmin, n.xmin, c.relkind,
            pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
            pg_catalog.has_table_privilege(c.oid, 'SELECT'),
            pg_catalog.has_table_privilege(c.oid, 'INSERT'),
            pg_catalog.has_table_privilege(c.oid, 'UPDATE'),
            pg_catalog.has_table_privilege(c.oid, 'DELETE'),
            'columns', (SELECT pg_catalog.string_agg(a.xmin::text, ' ' ORDER BY a.attnum)
             FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
            'defaults', (SELECT pg_catalog.string_agg(d.xmin::text, ' ' ORDER BY d.adnum)
             FROM pg_catalog.pg_attrdef d WHERE d.adrelid = c.oid),
            'key', (SELECT pg_catalog.concat(i.indexrelid, ' ', i.indkey, ' ', i.indnkeyatts)
             FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary),
            'references', (SELECT pg_catalog.string_agg(k.oid::text, ' ' ORDER BY k.oid)
             FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f'),
            'triggers', (SELECT pg_catalog.string_agg(
                pg_catalog.concat(g.oid, ' ', g.xmin), ' ' ORDER BY g.oid)
             FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal),
            'policies', (SELECT pg_catalog.string_agg(p.xmin::text, ' ' ORDER BY p.oid)
             FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid),
            'partitions', (SELECT pg_catalog.concat(pg_catalog.count(*), ' ',
                pg_catalog.max(h.inhrelid::bigint))
             FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid AND c.relkind = 'p'),
            'types', types.stamp), 0)
        FROM \(wanted) LEFT JOIN types ON types.number = w.number
        """
    }

    private var placesSQL: String {
        """
        SELECT w.number, a.attname, a.atttypid, a.atttypmod, a.attcollation,
               (SELECT i.indkey::text FROM pg_catalog.pg_index i
                WHERE i.indrelid = c.oid AND i.indisprimary),
               a.attnotnull, a.atthasdef
        FROM \(wanted)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        """
    }
}

extension Session {
    /// The rows of a question about the catalog, in text form.
    func catalogRows(_ sql: String, by deadline: Timestamp) throws(ConnectFailure) -> [[String?]] {
        do {
            return try query(sql, by: deadline)
        } catch {
            switch error {
            case .server(let error): throw ConnectFailure("\(error.sqlstate) \(error.message)")
            case .lost(let reason): throw ConnectFailure(reason)
            }
        }
    }
}
