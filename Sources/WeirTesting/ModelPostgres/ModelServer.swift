/// A small PostgreSQL that is faithful where a batch protocol can go wrong: unique indexes that
/// wait for open transactions, row and table locks, deadlocks, statement snapshots, COMMIT in three
/// steps, sessions whose client is gone, crashes and failovers.
///
/// It does nothing by itself. Its user sends messages, chooses which session takes its next step
/// and when a timeout fires, and takes the replies, so that a seed decides every interleaving. The
/// same scripts run on it and on a real server: see the conformance tests.
package struct ModelServer: Sendable {
    package struct Configuration: Sendable {
        package var sessionsMax = 100
        package var system = 1
        package init() {}
    }

    struct TableLocks: Sendable {
        struct Lock: Sendable {
            let session: Int
            let mode: LockMode
        }
        var held: [Lock] = []
        /// In the order in which they are granted.
        var queue: [Lock] = []
    }

    let configuration: Configuration
    var tables: [ModelTable]
    var locks: [TableLocks]
    var transactions = ModelTransactions()
    var sessions: [ModelSession] = []
    /// Sessions that have not ended, by place in `sessions`.
    package private(set) var live: [SessionID] = []
    var timeline = 1
    /// Refuses connections until `recover`.
    package internal(set) var isRecovering = false
    /// The synchronous standby does not answer: a durable commit that is to be replicated waits,
    /// seen by nobody.
    package var isStandbySilent = false

    package init(
        _ definitions: [ModelTable.Definition], _ configuration: Configuration = .init()
    ) {
        self.configuration = configuration
        tables = definitions.map(ModelTable.init)
        locks = Array(repeating: TableLocks(), count: definitions.count)
    }

    // MARK: Clients

    /// - Parameter isReplicated: whether its commits wait for the synchronous standby.
    package mutating func connect(
        isReplicated: Bool = false
    ) -> Result<SessionID, ServerFailure> {
        if isRecovering { return .failure(ServerFailure("57P03", isFatal: true)) }
        if live.count >= configuration.sessionsMax {
            return .failure(ServerFailure("53300", isFatal: true))
        }
        let id = SessionID(sessions.count)
        sessions.append(ModelSession(id: id))
        sessions[id.number].isReplicated = isReplicated
        live.append(id)
        return .success(id)
    }

    package mutating func send(_ session: SessionID, _ statement: Statement) {
        guard !sessions[session.number].isClientGone else { return }
        sessions[session.number].inbox.append(.statement(statement))
    }

    package mutating func sendSync(_ session: SessionID) {
        guard !sessions[session.number].isClientGone else { return }
        sessions[session.number].inbox.append(.sync)
    }

    /// The next reply, taken out of the connection.
    package mutating func receive(_ session: SessionID) -> Reply? {
        let number = session.number
        guard hasReply(session) else { return nil }
        defer { sessions[number].outboxStart += 1 }
        return sessions[number].outbox[sessions[number].outboxStart]
    }

    package func hasReply(_ session: SessionID) -> Bool {
        sessions[session.number].outboxStart < sessions[session.number].outbox.count
    }

    /// Messages on their way to the server, and replies on their way back.
    package func traffic(_ session: SessionID) -> (messages: Int, replies: Int) {
        let one = sessions[session.number]
        return (one.inbox.count - one.inboxStart, one.outbox.count - one.outboxStart)
    }

    package func isEnded(_ session: SessionID) -> Bool { sessions[session.number].isEnded }

    package var identity: ServerIdentity {
        ServerIdentity(
            system: configuration.system, timeline: timeline, position: transactions.written)
    }

    // MARK: Steps

    /// Whether the session's backend can go on by itself.
    package func isRunnable(_ session: SessionID) -> Bool {
        let one = sessions[session.number]
        switch one.activity {
        case .idle: return one.hasMessage || one.isTerminated
        case .executing: return true
        case .waiting(_, let wait): return one.isTerminated || isOver(wait, session.number)
        case .committing(.written): return true
        case .committing(.durable):
            return !waitsForStandby(session.number) || one.isTerminated || one.isWaitCancelled
        case .ended: return false
        }
    }

    /// One step of the session's backend: a message read, a statement carried on until it ends or
    /// waits, or one step of COMMIT.
    ///
    /// - Parameter rows: after so many rows a statement is left where it is.
    package mutating func run(_ session: SessionID, rows: Int = .max) {
        let number = session.number
        guard isRunnable(session) else { return }
        switch sessions[number].activity {
        case .committing(let stage):
            carryOn(commit: stage, number)
        case _ where sessions[number].isTerminated:
            fail(number, ServerFailure("57P01", isFatal: true))
        case .executing(let execution), .waiting(let execution, _):
            carryOn(execution, number, rows: rows)
        case .idle:
            readMessage(number, rows: rows)
        case .ended:
            break
        }
    }

    func waitsForStandby(_ number: Int) -> Bool {
        isStandbySilent && sessions[number].isReplicated
    }

    mutating func end(_ number: Int) {
        sessions[number].activity = .ended
        sessions[number].reply(.closed)
        sessions[number].inbox = []
        sessions[number].inboxStart = 0
        live.removeAll { $0.number == number }
    }

    /// Ends every session without a word of its backend.
    mutating func endAll(saying failure: ServerFailure?) {
        for id in live {
            if let failure { sessions[id.number].reply(.failure(failure)) }
            sessions[id.number].activity = .ended
            sessions[id.number].reply(.closed)
            sessions[id.number].inbox = []
            sessions[id.number].inboxStart = 0
        }
        live = []
    }

    // MARK: What is stored

    /// A row that has committed, for oracles.
    package struct StoredRow: Equatable, Sendable {
        package let values: [Int]
        package let transaction: Int
        /// Position of its commit in the log; rows of one transaction follow in the order in which
        /// they were written.
        package let position: Int
    }

    /// A version of a row, as its transaction left it.
    package struct WrittenRow: Equatable, Sendable {
        package let table: Relation
        package let values: [Int]
        /// The same transaction replaced or deleted it.
        package let isGone: Bool
    }

    /// Transactions that have committed, in the order in which others saw it. A crash and a
    /// promotion change more than the end of it.
    package var committed: [Int] { transactions.seen }

    /// What a transaction wrote, in order. Rows that it deleted are not among them.
    package func rows(writtenBy transaction: Int) -> [WrittenRow] {
        transactions.writes[transaction].map { write in
            let tuple = tables[write.table].tuples[write.tuple]
            return WrittenRow(
                table: Relation(write.table), values: tuple.values,
                isGone: tuple.xmax == transaction)
        }
    }

    /// The row with this key as a new statement would see it.
    package func row(_ table: Relation, _ key: Int) -> [Int]? {
        let stored = tables[table.number]
        let start = stored.start(transactions)
        let found = stored.versions(of: key).last {
            $0 >= start && transactions.isCurrent(stored.tuples[$0])
        }
        return found.map { stored.tuples[$0].values }
    }

    /// What a new statement would see, in the order in which the rows were written.
    package func rows(of table: Relation) -> [StoredRow] {
        let stored = tables[table.number]
        return stored.tuples.dropFirst(stored.start(transactions)).compactMap { tuple in
            guard transactions.isCurrent(tuple) else { return nil }
            return StoredRow(
                values: tuple.values, transaction: tuple.xmin,
                position: transactions.commits[tuple.xmin])
        }
    }
}
