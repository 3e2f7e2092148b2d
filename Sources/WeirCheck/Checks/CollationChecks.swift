/// Are keys compared by a collation in which different texts are equal?
struct KeyCollationCheck: Check {
    let codes = ["key-collation-nondeterministic"]

    func sql(_ subject: Subject) -> String? {
        """
        SELECT i.indrelid::regclass::text, quote_ident(a.attname), \(collationName("u.coll")),
               bool_or(i.indisprimary), format_type(a.atttypid, a.atttypmod)
        FROM pg_index i
        CROSS JOIN LATERAL unnest((i.indkey::int2[])[0:i.indnkeyatts - 1],
                                  i.indcollation::oid[]) AS u(attnum, coll)
        JOIN pg_collation c ON c.oid = u.coll AND NOT c.collisdeterministic
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum
        WHERE i.indrelid IN (\(subject.oids)) AND i.indisunique
        GROUP BY i.indrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, u.coll
        ORDER BY i.indrelid, a.attnum
        """
    }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        rows.map { row in
            let isPrimary = row.isTrue(3)
            return Finding(
                "key-collation-nondeterministic", isPrimary ? .error : .warning,
                .init(.column, "\(row.text(0)).\(row.text(1))"),
                what: "The \(isPrimary ? "key" : "unique") column \(row.text(1)) is compared by "
                    + "\(row.text(2)), in which different texts can be equal.",
                why: isPrimary
                    ? "The gateway tells keys apart by their bytes. Two spellings of one key come "
                        + "into two batches, or twice into one: their order is lost, they wait "
                        + "for each other's locks, and upserts fail."
                    : "Records that differ only in spelling collide, which callers do not expect.",
                fix: "ALTER TABLE \(row.text(0)) ALTER COLUMN \(row.text(1)) TYPE \(row.text(4)) "
                    + "COLLATE \"C\";")
        }
    }
}

/// Are text columns joined to, or indexed under, a collation other than their own?
struct CollationMismatchCheck: Check {
    let codes = ["foreign-key-collation", "index-collation"]

    func sql(_ subject: Subject) -> String? {
        """
        SELECT 'foreign-key-collation', k.conrelid::regclass::text, quote_ident(f.attname),
               k.confrelid::regclass::text || '.' || quote_ident(t.attname),
               \(collationName("f.attcollation")), \(collationName("t.attcollation")), true,
               format_type(f.atttypid, f.atttypmod), NULL
        FROM pg_constraint k
        CROSS JOIN LATERAL unnest(k.conkey, k.confkey) AS u(f, t)
        JOIN pg_attribute f ON f.attrelid = k.conrelid AND f.attnum = u.f
        JOIN pg_attribute t ON t.attrelid = k.confrelid AND t.attnum = u.t
        WHERE k.contype = 'f' AND k.conparentid = 0
          AND (k.conrelid IN (\(subject.oids)) OR k.confrelid IN (\(subject.oids)))
          AND f.attcollation <> t.attcollation
        UNION ALL
        SELECT 'index-collation', i.indrelid::regclass::text, quote_ident(a.attname),
               i.indexrelid::regclass::text,
               \(collationName("a.attcollation")), \(collationName("u.coll")),
               EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = i.indrelid
                       AND k.contype IN ('p', 'u', 'f') AND a.attnum = ANY (k.conkey)),
               NULL, i.indisunique
        FROM pg_index i
        CROSS JOIN LATERAL unnest((i.indkey::int2[])[0:i.indnkeyatts - 1],
                                  i.indcollation::oid[]) AS u(attnum, coll)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum
        WHERE i.indrelid IN (\(subject.oids)) AND u.coll <> 0 AND a.attcollation <> u.coll
        ORDER BY 1, 2, 3, 4
        """
    }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        rows.map { row in
            row.text(0) == "foreign-key-collation" ? reference(row) : index(row)
        }
    }

    private func reference(_ row: Row) -> Finding {
        let column = "\(row.text(1)).\(row.text(2))"
        return Finding(
            "foreign-key-collation", .warning, .init(.column, column),
            what: "\(column) has the collation \(row.text(4)) and refers to \(row.text(3)), which "
                + "has \(row.text(5)).",
            why: "A join of the two has no collation that it could use: it fails, or finds no "
                + "index. Sorted by one of them, the rows are not sorted by the other.",
            fix: "ALTER TABLE \(row.text(1)) ALTER COLUMN \(row.text(2)) TYPE \(row.text(7)) "
                + "COLLATE \(row.text(5));")
    }

    private func index(_ row: Row) -> Finding {
        let unique = row.isTrue(8) ? "UNIQUE " : ""
        return Finding(
            "index-collation", row.isTrue(6) ? .warning : .note, .init(.index, row.text(3)),
            what: "The index orders \(row.text(1)).\(row.text(2)) by \(row.text(5)); the column's "
                + "collation is \(row.text(4)).",
            why: "A comparison without COLLATE, such as the gateway's and every foreign key's, "
                + "cannot use the index, so that it costs each write and helps none.",
            fix: "CREATE \(unique)INDEX CONCURRENTLY ON \(row.text(1)) (\(row.text(2)));\n"
                + "DROP INDEX CONCURRENTLY \(row.text(3));")
    }
}

/// Has the operating system changed how text is ordered since the indexes were built?
struct CollationVersionCheck: Check {
    let codes = ["collation-version", "database-collation-version"]

    /// `(code, name, tables, keyed, stored, actual)`. The database's own collation has a version on
    /// record since PostgreSQL 15.
    func sql(_ subject: Subject) -> String? {
        let database = """
            UNION ALL
            SELECT 'database-collation-version', quote_ident(d.datname),
                   (SELECT string_agg(DISTINCT rel::regclass::text, ', ') FROM used
                    WHERE coll = 'pg_catalog."default"'::regcollation),
                   COALESCE((SELECT bool_or(is_key) FROM used
                             WHERE coll = 'pg_catalog."default"'::regcollation), false),
                   d.datcollversion, pg_database_collation_actual_version(d.oid)
            FROM pg_database d
            WHERE d.datname = current_database() AND d.datcollversion IS NOT NULL
              AND d.datcollversion IS DISTINCT FROM pg_database_collation_actual_version(d.oid)
            """
        return """
            WITH used(coll, rel, is_key) AS (
                SELECT u.coll, i.indrelid, i.indisunique FROM pg_index i
                CROSS JOIN LATERAL unnest(i.indcollation::oid[]) AS u(coll)
                WHERE i.indrelid IN (\(subject.oids)) AND u.coll <> 0
              UNION
                SELECT attcollation, attrelid, false FROM pg_attribute
                WHERE attrelid IN (\(subject.oids)) AND attnum > 0 AND NOT attisdropped
                  AND attcollation <> 0)
            SELECT 'collation-version', \(collationName("c.oid")),
                   string_agg(DISTINCT u.rel::regclass::text, ', '), bool_or(u.is_key),
                   c.collversion, pg_collation_actual_version(c.oid)
            FROM pg_collation c JOIN used u ON u.coll = c.oid
            WHERE c.collversion IS NOT NULL
              AND c.collversion IS DISTINCT FROM pg_collation_actual_version(c.oid)
            GROUP BY c.oid, c.collversion
            \(subject.versionNumber >= 150_000 ? database : "")
            """
    }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        rows.map { row in
            let isDatabase = row.text(0) == "database-collation-version"
            let tables = row.text(2).split(separator: ", ")
            let use =
                tables.isEmpty
                ? " None of the exposed tables uses it." : " It is used by \(row.text(2))."
            let whose = isDatabase ? "database's collation" : "collation \(row.text(1))"
            let actual =
                row.optional(5).map { "the operating system's is \($0)" }
                ?? "the operating system says none"
            let rebuild = tables.map { "REINDEX TABLE CONCURRENTLY \($0);" }
            let refresh =
                isDatabase
                ? "ALTER DATABASE \(row.text(1)) REFRESH COLLATION VERSION;"
                : "ALTER COLLATION \(row.text(1)) REFRESH VERSION;"
            return Finding(
                row.text(0), row.isTrue(3) ? .error : .warning,
                .init(isDatabase ? .database : .collation, row.text(1)),
                what: "The \(whose) was recorded with version \(row.text(4)); \(actual)." + use,
                why: "An index that was built under another order does not find what is in it: "
                    + "upserts and inserts store rows whose key is there already, without an "
                    + "error.",
                fix: ((isDatabase ? ["REINDEX DATABASE \(row.text(1));"] : rebuild) + [refresh])
                    .joined(separator: "\n"))
        }
    }
}

/// An SQL expression: the name of the collation with this OID.
private func collationName(_ oid: String) -> String {
    """
    (SELECT quote_ident(n.nspname) || '.' || quote_ident(o.collname) FROM pg_collation o
     JOIN pg_namespace n ON n.oid = o.collnamespace WHERE o.oid = \(oid))
    """
}
