import WeirRecord

/// May the role do more than the gateway needs?
struct RoleCheck: Check {
    let codes = ["role-is-owner", "role-is-superuser"]

    /// The role that the fix makes.
    private static let name = "weir_writer"

    func sql(_ subject: Subject) -> String? {
        """
        SELECT oid::regclass::text FROM pg_class
        WHERE oid IN (\(subject.oids)) AND pg_has_role(current_user, relowner, 'USAGE')
        ORDER BY 1
        """
    }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        let grants = subject.requirements.map { $0.grant(to: Self.name) }
        let fix = (["CREATE ROLE \(Self.name) LOGIN;"] + grants).joined(separator: "\n")
        if subject.isSuperuser {
            return [
                Finding(
                    "role-is-superuser", .note, .init(.role, subject.role),
                    what: "The role is a superuser.",
                    why: "Whoever gets hold of its password owns the server; row security and "
                        + "missing grants do not show. A role of its own needs only this:",
                    fix: fix)
            ]
        }
        guard !rows.isEmpty else { return [] }
        let tables = rows.map { $0.text(0) }.joined(separator: ", ")
        return [
            Finding(
                "role-is-owner", .note, .init(.role, subject.role),
                what: "The role owns, or may act as the owner of: \(tables).",
                why: "An owner may drop and alter what it should only write. A role of its own "
                    + "needs only this:", fix: fix)
        ]
    }
}
