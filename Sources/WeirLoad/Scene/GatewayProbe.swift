import NIOCore
import NIOPosix
package import Weir

/// One GET to a gateway: is it there, and does it expose the table?
package enum GatewayProbe {
    package static func get(
        _ address: ListenAddress, _ path: String
    ) async throws -> (status: Int, body: String) {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: ResponseParser.Response.self)
        let bootstrap = ClientBootstrap(group: loop).connectTimeout(.seconds(3))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(path, promise))
                }
            }
        do {
            let channel =
                switch address {
                case .unix(let path):
                    try await bootstrap.connect(unixDomainSocketPath: path).get()
                case .tcp(let host, let port):
                    try await bootstrap.connect(host: host, port: port).get()
                }
            channel.eventLoop.scheduleTask(in: .seconds(5)) { channel.close(promise: nil) }
        } catch {
            promise.fail(error)
        }
        let response = try await promise.futureResult.get()
        return (response.status, String(buffer: response.body))
    }

    private struct Closed: Error {}

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let path: String
        private let promise: EventLoopPromise<ResponseParser.Response>
        private var parser = ResponseParser()

        init(_ path: String, _ promise: EventLoopPromise<ResponseParser.Response>) {
            self.path = path
            self.promise = promise
        }

        func channelActive(context: ChannelHandlerContext) {
            let text = "GET \(path) HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n"
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = unwrapInboundIn(data)
            parser.feed(&bytes)
            do {
                guard let response = try parser.next() else { return }
                promise.succeed(response)
            } catch {
                promise.fail(error)
            }
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            // Does nothing where it was answered.
            promise.fail(Closed())
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            promise.fail(error)
            context.close(promise: nil)
        }
    }
}
