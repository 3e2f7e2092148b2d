import NIOCore
import Testing
import WeirLoad

@Suite struct ResponseParserTests {
    private func responses(_ text: String, chunk: Int) throws -> [ResponseParser.Response] {
        var parser = ResponseParser()
        var responses: [ResponseParser.Response] = []
        var rest = ByteBuffer(string: text)
        while var part = rest.readSlice(length: min(chunk, rest.readableBytes)),
            part.readableBytes > 0
        {
            parser.feed(&part)
            while let response = try parser.next() { responses.append(response) }
        }
        return responses
    }

    private static let two =
        "HTTP/1.1 100 Continue\r\n\r\n"
        + "HTTP/1.1 201 Created\r\nContent-Length: 3\r\nX: y\r\n\r\nabcHTTP/1.1 204 No Content\r\n"
        + "connection: Close\r\n\r\n"

    @Test(arguments: [1, 2, 3, 7, 50, 1_000])
    func theCutsDoNotMatter(_ chunk: Int) throws {
        let responses = try responses(Self.two, chunk: chunk)
        #expect(responses.map(\.status) == [201, 204])
        #expect(responses.map { String(buffer: $0.body) } == ["abc", ""])
        #expect(responses.map(\.isKeepAlive) == [true, false])
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 20x OK\r\nContent-Length: 0\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
        String(repeating: "x", count: 70_000),
    ])
    func whatCannotBeReadIsSaid(_ text: String) {
        #expect(throws: ResponseParser.Malformed.self) { try responses(text, chunk: 1_000) }
    }
}

@Suite struct AnswerReaderTests {
    private func answer(_ status: Int, _ body: String) -> Answer {
        AnswerReader.answer(
            .init(status: status, body: ByteBuffer(string: body), isKeepAlive: true))
    }

    @Test func whatCommittedIsAcknowledged() {
        let body = #"{"result":"inserted","id":"m","batch":{"id":"bat_0","records":87}}"#
        #expect(answer(201, body) == Answer(.acknowledged, batchRecords: 87))
        #expect(answer(200, #"{"result":"replayed"}"#).kind == .acknowledged)
    }

    @Test(arguments: [
        (200, "{}"), (201, ""), (200, #"{"result":"spooled"}"#), (200, "<html>welcome</html>"),
        (504, #"{"code":"outcome-unknown","written":"unknown"}"#), (502, "Bad Gateway"),
        (503, "busy"), (207, #"{"items":[{"status":500}]}"#), (302, ""),
    ])
    func whatSaysNothingCertainIsUnknown(_ status: Int, _ body: String) {
        #expect(answer(status, body).kind == .unknown)
    }

    @Test(arguments: [
        (
            422, #"{"code":"check-violation","sqlstate":"23514","written":"no"}"#,
            Answer.Kind.rejected, "23514"
        ),
        (404, #"{"code":"unknown-table","written":"no"}"#, .rejected, "unknown-table"),
        (503, #"{"code":"overloaded","written":"no"}"#, .refused, "overloaded"),
        (504, #"{"code":"deadline-exceeded","written":"no"}"#, .refused, "deadline-exceeded"),
        (429, #"{"code":"quota-exceeded","written":"no"}"#, .refused, "quota-exceeded"),
        (
            207, #"{"items":[{"error":{"code":"x","sqlstate":"23505","written":"no"}}]}"#,
            .rejected, "23505"
        ),
        (400, "nonsense", .rejected, "400"),
    ])
    func whatWasNotWrittenIsDenied(
        _ status: Int, _ body: String, _ kind: Answer.Kind, _ code: String
    ) {
        #expect(answer(status, body) == Answer(kind, code: code))
    }
}

@Suite struct LedgerTests {
    @Test func everyPromiseIsHeldAgainstTheTable() {
        var ledger = Ledger(messageCount: 8, rowsPerCall: 1)
        for (message, fate) in [
            Fate.acknowledged, .acknowledged, .acknowledged, .denied, .denied,
            .unknown, .unknown,
        ].enumerated() {
            ledger.told(message, fate)
        }
        for message in [0, 1, 1, 3, 5] { ledger.saw(message, isAltered: false) }
        ledger.saw(0 + 7, isAltered: false)
        ledger.saw(99, isAltered: false)
        ledger.saw(nil, isAltered: false)
        let result = ledger.result
        #expect(result.acknowledged == 3 && result.missing == 1 && result.twice == 1)
        #expect(
            result.deniedButPresent == 1 && result.unknownPresent == 1 && result.unknownAbsent == 1)
        #expect(result.unacknowledgedButPresent == 2)
        #expect(result.foreign == 3, "one of a message that was not sent, one beyond, one without")
        #expect(!result.isHonest && result.breaches.count == 4)
    }

    @Test func severalCallsWithOneMessageCountAsTheStrongest() {
        var ledger = Ledger(messageCount: 2, rowsPerCall: 1)
        ledger.told(0, .acknowledged)
        ledger.told(0, .denied)
        ledger.told(1, .denied)
        ledger.told(1, .unknown)
        ledger.saw(0, isAltered: false)
        ledger.saw(1, isAltered: false)
        #expect(ledger.result.isHonest && ledger.result.unknownPresent == 1)
    }

    @Test func aPartOfAUnitIsTorn() {
        var ledger = Ledger(messageCount: 1, rowsPerCall: 2)
        ledger.told(0, .acknowledged)
        ledger.saw(0, isAltered: false)
        #expect(ledger.result.torn == 1 && !ledger.result.isHonest)
        ledger.saw(0, isAltered: false)
        #expect(ledger.result.isHonest)
        ledger.saw(0, isAltered: false)
        #expect(ledger.result.twice == 1)
    }

    @Test func otherContentAndStoredPoisonAreAltered() {
        var ledger = Ledger(messageCount: 2, rowsPerCall: 1)
        ledger.told(0, .acknowledged)
        ledger.told(1, .acknowledged)
        ledger.markPoison(1)
        ledger.saw(0, isAltered: true)
        ledger.saw(1, isAltered: false)
        #expect(ledger.result.altered == 2)
    }

    @Test func aClosedLoopGrowsIt() {
        var ledger = Ledger(messageCount: 0, rowsPerCall: 1)
        ledger.told(5, .acknowledged)
        ledger.saw(5, isAltered: false)
        #expect(
            ledger.messageCount == 6 && ledger.result.acknowledged == 1 && ledger.result.isHonest)
    }
}
