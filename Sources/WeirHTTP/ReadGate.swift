import NIOCore

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
