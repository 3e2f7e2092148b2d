import DequeModule
import NIOCore
import NIOHTTP1
import Weir
import WeirCore
import WeirRecord

/// One connection of the data listener: collects requests, hands their records over, and writes the
/// answers in the order of the requests. One handler, no hop, no task for each request.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = ByteBuffer

    enum Reading {
        /// Between requests.
        case idle
        /// A head has come; its body may follow.
        case body(Exchange, ByteBuffer?)
        /// The request was answered before it ended; the rest of it is passed over.
        case discarding
        /// Nothing more is read: an error, or the last request.
        case closed
    }

    let loop: LoopContext
    var context: ChannelHandlerContext?
    var waiter: ConnectionWaiter?
    var reading = Reading.idle
    var exchanges = Deque<Exchange>()
    var exchangeCount = 0
    /// Of the last request: most callers send the same target again.
    var lastRoute: (method: HTTPMethod, target: String, route: Route)?
    var readingSince = Timestamp.zero
    /// When the first bytes came of a head that has not ended.
    var partialSince: Timestamp?
    var lastActivity = Timestamp.zero
    var hasUnflushed = false
    var isReadPending = false
    var isClosing = false
    /// What this connection may write itself, once there is nothing more to read.
    var turn: InlineTurn?

    init(_ loop: LoopContext) {
        self.loop = loop
    }

    var plane: DataPlane { loop.plane }

    // MARK: Lifetime

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        waiter = ConnectionWaiter(self, mailbox: loop.mailbox, eventLoop: context.eventLoop)
        lastActivity = plane.time.now
        loop.add(self)
    }

    func channelInactive(context: ChannelHandlerContext) {
        loop.handOver()
        for exchange in exchanges {
            switch exchange.state {
            case .record(let ticket?): plane.coordinator.cancel(ticket)
            case .record(nil): break
            case .many(let many): many.abandon(on: self)
            case .ready, nil: break
            }
        }
        exchanges.removeAll()
        if let turn = takeTurn() { plane.coordinator.decline(turn) }
        reading = .closed
        loop.remove(self)
        self.context = nil
        waiter = nil
        context.fireChannelInactive()
    }

    // MARK: Reading

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            guard case .idle = reading else { return }
            readingSince = partialSince ?? plane.time.now
            partialSince = nil
            begin(head)
        case .body(var part):
            guard case .body(let exchange, var body) = reading else { return }
            reading = .discarding
            let size = (body?.readableBytes ?? 0) + part.readableBytes
            guard size <= plane.configuration.bodyByteCountMax else {
                return refuseAndClose(exchange, tooLarge)
            }
            if body == nil {
                body = part
                // Grown once: doubling copied every large body twice.
                if let length = exchange.request.contentLength { body?.reserveCapacity(length) }
            } else {
                body?.writeBuffer(&part)
            }
            reading = .body(exchange, body)
        case .end:
            var request = Reading.idle
            swap(&request, &reading)
            switch request {
            case .body(let exchange, let body): handle(exchange, body ?? ByteBuffer())
            case .closed: reading = .closed
            case .idle, .discarding: break
            }
        }
    }

    private func begin(_ head: HTTPRequestHead) {
        let exchange = Exchange(number: exchangeCount, head, mintedID: plane.mint())
        if loop.isDraining { exchange.isKeepAlive = false }
        if head.uri.utf8.count > plane.configuration.targetByteCountMax {
            return refuseAndClose(
                exchange,
                Failure(
                    .uriTooLong,
                    "the target is longer than \(plane.configuration.targetByteCountMax) bytes"
                ))
        }
        if let length = exchange.request.contentLength,
            length > plane.configuration.bodyByteCountMax
        {
            return refuseAndClose(exchange, tooLarge)
        }
        if exchange.request.expectsContinue {
            write(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n"))
            flush()
        }
        reading = .body(exchange, nil)
    }

    private var tooLarge: Failure {
        Failure(
            .bodyTooLarge,
            "the body is larger than \(plane.configuration.bodyByteCountMax) bytes; split it"
        )
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
            return refuseAndClose(nil, failure)
        }
    }

    /// Bounds what one connection can ask for: requests that wait for answers, and answers that
    /// wait to be read by the peer.
    var mayRead: Bool {
        // While closing, what still comes is read and dropped, so that the last answer gets
        // through.
        guard let context, !isClosing else { return isClosing }
        return exchanges.count < plane.configuration.pipelinedMax && context.channel.isWritable
    }

    /// Whether a streamed answer may go on: the peer reads what it is sent.
    var mayWrite: Bool { context?.channel.isWritable ?? false }

    var eventLoop: (any EventLoop)? { context?.eventLoop }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        resumeReading()
        if context.channel.isWritable { loop.decodeSoon() }
        context.fireChannelWritabilityChanged()
    }

    func noteReadPending() { isReadPending = true }

    /// Bytes have come; a head that does not end is timed from its first.
    func noteBytes() {
        if case .idle = reading, partialSince == nil { partialSince = plane.time.now }
    }

    func resumeReading() {
        guard isReadPending, mayRead else { return }
        isReadPending = false
        context?.read()
    }

    // MARK: Time

    func closeIfIdle() {
        if case .idle = reading, exchanges.isEmpty, partialSince == nil {
            context?.close(promise: nil)
        }
    }

    func checkTimeouts(now: Timestamp) {
        let configuration = plane.configuration
        if isClosing {
            // The peer has its last answer and does not go.
            if now - lastActivity > .seconds(2) { context?.close(promise: nil) }
            return
        }
        switch reading {
        case .body(let exchange, _)
        where now - readingSince > Nanoseconds(configuration.requestTimeout):
            refuseAndClose(
                exchange,
                Failure(
                    .requestTimeout,
                    "the request did not arrive within \(configuration.requestTimeout)"))
        case .idle
        where partialSince.map { now - $0 > Nanoseconds(configuration.requestTimeout) } ?? false:
            refuseAndClose(
                nil,
                Failure(
                    .requestTimeout,
                    "the head did not arrive within \(configuration.requestTimeout)"))
        case .idle
        where exchanges.isEmpty && now - lastActivity > Nanoseconds(configuration.idleTimeout):
            context?.close(promise: nil)
        default:
            break
        }
    }
}
