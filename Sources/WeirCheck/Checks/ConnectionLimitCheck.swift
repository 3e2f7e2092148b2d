import WeirPostgres
import WeirRecord

/// Are there as many connections as the gateway wants?
struct ConnectionLimitCheck: Check {
    let codes = ["database-connection-limit", "max-connections", "role-connection-limit"]

    func sql(_ subject: Subject) -> String? { ConnectionBudget.sql }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        guard let figures = rows.first.flatMap({ ConnectionBudget.Figures($0.all) }) else {
            return []
        }
        let derived = ConnectionBudget(figures).connections
        // Half of what is free has to be at least two for one batch to commit while another forms.
        let wanted = subject.connections ?? 4
        let severity: Finding.Severity = subject.connections == nil ? .warning : .error
        func finding(
            _ code: String, _ object: Finding.Object, _ free: Int, _ limit: Int, _ inUse: Int,
            _ fix: (Int) -> String
        ) -> Finding? {
            guard free < wanted else { return nil }
            let asked =
                subject.connections.map { "--connections asks for \($0)" }
                ?? "the derived budget is \(derived)"
            return Finding(
                code, severity, object,
                what: "Of \(limit) connections \(inUse) are in use or reserved and \(max(0, free)) "
                    + "are free; \(asked).",
                why: subject.connections == nil
                    ? "With one connection no batch forms while another commits. A gateway that "
                        + "is running already counts among those in use."
                    : "The writers that get no connection try again for ever, each time taking "
                        + "one that somebody else wants. A gateway that is running already "
                        + "counts among those in use.",
                fix: fix(inUse + wanted))
        }
        return [
            finding(
                "max-connections", .init(.setting, "max_connections"), figures.serverFree,
                figures.maxConnections, figures.reserved + figures.inUse
            ) { "ALTER SYSTEM SET max_connections = \($0);\n-- and restart the server" },
            finding(
                "role-connection-limit", .init(.role, subject.role), figures.roleFree,
                figures.roleLimit, figures.roleInUse
            ) { "ALTER ROLE \(subject.roleName) CONNECTION LIMIT \($0);" },
            finding(
                "database-connection-limit", .init(.database, subject.database),
                figures.databaseFree, figures.databaseLimit, figures.databaseInUse
            ) {
                "ALTER DATABASE \(quotedIdentifier(subject.database)) CONNECTION LIMIT \($0);"
            },
        ].compactMap { $0 }
    }
}
