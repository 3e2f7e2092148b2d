import NIOCore
import Weir
import WeirCore

/// What the connections of one event loop share: its mailbox, memory for answers, the records that
/// are handed over together, whose large request is decoded next, and one clock tick for all their
/// timeouts. Used on that event loop only.
final class LoopContext {
    let plane: DataPlane
    let mailbox: EventLoopMailbox
    var text: ResponseText
    private var connections: [ObjectIdentifier: ConnectionHandler] = [:]
    private var ticker: RepeatedTask?
    private let eventLoop: any EventLoop
    private var thread: LoopThread
    /// Records that have come since the loop looked for input last.
    private var gathered: [GatheredRecord] = []
    private var turns: DecodingTurns<ManyRecords>
    private var isDecoding = false
    private var isRetryPending = false
    private(set) var isDraining = false

    /// On the thread of `eventLoop`.
    init(plane: DataPlane, eventLoop: any EventLoop) {
        self.plane = plane
        self.eventLoop = eventLoop
        thread = LoopThread(now: plane.time.now)
        // Each loop has its share.
        let configuration = plane.configuration
        turns = DecodingTurns(
            windowMax: max(configuration.windowRecordsMax / configuration.threads, 1))
        mailbox = EventLoopMailbox(eventLoop)
        text = ResponseText(version: plane.configuration.version)
    }

    /// Starts the tick. Timeouts are checked once a second, for all connections: no timer is set
    /// and cancelled for each request.
    func start() {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        ticker = eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) {
            _ in
            bound.value.tick()
        }
    }

    func stop() {
        ticker?.cancel()
        ticker = nil
    }

    // MARK: Records

    /// Records that are handed over together at most: a writer that has nothing to do need not wait
    /// for all of the input.
    private static let gatheredMax = 16

    /// Hands the record over together with what other connections have brought meanwhile: a step
    /// of the coordinator costs more than the record does that is admitted in it.
    func gather(_ record: GatheredRecord) {
        gathered.append(record)
        guard gathered.count < Self.gatheredMax else { return handOver() }
        guard gathered.count == 1 else { return }
        // What is executed comes after all input that is there to be read.
        let this = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute { this.value.handOver() }
    }

    /// Hands over what has been gathered. What is to come after it calls this first.
    func handOver() {
        guard !gathered.isEmpty else { return }
        let records = gathered
        gathered.removeAll(keepingCapacity: true)
        let results = plane.coordinator.submit(
            each: records.map { ($0.submission, $0.exchange.origin) })
        for (record, result) in zip(records, results) {
            switch result {
            case .success(let ticket): record.exchange.state = .record(ticket)
            case .failure(let failure):
                record.connection.refuse(record.exchange, failure)
                record.connection.flush()
            }
        }
    }

    // MARK: Requests with many records

    /// - Returns: how many records it may bring at once, if it is its turn.
    @discardableResult
    func add(_ many: ManyRecords) -> Int? {
        turns.add(many)
        guard let next = turns.next(now: plane.time.now), next.request === many else { return nil }
        return next.room
    }

    func remove(_ many: ManyRecords) {
        turns.remove(many)
        decodeSoon()
    }

    /// Decodes more of the requests with many records, if there is room.
    func decodeSoon() {
        guard !isDecoding else { return }
        let now = plane.time.now
        guard turns.next(now: now) != nil else { return decodeLater(now: now) }
        isDecoding = true
        let this = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute {
            let loop = this.value
            loop.isDecoding = false
            if let (many, room) = loop.turns.next(now: loop.plane.time.now) { many.takeTurn(room) }
            loop.decodeSoon()
        }
    }

    private func decodeLater(now: Timestamp) {
        guard !isRetryPending, let time = turns.retryAt(now: now) else { return }
        isRetryPending = true
        let this = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: .nanoseconds(max((time - now).count, 0))) {
            this.value.isRetryPending = false
            this.value.decodeSoon()
        }
    }

    /// From now on each answer is its connection's last; idle connections close at once.
    func drain() {
        isDraining = true
        for connection in connections.values { connection.closeIfIdle() }
    }

    func add(_ connection: ConnectionHandler) {
        connections[ObjectIdentifier(connection)] = connection
    }

    /// Who holds up this event loop holds up nobody else.
    var hasOneConnection: Bool { connections.count == 1 }

    func remove(_ connection: ConnectionHandler) {
        connections[ObjectIdentifier(connection)] = nil
    }

    private func tick() {
        let now = plane.time.now
        for connection in connections.values { connection.checkTimeouts(now: now) }
        reviewThread(now: now)
    }

    /// Often while there is something to do, and once a second else.
    func reviewThread(now: Timestamp) { thread.review(now: now) }
}

/// A record that is to be handed over, and whose it is.
struct GatheredRecord {
    let submission: Coordinator.Submission
    let exchange: Exchange
    let connection: ConnectionHandler
}
