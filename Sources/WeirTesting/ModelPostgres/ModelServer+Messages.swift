// How a backend reads its messages: transaction blocks, errors, and what follows an error.
extension ModelServer {
    mutating func readMessage(_ number: Int, rows: Int) {
        while let message = sessions[number].nextMessage() {
            switch message {
            case .end:
                abort(number)
                sessions[number].block = .none
                return end(number)
            case .sync:
                sessions[number].isSkipping = false
                return sync(number)
            case .statement where sessions[number].isSkipping:
                continue
            case .statement(let statement):
                return start(statement, number, rows: rows)
            }
        }
    }

    private mutating func sync(_ number: Int) {
        guard sessions[number].block == .implicit else {
            return sessions[number].reply(.ready(sessions[number].status))
        }
        sessions[number].isCommitCommand = false
        beginCommit(number)
    }

    private mutating func start(_ statement: Statement, _ number: Int, rows: Int) {
        if let failure = sessions[number].injected {
            sessions[number].injected = nil
            return fail(number, failure)
        }
        switch (statement, sessions[number].block) {
        case (.commit, .failed), (.rollback, .failed), (.rollback, .open), (.rollback, .implicit):
            let hasWarning = sessions[number].block == .implicit
            abort(number)
            sessions[number].block = .none
            sessions[number].reply(.complete(.rollback, hasWarning: hasWarning))
        case (_, .failed):
            fail(number, ServerFailure("25P02"))
        case (.begin, let block):
            sessions[number].block = .open
            sessions[number].reply(.complete(.begin, hasWarning: block == .open))
        case (.commit, .none):
            sessions[number].reply(.complete(.commit, hasWarning: true))
        case (.rollback, .none):
            sessions[number].reply(.complete(.rollback, hasWarning: true))
        case (.commit, .open), (.commit, .implicit):
            sessions[number].isCommitCommand = true
            beginCommit(number)
        case (.lock, .none), (.lock, .implicit):
            fail(number, ServerFailure("25P01"))
        case (_, let block):
            if block == .none { sessions[number].block = .implicit }
            sessions[number].command += 1
            carryOn(ModelSession.Execution(statement: statement), number, rows: rows)
        }
    }

    /// An error: the transaction is over at once, its locks are free, and what follows in the
    /// pipeline is passed over.
    mutating func fail(_ number: Int, _ failure: ServerFailure) {
        sessions[number].reply(.failure(failure))
        abort(number)
        sessions[number].activity = .idle
        sessions[number].isSkipping = true
        let isBlock = sessions[number].block == .open || sessions[number].block == .failed
        sessions[number].block = isBlock ? .failed : .none
        if failure.isFatal { end(number) }
    }
}
