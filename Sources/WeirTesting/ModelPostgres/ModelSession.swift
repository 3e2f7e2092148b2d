/// One session of the model server: its backend's state, and the messages on their way to it and
/// from it.
struct ModelSession: Sendable {
    enum Message: Sendable {
        case statement(Statement)
        /// Ends a pipeline, and a transaction that no BEGIN began.
        case sync
        /// The client said goodbye, or its end of the connection is gone.
        case end
    }

    enum Block: Sendable {
        /// Outside of any transaction.
        case none
        /// Statements without BEGIN, committed by the next sync.
        case implicit
        case open
        /// Only ROLLBACK leads out of it, or COMMIT, which then does the same.
        case failed
    }

    enum Activity: Sendable {
        /// Reads the next message.
        case idle
        case executing(Execution)
        case waiting(Execution, Wait)
        case committing(CommitStage)
        /// Gone, and its transaction with it.
        case ended
    }

    enum Wait: Equatable, Sendable {
        case transaction(Int)
        case table(Relation, LockMode)
    }

    enum CommitStage: Sendable {
        /// The commit record is in the log, and a crash may take it.
        case written
        /// It cannot be taken any more, and nobody sees it.
        case durable
    }

    /// A statement on its way.
    struct Execution: Sendable {
        let statement: Statement
        var locksTaken = 0
        var snapshot: ModelTransactions.Snapshot?
        /// The next row, or the next of `targets`.
        var next = 0
        var targets: [Int] = []
        var affected = 0
        var output: [[Int]] = []
        var hasWarning = false
    }

    /// A row that a deferred constraint looks at.
    struct DeferredCheck: Sendable {
        let table: Int
        let tuple: Int
    }

    let id: SessionID
    var inbox: [Message] = []
    var inboxStart = 0
    var outbox: [Reply] = []
    var outboxStart = 0

    var block = Block.none
    var activity = Activity.idle
    /// Whether messages are passed over until the next sync.
    var isSkipping = false
    /// The transaction's number, once it has written; 0 before.
    var xid = 0
    var command = 0
    var deferredChecks: [DeferredCheck] = []
    /// SET CONSTRAINTS ALL IMMEDIATE holds for the rest of the transaction.
    var checksAtOnce = false
    /// Tables in whose lock lists this session stands.
    var locked: [Relation] = []
    /// Whether the commit under way was asked for by a statement, whose answer is its tag.
    var isCommitCommand = true

    /// `synchronous_commit`: whether its commits wait for the standby.
    var isReplicated = false
    var isClientGone = false
    var isTerminated = false
    /// Somebody cancelled the wait for the standby.
    var isWaitCancelled = false
    /// What the next statement fails with, whatever it is.
    var injected: ServerFailure?

    init(id: SessionID) {
        self.id = id
    }

    var hasMessage: Bool { inboxStart < inbox.count }

    var isEnded: Bool {
        if case .ended = activity { true } else { false }
    }

    var status: TransactionStatus {
        switch block {
        case .none, .implicit: .idle
        case .open: .open
        case .failed: .failed
        }
    }

    mutating func nextMessage() -> Message? {
        guard hasMessage else { return nil }
        defer { inboxStart += 1 }
        return inbox[inboxStart]
    }

    mutating func reply(_ reply: Reply) {
        if !isClientGone { outbox.append(reply) }
    }
}

/// The modes of table locks that matter here (PostgreSQL, "Explicit Locking", table 13.2).
enum LockMode: Int, Comparable, Sendable {
    case accessShare
    case rowExclusive
    case accessExclusive

    static func < (left: LockMode, right: LockMode) -> Bool { left.rawValue < right.rawValue }

    func conflicts(with other: LockMode) -> Bool {
        self == .accessExclusive || other == .accessExclusive
    }
}
