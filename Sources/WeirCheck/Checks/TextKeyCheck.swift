/// Are there text keys for which no index answers "equals"?
struct TextKeyCheck: Check {
    let codes = ["text-key-without-index"]

    /// Text columns that some unique index is about, in whatever form, and none serves.
    func sql(_ subject: Subject) -> String? {
        """
        WITH part AS (
            SELECT i.indrelid, i.indexrelid, i.indisunique, i.indpred IS NULL AS is_whole,
                   i.indisvalid AND i.indisready AS is_usable, u.attnum, u.coll, m.amname
            FROM pg_index i
            JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
            CROSS JOIN LATERAL unnest((i.indkey::int2[])[0:i.indnkeyatts - 1],
                                      i.indcollation::oid[]) AS u(attnum, coll)
            WHERE i.indrelid IN (\(subject.oids))),
        keyed AS (
            SELECT indrelid, indexrelid, attnum FROM part WHERE indisunique AND attnum > 0
          UNION
            SELECT i.indrelid, i.indexrelid, d.refobjsubid::int2
            FROM pg_index i
            JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                 AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid
                 AND d.refobjsubid > 0
            WHERE i.indrelid IN (\(subject.oids)) AND i.indisunique AND i.indexprs IS NOT NULL
              AND i.indpred IS NULL)
        SELECT k.indrelid::regclass::text, quote_ident(a.attname),
               string_agg(k.indexrelid::regclass::text, ', ' ORDER BY k.indexrelid),
               bool_or(NOT i.indisvalid)
        FROM keyed k
        JOIN pg_index i ON i.indexrelid = k.indexrelid
        JOIN pg_attribute a ON a.attrelid = k.indrelid AND a.attnum = k.attnum
        JOIN pg_type t ON t.oid = a.atttypid AND t.typcategory = 'S'
        WHERE NOT EXISTS (
            SELECT FROM part p
            WHERE p.indrelid = k.indrelid AND p.attnum = k.attnum AND p.is_usable AND p.is_whole
              AND p.amname IN ('btree', 'hash') AND p.coll = a.attcollation)
        GROUP BY k.indrelid, a.attnum, a.attname
        ORDER BY k.indrelid, a.attnum
        """
    }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        rows.map { row in
            let name = "\(row.text(0)).\(row.text(1))"
            let indexes = row.text(2)
            return Finding(
                "text-key-without-index", .warning, .init(.column, name),
                what: "\(name) is a key by \(indexes), but no index answers whether a value is "
                    + "there: each is invalid, partial, on an expression or under another "
                    + "collation.",
                why: "Looking a value up reads the whole table, for each record of a batch; and "
                    + "ON CONFLICT cannot name the column.",
                fix: row.isTrue(3)
                    ? indexes.split(separator: ", ").map { "REINDEX INDEX CONCURRENTLY \($0);" }
                        .joined(separator: "\n")
                    : "CREATE UNIQUE INDEX CONCURRENTLY ON \(row.text(0)) (\(row.text(1)));")
        }
    }
}
