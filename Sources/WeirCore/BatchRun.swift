/// One batch from the queue until all its records are settled: the attempt in hand, and the pieces
/// that stand behind it after a halving. Its lanes stay busy until the last piece is settled, so
/// nothing of its keys overtakes it.
struct BatchRun: Sendable {
    /// Records that go in an attempt of their own.
    struct Piece: Sendable {
        var slots: [Int]
        /// Attempts that failed before it was cut out of them.
        var failures = 0
        /// The database seemed to speak of it when an attempt failed.
        var isSuspect = false
    }

    let number: BatchNumber
    var lanes: [Int32]
    /// The slots of the attempt in hand; those of one key are in admission order.
    var current: [Int]
    var failures = 0
    var isSuspect = false
    /// Pieces that come after it, the next one last.
    var pieces: [Piece] = []
    /// A suspicion was wrong: from now on they are not listened to.
    var isMisled = false
    var attempt = 1
    /// Repeat the attempt with one record per statement.
    var isIsolated = false
    /// What an attempt is for: to write its records, or to keep them as dead letters.
    var purpose = BatchWork.write
    /// How often somebody was to find out whether the attempt in hand committed; 0 when that is
    /// known.
    var inquiries = 0
    /// When the next attempt may start.
    var due = Timestamp.zero
    /// When the attempt in hand was handed out.
    var startedAt = Timestamp.zero
    var isLarge = false
    /// It writes a table that another session had locked.
    var lockedTable: TableID?
    /// It has not been tried yet, and what else comes for its table joins it.
    var isGathering = false
    /// What it holds then, or held.
    var gathered = (records: 0, bytes: 0)

    init(number: BatchNumber, lanes: [Int32], current: [Int]) {
        self.number = number
        self.lanes = lanes
        self.current = current
    }

    var work: BatchWork { inquiries > 0 ? .resolve : purpose }

    /// All its records that are not settled.
    var members: [Int] { current + pieces.flatMap(\.slots) }

    /// Makes the next piece the current one. False when there is none.
    mutating func advance() -> Bool {
        attempt = 1
        isIsolated = false
        purpose = .write
        inquiries = 0
        let next = pieces.popLast() ?? Piece(slots: [])
        current = next.slots
        failures = next.failures
        isSuspect = next.isSuspect
        return !current.isEmpty
    }

    /// Halves the attempt at `middle`: the left half runs to its end before the right one starts.
    mutating func halve(at middle: Int) {
        precondition(middle > 0 && middle < current.count, "a half is neither nothing nor all")
        failures += 1
        pieces.append(Piece(slots: Array(current[middle...]), failures: failures))
        current.removeSubrange(middle...)
        attempt = 1
        isSuspect = false
    }

    /// Puts a suspect behind the rest of the attempt, and what must come after it behind that. Any
    /// but the suspect may be nothing.
    mutating func setAside(_ suspect: [Int], before followers: [Int], after rest: [Int]) {
        if !followers.isEmpty { pieces.append(Piece(slots: followers, failures: failures)) }
        pieces.append(Piece(slots: suspect, failures: failures, isSuspect: true))
        if rest.isEmpty {
            _ = advance()
        } else {
            failures += 1
            current = rest
            attempt = 1
            isSuspect = false
        }
    }

    /// Removes records that are not to be tried again, from the attempt and from what stands behind
    /// it.
    mutating func removeAll(where isGone: (Int) -> Bool) {
        current.removeAll(where: isGone)
        for index in pieces.indices { pieces[index].slots.removeAll(where: isGone) }
        pieces.removeAll(where: \.slots.isEmpty)
    }
}
