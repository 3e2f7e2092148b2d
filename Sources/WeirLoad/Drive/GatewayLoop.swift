import DequeModule
import NIOCore
import NIOPosix
import Weir
import WeirCore

/// The calls of one event loop: takes what is due from the schedule, and hands it to a connection.
/// Used on that event loop only.
final class GatewayLoop {
    private let job: Job
    private let address: ListenAddress
    private let connectionsMax: Int
    private let loop: any EventLoop
    var record: LoopRecord
    var encoder: RequestEncoder
    private var idle: [ClientConnection] = []
    private var connections: [ObjectIdentifier: ClientConnection] = [:]
    private var opening = 0
    /// Due, and without a connection so far.
    private var waiting = Deque<LoopRecord.Call>()
    private let done: EventLoopPromise<LoopRecord>
    private var isDone = false
    private var isTickSet = false
    private var lastSweep = Timestamp.zero
    private let time = SystemTime()

    /// How often the loop looks up without anything being due: for timeouts, and for an interrupt.
    private static let sweepEvery = Nanoseconds.milliseconds(100)
    /// Connections that stand ready before the start.
    private static let warmMax = 64

    init(
        _ job: Job, number: Int, address: ListenAddress, connectionsMax: Int, loop: any EventLoop
    ) {
        self.job = job
        self.address = address
        self.connectionsMax = connectionsMax
        self.loop = loop
        record = LoopRecord(job, number: number)
        encoder = RequestEncoder(
            job.templates, host: address.hostField, messageIDs: job.plan.usesMessageIDs)
        done = loop.makePromise()
    }

    var timeout: Nanoseconds { job.plan.timeout }

    // MARK: Lifetime

    /// Opens the first connections; fails when nobody listens.
    func warmUp() -> EventLoopFuture<Void> {
        let wanted = job.plan.isClosed ? callers(phase: 0) : Self.warmMax
        let count = max(1, min(wanted, connectionsMax))
        return EventLoopFuture.andAllSucceed((0..<count).map { _ in open() }, on: loop)
    }

    private func callers(phase: Int) -> Int { record.closedCallers(phase: phase) }

    func run() -> EventLoopFuture<LoopRecord> {
        if job.plan.isClosed {
            let now = time.now
            let start = max(Int64(0), (job.start - now).count)
            let bound = NIOLoopBound(self, eventLoop: loop)
            loop.scheduleTask(in: .nanoseconds(start)) { bound.value.beginClosed() }
        }
        tick()
        return done.futureResult
    }

    /// Each caller of the closed loop makes its first call.
    private func beginClosed() {
        let now = time.now
        for _ in 0..<callers(phase: job.plan.phase(at: now - job.start)) { nextClosed(now) }
    }

    private func nextClosed(_ now: Timestamp) {
        if let call = closedCall(now) { dispatch(call, now) }
    }

    private func closedCall(_ now: Timestamp) -> LoopRecord.Call? {
        let phase = job.plan.phase(at: now - job.start)
        guard record.inFlight + waiting.count < callers(phase: phase) else { return nil }
        return record.takeClosed(now)
    }

    // MARK: Ticks

    private func tick() {
        isTickSet = false
        guard !isDone else { return }
        var now = time.now
        if !job.isInterrupted {
            while let call = record.takeDue(now) {
                dispatch(call, now)
                now = time.now
            }
        }
        if now - lastSweep >= Self.sweepEvery {
            lastSweep = now
            sweep(now)
        }
        if isOver(now) { return finish() }
        setTick(now)
    }

    private func setTick(_ now: Timestamp) {
        guard !isTickSet else { return }
        isTickSet = true
        var wait = Self.sweepEvery
        if !job.isInterrupted, let due = record.nextDue { wait = min(wait, due - now) }
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: .nanoseconds(max(wait.count, 0))) { bound.value.tick() }
    }

    private func isOver(_ now: Timestamp) -> Bool {
        guard record.inFlight == 0 else { return false }
        if job.isInterrupted { return true }
        guard waiting.isEmpty else { return false }
        if job.plan.isClosed {
            return now - job.start >= job.plan.duration || record.isExhausted
        }
        return record.nextDue == nil
    }

    /// Gives up what has waited too long, and tells how far the run is.
    private func sweep(_ now: Timestamp) {
        for connection in Array(connections.values) { connection.checkTimeout(now) }
        while let call = waiting.first, now - call.intended > timeout {
            waiting.removeFirst()
            fail(call, Answer(.refused, code: "no connection in time"), now)
        }
        if job.plan.isClosed && now >= job.start {
            // A phase may have more callers than the one before.
            let missing = callers(phase: job.plan.phase(at: now - job.start)) - record.inFlight
            for _ in 0..<max(0, missing) { nextClosed(now) }
        }
        record.publish(now)
    }

    private func finish() {
        isDone = true
        for connection in Array(connections.values) { connection.close() }
        record.publish(time.now)
        done.succeed(record)
    }

    // MARK: Calls

    private func dispatch(_ call: LoopRecord.Call, _ now: Timestamp) {
        while let connection = idle.popLast() {
            if connection.isUsable { return send(call, on: connection, now) }
        }
        waiting.append(call)
        if connections.count + opening < connectionsMax {
            openAnother()
        } else {
            record.waitsForConnection(call)
        }
    }

    private func send(_ call: LoopRecord.Call, on connection: ClientConnection, _ now: Timestamp) {
        var call = call
        record.sent(&call, at: now)
        connection.send(call)
    }

    /// A call that never got to a connection.
    private func fail(_ call: LoopRecord.Call, _ answer: Answer, _ now: Timestamp) {
        var call = call
        record.sent(&call, at: now)
        record.finished(call, answer, at: now)
    }

    /// - Parameter connection: is free again; `nil` when the answer was its last.
    func answered(
        _ call: LoopRecord.Call, _ answer: Answer, by connection: ClientConnection?
    ) {
        guard let connection else { return finished(call, answer) }
        let now = time.now
        record.finished(call, answer, at: now)
        if let next = waiting.popFirst() {
            send(next, on: connection, now)
        } else if job.plan.isClosed, let next = closedCall(now) {
            send(next, on: connection, now)
        } else {
            idle.append(connection)
        }
        if isOver(now) { finish() }
    }

    /// Its connection is gone, or will be.
    func finished(_ call: LoopRecord.Call, _ answer: Answer) {
        let now = time.now
        record.finished(call, answer, at: now)
        if job.plan.isClosed { nextClosed(now) }
        if isOver(now) { finish() }
    }

    func isFree(_ connection: ClientConnection) {
        if let call = waiting.popFirst() {
            send(call, on: connection, time.now)
        } else {
            idle.append(connection)
        }
    }

    // MARK: Connections

    private func openAnother() {
        let bound = NIOLoopBound(self, eventLoop: loop)
        open().whenFailure { error in bound.value.couldNotOpen(error) }
    }

    private func couldNotOpen(_ error: any Error) {
        guard let call = waiting.popFirst() else { return }
        let now = time.now
        fail(call, Answer(.refused, code: "connection refused"), now)
        if isOver(now) { finish() }
    }

    private func open() -> EventLoopFuture<Void> {
        opening += 1
        let bound = NIOLoopBound(self, eventLoop: loop)
        let bootstrap = ClientBootstrap(group: loop).connectTimeout(.seconds(5))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let connection = ClientConnection(bound.value)
                    try channel.pipeline.syncOperations.addHandler(connection)
                }
            }
        let channel =
            switch address {
            case .unix(let path): bootstrap.connect(unixDomainSocketPath: path)
            case .tcp(let host, let port):
                bootstrap.channelOption(.tcpOption(.tcp_nodelay), value: 1)
                    .connect(host: host, port: port)
            }
        return channel.map { _ in }.always { _ in bound.value.opening -= 1 }
    }

    func opened(_ connection: ClientConnection) {
        connections[ObjectIdentifier(connection)] = connection
        if isDone { return connection.close() }
        isFree(connection)
    }

    func closed(_ connection: ClientConnection) {
        connections[ObjectIdentifier(connection)] = nil
        idle.removeAll { $0 === connection }
        // Whoever waits needs another one.
        if !isDone && waiting.count > opening && connections.count + opening < connectionsMax {
            openAnother()
        }
    }
}

extension ListenAddress {
    /// What the Host field says.
    fileprivate var hostField: String {
        switch self {
        case .tcp: text
        case .unix: "weir"
        }
    }
}
