import DequeModule
import Weir
import WeirCore
import WeirPostgres

/// The calls of one thread: many connections, one `poll`.
final class CallLoop {
    /// A connection and what is done on it.
    private final class Slot {
        var connection: CallConnection
        var call: LoopRecord.Call?
        var statements: [CallStatements.Statement] = []
        var next = 0
        var isInTransaction = false
        /// The code of the statement that failed; the transaction is being rolled back.
        var failure: String?

        init(_ connection: CallConnection) { self.connection = connection }
    }

    private let job: Job
    private let conninfo: Conninfo
    private let manner: DatabaseDriver.Manner
    private var encoder: CallStatements
    private var record: LoopRecord
    private var slots: [Slot] = []
    /// Of a pool: those that are free.
    private var free: [Slot] = []
    private var waiting = Deque<LoopRecord.Call>()
    private var missing = 0
    private var poll = SocketPoll()
    private let time = SystemTime()
    private static let sweepEvery = Nanoseconds.milliseconds(50)

    init(_ job: Job, number: Int, conninfo: Conninfo, manner: DatabaseDriver.Manner) {
        self.job = job
        self.conninfo = conninfo
        self.manner = manner
        encoder = CallStatements(job.templates)
        record = LoopRecord(job, number: number)
    }

    private var isPooled: Bool { if case .pool = manner { true } else { false } }

    // MARK: The pool

    /// Opens a pool's connections; a caller that connects for itself does so when it comes.
    func connect() throws {
        guard case .pool(let count) = manner else { return }
        for _ in 0..<count {
            let connection = try CallConnection(conninfo)
            let deadline = time.now + .seconds(10)
            while connection.state == .connecting && time.now < deadline {
                poll.removeAll()
                let (descriptor, forWriting) = connection.watched
                poll.add(descriptor, forWriting: forWriting)
                poll.wait(Self.sweepEvery)
                if case .lost(let state) = connection.advance() {
                    throw LoadRun.Failure(
                        .unreachable,
                        "connection \(free.count + 1) of the pool of \(count) was refused"
                            + (state.isEmpty ? "" : ": \(state)") + "; lower --pool")
                }
            }
            let slot = Slot(connection)
            slots.append(slot)
            free.append(slot)
        }
    }

    // MARK: Running

    func run() -> LoopRecord {
        var lastSweep = time.now
        wait(until: job.start)
        fillClosed(time.now)
        while true {
            var now = time.now
            if !job.isInterrupted {
                while let call = record.takeDue(now) {
                    begin(call, now)
                    now = time.now
                }
            }
            if now - lastSweep >= Self.sweepEvery {
                lastSweep = now
                sweep(now)
            }
            if isOver(now) { break }
            waitForSockets(now)
        }
        record.publish(time.now)
        slots.removeAll()
        free.removeAll()
        return record
    }

    private func wait(until start: Timestamp) {
        poll.removeAll()
        while time.now < start { poll.wait(start - time.now) }
    }

    private func isOver(_ now: Timestamp) -> Bool {
        guard record.inFlight == 0 else { return false }
        if job.isInterrupted { return true }
        if job.plan.isClosed {
            return now - job.start >= job.plan.duration || record.isExhausted
        }
        return record.nextDue == nil
    }

    private func waitForSockets(_ now: Timestamp) {
        poll.removeAll()
        for slot in slots {
            let (descriptor, forWriting) = slot.connection.watched
            poll.add(descriptor, forWriting: forWriting)
        }
        var span = Self.sweepEvery
        if !job.isInterrupted, let due = record.nextDue { span = min(span, due - now) }
        poll.wait(span)
        // A slot that ends meanwhile takes its place out of the list, not out of this one.
        let watched = slots
        for (index, slot) in watched.enumerated() where poll.isReady(index) { advance(slot) }
    }

    private func sweep(_ now: Timestamp) {
        for slot in slots {
            if let call = slot.call, now - call.intended > job.plan.timeout {
                give(up: slot, "timeout", now)
            }
        }
        for _ in 0..<missing {
            guard let connection = try? CallConnection(conninfo), connection.state != .closed else {
                continue
            }
            missing -= 1
            slots.append(Slot(connection))
        }
        fillClosed(now)
        record.publish(now)
    }

    /// Lets each caller of a closed loop that rests make its next call.
    private func fillClosed(_ now: Timestamp) {
        guard job.plan.isClosed, now >= job.start else { return }
        let wanted = record.closedCallers(phase: job.plan.phase(at: now - job.start))
        while record.inFlight < wanted, let call = record.takeClosed(now) { begin(call, now) }
    }

    // MARK: Calls

    /// The caller has it now: from here on it waits for the database, or for its pool.
    private func begin(_ call: LoopRecord.Call, _ now: Timestamp) {
        var call = call
        record.sent(&call, at: now)
        if isPooled {
            if let slot = free.popLast() { start(call, on: slot) } else { waiting.append(call) }
            return
        }
        guard let connection = try? CallConnection(conninfo) else {
            return record.finished(call, Answer(.refused, code: "connection refused"), at: now)
        }
        let slot = Slot(connection)
        slot.call = call
        slots.append(slot)
        if connection.state == .closed { advance(slot) }
    }

    private func start(_ call: LoopRecord.Call, on slot: Slot) {
        slot.call = call
        slot.statements = encoder.statements(call.message, isPoison: call.isPoison)
        slot.next = 0
        slot.isInTransaction = slot.statements.count > 1
        slot.failure = nil
        sendNext(slot)
    }

    private func sendNext(_ slot: Slot) {
        let statement = slot.statements[slot.next]
        slot.next += 1
        if !slot.connection.send(statement.sql, statement.parameters) { advance(slot) }
    }

    private func advance(_ slot: Slot) {
        let isConnecting = slot.connection.state == .connecting
        switch slot.connection.advance() {
        case .pending: break
        case .done:
            if isConnecting {
                if let call = slot.call ?? waiting.popFirst() {
                    start(call, on: slot)
                } else if isPooled {
                    free.append(slot)
                }
            } else if slot.failure != nil {
                // Rolled back.
                finish(slot, failed: slot.failure)
            } else if slot.next < slot.statements.count {
                sendNext(slot)
            } else {
                finish(slot, failed: nil)
            }
        case .failed(let sqlstate):
            if slot.isInTransaction && slot.failure == nil && slot.next < slot.statements.count {
                slot.failure = sqlstate
                if !slot.connection.send("ROLLBACK", []) { advance(slot) }
            } else {
                finish(slot, failed: slot.failure ?? sqlstate)
            }
        case .lost(let sqlstate):
            lost(slot, sqlstate, isConnecting: isConnecting)
        }
    }

    private func finish(_ slot: Slot, failed sqlstate: String?) {
        guard let call = slot.call else { return }
        let now = time.now
        slot.call = nil
        record.finished(call, Self.answer(sqlstate), at: now)
        if isPooled {
            if let next = waiting.popFirst() { start(next, on: slot) } else { free.append(slot) }
        } else {
            slots.removeAll { $0 === slot }
        }
        fillClosed(now)
    }

    static func answer(_ sqlstate: String?) -> Answer {
        guard let sqlstate else { return Answer(.acknowledged) }
        // Data and constraints are the record's fault; everything else may go well another time.
        let isRecord = sqlstate.hasPrefix("22") || sqlstate.hasPrefix("23")
        return Answer(isRecord ? .rejected : .refused, code: sqlstate)
    }

    /// The connection is gone, or never was.
    private func lost(_ slot: Slot, _ sqlstate: String, isConnecting: Bool) {
        let now = time.now
        if let call = slot.call {
            slot.call = nil
            // Before COMMIT nothing can have been written; a lone statement commits by itself.
            let isBefore = slot.isInTransaction && slot.next < slot.statements.count
            if isConnecting {
                let code = sqlstate.isEmpty ? "connection refused" : sqlstate
                record.finished(call, Answer(.refused, code: code), at: now)
            } else {
                let code = sqlstate.isEmpty ? "connection lost" : sqlstate
                record.finished(call, Answer(isBefore ? .refused : .unknown, code: code), at: now)
            }
        }
        replace(slot)
    }

    /// A pool opens another one in its place, at the next sweep: not at once, or a database that
    /// is away would be asked without end.
    private func replace(_ slot: Slot) {
        slots.removeAll { $0 === slot }
        free.removeAll { $0 === slot }
        if isPooled { missing += 1 }
    }

    private func give(up slot: Slot, _ code: String, _ now: Timestamp) {
        guard let call = slot.call else { return }
        slot.call = nil
        let isConnecting = slot.connection.state == .connecting
        let isBefore = slot.isInTransaction && slot.next < slot.statements.count
        record.finished(
            call, Answer(isConnecting || isBefore ? .refused : .unknown, code: code), at: now)
        replace(slot)
    }
}
