import NIOCore
import Weir

/// Brings answers to the connections of one event loop, any number of them in one hop.
final class EventLoopMailbox: Mailbox {
    private let eventLoop: any EventLoop

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    func deliver(_ answers: [Answer]) {
        eventLoop.execute {
            // Answers to one request mostly come together: its connection is looked up once for
            // them.
            var last: (waiter: any Waiter, connection: ConnectionHandler)?
            var touched: [ConnectionHandler] = []
            for answer in answers {
                if last?.waiter !== answer.waiter {
                    let connection = ConnectionWaiter.of(answer).value
                    last = (answer.waiter, connection)
                    touched.append(connection)
                }
                last?.connection.receive(answer)
            }
            for connection in touched { connection.flush() }
            if let last { last.connection.loop.reviewThread(now: last.connection.lastActivity) }
        }
    }
}

/// A connection, as the coordinator knows it.
final class ConnectionWaiter: Waiter {
    let mailbox: any Mailbox
    private let connection: NIOLoopBound<ConnectionHandler>

    init(_ connection: ConnectionHandler, mailbox: any Mailbox, eventLoop: any EventLoop) {
        self.mailbox = mailbox
        self.connection = NIOLoopBound(connection, eventLoop: eventLoop)
    }

    var value: ConnectionHandler { connection.value }

    static func of(_ answer: Answer) -> ConnectionWaiter {
        guard let waiter = answer.waiter as? ConnectionWaiter else {
            preconditionFailure("an answer went to somebody else's mailbox")
        }
        return waiter
    }
}
