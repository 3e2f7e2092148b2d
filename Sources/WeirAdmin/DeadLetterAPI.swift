import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Synchronization
import Weir
import WeirCore
import WeirRecord

/// `/v1/dead-letters`: what is kept of records that were refused; looked at, edited, sent again and
/// thrown away.
final class DeadLetterAPI: Sendable {
    private static let pageDefault = 100
    /// Letters of one transaction that discards them.
    private static let discardCount = 1_000
    /// Room for a record in an envelope.
    private static let envelopeByteCount = 64 << 10
    private static let ndjson = "application/x-ndjson"

    private let coordinator: Coordinator
    private let recordByteCountMax: Int
    /// One at a time: two could not keep the order of a key.
    private let isRedriving = Atomic<Bool>(false)

    init(_ coordinator: Coordinator, recordByteCountMax: Int) {
        self.coordinator = coordinator
        self.recordByteCountMax = recordByteCountMax
    }

    func addRoutes(to router: Router<BasicRequestContext>) {
        let root = "/v1/dead-letters"
        add(router, .get, root) { api, request, _ async throws(Failure) in
            try await api.list(request)
        }
        add(router, .get, "\(root)/groups") { api, request, _ async throws(Failure) in
            try await api.groups(request)
        }
        add(router, .post, "\(root)/redrive") { api, request, _ async throws(Failure) in
            try await api.redrive(request)
        }
        add(router, .post, "\(root)/discard") { api, request, _ async throws(Failure) in
            try await api.discard(request)
        }
        add(router, .get, "\(root)/:id") { api, _, context async throws(Failure) in
            try await api.show(context)
        }
        add(router, .patch, "\(root)/:id") { api, request, context async throws(Failure) in
            try await api.edit(request, context)
        }
    }

    private func add(
        _ router: Router<BasicRequestContext>, _ method: HTTPRequest.Method, _ path: String,
        _ handler:
            @escaping @Sendable (DeadLetterAPI, Request, BasicRequestContext) async throws(Failure)
            -> Response
    ) {
        router.on(RouterPath(path), method: method) { [self] request, context in
            do throws(Failure) {
                return try await handler(self, request, context)
            } catch {
                return AdminServer.problem(error)
            }
        }
    }

    // MARK: Looking

    private func list(_ request: Request) async throws(Failure) -> Response {
        var query = try Query(request)
        let limit = try query.limit(Self.pageDefault, max: DeadLetterPage.limitMax)
        let format = query.take("format")
        let hasMessageIDs = query.take("ids") != "false"
        let order = query.take("order")
        var page = DeadLetterPage(DeadLetterSelection(), limit: limit)
        switch order {
        case nil, "newest": break
        case "oldest": page.isNewestFirst = false
        default: throw Failure(.invalidRequest, "\"order\" is newest or oldest")
        }
        page.past = try query.cursor(DeadLetterCursor.init)
        page.selection = try DeadLetterRequest.selection(query.rest, unixMicroseconds: now)
        switch format {
        case nil, "json": break
        case "ndjson": return try await export(page, hasMessageIDs: hasMessageIDs)
        default: throw Failure(.invalidRequest, "\"format\" is json or ndjson")
        }
        let letters = try await letters(page)
        var json = Array("{\"items\":[".utf8)
        for (index, letter) in letters.enumerated() {
            if index > 0 { json.append(UInt8(ascii: ",")) }
            letter.appendJSON(to: &json)
        }
        json += "]".utf8
        json.appendMember("next", letters.count == limit ? letters.last?.cursor.text : nil)
        return Self.json(json)
    }

    private func groups(_ request: Request) async throws(Failure) -> Response {
        var query = try Query(request)
        let limit = try query.limit(Self.pageDefault, max: DeadLetterPage.limitMax)
        let past = try query.cursor(DeadLetterGroupCursor.init)
        let table = query.take("table")
        if let other = query.rest.first {
            throw Failure(
                .invalidRequest,
                "groups are not chosen by \"\(other.name.prefix(40))\"; there is table"
            )
        }
        let question = DeadLetterQuestion.groups(table: table, past: past, limit: limit)
        guard case .groups(let groups) = try await coordinator.ask(question) else {
            throw .noDeadLetters
        }
        var json = Array("{\"groups\":[".utf8)
        for (index, group) in groups.enumerated() {
            if index > 0 { json.append(UInt8(ascii: ",")) }
            group.appendJSON(to: &json)
        }
        json += "]".utf8
        let last = groups.last.map {
            DeadLetterGroupCursor(count: $0.count, fingerprint: $0.fingerprint)
        }
        json.appendMember("next", groups.count == limit ? last?.text : nil)
        return Self.json(json)
    }

    private func show(_ context: BasicRequestContext) async throws(Failure) -> Response {
        let letter = try await letter(context)
        var json: [UInt8] = []
        letter.appendJSON(table(letter), to: &json)
        return Self.json(json, isOpen: false)
    }

    /// All that are chosen, as lines of `/v1/bulk`, page by page.
    private func export(
        _ first: DeadLetterPage, hasMessageIDs: Bool
    ) async throws(Failure) -> Response {
        var page = first
        page.isNewestFirst = false
        page.hasBodies = true
        page.limit = DeadLetterPage.bodiesMax
        page.selection.numberMax = try await newest()
        let start = page
        return Self.stream { [self] writer in
            var page = start
            while true {
                let letters = try await letters(page)
                guard let last = letters.last else { break }
                var text: [UInt8] = []
                for letter in letters {
                    text +=
                        letter.bulkLine(table(letter), hasMessageID: hasMessageIDs)
                        ?? Array(
                            "{\"error\":\"letter \(letter.number) cannot be read\"}\n".utf8)
                }
                try await writer.write(ByteBuffer(bytes: text))
                page.past = last.cursor
            }
        }
    }

    // MARK: Changing

    private func edit(
        _ request: Request, _ context: BasicRequestContext
    ) async throws(Failure) -> Response {
        let body = try await body(request)
        let letter = try await letter(context)
        guard let table = table(letter) else {
            throw Failure(
                .unknownTable, "table \(letter.table) is not exposed here, or is not there",
                table: letter.table)
        }
        let edit = try DeadLetterRequest.edit(body, of: letter, table)
        var edited = letter
        edited.body?.edited = edit?.bytes
        if edit != nil {
            // What could not be sent again is not taken.
            do throws(Defect) {
                _ = try edited.record(
                    for: table, isDryRun: true,
                    minting: coordinator.ids.next(unixNanoseconds: coordinator.time.unixNanoseconds)
                )
            } catch {
                throw Failure(error, table: letter.table)
            }
        }
        if let count = edit?.bytes.count, count > recordByteCountMax {
            throw Failure(
                .bodyTooLarge, "the record is larger than \(recordByteCountMax) bytes")
        }
        let question = DeadLetterQuestion.edit(
            letter.number, edits: letter.edits, to: edit?.bytes)
        guard case .changed(1) = try await coordinator.ask(question) else {
            throw Failure(
                .notFound, "letter \(letter.number) was edited, redriven or discarded meanwhile")
        }
        return try await show(context)
    }

    private func discard(_ request: Request) async throws(Failure) -> Response {
        let body = try await body(request)
        let order = try DeadLetterRequest.discard(body, unixMicroseconds: now)
        var selection = order.selection
        selection.numberMax = try await newest()
        var count = 0
        while true {
            let question = DeadLetterQuestion.discard(
                selection, table: order.table, limit: Self.discardCount)
            guard case .changed(let gone) = try await coordinator.ask(question) else {
                throw .noDeadLetters
            }
            count += gone
            if gone < Self.discardCount || Task.isCancelled { break }
        }
        coordinator.log(discarded: count, of: order.table)
        return Self.json(Array("{\"discarded\":\(count)".utf8))
    }

    private func redrive(_ request: Request) async throws(Failure) -> Response {
        let body = try await body(request)
        let order = try DeadLetterRequest.redrive(body, unixMicroseconds: now)
        // Says what is wrong while there is a status to say it with.
        _ = try await newest()
        return Self.stream { [self] writer in
            guard
                order.isDryRun
                    || isRedriving.compareExchange(
                        expected: false, desired: true, ordering: .acquiringAndReleasing
                    ).exchanged
            else {
                var line = Array("{\"error\":".utf8)
                Failure(
                    .overloaded, "another redrive is running here; try again when it is over",
                    retryAfter: .seconds(5)
                ).append(to: &line)
                return try await writer.write(ByteBuffer(bytes: line + Array("}\n".utf8)))
            }
            defer { if !order.isDryRun { isRedriving.store(false, ordering: .releasing) } }
            var end: [UInt8] = []
            var redrive = Redrive(order, coordinator)
            // Also where its reader has gone.
            defer { coordinator.log(redrive.summary) }
            do {
                while let lines = try await redrive.next() {
                    var text: [UInt8] = []
                    for line in lines {
                        line.appendJSON(to: &text)
                        text.append(0x0A)
                    }
                    try await writer.write(ByteBuffer(bytes: text))
                }
                redrive.summary.appendJSON(to: &end)
            } catch let failure as Failure {
                end += "{\"error\":".utf8
                failure.append(to: &end)
                end += "}".utf8
            }
            end.append(0x0A)
            try await writer.write(ByteBuffer(bytes: end))
        }
    }

    // MARK: Parts

    /// Microseconds since 1970.
    private var now: Int64 { Int64(clamping: coordinator.time.unixNanoseconds / 1_000) }

    private func letters(_ page: DeadLetterPage) async throws(Failure) -> [DeadLetter] {
        guard case .letters(let letters) = try await coordinator.ask(.page(page)) else {
            throw .noDeadLetters
        }
        return letters
    }

    private func newest() async throws(Failure) -> Int64 {
        guard case .newest(let number) = try await coordinator.ask(.newest) else {
            throw .noDeadLetters
        }
        return number
    }

    private func letter(_ context: BasicRequestContext) async throws(Failure) -> DeadLetter {
        let text = context.parameters.get("id") ?? ""
        guard let number = Int64(text) else {
            throw Failure(.invalidRequest, "a dead letter is called by its number")
        }
        guard case .letters(let letters) = try await coordinator.ask(.letter(number)) else {
            throw .noDeadLetters
        }
        guard let letter = letters.first else {
            throw Failure(.notFound, "there is no dead letter \(number), or not any more")
        }
        return letter
    }

    /// As it is now, if it is exposed and there.
    private func table(_ letter: DeadLetter) -> TableSchema? {
        if case .found(let table)? = coordinator.catalogStore.catalog?.find(letter.table) {
            return table
        }
        return nil
    }

    private func body(_ request: Request) async throws(Failure) -> [UInt8] {
        let limit = recordByteCountMax + Self.envelopeByteCount
        do {
            return Array(buffer: try await request.body.collect(upTo: limit))
        } catch {
            throw Failure(.bodyTooLarge, "the body is larger than \(limit) bytes")
        }
    }

    /// - Parameter isOpen: the object still wants its end.
    private static func json(_ bytes: [UInt8], isOpen: Bool = true) -> Response {
        let end = isOpen ? "}\n" : "\n"
        return AdminServer.response(
            .ok, "application/json", String(decoding: bytes, as: UTF8.self) + end)
    }

    private static func stream(
        _ write:
            @escaping @concurrent @Sendable (inout any ResponseBodyWriter) async throws -> Void
    ) -> Response {
        Response(
            status: .ok, headers: [.contentType: ndjson],
            body: ResponseBody { writer in
                try await write(&writer)
                try await writer.finish(nil)
            })
    }
}
