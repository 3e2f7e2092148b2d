import WeirPostgres
import WeirRecord

/// Are the exposed tables there?
struct MissingTableCheck: Check {
    let codes = ["missing-table"]

    func sql(_ subject: Subject) -> String? {
        let values = subject.exposed.enumerated().map {
            "(\($0), \(quotedLiteral($1.schema)), \(quotedLiteral($1.name)))"
        }
        return """
            SELECT w.number, c.relkind, n.oid IS NOT NULL,
                   (SELECT string_agg(o.oid::regclass::text, ', ' ORDER BY o.oid::regclass::text)
                    FROM pg_class o WHERE o.relname = w.relname AND o.oid IS DISTINCT FROM c.oid
                      AND o.relkind IN ('r', 'p', 'v', 'f')
                      AND o.relnamespace NOT IN ('pg_catalog'::regnamespace,
                                                 'information_schema'::regnamespace))
            FROM (VALUES \(values.joined(separator: ", "))) AS w(number, nspname, relname)
            LEFT JOIN pg_namespace n ON n.nspname = w.nspname
            LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.relname
            ORDER BY w.number
            """
    }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        rows.compactMap { row in
            guard let number = row.integer(0), subject.exposed.indices.contains(number),
                !subject.targets.contains(where: { $0.schema.number == number })
            else { return nil }
            let table = subject.exposed[number]
            let name = plainName(table.schema) + "." + plainName(table.name)
            let what =
                row.optional(1) != nil
                ? "\(name) is no table that can be written, or has no columns."
                : row.isTrue(2)
                    ? "There is no table \(name)."
                    : "There is no schema \(plainName(table.schema))."
            let elsewhere = row.optional(3).map { " Tables of that name: \($0)." } ?? ""
            return Finding(
                "missing-table", .error, .init(.table, name), what: what + elsewhere,
                why: "Records for it are answered 503 table-paused until it is there.",
                fix: "Create it, or name another one in --tables.")
        }
    }
}

/// Are the tables of a kind that keeps what is committed, in one transaction?
struct RelationCheck: Check {
    let codes = [
        "foreign-table", "temporary-table", "unlogged-table", "view-exposed", "view-not-writable",
    ]

    func sql(_ subject: Subject) -> String? {
        """
        SELECT c.oid::regclass::text, c.relkind, c.relpersistence,
               CASE WHEN c.relkind = 'v' THEN pg_relation_is_updatable(c.oid, true) END,
               m.target = m.oid
        FROM \(subject.members) JOIN pg_class c ON c.oid = m.oid
        ORDER BY m.target, m.oid
        """
    }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        rows.compactMap { row in
            let name = row.text(0)
            switch (row.text(1), row.text(2)) {
            case ("v", _): return view(name, canInsert: (row.integer(3) ?? 0) & 8 != 0)
            case ("f", _): return foreign(name, isPartition: !row.isTrue(4))
            // A partitioned table holds nothing itself.
            case ("r", "u"): return unlogged(name)
            case (_, "t"): return temporary(name)
            default: return nil
            }
        }
    }

    private func view(_ name: String, canInsert: Bool) -> Finding {
        guard canInsert else {
            return Finding(
                "view-not-writable", .error, .init(.table, name),
                what: "\(name) is a view into which nothing can be inserted.",
                why: "Every record for it is refused, and pauses the table.",
                fix: "Name the table behind it in --tables.")
        }
        return Finding(
            "view-exposed", .warning, .init(.table, name), what: "\(name) is a view.",
            why: "A view has no primary key, so only inserts are possible. And it may write fewer "
                + "rows than it was given, so each batch is looked at before COMMIT: two round "
                + "trips instead of one.", fix: "Name the table behind it in --tables.")
    }

    private func foreign(_ name: String, isPartition: Bool) -> Finding {
        Finding(
            "foreign-table", .warning, .init(.table, name),
            what: isPartition
                ? "The partition \(name) is a foreign table." : "\(name) is a foreign table.",
            why: "Its rows are committed by another server, which may succeed while this one "
                + "fails, or the reverse: a committed answer does not hold. Upserts are not "
                + "possible.", fix: "Run a gateway in front of the server that holds the table.")
    }

    private func unlogged(_ name: String) -> Finding {
        Finding(
            "unlogged-table", .error, .init(.table, name), what: "\(name) is UNLOGGED.",
            why: "After a crash of the server it is empty, whatever callers were told is "
                + "committed; and no standby has it.", fix: "ALTER TABLE \(name) SET LOGGED;")
    }

    private func temporary(_ name: String) -> Finding {
        Finding(
            "temporary-table", .error, .init(.table, name), what: "\(name) is a temporary table.",
            why: "It belongs to one session of somebody else: the gateway cannot write it, and it "
                + "ends with that session.", fix: "Name a permanent table in --tables.")
    }
}
