package import Weir
import WeirCore
package import WeirPostgres
package import WeirRecord

/// Connects as the gateway would, asks every check, and says what came of it. It has a thread of
/// its own to wait on.
package actor Examination {
    /// What came of it.
    package struct Result: Sendable {
        package let subject: Subject
        /// The most severe first; those of one severity in the order of the checks.
        package let findings: [Finding]

        package init(subject: Subject, findings: [Finding]) {
            self.subject = subject
            self.findings = findings
        }

        package var hasErrors: Bool { findings.contains { $0.severity == .error } }
    }

    /// The oldest server whose catalog and settings the gateway's statements are written for:
    /// `attgenerated` and `plan_cache_mode` came with 12.
    package static let versionMin = 120_000

    /// Codes that no single check comes to.
    static let codes =
        ["check-incomplete", "server-version", "settings-refused"] + PoolerProbe.codes

    private let conninfo: Conninfo
    private let exposed: [TableName]
    private let connections: Int?
    private let isReplaying: Bool
    private let patience: Duration
    private let executor = BlockingExecutor(label: "weir.check")

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    /// - Parameters:
    ///   - connections: as many as were asked for; `nil` derives them from the server's limits.
    ///   - isReplaying: whether message IDs are to be remembered in the database.
    ///   - patience: for connecting, and for each question.
    package init(
        _ conninfo: Conninfo, tables: [TableName], connections: Int?, isReplaying: Bool = false,
        patience: Duration = .seconds(5)
    ) {
        self.conninfo = conninfo
        exposed = tables
        self.connections = connections
        self.isReplaying = isReplaying
        self.patience = patience
    }

    /// - Throws: `ConnectFailure` when the database cannot be reached in any manner, or is lost.
    package func run() throws(ConnectFailure) -> Result {
        let (manner, refusal, main) = try connect()
        var subject = Subject()
        subject.manner = manner
        subject.connections = connections
        subject.exposed = exposed
        for setting in conninfo.settingsWanted {
            subject.settingsWanted[setting.name] = setting.value
        }
        let identity = try ask(Subject.identitySQL, main)
        guard let row = identity.first else { throw ConnectFailure("the role has no name") }
        subject.takeIdentity(row)
        if let finding = Self.versionFinding(subject) {
            return Result(subject: subject, findings: [finding])
        }
        let catalog = try main.catalog(of: exposed)
        subject.takeTargets(try ask(Subject.targetsSQL(exposed), main), catalog.found)
        subject.requirements = Requirement.read(try ask(Requirement.sql(subject), main))
        subject.isReplaying = isReplaying
        if isReplaying {
            subject.takeSchema(try ask(WeirSchema.rightsSQL, main))
            if subject.seesMigrations {
                let rows = try ask(WeirSchema.appliedSQL, main)
                subject.applied = rows.map { MigrationPlan.Applied($0.all) }
            }
        }

        let plain = manner == .gateway ? nil : main
        var findings = try main.findings(of: Checks.all.filter { $0.manner != .plain }, subject)
        findings += try plainFindings(subject, plain)
        let pooler = PoolerProbe(conninfo.connecting(manner), patience).run(main)
        findings += pooler
        if let refusal, manner == .plain {
            findings.append(Self.refused(refusal, isByPooler: !pooler.isEmpty))
        }
        let order = findings.enumerated().sorted {
            ($0.element.severity, $0.offset) < ($1.element.severity, $1.offset)
        }
        return Result(subject: subject, findings: order.map(\.element))
    }

    // MARK: Connecting

    /// As the gateway connects if the server takes that, else asked for less.
    private func connect() throws(ConnectFailure) -> (Conninfo.Manner, String?, Inspection) {
        var refusal: String?
        for manner in [Conninfo.Manner.gateway, .plain, .bare] {
            do {
                return (
                    manner, refusal,
                    try Inspection(conninfo.connecting(manner), patience: patience)
                )
            } catch {
                refusal = refusal ?? error.reason
            }
        }
        throw ConnectFailure(refusal ?? "")
    }

    private func plainFindings(
        _ subject: Subject, _ open: Inspection?
    ) throws(ConnectFailure) -> [Finding] {
        let checks = Checks.all.filter { $0.manner == .plain }
        if let open { return try open.findings(of: checks, subject) }
        do throws(ConnectFailure) {
            // The first connection may have been the last that there was.
            let session = try Inspection(conninfo.connecting(.plain), patience: patience)
            return try session.findings(of: checks, subject)
        } catch {
            return checks.map { Self.incomplete($0, error.reason) }
        }
    }

    private func ask(_ sql: String, _ session: Inspection) throws(ConnectFailure) -> [Row] {
        do {
            return try session.rows(sql)
        } catch {
            throw ConnectFailure(error.reason)
        }
    }

    // MARK: Findings of its own

    package static func versionFinding(_ subject: Subject) -> Finding? {
        guard subject.versionNumber < versionMin else { return nil }
        return Finding(
            "server-version", .error, .init(.server, "PostgreSQL \(subject.version)"),
            what: "The server is PostgreSQL \(subject.version); the gateway needs 12 or later.",
            why: "It reads catalog columns and sets options that older servers do not have, so it "
                + "cannot connect. Nothing else was checked.",
            fix: "Upgrade the server, with pg_upgrade or by dump and restore.")
    }

    private static func refused(_ reason: String, isByPooler: Bool) -> Finding {
        Finding(
            "settings-refused", .error, .init(.connection, "options"),
            what: "A connection with the gateway's settings is refused: \(reason)",
            why: "The gateway sets its timeouts, synchronous_commit and formats as it connects; "
                + "what refuses them keeps it from connecting at all.",
            fix: isByPooler
                ? "Give --db the address of PostgreSQL itself, not of the pooler."
                : "Let startup options through, or connect to PostgreSQL itself.")
    }

    static func incomplete(_ check: any Check, _ reason: String) -> Finding {
        Finding(
            "check-incomplete", .warning, .init(.server, "catalog"),
            what: "Could not be looked at: \(check.codes.joined(separator: ", ")): \(reason)",
            why: "What was not looked at may be amiss.",
            fix: "Let the role read pg_catalog, and run the check again.")
    }
}

extension Inspection {
    /// Asks one question with pg_catalog alone in the search path and nothing that could write.
    /// Both settings end with the statement, so that a pooler's next client does not inherit them.
    func rows(_ sql: String) throws(Failure) -> [Row] {
        try query(
            """
            SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
                   pg_catalog.set_config('transaction_read_only', 'on', true);
            \(sql)
            """
        ).map { Row($0) }
    }

    func findings(of checks: [any Check], _ subject: Subject) throws(ConnectFailure) -> [Finding] {
        var findings: [Finding] = []
        for check in checks {
            do {
                let rows = try check.sql(subject).map { sql throws(Failure) in try self.rows(sql) }
                findings += check.findings(rows ?? [], subject)
            } catch {
                guard !error.sqlstate.isEmpty else { throw ConnectFailure(error.reason) }
                findings.append(Examination.incomplete(check, error.reason))
            }
        }
        return findings
    }
}
