import Synchronization
import WeirCore

/// A batch of one record, which the thread that brought the record may write itself
/// (docs/decisions/0004-writers-block.md).
package struct InlineTurn: Sendable {
    let writer: WriterID
}

/// Which writers lend themselves to that, and whether it pays.
struct InlineWriting: Sendable {
    /// What takes longer is left to the writer's own thread.
    static let waitMax = Nanoseconds.milliseconds(1)

    private var writers: [(any BatchWriter)?]
    /// The last record that was written alone was answered within `waitMax`.
    private(set) var isQuick = false

    init(writers: Int) {
        self.writers = Array(repeating: nil, count: writers)
    }

    mutating func add(_ id: WriterID, _ writer: (any BatchWriter)?) { writers[id.number] = writer }
    mutating func remove(_ id: WriterID) { writers[id.number] = nil }
    func writer(_ id: WriterID) -> (any BatchWriter)? { writers[id.number] }

    mutating func note(_ report: BatchReport, of batch: WriteBatch) {
        guard batch.work == .write, batch.records.count == 1 else { return }
        isQuick = report.outcome == .committed && report.databaseTime <= Self.waitMax
    }
}

extension Coordinator {
    /// Writes the batch on this thread: for `InlineWriting.waitMax` at most, and unless it commits
    /// then the writer's own thread goes on with it.
    ///
    /// - Returns: the answer that `waiter` is owed, if it is known. Nobody else is told it; and
    ///   once it has been passed on the turn has to be given back.
    package func take(_ turn: InlineTurn, for waiter: any Waiter) -> Answer? {
        let number = turn.writer.number
        guard let (batch, writer) = state.withLock({ $0.begin(turn) }) else {
            decline(turn)
            return nil
        }
        guard let report = writer.writeInline(batch, within: InlineWriting.waitMax) else {
            state.withLock { $0.tasks[number] = .goOn(batch) }
            wake(number)
            return nil
        }
        let answer = finished(turn.writer, batch, report, here: waiter)
        if answer == nil { giveBack(turn) }
        return answer
    }

    /// The writer waits again, unless there is more to do.
    package func giveBack(_ turn: InlineTurn) {
        let number = turn.writer.number
        let hasTask = state.withLock { state in
            let task = state.takeTask(turn.writer, now: time.now)
            state.tasks[number] = task
            state.isParked[number] = task == nil
            return task != nil
        }
        if hasTask { wake(number) }
    }

    /// Leaves the batch to the writer's own thread.
    package func decline(_ turn: InlineTurn) { wake(turn.writer.number) }
}

extension Coordinator.State {
    /// A writer that was to be woken for one record and nothing else is not, where the step's
    /// caller may do its work.
    mutating func grantTurn(_ actions: inout Coordinator.Actions) {
        guard inline.isQuick, actions.wakes.count == 1, let number = actions.wakes.first,
            case .write(let batch)? = tasks[number], batch.records.count == 1,
            inline.writer(WriterID(number)) != nil
        else { return }
        actions.wakes = []
        actions.turn = InlineTurn(writer: WriterID(number))
    }

    /// The writer's task, unless its own thread has to have a look first.
    fileprivate mutating func begin(_ turn: InlineTurn) -> (WriteBatch, any BatchWriter)? {
        let number = turn.writer.number
        guard case .write(let batch)? = tasks[number], let writer = inline.writer(turn.writer),
            !connections.isOutdated(turn.writer)
        else { return nil }
        tasks[number] = nil
        return (batch, writer)
    }
}
