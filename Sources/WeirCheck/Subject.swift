import Weir
package import WeirPostgres
package import WeirRecord

/// What is examined: the server, the role and the tables, as far as every check needs to know them.
package struct Subject: Sendable {
    /// A table that is there, as the gateway sees it and as the catalog names it.
    package struct Target: Sendable {
        package let schema: TableSchema
        package let oid: String
        /// `r`, `p`, `v` or `f`, as in pg_class.
        package let kind: String

        /// What people call it: without quotes where none are needed.
        package var label: String { plainName(schema.schemaName) + "." + plainName(schema.name) }
    }

    /// As `server_version_num` has it: 150018.
    package var versionNumber = 0
    package var version = ""
    package var database = ""
    package var role = ""
    package var isSuperuser = false
    /// How many connections were asked for; `nil` derives them.
    package var connections: Int?
    package var exposed: [TableName] = []
    package var targets: [Target] = []
    /// What the role must be granted.
    package var requirements: [Requirement] = []
    /// Whether message IDs are to be remembered in schema `weir`.
    package var isReplaying = false
    /// Names of what the gateway needs in that schema and what is not there.
    package var lacking: [String] = []
    /// What was applied there; `nil` where the role may not see it.
    package var applied: [MigrationPlan.Applied]?
    /// The gateway's own settings, and how it connected.
    package var settingsWanted: [String: String] = [:]
    package var manner = Conninfo.Manner.gateway

    package init() {}

    /// For `oid IN (…)`; an OID that nothing has where there are no tables.
    package var oids: String {
        targets.isEmpty ? "0" : targets.map(\.oid).joined(separator: ", ")
    }

    /// A table expression `m(target, oid)`: the tables and all their partitions.
    package var members: String {
        """
        (SELECT c.oid AS target, c.oid FROM pg_class c WHERE c.oid IN (\(oids))
         UNION SELECT c.oid, p.relid::oid FROM pg_class c, pg_partition_tree(c.oid) p
         WHERE c.oid IN (\(oids)) AND c.relkind = 'p') AS m(target, oid)
        """
    }

    /// A setting of the gateway in milliseconds; 0 where it sets none.
    package func millisecondsWanted(_ name: String) -> Int {
        settingsWanted[name].flatMap { Int($0) } ?? 0
    }

    /// The role in SQL.
    package var roleName: String { quotedIdentifier(role) }

    // MARK: Reading

    static let identitySQL = """
        SELECT current_setting('server_version_num'), current_setting('server_version'),
               current_database(), current_user, rolsuper
        FROM pg_roles WHERE rolname = current_user
        """

    mutating func takeIdentity(_ row: Row) {
        versionNumber = row.integer(0) ?? 0
        version = row.text(1)
        database = row.text(2)
        role = row.text(3)
        isSuperuser = row.isTrue(4)
    }

    /// The OIDs and kinds of the exposed tables: `(number, oid, kind)`.
    static func targetsSQL(_ exposed: [TableName]) -> String {
        let values = exposed.enumerated().map {
            "(\($0), \(quotedLiteral($1.schema)), \(quotedLiteral($1.name)))"
        }
        return """
            SELECT w.number, c.oid, c.relkind
            FROM (VALUES \(values.joined(separator: ", "))) AS w(number, nspname, relname)
            JOIN pg_namespace n ON n.nspname = w.nspname
            JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.relname
                 AND c.relkind IN ('r', 'p', 'v', 'f')
            ORDER BY w.number
            """
    }

    /// From the rows of `WeirSchema.rightsSQL`. What is not there cannot be granted.
    mutating func takeSchema(_ rows: [Row]) {
        for row in rows {
            let (kind, name) = (row.text(0), row.text(1))
            guard row.isTrue(3) else {
                if !lacking.contains(name) { lacking.append(name) }
                continue
            }
            guard let place = Requirement.Place(rawValue: kind) else { continue }
            requirements.append(
                Requirement(
                    place: place, label: name, sqlName: "\(kind.uppercased()) \(name)",
                    privilege: row.text(2), columns: [], missing: [], isHeld: row.isTrue(4)))
        }
    }

    /// Whether the role may read what was applied.
    var seesMigrations: Bool {
        requirements.contains { $0.label == "weir.migration" && $0.isHeld }
            && requirements.contains { $0.label == "weir" && $0.isHeld }
    }

    mutating func takeTargets(_ rows: [Row], _ catalog: [TableSchema]) {
        for row in rows {
            guard let number = row.integer(0),
                let schema = catalog.first(where: { $0.number == number })
            else { continue }
            targets.append(Target(schema: schema, oid: row.text(1), kind: row.text(2)))
        }
    }
}

/// An identifier as people write it: quoted only where SQL asks for it.
func plainName(_ name: String) -> String {
    let isPlain = name.utf8.enumerated().allSatisfy { index, byte in
        (0x61...0x7A).contains(byte) || byte == 0x5F
            || (index > 0 && (0x30...0x39).contains(byte))
    }
    return isPlain && !name.isEmpty ? name : quotedIdentifier(name)
}

extension Array where Element == String {
    /// `"a", "b"`.
    var quotedList: String { map(quotedIdentifier).joined(separator: ", ") }
}
