import CLibpq
package import Weir
import WeirCore
package import WeirRecord

/// One connection to PostgreSQL and the thread that waits on it.
package actor PostgresWriter: BatchWriter {
    package struct Configuration: Sendable {
        package var conninfo: Conninfo
        package var tables: [TableName]
        package var policies = PolicyStore()
        package var connectTimeout: Duration = .seconds(5)
        /// For one statement, on the server. The client waits twice as long for the whole batch.
        package var statementTimeout: Duration = .seconds(10)
        /// Whether batches keep the tables of schema `weir`; they must be there then.
        package var replay = ReplaySetting.off
        /// What the entries in those tables say of their gateway.
        package var origin = GatewayName()
        /// How long to wait for a transaction that was lost, before asking again later.
        package var inquiryTimeout: Duration = .seconds(2)
        /// These are one for all writers that have this configuration.
        package let identities = IdentityWatch()
        let lostAttempts = LostAttempts()
        let rotation = RotationSchedule()

        package init(conninfo: Conninfo, tables: [TableName]) {
            self.conninfo = conninfo
            self.tables = tables
        }
    }

    let configuration: Configuration
    private let statementTimeout: Nanoseconds
    private let number: Int
    let executor: BlockingExecutor
    private var session: Session?
    private var identity: ServerIdentity?
    private(set) var ledger: ReplayLedger?
    var cache = StatementCache()
    var parameters: [ArrayParameter] = []
    /// Begun on another thread, and not settled there.
    var inlineAttempt: InlineAttempt?
    var answerWatch = AnswerWatch()
    /// When the server last answered a batch.
    private(set) var lastAnswer = Timestamp.zero
    private var preparedLook: String?
    private var lookCount = 0

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe executor.asUnownedSerialExecutor()
    }

    package init(_ configuration: Configuration, number: Int) {
        self.configuration = configuration
        statementTimeout = Nanoseconds(configuration.statementTimeout)
        self.number = number
        executor = BlockingExecutor(label: "weir.writer.\(number)")
    }

    package func connect() throws(ConnectFailure) {
        guard !isAlive() else { return }
        disconnect()
        let deadline = SystemTime().now + Nanoseconds(configuration.connectTimeout)
        let session = try Session.connect(configuration.conninfo, by: deadline)
        do {
            try session.prepareTransactionCommands(by: deadline)
        } catch {
            throw ConnectFailure("the connection was lost again at once")
        }
        let identity = try ServerIdentity.read(on: session, by: deadline)
        if configuration.replay != .off {
            ledger = ReplayLedger(
                try ReplayLedger.open(on: session, by: deadline), origin: configuration.origin)
        }
        try configuration.identities.admit(identity, by: number)
        self.identity = identity
        self.session = session
    }

    package func disconnect() {
        session = nil
        identity = nil
        ledger = nil
        inlineAttempt = nil
        lastAnswer = .zero
        answerWatch = AnswerWatch()
        cache.removeAll()
        preparedLook = nil
    }

    package func isAlive() -> Bool {
        session?.isAlive() ?? false
    }

    package func write(_ batch: WriteBatch) -> BatchReport {
        let begun = SystemTime().now
        guard let session = liveSession else {
            // Nothing has been sent: certainly not written.
            disconnect()
            var report = BatchReport(.transient(.connectionLost))
            report.isConnected = false
            return report
        }
        let report = write(batch, on: session, by: deadline(from: begun))
        return settled(report, of: batch, on: session, begun: begun)
    }

    var liveSession: Session? {
        guard let session, session.isAlive() else { return nil }
        return session
    }

    /// As above, without asking a connection that has just been answered on: what closes it in so
    /// short a time is met in the attempt, and found out about where there is a ledger.
    func freshSession(now: Timestamp) -> Session? {
        ledger != nil && now - lastAnswer < .milliseconds(10) ? session : liveSession
    }

    /// When a batch that was begun then is given up.
    func deadline(from begun: Timestamp) -> Timestamp {
        begun + statementTimeout + statementTimeout
    }

    /// The report of an attempt, with all that may be asked about it later.
    func settled(
        _ report: BatchReport, of batch: WriteBatch, on session: Session, begun: Timestamp
    ) -> BatchReport {
        var report = report
        lastAnswer = SystemTime().now
        report.databaseTime = lastAnswer - begun
        if batch.work != .resolve, let ledger { note(&report, of: batch, ledger, session) }
        if !report.isConnected { disconnect() }
        return report
    }

    /// What it takes to find out about the attempt, should that be necessary.
    private func note(
        _ report: inout BatchReport, of batch: WriteBatch, _ ledger: ReplayLedger,
        _ session: Session
    ) {
        if report.outcome == .committed {
            report.unresolved = Unresolved(id: batch.id, results: report.results)
        }
        report.unresolved?.generation = ledger.generation.number
        guard report.outcome == .unknown, let unresolved = report.unresolved, let identity else {
            return
        }
        configuration.lostAttempts.add(
            unresolved.id,
            LostAttempts.Attempt(
                backend: LostAttempts.Backend(
                    processID: session.backendPID, start: identity.backendStart)))
    }

    private func write(
        _ batch: WriteBatch, on session: Session, by deadline: Timestamp
    ) -> BatchReport {
        guard let ledger else {
            var transaction = BatchTransaction(
                batch, session: session, ledger: nil, deadline: deadline)
            return transaction.run(&cache, &parameters)
        }
        switch (batch.work, batch.unresolved) {
        case (.resolve, let unresolved?):
            return AttemptInquiry(
                batch: batch, unresolved: unresolved, session: session, ledger: ledger,
                configuration: configuration, deadline: deadline
            ).run()
        default:
            return RememberedWrite(
                batch: batch, session: session, ledger: ledger,
                configurationHash: configuration.policies.configurationHash, deadline: deadline
            ).run(&cache, &parameters)
        }
    }

    func deriveBudget() throws(ConnectFailure) -> ConnectionBudget {
        try ConnectionBudget.derive(configuration)
    }

    package func mayDiffer(from known: Catalog) throws(ConnectFailure) -> Bool {
        let stamp = CatalogStamp(tables: configuration.tables)
        let known = known.stamps
        let prepared = preparedLook
        // A question that fails is prepared again, under a name of which nothing is known.
        preparedLook = nil
        if prepared == nil { lookCount += 1 }
        let name = prepared ?? "weir_look_\(lookCount)"
        let stamps = try ask { session, deadline throws(ConnectFailure) in
            if prepared == nil { try stamp.prepare(name, on: session, by: deadline) }
            return try stamp.read(on: session, by: deadline, prepared: name)
        }
        preparedLook = name
        return stamps != known
    }

    package func loadCatalog() throws(ConnectFailure) -> Catalog {
        let query = CatalogQuery(
            tables: configuration.tables, policies: configuration.policies.policies)
        return try ask { session, deadline throws(ConnectFailure) in
            try query.run(on: session, by: deadline)
        }
    }

    package func maintain() throws(ConnectFailure) -> String? {
        guard let window = configuration.replay.window,
            configuration.rotation.isDue(now: SystemTime().now)
        else { return nil }
        return switch try rotateReplay(window: window) {
        case .rotated: "forgot the message IDs that were older than the replay window"
        case .busy: "the replay tables are locked; old message IDs are kept for now"
        case .notDue: nil
        }
    }

    /// Forgets the older generation of message IDs and begins a new one, if the current one is as
    /// old as `window`.
    package func rotateReplay(window: Duration) throws(ConnectFailure) -> ReplayRotation {
        let sql = "SELECT weir.rotate(interval '\(window.components.seconds) seconds')"
        return try ask { session, deadline throws(ConnectFailure) in
            do throws(Session.Failure) {
                return try session.query(sql, by: deadline) == [["t"]] ? .rotated : .notDue
            } catch {
                switch error {
                case .server(let error) where error.sqlstate == "55P03": return .busy
                case .server(let error): throw ConnectFailure(error.message)
                case .lost(let reason): throw ConnectFailure(reason)
                }
            }
        }
    }

    /// Asks something of the catalog. A connection that fails to answer is not to be used again:
    /// what it still has to say would be taken for the answer to something else.
    func ask<Answer>(
        _ question: (Session, Timestamp) throws(ConnectFailure) -> Answer
    ) throws(ConnectFailure) -> Answer {
        guard let session else { throw ConnectFailure("not connected") }
        let deadline = SystemTime().now + statementTimeout
        do throws(ConnectFailure) {
            return try question(session, deadline)
        } catch {
            if !session.isIdle { disconnect() }
            throw error
        }
    }
}
