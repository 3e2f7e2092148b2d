import NIOCore
import NIOHTTP1
import Weir
import WeirCore
import WeirRecord

// From a whole request to the records it brings.
extension ConnectionHandler {
    func handle(_ exchange: Exchange, _ body: ByteBuffer) {
        open(exchange)
        if let defect = exchange.request.defect { return refuse(exchange, Failure(defect)) }
        perform(exchange, body)
    }

    private func perform(_ exchange: Exchange, _ body: ByteBuffer) {
        do {
            let method = exchange.request.isHeadRequest ? .GET : exchange.method
            switch try route(method, exchange.target) {
            case .insert(let table):
                try insert(exchange, table, body)
            case .write(let operation, let table, let key):
                try writeOne(exchange, table, operation, key: key, body)
            case .bulk:
                try startMany(exchange, .bulk, body)
            case .tables:
                answer(exchange, TableDescription.list(plane))
            case .table(let name):
                answer(exchange, TableDescription.json(try plane.table(name), plane))
            case .message(let id):
                tellHistory(exchange, id)
            case .openAPI:
                answer(exchange, OpenAPI.document(version: plane.configuration.version))
            }
        } catch let failure as Failure {
            refuse(exchange, failure, unlessChanged: body)
        } catch let defect as Defect {
            refuse(exchange, Failure(defect), unlessChanged: body)
        } catch let routing as RouteFailure {
            refuse(exchange, routing)
        } catch {
            preconditionFailure("only these are thrown here: \(error)")
        }
    }

    /// Bytes: each of thousands of connections may keep one.
    private static let rememberedTargetMax = 256

    private func route(_ method: HTTPMethod, _ target: String) throws(RouteFailure) -> Route {
        if let lastRoute, lastRoute.target == target, lastRoute.method == method {
            return lastRoute.route
        }
        let route = try Route(method, target)
        if target.utf8.count <= Self.rememberedTargetMax { lastRoute = (method, target, route) }
        return route
    }

    /// Refuses the request, unless the table has changed meanwhile so that it is right now.
    private func refuse(
        _ exchange: Exchange, _ failure: Failure, unlessChanged body: ByteBuffer
    ) {
        guard failure.code.dependsOnDefinition, !exchange.isCatalogConfirmed else {
            return refuse(exchange, failure, unlessCommitted: body)
        }
        confirmCatalog(for: exchange) { connection, trouble in
            if let trouble { return connection.refuse(exchange, trouble) }
            connection.perform(exchange, body)
        }
    }

    /// Goes on with `body` on this event loop once the catalog has been looked at, if somebody
    /// still waits for the exchange's answer.
    func confirmCatalog(
        for exchange: Exchange, _ body: @escaping (ConnectionHandler, Failure?) -> Void
    ) {
        guard let eventLoop else { return }
        exchange.isCatalogConfirmed = true
        let this = NIOLoopBound((self, exchange, body), eventLoop: eventLoop)
        plane.coordinator.confirmCatalog(by: plane.deadline(exchange.request.timeout)) { trouble in
            eventLoop.execute {
                let (connection, exchange, body) = this.value
                guard connection.exchanges.contains(where: { $0 === exchange }) else { return }
                body(connection, trouble)
                connection.flush()
            }
        }
    }

    /// Answers what is known of a message.
    private func tellHistory(_ exchange: Exchange, _ id: String) {
        guard let eventLoop else { return }
        let this = NIOLoopBound((self, exchange), eventLoop: eventLoop)
        plane.coordinator.history(of: id, by: plane.deadline(exchange.request.timeout)) { result in
            eventLoop.execute {
                let (connection, exchange) = this.value
                guard connection.exchanges.contains(where: { $0 === exchange }) else { return }
                switch result {
                case .success(let history?):
                    var body: [UInt8] = []
                    history.appendJSON(id: id, to: &body)
                    connection.answer(exchange, body)
                case .success(nil):
                    connection.refuse(
                        exchange, Failure(.notFound, "nothing is known of a message with this ID"))
                case .failure(let failure):
                    connection.refuse(exchange, failure)
                }
                connection.flush()
            }
        }
    }

    /// Its answer is due after those of the exchanges before it.
    func open(_ exchange: Exchange) {
        exchangeCount += 1
        exchanges.append(exchange)
        if !exchange.isKeepAlive { reading = .closed }
    }

    private func insert(_ exchange: Exchange, _ table: String, _ body: ByteBuffer) throws {
        let span = body.readableBytesUInt8Span
        var cursor = JSONCursor(0..<span.count)
        switch exchange.request.mediaType {
        case .json where cursor.peek(span) != UInt8(ascii: "["):
            try writeOne(exchange, table, .insert, key: nil, body)
        case .json, .ndjson, .csv:
            let schema = try plane.table(table)
            let options = try plane.options(.insert, exchange.request.preferences, schema)
            try startMany(exchange, .table(schema, options), body)
        case .other:
            throw unsupported
        }
    }

    private var unsupported: Failure {
        Failure(
            .unsupportedMediaType,
            "send application/json, application/x-ndjson or text/csv, in UTF-8, "
                + "and say so in Content-Type"
        )
    }

    /// The hot path: one record, from its bytes to the coordinator.
    private func writeOne(
        _ exchange: Exchange, _ table: String, _ operation: WeirRecord.Operation,
        key: [[UInt8]]?, _ body: ByteBuffer
    ) throws {
        let request = exchange.request
        let schema = try plane.table(table)
        let options = try plane.options(operation, request.preferences, schema)
        let span = body.readableBytesUInt8Span
        guard span.count <= plane.configuration.recordByteCountMax else {
            throw Failure(
                .bodyTooLarge,
                "the record is larger than \(plane.configuration.recordByteCountMax) bytes")
        }
        var decoder = RecordDecoder(table: schema, options: options, expectedByteCount: span.count)
        if let key { try decoder.takePathKey(key) }
        if options.operation != .delete {
            guard request.mediaType == .json else { throw unsupported }
            var cursor = JSONCursor(0..<span.count)
            try decoder.takeObject(&cursor, span)
            try cursor.expectEnd(span)
        }
        var envelope = Envelope(messageID: request.messageID, orderKey: request.orderKey)
        if envelope.messageID != nil {
            envelope.origin = exchange.origin
            envelope.fingerprint = try Fingerprint.ofRequest(
                schema, operation, request.preferences, key: key, span)
        }
        if schema.policy.onReject == .deadLetter {
            var bytes: [UInt8] = []
            bytes.append(span, 0..<span.count)
            envelope.source = RecordSource(.record, bytes)
        }
        let record = try decoder.finish(envelope, minting: plane.mint())
        guard let waiter else { return }
        let submission = Coordinator.Submission(
            record: record, waiter: waiter, index: Answer.index(exchange: exchange.number, item: 0),
            deadline: plane.deadline(request.timeout))
        guard loop.hasOneConnection && exchanges.count == 1 else {
            return loop.gather(
                GatheredRecord(submission: submission, exchange: exchange, connection: self))
        }
        let (result, turn) = plane.coordinator.submit(alone: submission, from: exchange.origin)
        if let turn {
            if let other = takeTurn() { plane.coordinator.decline(other) }
            self.turn = turn
        }
        switch result {
        case .success(let ticket): exchange.state = .record(ticket)
        case .failure(let failure): refuse(exchange, failure)
        }
    }

    private func startMany(
        _ exchange: Exchange, _ target: ManyRecords.Target, _ body: ByteBuffer
    ) throws {
        guard exchange.request.mediaType != .other else { throw unsupported }
        guard let waiter else { return }
        let many = try ManyRecords(
            exchange: exchange, target: target, body: body, plane: plane, waiter: waiter)
        exchange.state = .many(many)
        many.start(on: self)
    }
}
