import DequeModule
import NIOCore
import NIOHTTP1
import Weir
import WeirCore
import WeirRecord

// From the fate of records to bytes on the wire, in the order of the requests.
extension ConnectionHandler {
    /// An answer has come from the coordinator.
    func receive(_ answer: Answer) {
        guard let first = exchanges.first else { return }
        let place = answer.exchange - first.number
        guard exchanges.indices.contains(place) else { return }
        let exchange = exchanges[place]
        switch exchange.state {
        case .record: finish(exchange, answer)
        case .many(let many): many.receive(answer, on: self)
        case .ready, nil: break
        }
    }

    private func finish(_ exchange: Exchange, _ answer: Answer) {
        let record = answer.record
        guard case .stored(let result, let receipt) = answer.fate else {
            if case .failed(let failure) = answer.fate {
                refuse(
                    exchange, failure,
                    messageID: record.messageID ?? plane.nameToAsk(failure, answer.tick))
            }
            return
        }
        loop.text.beginBody()
        var head = exchange.head(result.effect == .inserted ? 201 : 200)
        if exchange.request.preferences.isMinimal {
            if head.status == 200 { head.status = 204 }
        } else {
            loop.text.body.appendStored(
                result, receipt, messageID: record.messageID,
                minted: plane.minted(answer.tick), record: record)
        }
        let inBatch = receipt.finishedAt - receipt.assignedAt
        head.timing = .init(
            queue: receipt.assignedAt - answer.admittedAt,
            batch: Nanoseconds(inBatch.count - receipt.databaseTime.count),
            database: receipt.databaseTime)
        head.preferenceApplied = exchange.request.preferences.applied
        head.isReplay = result.effect == .replayed
        complete(exchange, head)
    }

    /// - Parameter messageID: the refused record's, where its caller may want to ask for it.
    func refuse(_ exchange: Exchange, _ failure: Failure, messageID: String? = nil) {
        loop.text.beginBody()
        var head = exchange.head(failure.code.status)
        failure.append(messageID: messageID, to: &loop.text.body)
        head.isReplay = failure.deadLetter?.isRepetition ?? false
        head.contentType = "application/problem+json"
        head.retryAfter = failure.retryAfter
        complete(exchange, head)
    }

    func refuse(_ exchange: Exchange, _ routing: RouteFailure) {
        switch routing {
        case .notFound:
            refuse(exchange, Failure(.notFound, "there is nothing at this path; see /openapi.json"))
        case .malformed:
            refuse(exchange, Failure(.invalidRequest, "the path is not percent-encoded UTF-8"))
        case .methodNotAllowed(let allow):
            loop.text.beginBody()
            Failure(.methodNotAllowed, "this path takes \(allow)").append(to: &loop.text.body)
            var head = exchange.head(405)
            head.contentType = "application/problem+json"
            head.allow = allow
            complete(exchange, head)
        }
    }

    func answer(_ exchange: Exchange, _ body: [UInt8]) {
        loop.text.beginBody()
        loop.text.body += body
        complete(exchange, exchange.head(200))
    }

    /// Answers a request that cannot be read to its end. Answers that are owed come first.
    ///
    /// - Parameter exchange: `nil` where not even its head could be read.
    func refuseAndClose(_ exchange: Exchange?, _ failure: Failure) {
        let exchange =
            exchange
            ?? Exchange(
                number: exchangeCount, HTTPRequestHead(version: .http1_1, method: .GET, uri: "/"),
                mintedID: plane.mint())
        exchange.isKeepAlive = false
        open(exchange)
        refuse(exchange, failure)
        flush()
    }

    /// The answer is complete: its body stands in `loop.text`.
    func complete(_ exchange: Exchange, _ head: ResponseText.Head) {
        guard let context else { return }
        var head = head
        if loop.isDraining { head.isKeepAlive = false }
        let buffer = loop.text.response(
            head, unixNanoseconds: plane.time.unixNanoseconds, allocator: context.channel.allocator)
        exchange.state = .ready(buffer)
        if !head.isKeepAlive { reading = .closed }
        writeReady()
    }

    func writeHead(_ head: ResponseText.Head) {
        guard let context else { return }
        write(
            loop.text.response(
                head, unixNanoseconds: plane.time.unixNanoseconds,
                allocator: context.channel.allocator))
    }

    /// A streamed answer has been written but for its end.
    func completeStreamed(_ exchange: Exchange, _ end: ByteBuffer) {
        exchange.state = .ready(end)
        writeReady()
    }

    /// Lends the loop's memory for text.
    func withText(_ body: (inout ResponseText) -> Void) { body(&loop.text) }

    /// Whether `exchange` is the one whose answer is due: a streamed one may write.
    func isFirst(_ exchange: Exchange) -> Bool { exchanges.first === exchange }

    /// Writes what may be written, in order.
    func writeReady() {
        while let exchange = exchanges.first, case .ready(let buffer) = exchange.state {
            exchanges.removeFirst()
            write(buffer)
            if !exchange.isKeepAlive || loop.isDraining { closeAfterWrites() }
        }
        if let first = exchanges.first, case .many(let many) = first.state {
            many.becameFirst(on: self)
        }
        lastActivity = plane.time.now
        resumeReading()
    }

    func write(_ buffer: ByteBuffer) {
        context?.write(wrapOutboundOut(buffer), promise: nil)
        hasUnflushed = true
    }

    func flush() {
        let turn = writeInline()
        if let first = exchanges.first, case .many(let many) = first.state {
            many.writeGathered(on: self)
        }
        flushWritten()
        if let turn { plane.coordinator.giveBack(turn) }
    }

    private func flushWritten() {
        guard hasUnflushed, let context else { return }
        hasUnflushed = false
        if isClosing {
            let channel = context.channel
            context.writeAndFlush(wrapOutboundOut(ByteBuffer())).whenComplete { _ in
                channel.close(mode: .output, promise: nil)
            }
        } else {
            context.flush()
        }
    }

    /// A caller who is alone, and has sent one record and nothing behind it, has it written by this
    /// thread.
    ///
    /// - Returns: the turn if the answer has come; it has to be given back, and that can wait until
    ///   the answer has been sent.
    private func writeInline() -> InlineTurn? {
        guard let turn = takeTurn() else { return nil }
        guard exchanges.count == 1, let waiter else {
            plane.coordinator.decline(turn)
            return nil
        }
        guard let answer = plane.coordinator.take(turn, for: waiter) else { return nil }
        receive(answer)
        return turn
    }

    func takeTurn() -> InlineTurn? {
        defer { turn = nil }
        return turn
    }

    func closeAfterWrites() {
        isClosing = true
        reading = .closed
        for exchange in exchanges {
            if case .many(let many) = exchange.state { many.abandon(on: self) }
        }
        exchanges.removeAll()
        lastActivity = plane.time.now
    }
}
