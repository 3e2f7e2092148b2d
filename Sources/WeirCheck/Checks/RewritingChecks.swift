/// Do triggers change or skip what is written?
struct TriggerCheck: Check {
    let codes = ["before-row-trigger", "instead-of-trigger"]

    /// Bits of tgtype (pg_trigger.h): row 1, BEFORE 2, INSERT 4, DELETE 8, UPDATE 16, INSTEAD 64.
    /// Copies that partitions have of their parent's triggers say nothing new.
    func sql(_ subject: Subject) -> String? {
        """
        SELECT t.tgrelid::regclass::text, quote_ident(t.tgname), t.tgfoid::regprocedure::text,
               t.tgtype & 64 <> 0,
               concat_ws(', ', CASE WHEN t.tgtype & 4 <> 0 THEN 'INSERT' END,
                         CASE WHEN t.tgtype & 16 <> 0 THEN 'UPDATE' END,
                         CASE WHEN t.tgtype & 8 <> 0 THEN 'DELETE' END)
        FROM \(subject.members)
        JOIN pg_trigger t ON t.tgrelid = m.oid
        WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
          AND t.tgtype & 1 <> 0 AND t.tgtype & (2 | 64) <> 0
          \(subject.versionNumber >= 130_000 ? "AND t.tgparentid = 0" : "")
        ORDER BY 1, 2
        """
    }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        rows.map { row in
            let isInstead = row.isTrue(3)
            let timing = isInstead ? "INSTEAD OF" : "BEFORE"
            return Finding(
                isInstead ? "instead-of-trigger" : "before-row-trigger", .warning,
                .init(.trigger, "\(row.text(0)) \(row.text(1))"),
                what: "\(timing) \(row.text(4)) on \(row.text(0)) the trigger \(row.text(1)) calls "
                    + "\(row.text(2)) for each row.",
                why: isInstead
                    ? "What a write does is up to the function; \"inserted\" means that it ran."
                    : "It may change or skip rows. What is stored may differ from what was sent, "
                        + "a skipped record is answered trigger-exception, and each batch is "
                        + "looked at before COMMIT: two round trips instead of one.",
                fix: "-- if it is not wanted; if it only watches, make it an AFTER trigger:\n"
                    + "DROP TRIGGER \(row.text(1)) ON \(row.text(0));")
        }
    }
}

/// Do rules write something else instead?
struct RuleCheck: Check {
    let codes = ["rewrite-rule"]

    /// ev_type (pg_rewrite.h): 2 UPDATE, 3 INSERT, 4 DELETE. A view's own rule is its SELECT.
    func sql(_ subject: Subject) -> String? {
        """
        SELECT r.ev_class::regclass::text, quote_ident(r.rulename), r.ev_type, r.is_instead
        FROM pg_rewrite r
        WHERE r.ev_class IN (\(subject.oids)) AND r.ev_type IN ('2', '3', '4')
          AND r.ev_enabled IN ('O', 'A')
        ORDER BY 1, 2
        """
    }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        rows.map { row in
            let events = ["2": "UPDATE", "3": "INSERT", "4": "DELETE"]
            let event = events[row.text(2)] ?? ""
            let manner = row.isTrue(3) ? "DO INSTEAD" : "DO ALSO"
            return Finding(
                "rewrite-rule", event == "DELETE" ? .warning : .error,
                .init(.rule, "\(row.text(0)) \(row.text(1))"),
                what: "ON \(event) to \(row.text(0)) the rule \(row.text(1)) is in force "
                    + "(\(manner)).",
                why: event == "DELETE"
                    ? "A delete does something else, and the count of rows that it reports is "
                        + "another statement's."
                    : "PostgreSQL refuses ON CONFLICT on a table with such a rule, so that every "
                        + "upsert pauses the table; and other writes do something else than they "
                        + "say.",
                fix: "DROP RULE \(row.text(1)) ON \(row.text(0));")
        }
    }
}

/// Does row security hide rows from the role, or refuse them?
struct RowSecurityCheck: Check {
    let codes = ["row-security", "row-security-denies"]

    /// `(table, policies for this role, whether a permissive one lets it insert)`.
    func sql(_ subject: Subject) -> String? {
        """
        SELECT c.oid::regclass::text, string_agg(quote_ident(p.polname), ', ' ORDER BY p.polname),
               COALESCE(bool_or(p.polpermissive AND p.polcmd IN ('a', '*')), false)
        FROM pg_class c
        LEFT JOIN pg_policy p ON p.polrelid = c.oid
             AND (p.polroles = '{0}'
                  OR EXISTS (SELECT FROM unnest(p.polroles) r(oid)
                             WHERE r.oid <> 0 AND pg_has_role(current_user, r.oid, 'USAGE')))
        WHERE c.oid IN (\(subject.oids)) AND row_security_active(c.oid)
        GROUP BY c.oid
        ORDER BY 1
        """
    }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        rows.map { row in
            let table = row.text(0)
            let fix =
                "CREATE POLICY weir ON \(table) TO \(subject.roleName) USING (true) "
                + "WITH CHECK (true);"
            guard row.isTrue(2) else {
                return Finding(
                    "row-security-denies", .error, .init(.table, table),
                    what: "Row security is on, and no policy lets \(subject.role) insert into "
                        + "\(table).",
                    why: "Each insert is refused, which pauses the table for everybody's records.",
                    fix: fix)
            }
            return Finding(
                "row-security", .warning, .init(.table, table),
                what: "Row security is on; for \(subject.role) these policies count: "
                    + "\(row.text(1)).",
                why: "A row that they hide is answered record-not-found although it is there; one "
                    + "that they refuse is an error of the table (42501), which pauses it for "
                    + "everybody's records.", fix: fix)
        }
    }
}
