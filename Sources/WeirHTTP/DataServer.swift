import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle
import Synchronization
import Weir
import WeirCore

/// The data listener: HTTP/1.1 over TCP or a unix socket.
package final class DataServer: Service {
    private let plane: DataPlane
    private let group: MultiThreadedEventLoopGroup
    private let contexts: [ObjectIdentifier: NIOLoopBound<LoopContext>]
    private let boundAddress = Mutex<String?>(nil)
    private let openConnections = Atomic<Int>(0)

    private let onListening: @Sendable (String) -> Void

    /// - Parameter onListening: told the address, once the server listens on it.
    package init(
        _ plane: DataPlane, onListening: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws {
        self.onListening = onListening
        self.plane = plane
        group = MultiThreadedEventLoopGroup(numberOfThreads: plane.configuration.threads)
        var contexts: [ObjectIdentifier: NIOLoopBound<LoopContext>] = [:]
        for loop in group.makeIterator() {
            contexts[ObjectIdentifier(loop)] = try await loop.submit {
                let context = LoopContext(plane: plane, eventLoop: loop)
                context.start()
                return NIOLoopBound(context, eventLoop: loop)
            }.get()
        }
        self.contexts = contexts
    }

    /// Where the server listens, once it does: with port 0 the kernel chooses.
    package var address: String? { boundAddress.withLock { $0 } }

    /// Serves until shutdown is asked for; then answers what was asked, and ends.
    package func run() async throws {
        // Connections first: the first caller finds them open.
        await plane.coordinator.started()
        let listener: any Channel
        do {
            listener = try await bind()
        } catch {
            try await group.shutdownGracefully()
            throw ListenFailure(
                "--listen", address: plane.configuration.address.text, reason: error)
        }
        boundAddress.withLock { $0 = listener.localAddress?.weirDescription }
        plane.coordinator.markAccepting()
        plane.logger.info("data API listening", metadata: ["address": "\(address ?? "?")"])
        onListening(address ?? "")
        try await withTaskCancellationOrGracefulShutdownHandler {
            try await listener.closeFuture.get()
        } onCancelOrGracefulShutdown: {
            // Accept no more; the coordinator refuses what still comes on open connections.
            listener.close(promise: nil)
        }
        for context in contexts.values {
            try await context.eventLoop.submit { context.value.drain() }.get()
        }
        plane.logger.info("draining: what is queued is finished, new records are refused")
        await drain()
        for context in contexts.values {
            try await context.eventLoop.submit {
                context.value.drain()
                context.value.stop()
            }.get()
        }
        // Closes what is left; answers have been handed to the kernel by now.
        try await group.shutdownGracefully()
        if case .unix(let path) = plane.configuration.address { _ = unlink(path) }
    }

    /// Waits until everybody has been answered, for as long as that may take.
    private func drain() async {
        let coordinator = plane.coordinator
        let limit = Nanoseconds(plane.configuration.drainTimeout)
        await withTaskGroup { tasks in
            tasks.addTask { await coordinator.drain() }
            tasks.addTask {
                try? await coordinator.time.sleep(for: limit)
                coordinator.abandonDrain()
            }
            await tasks.next()
            tasks.cancelAll()
        }
    }

    private func bind() async throws -> any Channel {
        let contexts = contexts
        let configuration = plane.configuration
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 4_096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let context = contexts[ObjectIdentifier(channel.eventLoop)] else {
                        preconditionFailure("a channel belongs to one of the group's loops")
                    }
                    try configure(channel, context.value)
                }
            }
        switch configuration.address {
        case .tcp(let host, let port):
            return
                try await bootstrap
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .bind(host: host, port: port).get()
        case .unix(let path):
            return
                try await bootstrap
                .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
        }
    }

    private func configure(_ channel: any Channel, _ context: LoopContext) throws {
        guard
            openConnections.wrappingAdd(1, ordering: .relaxed).newValue
                <= plane.configuration.connectionsMax
        else {
            openConnections.wrappingSubtract(1, ordering: .relaxed)
            throw TooManyConnections()
        }
        channel.closeFuture.whenComplete { [self] _ in
            openConnections.wrappingSubtract(1, ordering: .relaxed)
        }
        let handler = ConnectionHandler(context)
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = plane.configuration.headerByteCountMax
        limits.maxHeaderListSize = plane.configuration.headerByteCountMax
        limits.maxHeaderFieldCount = plane.configuration.headerFieldCountMax
        let decoder = ByteToMessageHandler(HTTPRequestDecoder(limitConfiguration: limits))
        try channel.pipeline.syncOperations.addHandlers([ReadGate(handler), decoder, handler])
    }
}

/// The connection is closed at once: there is nothing to say before its first request.
private struct TooManyConnections: Error {}

extension SocketAddress {
    fileprivate var weirDescription: String {
        if let path = pathname, !path.isEmpty { return "unix:\(path)" }
        return "\(ipAddress ?? "?"):\(port ?? 0)"
    }
}

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif
