import Weir
import WeirCore
package import WeirMigrations
import WeirRecord

/// Brings schema `weir` of a database up to what this program knows, and says how it stands.
///
/// Each migration and its row in `weir.migration` are one transaction, under an advisory lock that
/// lasts as long: two programs at a time apply each of them once, and what fails leaves nothing
/// behind. It has a thread of its own to wait on.
package actor Migrator {
    package struct Failure: Error, Equatable, Sendable {
        package enum Kind: Sendable {
            /// The database cannot be reached, or was lost.
            case unreachable
            /// Somebody holds a lock; the same again may work.
            case temporary
            /// The database, the role or the program has to be changed.
            case unfit
        }

        package let kind: Kind
        /// May have several lines: the command to run stands on one of its own.
        package let reason: String
    }

    /// How the schema stands, and what was done.
    package struct Report: Equatable, Sendable {
        package var database = ""
        package var role = ""
        package var plan: MigrationPlan
        /// What was applied now.
        package var done: [Migration] = []
        /// What was granted now.
        package var grants: [String] = []
    }

    /// "weirmigr": of all programs that migrate, whichever version they are.
    private static let lockKey = 0x7765_6972_6D69_6772
    /// For another program's migration, which may be building an index.
    private static let turnTimeout = Duration.seconds(60)
    /// For a table that somebody is writing: whoever comes later waits behind this.
    private static let lockTimeout = Duration.seconds(5)
    private static let statementTimeout = Duration.seconds(600)

    private let conninfo: Conninfo
    private let version: String
    private let known: [Migration]
    private let connectTimeout: Duration
    private let executor = BlockingExecutor(label: "weir.migrate")

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe executor.asUnownedSerialExecutor()
    }

    /// - Parameter version: of this program, for the record.
    package init(
        _ conninfo: Conninfo, version: String, migrations: [Migration] = Migrations.all,
        connectTimeout: Duration = .seconds(5)
    ) {
        self.conninfo = conninfo
        self.version = version
        known = migrations
        self.connectTimeout = connectTimeout
    }

    // MARK: Verbs

    /// How the schema stands. Nothing is changed.
    package func status() throws(Failure) -> Report {
        let session = try connect()
        let state = try state(session)
        return Report(
            database: state.database, role: state.role, plan: try plan(session, state))
    }

    /// Applies what is pending and grants `gateway` what serving needs.
    ///
    /// - Parameter gateway: a role's name; `nil` grants nothing.
    package func migrate(grantTo gateway: String? = nil) throws(Failure) -> Report {
        let session = try connect()
        let state = try state(session)
        var report = Report(
            database: state.database, role: state.role, plan: try plan(session, state))
        if let gateway { try requireRole(gateway, session) }
        if !report.plan.pending.isEmpty || gateway != nil,
            let obstacle = state.obstacle({ session.place.migrateCommand(as: $0, grantTo: gateway) }
            )
        {
            throw Failure(kind: .unfit, reason: obstacle)
        }
        for migration in report.plan.pending {
            if try apply(migration, session) { report.done.append(migration) }
        }
        if let gateway {
            report.grants = WeirSchema.grants(to: quotedIdentifier(gateway))
            try transact(session, "rights for \(gateway)") { () throws(Session.Failure) in
                for grant in report.grants { try run(grant, session) }
            }
            try requireSchema(for: gateway, session)
        }
        report.plan = try plan(session, try self.state(session))
        return report
    }

    /// What `migrate` would run, as a script for psql.
    package func script(grantTo gateway: String? = nil) throws(Failure) -> (Report, String) {
        let report = try status()
        var text = ""
        for migration in report.plan.pending {
            text += "BEGIN;\n" + migration.sql + recordSQL(migration) + ";\nCOMMIT;\n\n"
        }
        if let gateway {
            text += WeirSchema.grants(to: quotedIdentifier(gateway)).joined(separator: "\n") + "\n"
        }
        return (report, text)
    }

    /// Whether this role can serve with what there is; returns what the operator should know.
    ///
    /// - Throws: what is amiss, and the command that mends it.
    package func checkServing() throws(Failure) -> [String] {
        let session = try connect()
        let state = try state(session)
        let plan = try plan(session, state)
        let owner = state.hasTables ? state.tableOwner : state.databaseOwner
        let command = session.place.migrateCommand(
            as: owner, grantTo: owner == state.role ? nil : state.role)
        guard plan.pending.isEmpty else {
            let names = plan.pending.map(\.name).joined(separator: ", ")
            throw Failure(
                kind: .unfit,
                reason: """
                    schema weir of database \(state.database) lacks \(names). Run:
                      \(command)
                    """)
        }
        let missing = try rows(WeirSchema.rightsSQL, session).filter { $0[4] != "t" }
        guard missing.isEmpty else {
            let names = missing.map { "\($0[2] ?? "") on \($0[1] ?? "")" }
            throw Failure(
                kind: .unfit,
                reason: """
                    the role \(state.role) lacks \(names.joined(separator: ", ")). Run:
                      \(command)
                    """)
        }
        let unlogged = try rows(WeirSchema.unloggedSQL, session).compactMap { $0[0] }
        guard unlogged.isEmpty else {
            let statements = unlogged.map { "  ALTER TABLE \($0) SET LOGGED;" }
            throw Failure(
                kind: .unfit,
                reason:
                    "a crash of the server would empty \(unlogged.joined(separator: ", ")), and "
                    + "what was written could be written again. Run as \(owner):\n"
                    + statements.joined(separator: "\n"))
        }
        return plan.notices
    }

    // MARK: Steps

    private func connect() throws(Failure) -> Session {
        let session: Session
        do {
            session = try Session.connect(
                conninfo, by: SystemTime().now + Nanoseconds(connectTimeout))
        } catch {
            throw Failure(kind: .unreachable, reason: error.reason)
        }
        // Whoever migrates may do much, and somebody else's functions must not do it.
        _ = try rows("SET search_path = pg_catalog, pg_temp", session)
        return session
    }

    private func requireRole(_ name: String, _ session: Session) throws(Failure) {
        let sql = "SELECT FROM pg_catalog.pg_roles WHERE rolname = \(quotedLiteral(name))"
        guard try rows(sql, session).isEmpty else { return }
        throw Failure(
            kind: .unfit,
            reason: """
                there is no role \(name); nothing was changed. Make it first:
                  CREATE ROLE \(quotedIdentifier(name)) LOGIN;
                """)
    }

    /// A GRANT by somebody who may not grant is no error, only a warning: the schema may belong to
    /// another role than the tables in it.
    private func requireSchema(for gateway: String, _ session: Session) throws(Failure) {
        let sql = "SELECT has_schema_privilege(\(quotedLiteral(gateway)), 'weir', 'USAGE')"
        guard try rows(sql, session) != [["t"]] else { return }
        throw Failure(
            kind: .unfit,
            reason: """
                schema weir belongs to \(try state(session).schemaOwner), who has to grant its use:
                  GRANT USAGE ON SCHEMA weir TO \(quotedIdentifier(gateway));
                """)
    }

    private func state(_ session: Session) throws(Failure) -> SchemaState {
        guard let state = try rows(WeirSchema.stateSQL, session).first.flatMap(SchemaState.init)
        else { throw Failure(kind: .unfit, reason: "the database does not say who the role is") }
        return state
    }

    private func plan(_ session: Session, _ state: SchemaState) throws(Failure) -> MigrationPlan {
        guard state.hasTables else { return try plan(applied: []) }
        guard state.mayUse, state.mayRead else {
            throw Failure(
                kind: .unfit,
                reason: """
                    the role \(state.role) may not read weir.migration. Run this as \
                    \(state.tableOwner):
                      \(session.place.migrateCommand(as: state.tableOwner, grantTo: state.role))
                    """)
        }
        return try plan(applied: try rows(WeirSchema.appliedSQL, session))
    }

    private func plan(applied rows: [[String?]]) throws(Failure) -> MigrationPlan {
        do throws(MigrationPlan.Fault) {
            return try MigrationPlan(
                known: known, applied: rows.map { MigrationPlan.Applied($0) })
        } catch {
            throw Failure(kind: .unfit, reason: error.description)
        }
    }

    /// False when somebody else has applied it meanwhile.
    private func apply(_ migration: Migration, _ session: Session) throws(Failure) -> Bool {
        var isApplied = false
        try transact(session, "migration \(migration.name)") { () throws(Session.Failure) in
            try run("SET LOCAL lock_timeout = \(Self.turnTimeout.milliseconds)", session)
            try run("SELECT pg_catalog.pg_advisory_xact_lock(\(Self.lockKey))", session)
            // A statement of its own: it sees what was committed while the lock was waited for.
            let there = try run(
                """
                SELECT EXISTS (SELECT FROM pg_catalog.pg_class c
                    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = 'weir' AND c.relname = 'migration')
                """, session)
            if there == [["t"]] {
                let rows = try run(
                    "SELECT FROM weir.migration WHERE number = \(migration.number)", session)
                if !rows.isEmpty { return }
            }
            try run("SET LOCAL lock_timeout = \(Self.lockTimeout.milliseconds)", session)
            try run(migration.sql, session)
            try run(recordSQL(migration), session)
            isApplied = true
        }
        return isApplied
    }

    private func recordSQL(_ migration: Migration) -> String {
        """
        INSERT INTO weir.migration (number, name, checksum, weir_version)
        VALUES (\(migration.number), \(quotedLiteral(migration.name)), '\(migration.checksum)', \
        \(quotedLiteral(version)))
        """
    }

    /// All of `body`, or nothing.
    private func transact(
        _ session: Session, _ what: String, _ body: () throws(Session.Failure) -> Void
    ) throws(Failure) {
        do throws(Session.Failure) {
            try run("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", session)
            try run("SET LOCAL statement_timeout = \(Self.statementTimeout.milliseconds)", session)
            try body()
            try run("COMMIT", session)
        } catch {
            _ = try? run("ROLLBACK", session)
            throw failure(error, what)
        }
    }

    @discardableResult
    private func run(_ sql: String, _ session: Session) throws(Session.Failure) -> [[String?]] {
        // The server gives up first.
        let patience = Nanoseconds(Self.statementTimeout + connectTimeout)
        return try session.query(sql, by: SystemTime().now + patience)
    }

    private func rows(_ sql: String, _ session: Session) throws(Failure) -> [[String?]] {
        do throws(Session.Failure) {
            return try session.query(sql, by: SystemTime().now + Nanoseconds(connectTimeout))
        } catch {
            throw failure(error, "schema weir")
        }
    }

    private func failure(_ failure: Session.Failure, _ what: String) -> Failure {
        switch failure {
        case .lost(let reason):
            return Failure(
                kind: .unreachable,
                reason: "the connection was lost: \(reason). Run it again: what was done is not "
                    + "done twice.")
        case .server(let error):
            let reason = "\(what): \(error.message) (\(error.sqlstate)); it was rolled back"
            // Locks, deadlocks and a server that is about to stop.
            let isPassing =
                ["55P03", "40P01", "40001", "57014"].contains(error.sqlstate)
                || error.sqlstate.hasPrefix("57P") || error.sqlstate.hasPrefix("53")
            return Failure(kind: isPassing ? .temporary : .unfit, reason: reason)
        }
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }
}
