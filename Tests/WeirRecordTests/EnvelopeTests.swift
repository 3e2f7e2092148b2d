import Testing
import WeirRecord

/// What a request says of a record besides its values.
@Suite struct EnvelopeTests {
    private func record(
        _ body: String, _ table: TableSchema, _ envelope: Envelope = Envelope(),
        _ options: WriteOptions = WriteOptions(.insert)
    ) throws -> Record {
        let bytes = Array(body.utf8)
        var decoder = RecordDecoder(table: table, options: options, expectedByteCount: bytes.count)
        var cursor = JSONCursor(0..<bytes.count)
        try decoder.takeObject(&cursor, bytes.span)
        return try decoder.finish(envelope)
    }

    // MARK: Where it came from

    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"

    @Test(arguments: [
        "00-\(trace)-00f067aa0ba902b7-01", "00-\(trace)-00f067aa0ba902b7-00",
        "cc-\(trace)-00f067aa0ba902b7-01", "cc-\(trace)-00f067aa0ba902b7-01-what-the-future-brings",
    ])
    func aTraceIsKnown(_ header: String) {
        #expect(TraceID(traceparent: header)?.description == Self.trace)
    }

    @Test(arguments: [
        "", "00", "00-\(trace)-00f067aa0ba902b7", "00-\(trace)-00f067aa0ba902b7-0",
        "00-\(trace)-00f067aa0ba902b7-01-x", "ff-\(trace)-00f067aa0ba902b7-01",
        "cc-\(trace)-00f067aa0ba902b7-01x", "00-\(trace)-0000000000000000-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        "00_\(trace)-00f067aa0ba902b7-01", "00-\(trace)-00f067aa0ba902b7-zz",
        " 00-\(trace)-00f067aa0ba902b7-01",
    ])
    func whatIsNoTraceIsPassedOver(_ header: String) {
        #expect(TraceID(traceparent: header) == nil)
    }

    @Test func theOriginIsKeptOfMessages() throws {
        let trace = TraceID(traceparent: "00-\(Self.trace)-00f067aa0ba902b7-01")
        let origin = RecordOrigin(.said("r-1"), trace: trace)
        let message = try record(
            "{}", orders, Envelope(messageID: "m", fingerprint: 7, origin: origin))
        #expect(message.origin?.requestID == "r-1" && message.origin?.traceID == Self.trace)
        #expect(try record("{}", orders, Envelope(origin: origin)).origin == nil)
        let minted = RecordOrigin(.minted(UUID7(high: 0x0123_4567_89AB_7000, low: 1 << 63)))
        #expect(minted.requestID.hasPrefix("req_0") && minted.traceID == nil)
    }

    // MARK: How it came

    @Test func theBytesAreKeptWhereTheTableKeepsWhatIsRefused() throws {
        var policy = TablePolicy()
        policy.onReject = .deadLetter
        let keeping = TableSchema(
            number: 0, name: "t", columns: orders.columns, primaryKey: [0], policy: policy)
        let source = RecordSource(.record, Array(#"{ "id": 1 }"#.utf8))
        let kept = try record(#"{"id":1}"#, keeping, Envelope(source: source))
        #expect(kept.source?.bytes == source.bytes && kept.source?.mediaType == "application/json")
        let dropped = try record(#"{"id":1}"#, orders, Envelope(source: source))
        #expect(dropped.source == nil)
        // What waits is counted with all it holds.
        #expect(kept.byteCount == dropped.byteCount + source.bytes.count)
    }

    // MARK: What it is ordered by

    private static func ordered(by column: String, _ type: ColumnType, number: Int = 0)
        -> TableSchema
    {
        var policy = TablePolicy()
        policy.orderKey = column
        return TableSchema(
            number: number, name: "t",
            columns: [
                WeirRecordTests.column("id", .int8), WeirRecordTests.column(column, type),
            ], primaryKey: [0], policy: policy)
    }

    @Test func recordsWithTheSameOrderKeyAreOrderedAcrossTables() throws {
        let first = try record(#"{"id":1}"#, orders, Envelope(orderKey: OrderKey("customer 7")))
        let second = try record(
            #"{"order":"o","line":1}"#, lines, Envelope(orderKey: OrderKey("customer 7")))
        let other = try record(#"{"id":1}"#, orders, Envelope(orderKey: OrderKey("customer 8")))
        #expect(first.orderKeyHash != nil && first.orderKeyHash == second.orderKeyHash)
        #expect(first.orderKeyHash != other.orderKeyHash && first.orderHash == other.orderHash)
        #expect(first.orderKey == "customer 7")
        #expect(try record(#"{"id":1}"#, orders).orderKeyHash == nil)
    }

    @Test func aColumnOrdersWhereTheRequestDoesNot() throws {
        let table = Self.ordered(by: "customer", .numeric(nil))
        let seven = try record(#"{"id":1,"customer":7}"#, table).orderKeyHash
        #expect(seven != nil)
        // PostgreSQL holds them equal.
        #expect(try record(#"{"id":2,"customer":7.00}"#, table).orderKeyHash == seven)
        #expect(try record(#"{"id":2,"customer":8}"#, table).orderKeyHash != seven)
        #expect(try record(#"{"id":2,"customer":null}"#, table).orderKeyHash == nil)
        #expect(try record(#"{"id":2}"#, table).orderKeyHash == nil)
        let overruled = try record(
            #"{"id":2,"customer":7}"#, table, Envelope(orderKey: OrderKey("x")))
        let named = try record("{}", orders, Envelope(orderKey: OrderKey("x")))
        #expect(overruled.orderKeyHash == named.orderKeyHash)
    }

    @Test func aColumnsValuesAreNeitherRowsNorOrderKeys() throws {
        let table = Self.ordered(by: "customer", .text)
        let record = try record(
            #"{"id":1,"customer":"x"}"#, table)
        let named = try self.record("{}", orders, Envelope(orderKey: OrderKey("x")))
        #expect(
            record.orderKeyHash != named.orderKeyHash && record.orderKeyHash != record.orderHash)
        let elsewhere = Self.ordered(by: "customer", .text, number: 1)
        #expect(
            try self.record(#"{"id":1,"customer":"x"}"#, elsewhere).orderKeyHash
                != record.orderKeyHash)
    }

    @Test(arguments: ["", String(repeating: "x", count: 256), "é", "a\u{7}", "a\nb"])
    func anOrderKeyIsPrintable(_ text: String) {
        #expect(throws: Defect.self) { try OrderKey(text) }
    }

    // MARK: Versions

    @Test(arguments: [#"{"id":1}"#, #"{"id":1,"note":null}"#])
    func aRecordWithoutAVersionIsRefused(_ body: String) throws {
        var options = WriteOptions(.upsert)
        options.versionColumn = 2
        #expect(
            try record(#"{"id":1,"note":"3"}"#, orders, Envelope(), options).options.versionColumn
                == 2)
        let defect = #expect(throws: Defect.self) { try record(body, orders, Envelope(), options) }
        #expect(defect?.code == .invalidValue && defect?.column == "note")
    }

    @Test func aVersionColumnHasToBeOne() throws {
        #expect(try orders.versionColumn(named: "qty") == 1)
        for (name, code) in [("nope", ProblemCode.unknownColumn), ("id", .invalidRequest)] {
            let defect = #expect(throws: Defect.self) { try orders.versionColumn(named: name) }
            #expect(defect?.code == code)
        }
        var policy = TablePolicy()
        let columns = [
            column("id", .int8), column("doc", .json),
            column("sum", .int8, generation: .computed),
        ]
        for name in ["id", "doc", "sum", "x"] {
            policy.versionColumn = name
            #expect(throws: PolicyMismatch.self) {
                try policy.check(columns: columns, primaryKey: [0])
            }
        }
        policy.versionColumn = nil
        policy.orderKey = "id"
        try policy.check(columns: columns, primaryKey: [0])
        policy.orderKey = "nope"
        #expect(throws: PolicyMismatch.self) { try policy.check(columns: columns, primaryKey: [0]) }
    }
}
