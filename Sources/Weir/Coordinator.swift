import Dispatch
package import Logging
import Synchronization
package import WeirCore
package import WeirRecord

/// The shell round the machine: one lock, the waiters of each record, the writers that wait for
/// work.
///
/// Decisions are made under the lock; waiters are told, writers woken and lines logged after it.
package final class Coordinator: Sendable {
    /// A record on its way, with who waits for it.
    package struct Submission: Sendable {
        package let record: Record
        package let waiter: any Waiter
        /// The waiter's own number for the record.
        package let index: Int
        package let deadline: Timestamp
        /// Records of one call with equal numbers commit together; 0 is no group.
        package var group = 0

        package init(
            record: Record, waiter: any Waiter, index: Int, deadline: Timestamp, group: Int = 0
        ) {
            self.record = record
            self.waiter = waiter
            self.index = index
            self.deadline = deadline
            self.group = group
        }
    }

    /// What a ticket stands for, and how far it has come.
    struct Held {
        let ticket: Ticket
        let parcel: Parcel
        /// Its caller has been answered, or has left, and the record goes on.
        var isAnswered = false
        /// Its caller has been answered.
        var isTold = false
        /// How it ended has been written down since.
        var isWritten = false
        /// The last attempt.
        var mark: BatchMark?
        /// Why it is to be a dead letter. In a box: hardly any record has one.
        var refusal: Refusal?

        final class Refusal: Sendable {
            let error: DatabaseError
            /// Attempts to write the record, the one that it was refused in being the last.
            let attempts: Int

            init(_ error: DatabaseError, attempts: Int) {
                self.error = error
                self.attempts = attempts
            }
        }
    }

    struct State {
        var machine: Machine
        let ids: IDGenerator
        let time: any TimeSource
        /// By the ticket's slot.
        var held: [Held?] = []
        /// Some of those are held for nobody's answer.
        var holdsAnswered = false
        /// Writers that wait for a task.
        var isParked: [Bool]
        /// What a writer was woken for.
        var tasks: [WriterTask?]
        /// A batch that was handed to a writer while it did something else.
        var pending: [WriteBatch?]
        var assignedAt: [Timestamp]
        var inline: InlineWriting
        /// What messages were told that committed lately.
        var window: ReplayWindow<FirstResult>
        var connections: ConnectionMarks
        /// What is to be found out of batches whose COMMIT was not answered. The core keeps each of
        /// them until that is known.
        var unresolved: [BatchNumber: Unresolved] = [:]
        var metrics = Metrics()
        var groupSerial = 0
        var armed = Timestamp.distantFuture
        var nextCheck = Timestamp.zero
        var catalogWatch = CatalogWatch()
        /// What became of messages that have ended.
        var history: HistoryRing
        var retryReasons = RetryReasons()
        var lookUps = LookUps()
        var desk = DeadLetterDesk()
        /// For each writer what it was given last.
        var running: [[Ticket]]
        var drainWaiters: [CheckedContinuation<Void, Never>] = []
        var startWaiters: [CheckedContinuation<Void, Never>] = []
        /// The first attempt to reach the database is over, whatever came of it.
        var hasStarted = false
        /// The listener accepts.
        var isAccepting = false
        var isDrained = false
        var isStopping = false
        var budget: Int
        var lastFailure: String?
    }

    let state: Mutex<State>
    package let time: any TimeSource
    package let catalogStore = CatalogStore()
    package let ids: IDGenerator
    package let name: GatewayName
    let logger: Logger
    let seed: UInt64
    let packing: Packing
    /// One for each writer, to wait for its next task.
    private let wakeUps: [DispatchSemaphore]
    private let alarm = Mutex(Alarm())
    /// How often idle connections and the catalog are looked at.
    static let checkInterval = Nanoseconds.seconds(1)

    /// - Parameter replayRecordsMax: messages that are remembered after they committed; they are
    ///   told only once a writer is `connected`.
    package init(
        machine configuration: Machine.Configuration, time: any TimeSource,
        ids: IDGenerator = IDGenerator(), replayRecordsMax: Int = Coordinator.replayRecordsMax,
        historyMax: Int = HistoryRing.entriesMax, name: GatewayName = GatewayName(), logger: Logger
    ) {
        let writers = configuration.writersMax
        state = Mutex(
            State(
                machine: Machine(configuration), ids: ids, time: time,
                isParked: Array(repeating: false, count: writers),
                tasks: Array(repeating: nil, count: writers),
                pending: Array(repeating: nil, count: writers),
                assignedAt: Array(repeating: .zero, count: writers),
                inline: InlineWriting(writers: writers),
                window: ReplayWindow(recordsMax: replayRecordsMax),
                connections: ConnectionMarks(writers: writers),
                history: HistoryRing(entriesMax: historyMax),
                running: Array(repeating: [], count: writers), budget: writers))
        wakeUps = (0..<writers).map { _ in DispatchSemaphore(value: 0) }
        self.time = time
        self.ids = ids
        self.name = name
        self.logger = logger
        seed = configuration.seed
        packing = Packing(configuration)
        alarm.withLock { $0.timer = time.makeTimer { [weak self] in self?.timerFired() } }
    }

    // MARK: Writers

    /// What the writer is to do next. Blocks the writer's own thread until there is something: a
    /// continuation comes back by way of the global pool, which costs two thread switches more and
    /// 60 µs.
    func nextTask(for writer: WriterID) -> WriterTask {
        while true {
            if let task = takeTask(writer) { return task }
            // Bounded by the check that wakes every parked writer once a second.
            wakeUps[writer.number].wait()
        }
    }

    /// As above, without waiting: `nil` when there is nothing to do, and the writer is to be woken.
    package func takeTask(_ writer: WriterID) -> WriterTask? {
        state.withLock { state in
            let task = state.takeTask(writer, now: time.now)
            state.isParked[writer.number] = task == nil
            return task
        }
    }

    /// - Parameter waiter: who is told his answer by being returned it.
    @discardableResult
    package func finished(
        _ writer: WriterID, _ batch: WriteBatch, _ report: BatchReport,
        here waiter: (any Waiter)? = nil
    ) -> Answer? {
        let now = time.now
        let actions = act(now) { state, actions in
            actions.waiterHere = waiter
            return state.finished(writer, batch, report, now: now, &actions)
        }
        logInquiry(batch, report)
        if batch.work == .deadLetter { logDeadLetter(batch, report) }
        if let error = report.error, report.outcome != .recordError(culprit: nil) {
            logger.debug(
                "a batch failed",
                metadata: ["sqlstate": "\(error.sqlstate)", "records": "\(batch.records.count)"])
        }
        return actions.answerHere
    }

    private func logInquiry(_ batch: WriteBatch, _ report: BatchReport) {
        let (level, message): (Logger.Level, Logger.Message)
        switch (batch.work, report.finding) {
        case (.resolve, .committed):
            (level, message) = (.info, "found out: the batch had committed")
        case (.resolve, .lost): (level, message) = (.info, "found out: the batch had not committed")
        case (.resolve, .forgotten):
            level = .error
            message = """
                whether the batch had committed cannot be found out any more: its marker has been \
                dropped, as two periods of replay.window have begun since
                """
        case (.resolve, nil): return
        case (.write, _), (.deadLetter, _):
            guard report.outcome == .unknown else { return }
            level = .warning
            message =
                report.unresolved == nil
                ? "COMMIT was not answered, and whether it took effect cannot be found out"
                : "COMMIT was not answered; finding out whether it took effect"
        }
        logger.log(
            level: level, message,
            metadata: [
                "batch": "\(batch.number.number)", "records": "\(batch.records.count)",
                "attempt": "\(batch.attempt)",
            ])
    }

    private func logDeadLetter(_ batch: WriteBatch, _ report: BatchReport) {
        switch report.outcome {
        case .recordError, .tableFault:
            logger.warning(
                "a record was refused and could not be kept with the dead letters",
                metadata: [
                    "table": "\(batch.records.first?.table.publicName ?? "")",
                    "sqlstate": "\(report.error?.sqlstate ?? "")",
                ])
        default: break
        }
    }

    /// The one timer, and what it is set for. Steps set it after they have given up the lock, in
    /// any order: an earlier time stays until it has come.
    private struct Alarm {
        var timer: (any DeadlineTimer)?
        var due = Timestamp.distantFuture

        mutating func set(_ time: Timestamp) {
            guard time < due else { return }
            due = time
            timer?.schedule(at: time)
        }
    }

    private func timerFired() {
        alarm.withLock { $0.due = .distantFuture }
        let now = time.now
        act(now) { state, actions in
            state.armed = .distantFuture
            if state.nextCheck <= now { state.check(now: now, catalogStore.catalog, &actions) }
            return state.machine.timerFired(now: now)
        }
    }

    // MARK: Acting

    /// What is to be done once the lock is released.
    struct Actions {
        var receipt: BatchReceipt?
        var report: BatchReport?
        /// What the database had said of the record that was to become a dead letter.
        var refusal: DatabaseError?
        var answers: [Answer] = []
        /// Who takes his answer from whoever takes this step.
        var waiterHere: (any Waiter)?
        /// That answer, if there is one.
        var answerHere: Answer?
        var wakes: [Int] = []
        /// Whoever takes this step may write the batch that follows from it.
        var mayWriteInline = false
        /// Then that batch, if there is one.
        var turn: InlineTurn?
        var drained: [CheckedContinuation<Void, Never>] = []
        var pausedTables: [TableID] = []
        /// Who waited for the catalog, and what they are told.
        var confirmed: [(waiter: CatalogWatch.Waiter, failure: Failure?)] = []
        var alarm: Timestamp?
        /// Who is told what became of a message.
        var told: [@Sendable () -> Void] = []
        var logs: HistoryLog
    }

    /// Its task is set.
    func wake(_ writer: Int) { wakeUps[writer].signal() }

    /// Takes one step of the machine under the lock, then does what follows from it.
    @discardableResult
    func act(
        _ now: Timestamp, _ step: (inout State, inout Actions) -> Effects
    ) -> Actions {
        var actions = Actions(logs: HistoryLog(logger.logLevel))
        state.withLock { state in
            let effects = step(&state, &actions)
            state.apply(effects, now: now, &actions)
        }
        for writer in actions.wakes { wake(writer) }
        if let waiter = actions.waiterHere,
            let place = actions.answers.firstIndex(where: { $0.waiter === waiter })
        {
            actions.answerHere = actions.answers.remove(at: place)
        }
        deliver(actions.answers)
        for waiter in actions.drained { waiter.resume() }
        if let due = actions.alarm { alarm.withLock { $0.set(due) } }
        for (waiter, failure) in actions.confirmed { waiter.resume(failure) }
        for tell in actions.told { tell() }
        actions.logs.write(to: logger, ids)
        for table in actions.pausedTables {
            // A definition that is no longer in force is refused without a word.
            let paused = catalogStore.catalog?.found.first { $0.id == table }
            guard let paused else { continue }
            logger.warning(
                "table paused: it cannot be written at present",
                metadata: ["table": "\(paused.publicName)"])
        }
        return actions
    }

    /// One call for each mailbox.
    private func deliver(_ answers: [Answer]) {
        guard let first = answers.first else { return }
        let mailbox = first.waiter.mailbox
        let isShared = answers.allSatisfy {
            $0.waiter === first.waiter || $0.waiter.mailbox === mailbox
        }
        if isShared { return mailbox.deliver(answers) }
        var rest = answers[...]
        while let next = rest.first?.waiter.mailbox {
            next.deliver(rest.filter { $0.waiter.mailbox === next })
            rest = rest.filter { $0.waiter.mailbox !== next }[...]
        }
    }
}
