import WeirPostgres
import WeirTesting

/// What a client asked its session and has been told so far. Statements end with a sync, or are
/// flushed without one, in the middle of a transaction.
struct Exchange {
    struct Completion {
        let tag: CommandTag
        let rows: [[Int]]
    }

    let statementCount: Int
    let endsInSync: Bool
    private(set) var completions: [Completion] = []
    /// The first error; the server skips what stands behind it. The number of completions says
    /// which statement met it.
    private(set) var failure: ServerFailure?
    private(set) var isReady = false
    private(set) var isClosed = false

    init(_ statementCount: Int, endsInSync: Bool) {
        self.statementCount = statementCount
        self.endsInSync = endsInSync
    }

    mutating func take(_ reply: Reply) {
        switch reply {
        case .complete(let tag, let rows, _):
            completions.append(Completion(tag: tag, rows: rows))
        case .failure(let error): failure = failure ?? error
        case .ready: isReady = true
        case .closed: isClosed = true
        }
    }

    /// Whether all that is owed has come.
    var isOver: Bool {
        if isClosed { return true }
        if endsInSync { return isReady }
        return failure.map { !$0.isFatal } ?? (completions.count == statementCount)
    }
}

/// What a client does next.
enum Step<Verdict> {
    case ask([Statement], endsInSync: Bool)
    case done(Verdict)
}

extension ServerFailure {
    /// As the gateway reads it.
    var error: ServerError {
        ServerError(
            sqlstate: sqlstate, severity: isFatal ? "FATAL" : "ERROR",
            message: relation.map { "relation \"pg_catalog.\($0)\" does not exist" } ?? sqlstate,
            constraint: constraint)
    }
}
