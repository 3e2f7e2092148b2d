import HTTPTypes
import Hummingbird
package import Logging
import NIOCore
import ServiceLifecycle
package import Weir
import WeirCore
import WeirRecord

/// The admin listener: probes, version and metrics. GET never changes anything.
package struct AdminServer: Service {
    private let coordinator: Coordinator
    private let address: ListenAddress
    private let version: String
    private let configuration: @Sendable () -> String
    private let configurationHash: @Sendable () -> String
    private let reload: (@Sendable () -> Reload)?
    private let deadLetters: DeadLetterAPI
    private let logger: Logger
    private let onRunning: @Sendable (Int?) -> Void

    /// What came of reading the configuration again.
    package enum Reload: Sendable, Equatable {
        /// The keys whose values are new.
        case done(changed: [String])
        /// Nothing was changed, for these reasons.
        case refused([String])
    }

    /// - Parameters:
    ///   - configuration: in force, as JSON and without secrets.
    ///   - configurationHash: names it, as dead letters do.
    ///   - reload: reads the configuration again.
    ///   - recordByteCountMax: what a dead letter may be edited to.
    ///   - onRunning: told the port, once it is known.
    package init(
        coordinator: Coordinator, address: ListenAddress, version: String,
        configuration: @escaping @Sendable () -> String = { "{}\n" },
        configurationHash: @escaping @Sendable () -> String = { "" },
        reload: (@Sendable () -> Reload)? = nil, recordByteCountMax: Int = 1 << 20,
        logger: Logger,
        onRunning: @escaping @Sendable (Int?) -> Void = { _ in }
    ) {
        self.coordinator = coordinator
        self.address = address
        self.version = version
        self.configuration = configuration
        self.configurationHash = configurationHash
        self.reload = reload
        deadLetters = DeadLetterAPI(coordinator, recordByteCountMax: recordByteCountMax)
        self.logger = logger
        self.onRunning = onRunning
    }

    package func run() async throws {
        // Hummingbird's own lines say what every one of its applications says.
        var quiet = logger
        quiet.logLevel = .warning
        let bindAddress: BindAddress =
            switch address {
            case .tcp(let host, let port): .hostname(host, port: port)
            case .unix(let path): .unixDomainSocket(path: path)
            }
        let application = Application(
            router: makeRouter(),
            configuration: ApplicationConfiguration(
                address: bindAddress, serverName: "weir/\(version)"),
            onServerRunning: { [onRunning, logger, address] channel in
                let port = channel.localAddress?.port
                logger.info(
                    "admin API listening", metadata: ["address": "\(address.text(port: port))"])
                onRunning(port)
            },
            logger: quiet)
        do {
            try await application.run()
        } catch let error as IOError {
            throw ListenFailure("--admin", address: address.text, reason: error)
        }
    }

    private func makeRouter() -> Router<BasicRequestContext> {
        let router = Router()
        router.get("/livez") { _, _ in Self.text(.ok, "ok\n") }
        router.get("/readyz") { [coordinator] request, _ in
            if let reason = coordinator.unreadiness {
                return Self.text(.serviceUnavailable, reason + "\n")
            }
            if request.uri.queryParameters["db"] == "1", let trouble = coordinator.databaseTrouble {
                return Self.text(.serviceUnavailable, "database unavailable: \(trouble)\n")
            }
            // Other tables are written: what is wrong with these is said, and no reason to be
            // taken out of service.
            let troubles = coordinator.catalogStore.catalog?.troubles ?? []
            return Self.text(.ok, "ok\n" + troubles.map { $0 + "\n" }.joined())
        }
        router.get("/v1/config") { [configuration] _, _ in
            Self.response(.ok, "application/json", configuration())
        }
        router.add(middleware: BrowserGuard())
        router.post("/v1/reload") { [reload] request, _ in
            guard let reload else { return Self.text(.notFound, "nothing to reload\n") }
            switch reload() {
            case .done(let changed):
                return Self.response(
                    .ok, "application/json", Self.json("changed", changed, isDone: true))
            case .refused(let reasons):
                return Self.response(
                    .conflict, "application/json", Self.json("problems", reasons, isDone: false))
            }
        }
        router.get("/v1/messages/:id") { [coordinator] _, context in
            guard let part = context.parameters.get("id"), let id = try? PercentText.text(part.utf8)
            else {
                return Self.problem(
                    Failure(.invalidRequest, "the path is not percent-encoded UTF-8"))
            }
            return await Self.history(of: id, coordinator)
        }
        router.get("/version") { [version, coordinator, configurationHash] _, _ in
            var body = Array("{\"name\":\"weir\",\"version\":\"\(version)\",\"instance\":".utf8)
            appendJSONString(coordinator.name.instance, to: &body)
            body += ",\"config_hash\":\"\(configurationHash())\"}\n".utf8
            return Self.response(.ok, "application/json", String(decoding: body, as: UTF8.self))
        }
        deadLetters.addRoutes(to: router)
        router.get("/metrics") { [coordinator, version] _, _ in
            Self.response(
                .ok, "text/plain; version=0.0.4; charset=utf-8",
                MetricsText(coordinator, version: version).text)
        }
        return router
    }

    private static func history(of id: String, _ coordinator: Coordinator) async -> Response {
        let deadline = coordinator.time.now + Nanoseconds.seconds(5)
        let result = await withCheckedContinuation { continuation in
            coordinator.history(of: id, by: deadline) { continuation.resume(returning: $0) }
        }
        var body: [UInt8] = []
        switch result {
        case .success(let history?): history.appendJSON(id: id, to: &body)
        case .success(nil):
            return problem(Failure(.notFound, "nothing is known of a message with this ID"))
        case .failure(let failure): return problem(failure)
        }
        body.append(0x0A)
        return response(.ok, "application/json", String(decoding: body, as: UTF8.self))
    }

    static func problem(_ failure: Failure) -> Response {
        var body: [UInt8] = []
        failure.append(to: &body)
        body.append(0x0A)
        return response(
            .init(code: failure.code.status), "application/problem+json",
            String(decoding: body, as: UTF8.self))
    }

    private static func json(_ name: String, _ texts: [String], isDone: Bool) -> String {
        var body = Array("{\"reloaded\":\(isDone),\"\(name)\":[".utf8)
        for (index, text) in texts.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            appendJSONString(text, to: &body)
        }
        body += "]}\n".utf8
        return String(decoding: body, as: UTF8.self)
    }

    static func text(_ status: HTTPResponse.Status, _ body: String) -> Response {
        response(status, "text/plain; charset=utf-8", body)
    }

    static func response(
        _ status: HTTPResponse.Status, _ contentType: String, _ body: String
    ) -> Response {
        Response(
            status: status, headers: [.contentType: contentType],
            body: ResponseBody(byteBuffer: ByteBuffer(string: body)))
    }
}

/// A page in a browser may send what changes something to a loopback address; nobody else has an
/// origin.
private struct BrowserGuard: RouterMiddleware {
    @concurrent func handle(
        _ request: Request, context: BasicRequestContext,
        next: @concurrent (Request, BasicRequestContext) async throws -> Response
    ) async throws -> Response {
        guard request.method == .get || request.headers[.origin] == nil else {
            return AdminServer.text(.forbidden, "not from a browser\n")
        }
        return try await next(request, context)
    }
}
