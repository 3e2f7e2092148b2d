import WeirRecord

/// What serving needs of schema `weir`, and how it is asked whether a role has that.
package enum WeirSchema {
    package enum Kind: String, Sendable {
        case schema, table, function
    }

    /// Privileges on objects of one kind that are needed for the same thing.
    package struct Right: Sendable {
        package let kind: Kind
        /// Without the schema; a function's with its argument types.
        package let names: [String]
        package let privileges: [String]

        package func grant(to role: String) -> String {
            let objects = names.map { kind == .schema ? $0 : "weir." + $0 }.joined(separator: ", ")
            let place = kind == .table ? "" : kind.rawValue.uppercased() + " "
            return "GRANT \(privileges.joined(separator: ", ")) ON \(place)\(objects) TO \(role);"
        }
    }

    /// No more than this: a gateway that is taken over can spoil its own memory, not its tables.
    package static let rights = [
        Right(kind: .schema, names: ["weir"], privileges: ["USAGE"]),
        Right(kind: .table, names: ["migration", "generation"], privileges: ["SELECT"]),
        Right(kind: .table, names: ["attempt_a", "attempt_b"], privileges: ["SELECT", "INSERT"]),
        Right(
            kind: .table, names: ["replay_a", "replay_b"],
            privileges: ["SELECT", "INSERT", "UPDATE", "DELETE"]),
        Right(kind: .function, names: ["rotate(interval)"], privileges: ["EXECUTE"]),
        Right(
            kind: .table, names: ["dead_letter"],
            privileges: ["SELECT", "INSERT", "UPDATE", "DELETE"]),
        Right(
            kind: .table, names: ["dead_letter_count", "dead_letter_group"],
            privileges: ["SELECT"]),
    ]

    /// - Parameter role: as SQL spells it.
    package static func grants(to role: String) -> [String] { rights.map { $0.grant(to: role) } }

    /// Rows of `(kind, name with its schema, privilege, whether it is there, whether the role that
    /// asks has the privilege)`. Names need no schema when pg_catalog is searched; nothing of
    /// schema `weir` needs to be readable for this.
    package static var rightsSQL: String {
        let values = rights.flatMap { right in
            right.names.flatMap { name in
                right.privileges.map { "('\(right.kind.rawValue)', '\(name)', '\($0)')" }
            }
        }
        return """
            SELECT w.kind, CASE w.kind WHEN 'schema' THEN w.name ELSE 'weir.' || w.name END,
                   w.privilege, COALESCE(c.oid, f.oid, CASE w.kind WHEN 'schema' THEN n.oid END)
                                IS NOT NULL,
                   COALESCE(CASE w.kind
                       WHEN 'schema' THEN has_schema_privilege(n.oid, w.privilege)
                       WHEN 'table' THEN has_table_privilege(c.oid, w.privilege)
                       ELSE has_function_privilege(f.oid, w.privilege) END, false)
            FROM (VALUES \(values.joined(separator: ", "))) AS w(kind, name, privilege)
            LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = 'weir'
            LEFT JOIN pg_catalog.pg_class c
                 ON w.kind = 'table' AND c.relnamespace = n.oid AND c.relname = w.name
            LEFT JOIN pg_catalog.pg_proc f
                 ON w.kind = 'function' AND f.pronamespace = n.oid
                AND w.name = f.proname || '(' || oidvectortypes(f.proargtypes) || ')'
            """
    }

    /// Names of tables of schema `weir` that a crash of the server would empty.
    package static let unloggedSQL = """
        SELECT 'weir.' || quote_ident(c.relname)
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'weir' AND c.relkind = 'r' AND c.relpersistence = 'u' ORDER BY 1
        """

    /// One row: whether there is the schema, who owns it, whether it may be used and added to; the
    /// same of `weir.migration`, to be read and changed; then the database, its owner, the role,
    /// and whether that may create schemas.
    static let stateSQL = """
        SELECT n.oid IS NOT NULL, ns.rolname, has_schema_privilege(n.oid, 'USAGE'),
               has_schema_privilege(n.oid, 'CREATE'),
               c.oid IS NOT NULL, cs.rolname, has_table_privilege(c.oid, 'SELECT'),
               pg_has_role(c.relowner, 'USAGE'),
               d.datname, ds.rolname, current_user, has_database_privilege(d.oid, 'CREATE')
        FROM pg_catalog.pg_database d
        JOIN pg_catalog.pg_roles ds ON ds.oid = d.datdba
        LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = 'weir'
        LEFT JOIN pg_catalog.pg_roles ns ON ns.oid = n.nspowner
        LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'migration'
        LEFT JOIN pg_catalog.pg_roles cs ON cs.oid = c.relowner
        WHERE d.datname = current_database()
        """

    /// What was applied, in its order.
    package static let appliedSQL = """
        SELECT number, name, checksum,
               to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), weir_version
        FROM weir.migration ORDER BY number
        """
}
