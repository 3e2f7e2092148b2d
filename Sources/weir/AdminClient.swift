import ArgumentParser
import NIOCore
import NIOHTTP1
import NIOPosix
import Weir
import WeirRecord

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Asks a running gateway by its admin listener.
struct AdminClient {
    struct Answer {
        var status: Int
        /// Empty where it was handed out piece by piece.
        var body: [UInt8] = []

        var text: String { String(decoding: body, as: UTF8.self) }
    }

    private static let connectTimeout = TimeAmount.seconds(3)
    /// Of an answer that is taken as a whole.
    private static let bodyByteCountMax = 64 << 20

    private let address: ListenAddress

    /// - Parameter text: `host:port` or `unix:/path`; `nil` goes by the environment.
    init(_ text: String?) throws {
        let variable = ProcessInfo.processInfo.environment["WEIR_LISTEN_ADMIN"] ?? ""
        let said = text ?? (variable.isEmpty ? "127.0.0.1:8433" : variable)
        guard let address = ListenAddress(said) else {
            complain("\(said): --admin takes host:port or unix:/path")
            throw ExitCode.validationFailure
        }
        self.address = address
    }

    /// - Parameter take: is given what comes of a good answer, as it comes.
    /// - Throws: exit code 69, when nobody answers; why stands on standard error by then.
    func send(
        _ method: HTTPMethod, _ path: String, _ body: [UInt8]? = nil,
        _ take: (([UInt8]) throws -> Void)? = nil
    ) async throws -> Answer {
        let connection: Connection
        do {
            connection = try await connect()
        } catch {
            complain("no gateway answers at \(address.text): \(error)")
            throw ExitCode.unreachable
        }
        do {
            return try await exchange(connection, method, path, body, take)
        } catch {
            complain("the gateway at \(address.text) broke off: \(error)")
            throw ExitCode.unreachable
        }
    }

    private typealias Connection = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    private func exchange(
        _ connection: Connection, _ method: HTTPMethod, _ path: String, _ body: [UInt8]?,
        _ take: (([UInt8]) throws -> Void)?
    ) async throws -> Answer {
        try await connection.executeThenClose { inbound, outbound in
            var head = HTTPRequestHead(version: .http1_1, method: method, uri: path)
            head.headers = ["Host": host, "Connection": "close"]
            if let body {
                head.headers.add(name: "Content-Type", value: "application/json")
                head.headers.add(name: "Content-Length", value: "\(body.count)")
            }
            try await outbound.write(.head(head))
            if let body { try await outbound.write(.body(.byteBuffer(ByteBuffer(bytes: body)))) }
            try await outbound.write(.end(nil))
            var answer = Answer(status: 0)
            for try await part in inbound {
                switch part {
                case .head(let head): answer.status = Int(head.status.code)
                case .body(let buffer):
                    let bytes = Array(buffer: buffer)
                    if let take, answer.status == 200 {
                        try take(bytes)
                    } else {
                        answer.body += bytes
                        guard answer.body.count <= Self.bodyByteCountMax else {
                            throw Unfinished()
                        }
                    }
                case .end: return answer
                }
            }
            throw Unfinished()
        }
    }

    private func connect() async throws -> Connection {
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(Self.connectTimeout)
        let prepare: @Sendable (any Channel) -> EventLoopFuture<Connection> = { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHTTPClientHandlers()
                return try Connection(wrappingChannelSynchronously: channel)
            }
        }
        switch address {
        case .tcp(let host, let port):
            return try await bootstrap.connect(host: host, port: port, channelInitializer: prepare)
        case .unix(let path):
            return try await bootstrap.connect(
                unixDomainSocketPath: path, channelInitializer: prepare)
        }
    }

    private var host: String {
        if case .tcp(let host, let port) = address { "\(host):\(port)" } else { "weir" }
    }

    private struct Unfinished: Error, CustomStringConvertible {
        var description: String { "its answer is not whole" }
    }

    // MARK: Answers

    /// The body of a good answer.
    ///
    /// - Throws: the exit code of a bad one; what it says stands on standard error by then.
    func ask(_ method: HTTPMethod, _ path: String, _ body: [UInt8]? = nil) async throws -> [UInt8] {
        let answer = try await send(method, path, body)
        guard answer.status == 200 else { throw Self.refusal(answer) }
        return answer.body
    }

    static func refusal(_ answer: Answer) -> ExitCode {
        let detail = (try? JSONMembers(answer.body))?["detail"].flatMap { try? JSONScalar.text($0) }
        complain(detail ?? answer.text)
        return switch answer.status {
        case 400, 413: .validationFailure
        case 503, 504: .temporary
        default: .failure
        }
    }

    /// Text as it stands in a query or a path.
    static func encoded(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: ":"):
                result.append(Character(Unicode.Scalar(byte)))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                result += "%" + (digits.count == 1 ? "0" : "") + digits
            }
        }
        return result
    }
}

/// Cuts what comes in pieces into lines.
struct LineCutter {
    private var rest: [UInt8] = []

    mutating func take(_ bytes: [UInt8], _ body: ([UInt8]) throws -> Void) rethrows {
        rest += bytes
        var start = rest.startIndex
        while let end = rest[start...].firstIndex(of: 0x0A) {
            try body(Array(rest[start..<end]))
            start = end + 1
        }
        rest.removeSubrange(..<start)
    }
}
