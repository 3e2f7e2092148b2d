/// One batch from the queue until all its records are settled: the attempt in hand, and the pieces
/// that stand behind it after a halving. Its lanes stay busy until the last piece is settled, so
/// nothing of its keys overtakes it.
struct BatchRun: Sendable {
    let number: BatchNumber
    let lanes: [Int32]
    /// The slots of the attempt in hand; those of one key are in admission order.
    var current: [Int]
    /// Halves that come after it, the next one last.
    var pieces: [[Int]] = []
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
    var reason = TransientReason.other

    var work: BatchWork { inquiries > 0 ? .resolve : purpose }

    /// Makes the next piece the current one. False when there is none.
    mutating func advance() -> Bool {
        attempt = 1
        isIsolated = false
        purpose = .write
        inquiries = 0
        current = pieces.popLast() ?? []
        return !current.isEmpty
    }

    /// Halves the attempt at `middle`: the left half runs to its end before the right one starts.
    mutating func halve(at middle: Int) {
        precondition(middle > 0 && middle < current.count, "a half is neither nothing nor all")
        pieces.append(Array(current[middle...]))
        current.removeSubrange(middle...)
        attempt = 1
    }

    /// Removes records that are not to be tried again, from the attempt and from what stands behind
    /// it.
    mutating func removeAll(where isGone: (Int) -> Bool) {
        current.removeAll(where: isGone)
        for index in pieces.indices { pieces[index].removeAll(where: isGone) }
        pieces.removeAll(where: \.isEmpty)
    }

    var isFinished: Bool { current.isEmpty && pieces.isEmpty }
}
