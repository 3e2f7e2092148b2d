import WeirPostgres
import WeirRecord

/// One privilege without which some statement of the gateway fails, and whether the role has it.
///
/// What the statements need follows from their text (WeirPostgres/WriteStatement.swift) and from
/// PostgreSQL's manual, "Privileges" and INSERT: an upsert reads each EXCLUDED column and `xmax`,
/// which only a grant on the whole table gives; a patch and a delete read the key;
/// `return=representation` reads the row. Foreign keys are checked as the owner, and identity
/// columns draw from their sequences without a grant; `nextval` in a default, and functions in
/// defaults and constraints, are called as the role itself.
package struct Requirement: Sendable, Equatable {
    package enum Place: String, Sendable {
        case schema, table, sequence, function
    }

    package let place: Place
    /// As it is called for people.
    package let label: String
    /// As SQL spells it behind ON.
    package let sqlName: String
    package let privilege: String
    /// Whether it is about the gateway's own tables.
    package var isOwnSchema: Bool { label == "weir" || label.hasPrefix("weir.") }
    /// All columns that are meant; empty for the object as a whole.
    package var columns: [String]
    /// Those of them, or the object, that the role lacks.
    package var missing: [String]
    package var isHeld: Bool

    /// The statement that gives all of it.
    package func grant(to role: String) -> String { grant(columns, to: role) }

    /// The statement that gives what is missing.
    package func missingGrant(to role: String) -> String { grant(missing, to: role) }

    private func grant(_ columns: [String], to role: String) -> String {
        let list = columns.isEmpty ? "" : " (\(columns.quotedList))"
        return "GRANT \(privilege)\(list) ON \(sqlName) TO \(role);"
    }

    // MARK: Reading

    /// Rows of `(place, label, SQL name, privilege, column or NULL, held)`.
    static func sql(_ subject: Subject) -> String {
        let parts = [schemas(subject), sequences(subject), functions(subject)]
        let tables = subject.targets.map(table)
        return (parts + tables).map { "(\($0))" }.joined(separator: "\nUNION ALL\n")
    }

    static func read(_ rows: [Row]) -> [Requirement] {
        var requirements: [Requirement] = []
        for row in rows {
            guard let place = Place(rawValue: row.text(0)) else { continue }
            let column = row.optional(4)
            let isHeld = row.isTrue(5)
            if let column, let last = requirements.indices.last,
                requirements[last].sqlName == row.text(2),
                requirements[last].privilege == row.text(3)
            {
                requirements[last].columns.append(column)
                if !isHeld { requirements[last].missing.append(column) }
                requirements[last].isHeld = requirements[last].isHeld && isHeld
                continue
            }
            requirements.append(
                Requirement(
                    place: place, label: row.text(1), sqlName: row.text(2),
                    privilege: row.text(3), columns: [column].compactMap { $0 },
                    missing: isHeld ? [] : [column].compactMap { $0 }, isHeld: isHeld))
        }
        return requirements
    }

    /// The schemas of the tables, and of the types to which values are cast by name.
    private static func schemas(_ subject: Subject) -> String {
        """
        WITH RECURSIVE base(oid, nspoid, typtype, typbasetype) AS (
            SELECT t.oid, t.typnamespace, t.typtype, t.typbasetype
            FROM pg_type t JOIN pg_attribute a ON a.atttypid = t.oid
            WHERE a.attrelid IN (\(subject.oids)) AND a.attnum > 0 AND NOT a.attisdropped
          UNION
            SELECT t.oid, t.typnamespace, t.typtype, t.typbasetype
            FROM pg_type t JOIN base b ON t.oid = b.typbasetype)
        SELECT 'schema', quote_ident(n.nspname), 'SCHEMA ' || quote_ident(n.nspname), 'USAGE',
               NULL, has_schema_privilege(n.oid, 'USAGE')
        FROM pg_namespace n
        WHERE n.oid IN (SELECT relnamespace FROM pg_class WHERE oid IN (\(subject.oids)))
           OR (n.nspname <> 'pg_catalog'
               AND n.oid IN (SELECT nspoid FROM base WHERE typtype <> 'd'))
        ORDER BY n.nspname
        """
    }

    private static func table(_ target: Subject.Target) -> String {
        let schema = target.schema
        let name = { (column: Int) in schema.columns[column].name }
        let writable = schema.columns.indices.filter { schema.columns[$0].isWritable }
        var rows = [whole(target, "SELECT", held: selectHeld(target))]
        rows += writable.map { column(target, "INSERT", name($0)) }
        if let first = schema.primaryKey.first {
            // Of the key only its first column is assigned: by an upsert with nothing else to set.
            let changed = writable.filter { $0 == first || !schema.primaryKey.contains($0) }
            rows += changed.map { column(target, "UPDATE", name($0)) }
            rows.append(
                whole(target, "DELETE", held: "has_table_privilege(\(target.oid)::oid, 'DELETE')"))
        }
        return "VALUES " + rows.joined(separator: ", ")
    }

    private static func head(_ target: Subject.Target, _ privilege: String) -> String {
        let name = "TABLE " + target.schema.sqlName
        return "'table', \(quotedLiteral(target.label)), \(quotedLiteral(name)), '\(privilege)'"
    }

    private static func whole(
        _ target: Subject.Target, _ privilege: String, held: String
    ) -> String {
        "(\(head(target, privilege)), NULL, \(held))"
    }

    private static func column(
        _ target: Subject.Target, _ privilege: String, _ column: String
    ) -> String {
        let name = quotedLiteral(column)
        let held = "has_column_privilege(\(target.oid)::oid, \(name)::text, '\(privilege)')"
        return "(\(head(target, privilege)), \(name), \(held))"
    }

    /// On the table, or on every column of it and `xmax`, which says whether a row was inserted.
    private static func selectHeld(_ target: Subject.Target) -> String {
        """
        (has_table_privilege(\(target.oid)::oid, 'SELECT')
         OR (SELECT bool_and(has_column_privilege(attrelid, attname::text, 'SELECT'))
             FROM pg_attribute WHERE attrelid = \(target.oid) AND NOT attisdropped
               AND (attnum > 0 OR attname = 'xmax')))
        """
    }

    /// Sequences that a column's default draws from.
    private static func sequences(_ subject: Subject) -> String {
        """
        SELECT DISTINCT 'sequence', s.oid::regclass::text, 'SEQUENCE ' || s.oid::regclass::text,
               'USAGE', NULL, has_sequence_privilege(s.oid, 'USAGE')
                              OR has_sequence_privilege(s.oid, 'UPDATE')
        FROM pg_attrdef d
        JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid
             AND p.refclassid = 'pg_class'::regclass
        JOIN pg_class s ON s.oid = p.refobjid AND s.relkind = 'S'
        WHERE d.adrelid IN (\(subject.oids))
        ORDER BY 2
        """
    }

    /// Functions that a write calls: in defaults, generated columns, CHECK constraints of the
    /// table, its partitions and its domains, and in indexes.
    private static func functions(_ subject: Subject) -> String {
        """
        WITH member AS (SELECT m.oid FROM \(subject.members)),
        caller(classid, objid) AS (
            SELECT 'pg_attrdef'::regclass::oid, d.oid FROM pg_attrdef d JOIN member m
            ON m.oid = d.adrelid
          UNION SELECT 'pg_constraint'::regclass::oid, k.oid FROM pg_constraint k
            WHERE k.contype = 'c' AND (k.conrelid IN (SELECT oid FROM member)
               OR k.contypid IN (SELECT atttypid FROM pg_attribute
                                 WHERE attrelid IN (SELECT oid FROM member) AND attnum > 0))
          UNION SELECT 'pg_class'::regclass::oid, i.indexrelid FROM pg_index i
            WHERE i.indrelid IN (SELECT oid FROM member))
        SELECT DISTINCT 'function', f.oid::regprocedure::text,
               'FUNCTION ' || f.oid::regprocedure::text, 'EXECUTE', NULL,
               has_function_privilege(f.oid, 'EXECUTE')
        FROM caller c
        JOIN pg_depend p ON p.classid = c.classid AND p.objid = c.objid
             AND p.refclassid = 'pg_proc'::regclass
        JOIN pg_proc f ON f.oid = p.refobjid
        ORDER BY 2
        """
    }
}
