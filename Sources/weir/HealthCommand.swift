import ArgumentParser
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// `weir health`: is a gateway ready?
struct HealthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health",
        abstract: "Exit 0 if a gateway is ready, for probes that run a command.",
        discussion: """
            EXAMPLES
              weir health
              weir health --admin 127.0.0.1:8433 --db
            """)

    @Option(help: "The gateway's admin address.")
    var admin = "127.0.0.1:8433"

    @Flag(help: "Ask for the database too.")
    var db = false

    func run() async throws {
        guard let colon = admin.lastIndex(of: ":"),
            let port = Int(admin[admin.index(after: colon)...])
        else {
            throw ValidationError("--admin takes host:port")
        }
        let host = String(admin[..<colon])
        let answer: (status: Int, body: String)
        do {
            answer = try await get(host: host, port: port, path: db ? "/readyz?db=1" : "/readyz")
        } catch {
            complain("no gateway answers at \(admin): \(error)")
            throw ExitCode.unreachable
        }
        print(answer.body, terminator: "")
        if answer.status != 200 { throw ExitCode.failure }
    }

    private func get(host: String, port: Int, path: String) async throws -> (
        status: Int, body: String
    ) {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(.seconds(3))
            .connect(host: host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    return try NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>(
                        wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: path)
            head.headers = ["Host": host, "Connection": "close"]
            try await outbound.write(.head(head))
            try await outbound.write(.end(nil))
            var status = 0
            var body = ""
            for try await part in inbound {
                switch part {
                case .head(let head): status = Int(head.status.code)
                case .body(let bytes): body += String(buffer: bytes)
                case .end: return (status, body)
                }
            }
            return (status, body)
        }
    }
}
