import DequeModule
import NIOCore
import NIOHTTP1
import Weir
import WeirCore
import WeirRecord

/// One connection of the data listener: collects requests, hands their records over, and writes the answers
/// in the order of the requests. One handler, no hop, no task for each request.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = ByteBuffer

    private enum Reading {
        /// Between requests.
        case idle
        /// A head has come; its body may follow.
        case body(HTTPRequestHead, RequestHead, ByteBuffer?)
        /// The request was answered before it ended; the rest of it is passed over.
        case discarding
        /// Nothing more is read: an error, or the last request.
        case closed
    }

    private let loop: LoopContext
    private var context: ChannelHandlerContext?
    private var waiter: ConnectionWaiter?
    private var reading = Reading.idle
    private var exchanges = Deque<Exchange>()
    private var exchangeCount = 0
    private var readingSince = Timestamp.zero
    /// When the first bytes came of a head that has not ended.
    private var partialSince: Timestamp?
    private var lastActivity = Timestamp.zero
    private var hasUnflushed = false
    private var isReadPending = false
    private var isClosing = false

    init(_ loop: LoopContext) {
        self.loop = loop
    }

    private var plane: DataPlane { loop.plane }

    // MARK: Lifetime

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        waiter = ConnectionWaiter(self, mailbox: loop.mailbox, eventLoop: context.eventLoop)
        lastActivity = plane.time.now
        loop.add(self)
    }

    func channelInactive(context: ChannelHandlerContext) {
        for exchange in exchanges {
            switch exchange.state {
            case .record(let ticket): plane.coordinator.cancel(ticket)
            case .many(let many): many.abandon()
            case .ready, nil: break
            }
        }
        exchanges.removeAll()
        reading = .closed
        loop.remove(self)
        self.context = nil
        waiter = nil
        context.fireChannelInactive()
    }

    // MARK: Reading

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (reading, unwrapInboundIn(data)) {
        case (.idle, .head(let head)):
            readingSince = partialSince ?? plane.time.now
            partialSince = nil
            begin(head)
        case (.body(let head, let fields, var body), .body(var part)):
            reading = .discarding
            let size = (body?.readableBytes ?? 0) + part.readableBytes
            guard size <= plane.configuration.bodyByteCountMax else {
                return refuseAndClose(fields, tooLarge)
            }
            if body == nil {
                body = part
                // Grown once: doubling copied every large body twice.
                if let length = fields.contentLength { body?.reserveCapacity(length) }
            } else {
                body?.writeBuffer(&part)
            }
            reading = .body(head, fields, body)
        case (.body(let head, let fields, let body), .end):
            reading = .idle
            handle(head, fields, body ?? ByteBuffer())
        case (.discarding, .end):
            reading = .idle
        default:
            break
        }
    }

    private func begin(_ head: HTTPRequestHead) {
        var fields = RequestHead(head)
        if loop.isDraining { fields.isKeepAlive = false }
        if head.uri.utf8.count > plane.configuration.targetByteCountMax {
            return refuseAndClose(
                fields,
                Failure(
                    .uriTooLong,
                    "the request target is longer than \(plane.configuration.targetByteCountMax) bytes"))
        }
        if let length = fields.contentLength, length > plane.configuration.bodyByteCountMax {
            return refuseAndClose(fields, tooLarge)
        }
        if fields.expectsContinue {
            write(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n"))
            flush()
        }
        reading = .body(head, fields, nil)
    }

    private var tooLarge: Failure {
        Failure(
            .bodyTooLarge,
            "the body is larger than \(plane.configuration.bodyByteCountMax) bytes; split the request")
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        flush()
        context.fireChannelReadComplete()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError else {
            // The peer went away, or the kernel gave up on it.
            return context.close(promise: nil)
        }
        let failure: Failure
        switch error {
        case .headerOverflow:
            failure = Failure(
                .headersTooLarge,
                "the head has more than \(plane.configuration.headerFieldCountMax) fields or "
                    + "\(plane.configuration.headerByteCountMax) bytes")
        default:
            failure = Failure(.invalidRequest, "this is not well-formed HTTP/1.1")
        }
        guard case .closed = reading else {
            return refuseAndClose(RequestHead(HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")), failure)
        }
    }

    /// Bounds what one connection can ask for: requests that wait for answers, and answers that wait to
    /// be read by the peer.
    var mayRead: Bool {
        // While closing, what still comes is read and dropped, so that the last answer gets through.
        guard let context, !isClosing else { return isClosing }
        return exchanges.count < plane.configuration.pipelinedMax && context.channel.isWritable
    }

    /// Whether a streamed answer may go on: the peer reads what it is sent.
    var mayWrite: Bool { context?.channel.isWritable ?? false }

    var eventLoop: (any EventLoop)? { context?.eventLoop }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        resumeReading()
        if context.channel.isWritable, let first = exchanges.first, case .many(let many) = first.state {
            many.goOn(on: self)
        }
        context.fireChannelWritabilityChanged()
    }

    func noteReadPending() { isReadPending = true }

    /// Bytes have come; a head that does not end is timed from its first.
    func noteBytes() {
        if case .idle = reading, partialSince == nil { partialSince = plane.time.now }
    }

    private func resumeReading() {
        guard isReadPending, mayRead else { return }
        isReadPending = false
        context?.read()
    }

    // MARK: Requests

    private func handle(_ head: HTTPRequestHead, _ fields: RequestHead, _ body: ByteBuffer) {
        let exchange = open(fields)
        if let defect = fields.defect { return refuse(exchange, Failure(defect)) }
        do {
            switch try Route(head.method, head.uri) {
            case .insert(let table):
                var options = WriteOptions(.insert)
                options.onConflict = fields.preferences.onConflict ?? .error
                try insert(exchange, fields, table, options, body)
            case .write(let operation, let table, let key):
                try writeOne(exchange, fields, table, WriteOptions(operation), key: key, body)
            case .bulk:
                try startMany(exchange, fields, .bulk, body)
            case .tables:
                answer(exchange, TableDescription.list(plane))
            case .table(let name):
                answer(exchange, TableDescription.json(try plane.table(name), plane))
            case .openAPI:
                answer(exchange, Array(OpenAPI.document(version: plane.configuration.version).utf8))
            }
        } catch let failure as Failure {
            refuse(exchange, failure)
        } catch let defect as Defect {
            refuse(exchange, Failure(defect))
        } catch let routing as RouteFailure {
            refuse(exchange, routing)
        } catch {
            preconditionFailure("only these are thrown here: \(error)")
        }
    }

    private func open(_ fields: RequestHead) -> Exchange {
        let exchange = Exchange(number: exchangeCount, head: fields, mintedID: plane.mint())
        exchangeCount += 1
        exchanges.append(exchange)
        if !fields.isKeepAlive { reading = .closed }
        return exchange
    }

    private func insert(
        _ exchange: Exchange, _ fields: RequestHead, _ table: String, _ options: WriteOptions,
        _ body: ByteBuffer
    ) throws {
        let span = body.readableBytesUInt8Span
        var cursor = JSONCursor(0..<span.count)
        switch fields.mediaType {
        case .json where cursor.peek(span) != UInt8(ascii: "["):
            try writeOne(exchange, fields, table, options, key: nil, body)
        case .json, .ndjson, .csv:
            try startMany(exchange, fields, .table(try plane.table(table), options), body)
        case .other:
            throw unsupported
        }
    }

    private var unsupported: Failure {
        Failure(
            .unsupportedMediaType,
            "send application/json, application/x-ndjson or text/csv, in UTF-8, and say so in Content-Type")
    }

    /// The hot path: one record, from its bytes to the coordinator.
    private func writeOne(
        _ exchange: Exchange, _ fields: RequestHead, _ table: String, _ options: WriteOptions,
        key: [[UInt8]]?, _ body: ByteBuffer
    ) throws {
        let schema = try plane.table(table)
        var options = options
        options.returnsRow = fields.preferences.returnsRow
        options.isDryRun = fields.preferences.isDryRun
        let span = body.readableBytesUInt8Span
        guard span.count <= plane.configuration.recordByteCountMax else {
            throw Failure(
                .bodyTooLarge,
                "the record is larger than \(plane.configuration.recordByteCountMax) bytes")
        }
        var decoder = RecordDecoder(table: schema, options: options, expectedByteCount: span.count)
        if let key { try decoder.takePathKey(key) }
        if options.operation != .delete {
            guard fields.mediaType == .json else { throw unsupported }
            var cursor = JSONCursor(0..<span.count)
            try decoder.takeObject(&cursor, span)
            try cursor.expectEnd(span)
        }
        let record = try decoder.finish(messageID: fields.messageID)
        guard let waiter else { return }
        let submission = Coordinator.Submission(
            record: record, waiter: waiter, index: Answer.index(exchange: exchange.number, item: 0),
            deadline: plane.deadline(fields.timeout))
        switch plane.coordinator.submit(submission) {
        case .success(let ticket): exchange.state = .record(ticket)
        case .failure(let failure): refuse(exchange, failure)
        }
    }

    private func startMany(
        _ exchange: Exchange, _ fields: RequestHead, _ target: ManyRecords.Target, _ body: ByteBuffer
    ) throws {
        guard fields.mediaType != .other else { throw unsupported }
        guard let waiter, let context else { return }
        let many = try ManyRecords(
            exchange: exchange, fields: fields, target: target, body: body, plane: plane, waiter: waiter)
        exchange.state = .many(many)
        many.start(on: self, eventLoop: context.eventLoop)
    }

    // MARK: Answers

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
            if case .failed(let failure) = answer.fate { refuse(exchange, failure) }
            return
        }
        loop.text.beginBody()
        var head = exchange.head(result.effect == .inserted ? 201 : 200)
        if exchange.preferences.isMinimal {
            if head.status == 200 { head.status = 204 }
        } else {
            loop.text.appendStored(
                result, receipt, messageID: record.messageID, minted: plane.mint(), record: record)
        }
        let inBatch = receipt.finishedAt - receipt.assignedAt
        head.timing = .init(
            queue: receipt.assignedAt - answer.admittedAt,
            batch: Nanoseconds(inBatch.count - receipt.databaseTime.count), database: receipt.databaseTime)
        head.preferenceApplied = exchange.preferences.applied
        complete(exchange, head)
    }

    private func refuse(_ exchange: Exchange, _ failure: Failure) {
        loop.text.beginBody()
        loop.text.appendProblem(failure)
        var head = exchange.head(failure.code.status)
        head.contentType = "application/problem+json"
        head.retryAfter = failure.retryAfter
        complete(exchange, head)
    }

    private func refuse(_ exchange: Exchange, _ routing: RouteFailure) {
        switch routing {
        case .notFound:
            refuse(exchange, Failure(.notFound, "there is nothing at this path; see /openapi.json"))
        case .malformed:
            refuse(exchange, Failure(.invalidRequest, "the path is not percent-encoded UTF-8"))
        case .methodNotAllowed(let allow):
            loop.text.beginBody()
            loop.text.appendProblem(Failure(.methodNotAllowed, "this path takes \(allow)"))
            var head = exchange.head(405)
            head.contentType = "application/problem+json"
            head.allow = allow
            complete(exchange, head)
        }
    }

    private func answer(_ exchange: Exchange, _ body: [UInt8]) {
        loop.text.beginBody()
        loop.text.body += body
        complete(exchange, exchange.head(200))
    }

    /// Answers a request that cannot be read to its end. Answers that are owed come first.
    private func refuseAndClose(_ fields: RequestHead, _ failure: Failure) {
        var fields = fields
        fields.isKeepAlive = false
        refuse(open(fields), failure)
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
                head, unixNanoseconds: plane.time.unixNanoseconds, allocator: context.channel.allocator))
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
    private func writeReady() {
        while let exchange = exchanges.first, case .ready(let buffer) = exchange.state {
            exchanges.removeFirst()
            write(buffer)
            if !exchange.isKeepAlive || loop.isDraining { closeAfterWrites() }
        }
        if let first = exchanges.first, case .many(let many) = first.state { many.becameFirst(on: self) }
        lastActivity = plane.time.now
        resumeReading()
    }

    func write(_ buffer: ByteBuffer) {
        context?.write(wrapOutboundOut(buffer), promise: nil)
        hasUnflushed = true
    }

    func flush() {
        if let first = exchanges.first, case .many(let many) = first.state {
            many.writeGathered(on: self)
        }
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

    private func closeAfterWrites() {
        isClosing = true
        reading = .closed
        exchanges.removeAll()
        lastActivity = plane.time.now
    }

    // MARK: Time

    func closeIfIdle() {
        if case .idle = reading, exchanges.isEmpty { context?.close(promise: nil) }
    }

    func checkTimeouts(now: Timestamp) {
        let configuration = plane.configuration
        if isClosing {
            // The peer has its last answer and does not go.
            if now - lastActivity > .seconds(2) { context?.close(promise: nil) }
            return
        }
        switch reading {
        case .body(_, let fields, _) where now - readingSince > Nanoseconds(configuration.requestTimeout):
            refuseAndClose(
                fields,
                Failure(.requestTimeout, "the request did not arrive within \(configuration.requestTimeout)"))
        case .idle where partialSince.map { now - $0 > Nanoseconds(configuration.requestTimeout) } ?? false:
            refuseAndClose(
                RequestHead(HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")),
                Failure(.requestTimeout, "the head did not arrive within \(configuration.requestTimeout)"))
        case .idle where exchanges.isEmpty && now - lastActivity > Nanoseconds(configuration.idleTimeout):
            context?.close(promise: nil)
        default:
            break
        }
    }
}

/// Stands before the connection's handler and holds back reads while it has enough.
final class ReadGate: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = Never
    private let handler: ConnectionHandler

    init(_ handler: ConnectionHandler) {
        self.handler = handler
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        handler.noteBytes()
        context.fireChannelRead(data)
    }

    func read(context: ChannelHandlerContext) {
        if handler.mayRead { context.read() } else { handler.noteReadPending() }
    }
}
