/// Who has committed, and who sees it: transaction numbers, the write-ahead log, snapshots.
package struct ModelTransactions: Sendable {
    enum State: UInt8, Sendable {
        case running
        case committed
        case aborted
    }

    /// What a statement sees: whatever had committed when it began.
    struct Snapshot: Sendable {
        let running: [Int]
        /// The first number that was not given yet.
        let end: Int
    }

    /// A version of a row that a transaction wrote.
    struct Write: Sendable {
        let table: Int
        let tuple: Int
    }

    /// By number: what each wrote, in order.
    private(set) var writes: [[Write]] = [[]]
    /// Those that have committed, in the order in which others saw it.
    private(set) var seen: [Int] = []
    /// By number. Number 0 is nobody.
    private(set) var states: [State] = [.aborted]
    /// Position of each commit record; 0 before it is written.
    private(set) var commits: [Int] = [0]
    private(set) var running: [Int] = []
    /// End of the write-ahead log, and how much of it a crash cannot take.
    private(set) var written = 0
    private(set) var durable = 0

    mutating func begin() -> Int {
        states.append(.running)
        commits.append(0)
        writes.append([])
        running.append(states.count - 1)
        return states.count - 1
    }

    mutating func log() {
        written += 1
    }

    mutating func note(_ write: Write, by xid: Int) {
        writes[xid].append(write)
    }

    mutating func writeCommit(_ xid: Int) {
        written += 1
        commits[xid] = written
    }

    mutating func flush(_ xid: Int) {
        durable = max(durable, commits[xid])
    }

    mutating func end(_ xid: Int, _ state: State) {
        states[xid] = state
        running.removeAll { $0 == xid }
        if state == .committed { seen.append(xid) }
    }

    var snapshot: Snapshot { Snapshot(running: running, end: states.count) }

    func sees(_ xid: Int, _ snapshot: Snapshot) -> Bool {
        states[xid] == .committed && xid < snapshot.end && !snapshot.running.contains(xid)
    }

    /// Whether `tuple` is a row to transaction `own` at this time.
    func sees(_ tuple: ModelTable.Tuple, _ snapshot: Snapshot, own: Int) -> Bool {
        let isMine = own != 0 && tuple.xmin == own
        guard isMine || sees(tuple.xmin, snapshot) else { return false }
        if tuple.xmax == 0 { return true }
        return !(own != 0 && tuple.xmax == own) && !sees(tuple.xmax, snapshot)
    }

    /// Whether this version of a row has committed and nothing committed has replaced it.
    func isCurrent(_ tuple: ModelTable.Tuple) -> Bool {
        states[tuple.xmin] == .committed && states[tuple.xmax] != .committed
    }

    /// The log ends at `position` and everything is read from it again: what had not got that far
    /// has never been.
    mutating func recover(to position: Int) {
        for xid in states.indices.dropFirst() {
            let isKept = commits[xid] > 0 && commits[xid] <= position
            if states[xid] == .aborted { continue }
            states[xid] = isKept ? .committed : .aborted
        }
        running = []
        written = position
        durable = position
        seen = states.indices.filter { states[$0] == .committed }
            .sorted { commits[$0] < commits[$1] }
    }
}
