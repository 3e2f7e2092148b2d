import NIOCore
import Weir
import WeirCore

/// What the connections of one event loop share: its mailbox, memory for answers, and one clock
/// tick for all their timeouts. Used on that event loop only.
final class LoopContext {
    let plane: DataPlane
    let mailbox: EventLoopMailbox
    var text: ResponseText
    private var connections: [ObjectIdentifier: ConnectionHandler] = [:]
    private var ticker: RepeatedTask?
    private(set) var isDraining = false

    init(plane: DataPlane, eventLoop: any EventLoop) {
        self.plane = plane
        mailbox = EventLoopMailbox(eventLoop)
        text = ResponseText(version: plane.configuration.version)
    }

    /// Starts the tick. Timeouts are checked once a second, for all connections: no timer is set
    /// and cancelled for each request.
    func start(_ eventLoop: any EventLoop) {
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
    }
}
