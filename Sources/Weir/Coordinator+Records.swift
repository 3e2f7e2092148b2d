import Synchronization
package import WeirCore
package import WeirRecord

// How records come in: one, or many of one request in one step.
extension Coordinator {
    /// Admits one record on a thread that has nobody else to serve, and may be held up for as long
    /// as it takes to write it.
    ///
    /// - Returns: what there is to say of it, as below, and what the thread may write: it has to
    ///   `take` or to `decline` that.
    package func submit(
        alone submission: Submission, from origin: RecordOrigin
    ) -> (result: Result<Ticket?, Failure>, turn: InlineTurn?) {
        let now = time.now
        let entry = submission.entry
        let source = Source(tick: mintedTick(submission.record), origin: origin)
        var result: Result<Ticket?, Failure> = .failure(Failure(.overloaded, ""))
        let actions = act(now) { state, actions in
            actions.mayWriteInline = true
            result = state.admit(submission, entry, source, now: now, &actions)
            return state.machine.dispatch(now: now)
        }
        return (result, actions.turn)
    }

    /// Admits records of several requests in one step, as if one came after the other. Each one's
    /// fate goes to its waiter, unless it is refused here and now.
    ///
    /// - Returns: what there is to say of each, in their order. There is no ticket for a record
    ///   that is answered already and cannot be cancelled.
    package func submit(
        each submissions: [(submission: Submission, origin: RecordOrigin)]
    ) -> [Result<Ticket?, Failure>] {
        guard !submissions.isEmpty else { return [] }
        let now = time.now
        let tick = ids.reserve(submissions.count, unixNanoseconds: time.unixNanoseconds)
        // Before the lock, under which everybody else's records wait.
        let entries = submissions.map(\.submission.entry)
        var results: [Result<Ticket?, Failure>] = []
        results.reserveCapacity(entries.count)
        act(now) { state, actions in
            for (place, (submission, origin)) in submissions.enumerated() {
                let isNamed = submission.record.messageID != nil
                let source = Source(tick: isNamed ? 0 : tick + UInt64(place), origin: origin)
                results.append(
                    state.admit(submission, entries[place], source, now: now, &actions))
            }
            return state.machine.dispatch(now: now)
        }
        return results
    }

    /// Admits many records in one step; those of one group must be adjacent. Returns the refused
    /// ones.
    ///
    /// - Parameter origin: the request that brought them.
    package func submit(
        _ submissions: [Submission], from origin: RecordOrigin? = nil
    ) -> [(index: Int, failure: Failure)] {
        guard !submissions.isEmpty else { return [] }
        let now = time.now
        var source = Source(
            tick: ids.reserve(submissions.count, unixNanoseconds: time.unixNanoseconds),
            origin: origin)
        var refused: [(index: Int, failure: Failure)] = []
        // Before the lock, under which every caller's records wait.
        let units = units(submissions)
        act(now) { state, actions in
            for unit in units {
                if let failure = state.admit(unit, source, now: now, &actions) {
                    refused += unit.submissions.map { ($0.index, failure) }
                }
                source.tick += UInt64(unit.count)
            }
            return state.machine.dispatch(now: now)
        }
        return refused
    }

    /// What is admitted in one piece.
    enum Unit {
        case one(Submission, Entry)
        case group(ArraySlice<Submission>, [Entry])
        case pack(Pack, ArraySlice<Submission>)

        var submissions: ArraySlice<Submission> {
            switch self {
            case .one(let submission, _): [submission]
            case .group(let submissions, _), .pack(_, let submissions): submissions
            }
        }

        var count: Int {
            switch self {
            case .one: 1
            case .group(let submissions, _), .pack(_, let submissions): submissions.count
            }
        }
    }

    /// What a history says of records besides what they are.
    struct Source {
        /// Of the first record's minted ID; 0 where none is minted.
        var tick: UInt64
        var origin: RecordOrigin?
    }

    /// Who names a message needs no other name for it.
    private func mintedTick(_ record: Record) -> UInt64 {
        record.messageID == nil ? ids.reserve(1, unixNanoseconds: time.unixNanoseconds) : 0
    }

    private func units(_ submissions: [Submission]) -> [Unit] {
        var units: [Unit] = []
        var start = 0
        while start < submissions.count {
            let end = packing.end(from: start, in: submissions)
            let members = submissions[start..<end]
            if submissions[start].group != 0 {
                units.append(.group(members, members.map(\.entry)))
            } else if members.count > 1 {
                units.append(.pack(Pack(members.map(\.record)), members))
            } else {
                units.append(.one(submissions[start], submissions[start].entry))
            }
            start = end
        }
        return units
    }

    /// The caller has gone: nobody needs the answer, and a record that still waits need not be
    /// written.
    package func cancel(_ ticket: Ticket) {
        state.withLock { $0.cancel(ticket) }
    }
}
