import NIOCore
import NIOHTTP1
import Weir
import WeirCore
import WeirRecord

// A record that its table refuses now may have committed when the table was another one. Whoever
// sends it again is told that.
extension ConnectionHandler {
    /// Refuses the request, unless it carries one message, which has committed.
    func refuse(_ exchange: Exchange, _ failure: Failure, unlessCommitted body: ByteBuffer) {
        guard failure.code.mayFollowCommit, let message = message(of: exchange, body) else {
            return refuse(exchange, failure)
        }
        recall([message], for: exchange) { connection, found in
            switch found[0] {
            case .nothing: connection.refuse(exchange, failure)
            case .committed(let result): connection.finish(exchange, result, message.id)
            case .failed(var other):
                other.table = failure.table
                connection.refuse(exchange, other, messageID: message.id)
            }
        }
    }

    /// Goes on with `body` on this event loop once it is known what became of the messages, in
    /// their order, if somebody still waits for the exchange's answer.
    func recall(
        _ messages: [Message], for exchange: Exchange,
        _ body: @escaping (ConnectionHandler, [Recollection]) -> Void
    ) {
        guard let eventLoop else { return }
        let this = NIOLoopBound((self, exchange, body), eventLoop: eventLoop)
        plane.coordinator.recall(messages.map(\.key), by: plane.deadline(exchange.request.timeout))
        { found in
            eventLoop.execute {
                let (connection, exchange, body) = this.value
                guard connection.exchanges.contains(where: { $0 === exchange }) else { return }
                body(connection, found)
                connection.flush()
            }
        }
    }

    private func finish(_ exchange: Exchange, _ result: RowResult, _ messageID: String) {
        withText { text in
            text.beginBody()
            guard !exchange.request.preferences.isMinimal else { return }
            text.body.appendStored(
                result, nil, messageID: messageID, minted: plane.mint(), record: nil)
        }
        var head = exchange.head(exchange.request.preferences.isMinimal ? 204 : 200)
        head.preferenceApplied = exchange.request.preferences.applied
        head.isReplay = true
        complete(exchange, head)
    }

    /// The message of a request that carries one, and can be read as far as that.
    private func message(of exchange: Exchange, _ body: ByteBuffer) -> Message? {
        let request = exchange.request
        guard let id = request.messageID, !request.preferences.isDryRun,
            let route = try? Route(exchange.method, exchange.target)
        else { return nil }
        let name: String
        let operation: WeirRecord.Operation
        var key: [[UInt8]]?
        switch route {
        case .insert(let table): (name, operation) = (table, .insert)
        case .write(let asked, let table, let parts): (name, operation, key) = (table, asked, parts)
        default: return nil
        }
        let span = body.readableBytesUInt8Span
        guard let table = try? plane.table(name),
            let fingerprint = try? Fingerprint.ofRequest(
                table, operation, request.preferences, key: key, span)
        else { return nil }
        return Message(id, fingerprint: fingerprint)
    }
}
