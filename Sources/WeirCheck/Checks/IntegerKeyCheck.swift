import WeirPostgres
import WeirRecord

/// How near to its end is each integer key or counter?
struct IntegerKeyCheck: Check {
    let codes = ["integer-key-nearly-used-up"]

    static let warningShare = 0.80
    static let errorShare = 0.95

    /// `(table, column, type, sequence, last, end, type's end)`: what a sequence has given out, and
    /// the greatest key, which an index finds at once. Only shares of them leave this check.
    func sql(_ subject: Subject) -> String? {
        let sequences = """
            SELECT c.oid::regclass::text, a.attname::text, b.typname::text,
                   s.seqrelid::regclass::text,
                   CASE WHEN has_sequence_privilege(s.seqrelid, 'USAGE, SELECT')
                        THEN pg_sequence_last_value(s.seqrelid)::numeric END,
                   CASE WHEN s.seqincrement > 0 THEN s.seqmax ELSE s.seqmin END::numeric,
                   \(Self.end("b.typname"))
            FROM pg_class c
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            JOIN pg_type t ON t.oid = a.atttypid
            JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
                 AND b.typname IN ('int2', 'int4', 'int8')
            LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
            JOIN pg_depend p
              ON (p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid
                  AND p.refclassid = 'pg_class'::regclass)
              OR (a.attidentity <> '' AND p.classid = 'pg_class'::regclass
                  AND p.refclassid = 'pg_class'::regclass AND p.refobjid = c.oid
                  AND p.refobjsubid = a.attnum AND p.deptype = 'i')
            JOIN pg_sequence s ON s.seqrelid IN (p.objid, p.refobjid) AND NOT s.seqcycle
            WHERE c.oid IN (\(subject.oids))
            """
        return ([sequences] + subject.targets.compactMap { greatest($0, subject) })
            .joined(separator: "\nUNION ALL\n")
    }

    private func greatest(_ target: Subject.Target, _ subject: Subject) -> String? {
        let isReadable = subject.requirements.contains {
            $0.sqlName == "TABLE " + target.schema.sqlName && $0.privilege == "SELECT" && $0.isHeld
        }
        guard isReadable, ["r", "p"].contains(target.kind),
            let first = target.schema.primaryKey.first
        else { return nil }
        let column = target.schema.columns[first]
        let type: String
        switch column.type {
        case .int2: type = "int2"
        case .int4: type = "int4"
        case .int8: type = "int8"
        default: return nil
        }
        return """
            SELECT \(target.oid)::regclass::text, \(quotedLiteral(column.name)), '\(type)', NULL,
                   max(\(quotedIdentifier(column.name)))::numeric,
                   \(Self.end("'\(type)'")), \(Self.end("'\(type)'"))
            FROM \(target.schema.sqlName)
            """
    }

    private static func end(_ type: String) -> String {
        "CASE \(type) WHEN 'int2' THEN 32767 WHEN 'int4' THEN 2147483647 "
            + "ELSE 9223372036854775807 END::numeric"
    }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        var worst: [String: (share: Double, row: Row)] = [:]
        var order: [String] = []
        for row in rows {
            guard let last = row.number(4), let end = row.number(5), let typeEnd = row.number(6),
                end != 0
            else { continue }
            // A sequence may end before its column's type, and the type before the sequence.
            let share = end < 0 ? last / max(end, -typeEnd) : last / min(end, typeEnd)
            let name = row.text(0) + "." + plainName(row.text(1))
            if let known = worst[name] {
                if known.share >= share { continue }
            } else {
                order.append(name)
            }
            worst[name] = (share, row)
        }
        return order.compactMap { name in
            worst[name].flatMap { finding(name, $0.share, $0.row) }
        }
    }

    private func finding(_ name: String, _ share: Double, _ row: Row) -> Finding? {
        guard share >= Self.warningShare else { return nil }
        let percent = Int(min(100, share * 100).rounded(.down))
        let (table, type) = (row.text(0), row.text(2))
        var fix: [String] = []
        if type != "int8" {
            let column = plainName(row.text(1))
            fix.append("ALTER TABLE \(table) ALTER COLUMN \(column) TYPE bigint;")
        }
        if let sequence = row.optional(3) {
            fix.append("ALTER SEQUENCE \(sequence) AS bigint MAXVALUE 9223372036854775807;")
        }
        if fix.isEmpty { fix.append("Use another key: a bigint has no wider type.") }
        return Finding(
            "integer-key-nearly-used-up", share >= Self.errorShare ? .error : .warning,
            .init(.column, name),
            what: "\(percent) % of the numbers of \(name) (\(type)) are used up.",
            why: "At the end every insert fails at once. Widening a column rewrites its table "
                + "under a lock that stops all writes, so it wants a quiet hour of one's own "
                + "choosing; columns that refer to it have to be widened too.",
            fix: fix.joined(separator: "\n"))
    }
}
