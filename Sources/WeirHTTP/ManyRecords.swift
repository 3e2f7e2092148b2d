import NIOCore
import Weir
import WeirCore
import WeirRecord

/// A request with many records: decodes its body piece by piece, when it is its turn, and puts the
/// answer together, in request order or streamed as batches commit.
final class ManyRecords: TakesTurns {
    enum Target {
        /// Inserts into one table.
        case table(TableSchema, WriteOptions)
        /// Each line says what it wants.
        case bulk
    }

    /// Records that are decoded before answers that have come meanwhile are taken: about half a
    /// millisecond. The loop looks at its sockets only when the window is full.
    private static let sliceCount = 1_000

    /// A request of one slice is decoded when it comes, and does not count in the window.
    private var isSmall: Bool { source.count <= Self.sliceCount }

    let exchange: Exchange
    var target: Target
    private let body: ByteBuffer
    let plane: DataPlane
    private let waiter: ConnectionWaiter
    let messageIDPrefix: String?
    let orderKey: OrderKey?
    /// What holds for every line of a bulk request that does not name its messages.
    private let bulkEnvelope: Envelope
    private var source: ItemSource
    var tables: BulkLine.Tables
    private var csvColumns: [Int] = []
    /// Why no row can be taken; each may have committed before all the same.
    private var headerFailure: Failure?
    /// For fingerprints.
    var csvNames: [UInt64] = []
    private var groups = GroupList()
    var answer: ManyAnswer

    private var nextIndex = 0
    private var isInputTaken = false
    var onTheirWay = 0
    private(set) var heardAt = Timestamp.zero
    /// A record was wrong, and the catalog is being looked at before it is refused.
    private var isConfirming = false
    /// Why the catalog could not be looked at.
    private var catalogTrouble: Failure?
    private var isAbandoned = false
    private var isFinished = false

    init(
        exchange: Exchange, target: Target, body: ByteBuffer, plane: DataPlane,
        waiter: ConnectionWaiter
    ) throws {
        let request = exchange.request
        self.exchange = exchange
        self.target = target
        self.body = body
        self.plane = plane
        self.waiter = waiter
        messageIDPrefix = request.messageID
        orderKey = request.orderKey
        bulkEnvelope = Envelope(orderKey: request.orderKey, origin: exchange.origin)
        tables = BulkLine.Tables(plane, exchange.request.preferences)
        let span = body.readableBytesUInt8Span
        let format: ItemSource.Format =
            switch request.mediaType {
            case .ndjson: .lines
            case .csv: .csv
            case .json, .other: .array
            }
        source = try ItemSource(
            format, span, countMax: plane.configuration.recordsPerRequestMax)
        answer = ManyAnswer(
            count: source.count, isStreamed: request.acceptsNDJSON,
            isMinimal: request.preferences.isMinimal)
        do {
            csvColumns = try resolvedHeader(target)
        } catch let failure as Failure
            where messageIDPrefix != nil && exchange.isCatalogConfirmed
            && failure.code.dependsOnDefinition
        {
            headerFailure = failure
        }
        if messageIDPrefix != nil { csvNames = source.header.map { PayloadHash.text($0) } }
    }

    /// Takes the tables' newest definitions for what comes next. Where this request cannot be read
    /// by the newer one, it goes on with its own: its statements fail when that is out of date.
    private func refreshDefinitions() {
        switch target {
        case .bulk:
            tables = BulkLine.Tables(plane, exchange.request.preferences)
        case .table(let schema, _):
            guard let newer = try? plane.table(schema.publicName), newer !== schema,
                let options = try? plane.options(.insert, exchange.request.preferences, newer),
                let columns = try? resolvedHeader(.table(newer, options))
            else { return }
            target = .table(newer, options)
            csvColumns = columns
        }
    }

    private func resolvedHeader(_ target: Target) throws -> [Int] {
        guard source.format == .csv else { return [] }
        var columns: [Int] = []
        guard case .table(let schema, _) = target else {
            throw Failure(
                .unsupportedMediaType,
                "/v1/bulk takes application/x-ndjson or a JSON array, not CSV")
        }
        for name in source.header {
            guard let column = schema.column(named: name) else {
                throw Failure(
                    .unknownColumn,
                    "table \(schema.publicName) has no column \"\(name.prefix(80))\"",
                    sqlstate: "42703", column: name, table: schema.publicName)
            }
            guard !columns.contains(column) else {
                throw Failure(
                    .invalidRequest, "the CSV header names column \"\(name.prefix(80))\" twice",
                    column: name, table: schema.publicName)
            }
            columns.append(column)
        }
        return columns
    }

    // MARK: Going on

    func start(on connection: ConnectionHandler) {
        if answer.isStreamed && connection.isFirst(exchange) { becameFirst(on: connection) }
        if isSmall {
            takeSlice(Self.sliceCount, on: connection)
            if !isDecoded { connection.loop.add(self) }
        } else if let room = connection.loop.add(self) {
            // At once: what comes behind it on this connection is not to overtake it.
            takeSlice(min(room, Self.sliceCount), on: connection)
        }
        connection.loop.decodeSoon()
    }

    /// The caller has gone: what is on its way goes on, the rest is not sent.
    func abandon(on connection: ConnectionHandler) {
        isAbandoned = true
        connection.loop.remove(self)
    }

    var mayGoOn: Bool {
        !isAbandoned && !isFinished && !isConfirming && !isDecoded && waiter.value.mayWrite
    }

    private var isDecoded: Bool { isInputTaken && groups.isEmpty }

    /// Its turn: decodes and submits the next records, for which there is `room`.
    func takeTurn(_ room: Int) {
        let connection = waiter.value
        takeSlice(min(room, Self.sliceCount), on: connection)
        connection.flush()
    }

    private func takeSlice(_ count: Int, on connection: ConnectionHandler) {
        guard mayGoOn else { return }
        refreshDefinitions()
        var submissions: [Coordinator.Submission] = []
        decode(count, on: connection, into: &submissions)
        submit(submissions, on: connection)
        if isDecoded && onTheirWay == 0 { finish(on: connection) }
    }

    private func confirmCatalog(on connection: ConnectionHandler) {
        isConfirming = true
        connection.confirmCatalog(for: exchange) { connection, trouble in
            self.isConfirming = false
            self.catalogTrouble = trouble
            connection.loop.decodeSoon()
        }
    }

    private func submit(_ submissions: [Coordinator.Submission], on connection: ConnectionHandler) {
        guard !submissions.isEmpty else { return }
        connection.loop.handOver()
        onTheirWay += submissions.count
        heardAt = plane.time.now
        var rest = submissions[...]
        // In the order in which they were submitted.
        for (index, failure) in plane.coordinator.submit(submissions, from: exchange.origin) {
            onTheirWay -= 1
            rest = rest.drop { $0.index != index }
            answer.append(
                Answer.item(index), failure, messageID: rest.first?.record.messageID)
        }
    }

    // MARK: Decoding

    private func decode(
        _ count: Int, on connection: ConnectionHandler,
        into submissions: inout [Coordinator.Submission]
    ) {
        // A copy of the reference: the span must outlive changes to this object.
        let body = body
        let input = body.readableBytesUInt8Span
        let deadline = plane.deadline(exchange.request.timeout)
        submissions.reserveCapacity(count)
        var left = count
        while left > 0 && !isInputTaken && !isConfirming {
            let index = nextIndex
            let before = source.mark
            var taken: ItemSource.Item?
            do {
                guard let item = try source.next(input) else {
                    isInputTaken = true
                    break
                }
                taken = item
                nextIndex += 1
                left -= 1
                let (record, group) = try decode(item, index, input)
                let submission = Coordinator.Submission(
                    record: record, waiter: waiter,
                    index: Answer.index(exchange: exchange.number, item: index), deadline: deadline)
                if let group {
                    groups.add(submission, to: group)
                } else {
                    submissions.append(submission)
                }
            } catch {
                let failed = error as? GroupMemberFailure
                let failure = failed?.failure ?? Self.failure(error)
                if !exchange.isCatalogConfirmed && failure.code.dependsOnDefinition {
                    // Read again when the catalog has been looked at.
                    source.goBack(to: before)
                    nextIndex = index
                    confirmCatalog(on: connection)
                    break
                }
                var message: Message?
                if let taken { message = self.message(taken, index, input, failure) }
                let refused = GroupList.Refused(
                    index: index, failure: judged(failure), message: message)
                if let failed {
                    groups.add(refused, to: failed.group)
                } else {
                    refuse(refused, on: connection)
                }
            }
        }
        if nextIndex == source.count { isInputTaken = true }
        if isInputTaken { takeGroups(left, on: connection, into: &submissions) }
    }

    private static func failure(_ error: any Error) -> Failure {
        switch error {
        case let failure as Failure: failure
        case let defect as Defect: Failure(defect)
        default: preconditionFailure("decoding throws nothing else: \(error)")
        }
    }

    /// What the catalog says is held against a record only if it has been looked at.
    private func judged(_ failure: Failure) -> Failure {
        failure.code.dependsOnDefinition ? catalogTrouble ?? failure : failure
    }

    private func decode(
        _ item: ItemSource.Item, _ index: Int, _ input: Span<UInt8>
    ) throws -> (Record, group: String?) {
        switch (item, target) {
        case (.json(let range), .bulk):
            try checkSize(range.count)
            do {
                let line =
                    if messageIDPrefix == nil {
                        try BulkLine(input, range, tables: &tables, envelope: bulkEnvelope)
                    } else {
                        try BulkLine(
                            input, range, tables: &tables,
                            envelope: envelope(index, exchange.origin))
                    }
                return (line.record, line.group)
            } catch {
                // A bad member fails its group, if the line can be read far enough to name it.
                guard let group = BulkGroupName.find(input, range) else { throw error }
                throw GroupMemberFailure(group: group, failure: Self.failure(error))
            }
        case (.json(let range), .table(let schema, let options)):
            try checkSize(range.count)
            var envelope = envelope(index)
            var decoder = RecordDecoder(
                table: schema, options: options, expectedByteCount: range.count)
            var cursor = JSONCursor(range)
            try decoder.takeObject(&cursor, input)
            try cursor.expectEnd(input)
            if envelope.messageID != nil {
                envelope.fingerprint = try fingerprint(item, schema, input)
            }
            complete(&envelope, schema) { RecordSource(.record, [UInt8](input, range)) }
            return (try decoder.finish(envelope, minting: plane.mint()), nil)
        case (.row(let fields, let range), .table(let schema, let options)):
            if let headerFailure { throw headerFailure }
            var envelope = envelope(index)
            var decoder = RecordDecoder(
                table: schema, options: options, expectedByteCount: fields.count * 16)
            for (column, field) in zip(csvColumns, fields) {
                let text = field.text ?? []
                try decoder.takeText(column, text.span, field.text == nil ? nil : 0..<text.count)
            }
            if envelope.messageID != nil {
                envelope.fingerprint = try fingerprint(item, schema, input)
            }
            complete(&envelope, schema) {
                RecordSource(.csv, [UInt8](input, source.headerRange) + [UInt8](input, range))
            }
            return (try decoder.finish(envelope, minting: plane.mint()), nil)
        case (.row, .bulk):
            preconditionFailure("CSV for /v1/bulk was refused at the start")
        }
    }

    /// Groups go when all lines have been read: a member may stand anywhere.
    private func takeGroups(
        _ room: Int, on connection: ConnectionHandler,
        into submissions: inout [Coordinator.Submission]
    ) {
        var room = room
        // One at least, so that each turn brings something on its way.
        var isOnItsWay = false
        while let group = groups.popFirst(fitting: isOnItsWay ? max(room, 1) : .max) {
            isOnItsWay = true
            if !group.refused.isEmpty {
                refuse(group, on: connection)
            } else {
                room -= group.members.count
                submissions += group.members
            }
            if room <= 0 { return }
        }
    }

    // MARK: Answers

    func receive(_ answer: Answer, on connection: ConnectionHandler) {
        heardAt = plane.time.now
        let first = Answer.item(answer.index)
        let (plane, tick) = (plane, answer.tick)
        answer.forEachRun { places, fate in
            onTheirWay -= places.count
            if case .stored = fate {
                answer.forEachResult(in: places) { place, record, result in
                    self.answer.append(
                        first + place, result, messageID: record.messageID,
                        minted: plane.minted(tick + UInt64(place)), record: record)
                }
                return
            }
            for place in places {
                guard case .failed(let failure) = answer.fate(at: place) else { continue }
                self.answer.append(
                    first + place, failure,
                    messageID: answer.record(at: place).messageID
                        ?? plane.nameToAsk(failure, tick + UInt64(place)))
            }
        }
        goOn(on: connection)
    }

    /// There is room again, or the peer reads again.
    func goOn(on connection: ConnectionHandler) {
        if isDecoded && onTheirWay == 0 { finish(on: connection) }
        connection.loop.decodeSoon()
    }

    /// Every answer before this one has been written.
    func becameFirst(on connection: ConnectionHandler) {
        answer.begin(exchange, on: connection)
    }

    /// Writes what a streamed answer has gathered.
    func writeGathered(on connection: ConnectionHandler) {
        answer.writeGathered(on: connection)
    }

    private func finish(on connection: ConnectionHandler) {
        guard !isFinished, !isAbandoned else { return }
        isFinished = true
        connection.loop.remove(self)
        answer.finish(exchange, on: connection)
    }
}
