import Foundation
import NIOCore
import NIOPosix
import Testing
import Weir
import WeirCore
import WeirLoad
import WeirPostgres

/// The audit, against gateways that do not keep their word: real sockets, a real table.
@Suite(.serialized, .timeLimit(.minutes(1)), .privateDatabase) struct LyingTests {
    private func run(_ manner: Liar.Manner, rate: Double = 200) async throws -> ModeResult {
        let database = try #require(PrivateDatabase.current)
        let liar = try await Liar.start(manner, database.conninfo)
        var plan = LoadPlan(phases: [
            Phase(
                name: "steady", shape: .steady, duration: .milliseconds(500),
                arrivals: .poisson(rate: rate))
        ])
        plan.timeout = .seconds(5)
        var options = LoadRun.Options(
            plan: plan, database: database.conninfo, conninfo: try database.harness())
        options.gateway = liar.address
        let result: Result<RunReport, any Error>
        do {
            result = .success(try await LoadRun(options, control: .init()).run())
        } catch {
            result = .failure(error)
        }
        try await liar.stop()
        let report = try result.get()
        let left = try database.query(
            "SELECT relname FROM pg_class WHERE relname LIKE 'weir_load%'")
        #expect(left == [], "nothing is left behind")
        return try #require(report.results.first)
    }

    @Test func anHonestOnePasses() async throws {
        let result = try await run(.honest)
        let audit = try #require(result.audit)
        #expect(audit.acknowledged > 50 && audit.acknowledged == result.total.calls)
        #expect(result.breaches.isEmpty, "\(audit)")
    }

    @Test func oneThatAcknowledgesWithoutWritingIsCaught() async throws {
        let audit = try #require(try await run(.forgets(every: 7)).audit)
        #expect(audit.missing > 0 && audit.missing == (audit.acknowledged + 6) / 7)
        #expect(audit.breaches.map(\.name) == ["acknowledged and missing"])
    }

    @Test func oneThatWritesTwiceIsCaught() async throws {
        let audit = try #require(try await run(.repeats(every: 6)).audit)
        #expect(audit.twice == (audit.acknowledged + 5) / 6 && audit.missing == 0)
        #expect(audit.breaches.map(\.name) == ["written twice"])
    }

    @Test func oneThatWritesSomethingElseIsCaught() async throws {
        let audit = try #require(try await run(.alters(every: 10)).audit)
        #expect(audit.altered == (audit.acknowledged + 9) / 10 && audit.missing == 0)
    }

    @Test func oneThatDeniesWhatItWroteIsCaught() async throws {
        let result = try await run(.denies(every: 5))
        let audit = try #require(result.audit)
        #expect(audit.deniedButPresent == result.total.refused && audit.deniedButPresent > 10)
        #expect(!audit.isHonest)
    }

    @Test func oneThatHangsUpAfterWritingLeavesTheOutcomeToBeResolved() async throws {
        let result = try await run(.hangsUp(every: 4))
        let audit = try #require(result.audit)
        #expect(audit.unknownPresent == result.total.unknown && audit.unknownPresent > 10)
        #expect(audit.isHonest, "it promised nothing")
    }
}

/// A gateway's double: takes single inserts over HTTP, and writes what it likes.
private final class Liar: Sendable {
    enum Manner: Sendable {
        case honest
        case forgets(every: Int)
        case repeats(every: Int)
        case alters(every: Int)
        case denies(every: Int)
        case hangsUp(every: Int)
    }

    let address: ListenAddress
    private let channel: any Channel

    private init(_ channel: any Channel, _ address: ListenAddress) {
        self.channel = channel
        self.address = address
    }

    static func start(_ manner: Manner, _ conninfo: String) async throws -> Liar {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let bound = try await loop.submit {
            let session = try EmbeddedServer.OwnerSession(conninfo)
            return NIOLoopBound(Writer(manner, session), eventLoop: loop)
        }.get()
        let channel = try await ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: 1_024)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(bound.value))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = channel.localAddress?.port ?? 0
        return Liar(channel, .tcp(host: "127.0.0.1", port: port))
    }

    func stop() async throws { try await channel.close() }

    /// What it does with a record; on the one event loop.
    private final class Writer {
        private let manner: Manner
        private let session: EmbeddedServer.OwnerSession
        private var count = 0

        init(_ manner: Manner, _ session: EmbeddedServer.OwnerSession) {
            self.manner = manner
            self.session = session
        }

        /// - Returns: the answer; `nil` to hang up.
        func answer(_ table: String, _ body: String) -> (String, String)? {
            defer { count += 1 }
            let ok = ("201 Created", "{\"result\":\"inserted\",\"batch\":{\"records\":1}}")
            switch manner {
            case .honest:
                write(table, body)
                return ok
            case .forgets(let every):
                if count % every != 0 { write(table, body) }
                return ok
            case .repeats(let every):
                write(table, body)
                if count % every == 0 { write(table, body) }
                return ok
            case .alters(let every):
                write(table, body)
                if count % every == 0 {
                    _ = try? session.query(
                        "UPDATE \(table) SET qty = qty + 1 WHERE id = (SELECT max(id) FROM \(table))"
                    )
                }
                return ok
            case .denies(let every):
                write(table, body)
                guard count % every == 0 else { return ok }
                return ("503 Unavailable", "{\"code\":\"overloaded\",\"written\":\"no\"}")
            case .hangsUp(let every):
                write(table, body)
                return count % every == 0 ? nil : ok
            }
        }

        private func write(_ table: String, _ body: String) {
            let object = try? JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any]
            let names = (object ?? [:]).keys.sorted().joined(separator: ", ")
            let text = body.replacing("'", with: "''")
            _ = try? session.query(
                """
                INSERT INTO \(table) (\(names))
                SELECT \(names) FROM json_populate_record(NULL::\(table), '\(text)')
                """)
        }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let writer: Writer
        private var received = ""

        init(_ writer: Writer) { self.writer = writer }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received += String(buffer: unwrapInboundIn(data))
            while let end = received.range(of: "\r\n\r\n") {
                let head = received[..<end.lowerBound]
                let length = head.firstMatch(of: /Content-Length: (\d+)/).flatMap { Int($0.1) } ?? 0
                guard received[end.upperBound...].utf8.count >= length else { return }
                let body = String(received[end.upperBound...].utf8.prefix(length)) ?? ""
                received = String(received[end.upperBound...].utf8.dropFirst(length)) ?? ""
                let isGet = head.hasPrefix("GET")
                let parts = head.split(separator: "/")
                let table = parts.count > 3 ? String(parts[3]) : ""
                let told = isGet ? ("200 OK", "{}") : writer.answer(table, body)
                guard let (status, text) = told else {
                    context.close(promise: nil)
                    return
                }
                let answer =
                    "HTTP/1.1 \(status)\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)"
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
            }
        }
    }
}
