import NIOCore
import WeirCore

/// One caller's connection to a gateway: a request, its answer, the next one.
final class ClientConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let loop: GatewayLoop
    private var context: ChannelHandlerContext?
    private var parser = ResponseParser()
    private var call: LoopRecord.Call?
    /// The peer has said that the answer was its last.
    private var isLast = false

    init(_ loop: GatewayLoop) {
        self.loop = loop
    }

    var isUsable: Bool { context?.channel.isActive == true && call == nil && !isLast }

    func send(_ call: LoopRecord.Call) {
        guard let context else {
            return loop.finished(call, Answer(.refused, code: "connection closed"))
        }
        self.call = call
        var buffer = context.channel.allocator.buffer(capacity: 512)
        loop.encoder.encode(call.message, isPoison: call.isPoison, into: &buffer)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }

    func close() { context?.close(promise: nil) }

    func checkTimeout(_ now: Timestamp) {
        guard let call, now - call.intended > loop.timeout else { return }
        give(up: "timeout")
        close()
    }

    // MARK: Channel

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        loop.opened(self)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        give(up: "connection lost")
        loop.closed(self)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        parser.feed(&bytes)
        do {
            while let response = try parser.next() {
                guard let call else {
                    // An answer that nobody asked for.
                    return close()
                }
                self.call = nil
                isLast = !response.isKeepAlive
                loop.answered(call, AnswerReader.answer(response), by: isLast ? nil : self)
                if isLast { return close() }
            }
        } catch {
            give(up: "unreadable answer")
            close()
        }
    }

    /// It was sent, and nobody knows what became of it.
    private func give(up reason: String) {
        guard let call else { return }
        self.call = nil
        loop.finished(call, Answer(.unknown, code: reason))
    }
}
