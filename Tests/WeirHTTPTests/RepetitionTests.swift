import Testing
import Weir
import WeirCore
import WeirRecord
import WeirTesting

/// A message that committed comes again, and its table, which has changed, would refuse it now.
@Suite(.timeLimit(.minutes(1))) struct RepetitionTests {
    private static let batch = UUID7(
        high: 1_772_368_496_789 << 16 | 0x7ABC, low: 0x8123_4567_89AB_CDEF)
    private static let path = "/v1/tables/orders/records"
    private static let keyed = ["Content-Type": "application/json", "Idempotency-Key": "edit-7"]
    /// What `orders` once had a column for.
    private static let old = #"{"id":5,"gone":1}"#

    private static func says(
        _ body: String?, _ operation: WeirRecord.Operation = .insert, path: [String]? = nil,
        key: String? = nil
    ) throws(Defect) -> UInt64 {
        var print = Fingerprint(scriptedOrders, operation, rule: nil, version: nil)
        if let path { print.takeKey(path.map { Array($0.utf8) }) }
        for (text, isKey) in [(key, true), (body, false)] {
            guard let bytes = text.map({ Array($0.utf8) }) else { continue }
            var cursor = JSONCursor(0..<bytes.count)
            if isKey {
                try print.takeKey(&cursor, bytes.span)
            } else {
                try print.takeData(&cursor, bytes.span)
            }
        }
        return print.value
    }

    private static func stored(
        _ print: UInt64, _ effect: RowEffect = .inserted, key: String? = nil
    ) -> StoredMessage {
        var message = StoredMessage(
            FirstResult(effect: effect, batchID: batch, key: key.map { Array($0.utf8) }))
        message.fingerprint = print
        return message
    }

    /// Sends a request whose records are refused, and says what the database remembers when it is
    /// asked.
    private func request(
        _ gateway: ScriptedGateway, _ method: String = "POST", _ target: String = path,
        _ body: String = old, headers: [String: String] = keyed, asks ids: [String] = ["edit-7"],
        says reply: ScriptedWriter.Reply
    ) async throws -> Client.Response {
        let client = try gateway.client()
        async let response = client.request(method, target, body, headers: headers)
        guard case .lookUp(let asked) = await gateway.writer.nextCall() else {
            Issue.record("nobody asked the database")
            return try await response
        }
        let expected = ids.map { id in
            let hash = MessageID.hash(id)
            return MessageKey.Identity(high: hash.high, low: hash.low)
        }
        #expect(asked == expected)
        gateway.writer.reply(reply)
        return try await response
    }

    @Test func itIsToldItsFirstResult() async throws {
        try await withScriptedGateway { gateway in
            let print = try Self.says(#"{"gone":1, "id":5}"#)
            let answer = try await request(gateway, says: .found([Self.stored(print)]))
            #expect(answer.status == 200)
            #expect(answer.headers["idempotent-replayed"] == "true")
            #expect(
                answer.body == #"{"result":"replayed","first":{"result":"inserted","at":"#
                    + #""2026-03-01T12:34:56.789Z"},"id":"edit-7","#
                    + #""batch":{"id":"\#(Self.batch.typeID("bat"))"}}"#)
        }
    }

    @Test func theKeyThatWasMadeForItIsToldAgain() async throws {
        try await withScriptedGateway { gateway in
            let message = Self.stored(try Self.says(Self.old), key: #"{"id":41}"#)
            let answer = try await request(gateway, says: .found([message]))
            #expect(answer.body.contains(#""id":"edit-7","key":{"id":41},"#))
        }
    }

    @Test func anotherPayloadIsAMistake() async throws {
        try await withScriptedGateway { gateway in
            let message = Self.stored(try Self.says(#"{"id":5,"gone":2}"#))
            let answer = try await request(gateway, says: .found([message]))
            #expect(answer.status == 422 && answer.body.contains(#""code":"message-id-reused""#))
        }
    }

    @Test func whatNobodyRemembersIsRefused() async throws {
        try await withScriptedGateway { gateway in
            let answer = try await request(gateway, says: .found([nil]))
            #expect(answer.status == 422 && answer.body.contains(#""code":"unknown-column""#))
        }
    }

    @Test func nobodyIsRefusedForGoodWhereTheDatabaseCannotSay() async throws {
        try await withScriptedGateway { gateway in
            let answer = try await request(gateway, says: .failed("it is away"))
            #expect(answer.status == 503 && answer.headers["retry-after"] != nil)
        }
    }

    @Test func aDeadLetterIsOneStill() async throws {
        try await withScriptedGateway { gateway in
            var message = Self.stored(try Self.says(Self.old), .deadLettered)
            message.first.deadLetter = 17
            let answer = try await request(gateway, says: .found([message]))
            #expect(answer.status == 422)
            #expect(answer.body.contains(#""code":"dead-lettered""#))
            #expect(answer.body.contains(#""dead_letter":17"#))
        }
    }

    @Test(arguments: ["PUT", "PATCH"]) func itsKeyStandsInThePath(_ method: String) async throws {
        try await withScriptedGateway { gateway in
            let operation: WeirRecord.Operation = method == "PUT" ? .upsert : .patch
            let print = try Self.says(#"{"gone":1}"#, operation, path: ["5"])
            let answer = try await request(
                gateway, method, Self.path + "/5", #"{"gone":1}"#,
                says: .found([Self.stored(print, .updated)]))
            #expect(answer.status == 200 && answer.body.contains(#""first":{"result":"updated""#))
        }
    }

    @Test func aDeleteWhoseKeyIsNoneAnyMore() async throws {
        try await withScriptedGateway { gateway in
            let print = try Self.says(nil, .delete, path: ["five"])
            let answer = try await request(
                gateway, "DELETE", Self.path + "/five", "",
                says: .found([Self.stored(print, .deleted)]))
            #expect(answer.status == 200 && answer.body.contains(#""first":{"result":"deleted""#))
        }
    }

    @Test func anOperationThatIsNotExposedAnyMore() async throws {
        var policy = TablePolicy()
        policy.operations = [.insert]
        let table = TableSchema(
            number: 0, version: 1, name: "orders", columns: scriptedOrders.columns,
            primaryKey: [0], policy: policy)
        try await withScriptedGateway([table]) { gateway in
            let print = try Self.says(#"{"qty":1}"#, .upsert, path: ["5"])
            let answer = try await request(
                gateway, "PUT", Self.path + "/5", #"{"qty":1}"#, says: .found([Self.stored(print)]))
            #expect(answer.status == 200)
        }
    }

    @Test func whoCarriesNoMessageIDIsRefusedAtOnce() async throws {
        try await withScriptedGateway { gateway in
            let client = try gateway.client()
            let answer = try await client.request(
                "POST", Self.path, Self.old, headers: ["Content-Type": "application/json"])
            #expect(answer.status == 422)
            #expect(!gateway.writer.hasCall)
        }
    }

    // MARK: Many

    @Test(arguments: [
        ("application/json", #"[{"id":1,"gone":1},{"id":2,"gone":2}]"#),
        ("application/x-ndjson", "{\"id\":1,\"gone\":1}\n{\"id\":2,\"gone\":2}\n"),
    ])
    func manyAreToldEachByItself(_ type: String, _ body: String) async throws {
        try await withScriptedGateway { gateway in
            let print = try Self.says(#"{"id":1,"gone":1}"#)
            let client = try gateway.client()
            let headers = ["Content-Type": type, "Idempotency-Key": "m"]
            async let response = client.request("POST", Self.path, body, headers: headers)
            // Asked for by the first writer that is free: together, or one after the other.
            var count = 0
            while count < 2 {
                guard case .lookUp(let asked) = await gateway.writer.nextCall() else { break }
                let all = [Self.stored(print), nil]
                gateway.writer.reply(.found(Array(all[count..<(count + asked.count)])))
                count += asked.count
            }
            let answer = try await response
            #expect(answer.status == 207)
            #expect(answer.body.contains(#""index":0,"status":200,"result":"replayed""#))
            #expect(answer.body.contains(#""id":"m#0""#))
            #expect(answer.body.contains(#""index":1,"status":422,"result":"rejected""#))
        }
    }

    @Test func rowsAreMessagesToo() async throws {
        try await withScriptedGateway { gateway in
            let body = "id,qty\n5,many\n"
            let print = try Self.says(#"{"id":"5","qty":"many"}"#)
            let answer = try await request(
                gateway, "POST", Self.path, body,
                headers: ["Content-Type": "text/csv", "Idempotency-Key": "m"], asks: ["m#0"],
                says: .found([Self.stored(print)]))
            #expect(answer.status == 200 && answer.body.contains(#""result":"replayed""#))
        }
    }

    @Test func rowsWhoseHeaderNamesAColumnThatIsGone() async throws {
        try await withScriptedGateway { gateway in
            let body = "id,gone\n5,1\n"
            let print = try Self.says(#"{"id":"5","gone":"1"}"#)
            let headers = ["Content-Type": "text/csv", "Idempotency-Key": "m"]
            let answer = try await request(
                gateway, "POST", Self.path, body, headers: headers, asks: ["m#0"],
                says: .found([Self.stored(print)]))
            #expect(answer.status == 200 && answer.body.contains(#""result":"replayed""#))
            let other = try await request(
                gateway, "POST", Self.path, body, headers: headers, asks: ["m#0"],
                says: .found([nil]))
            #expect(other.status == 207 && other.body.contains(#""code":"unknown-column""#))
        }
    }

    private static let ndjson = ["Content-Type": "application/x-ndjson"]

    @Test func aLineBringsItsOwnID() async throws {
        try await withScriptedGateway { gateway in
            let line =
                #"{"op":"upsert","table":"orders","id":"a","key":{"id":5},"data":{"gone":1}}"#
            let print = try Self.says(#"{"gone":1}"#, .upsert, key: #"{"id":5}"#)
            let answer = try await request(
                gateway, "POST", "/v1/bulk", line, headers: Self.ndjson, asks: ["a"],
                says: .found([Self.stored(print)]))
            #expect(answer.status == 200 && answer.body.contains(#""result":"replayed""#))
        }
    }

    /// The first member is refused, the second is right.
    private static let group = """
        {"op":"insert","table":"orders","id":"a","group":"g","data":{"id":5,"gone":1}}
        {"op":"insert","table":"orders","id":"b","group":"g","data":{"id":6,"qty":1}}
        """

    private func answerToGroup(
        _ found: [StoredMessage?], in gateway: ScriptedGateway
    ) async throws -> Client.Response {
        let client = try gateway.client()
        async let response = client.request(
            "POST", "/v1/bulk", Self.group, headers: Self.ndjson)
        var count = 0
        while count < 2 {
            guard case .lookUp(let asked) = await gateway.writer.nextCall() else { break }
            gateway.writer.reply(.found(Array(found[count..<(count + asked.count)])))
            count += asked.count
        }
        return try await response
    }

    @Test func aGroupThatCommittedIsReplayedWhole() async throws {
        try await withScriptedGateway { gateway in
            let first = Self.stored(try Self.says(#"{"id":5,"gone":1}"#))
            let second = Self.stored(try Self.says(#"{"id":6,"qty":1}"#))
            let answer = try await answerToGroup([first, second], in: gateway)
            #expect(answer.status == 200)
            #expect(answer.body.contains(#""index":0,"status":200,"result":"replayed""#))
            #expect(answer.body.contains(#""index":1,"status":200,"result":"replayed""#))
        }
    }

    @Test func aGroupOfWhichAPartIsKnownIsRefused() async throws {
        try await withScriptedGateway { gateway in
            let second = Self.stored(try Self.says(#"{"id":6,"qty":1}"#))
            let answer = try await answerToGroup([nil, second], in: gateway)
            #expect(answer.status == 207)
            #expect(answer.body.contains(#""index":0,"status":422"#))
            #expect(answer.body.contains(#""index":1,"status":424"#))
        }
    }

    @Test func aGroupWithoutIDsIsRefusedAtOnce() async throws {
        try await withScriptedGateway { gateway in
            let client = try gateway.client()
            let body = #"{"op":"insert","table":"orders","group":"g","data":{"gone":1}}"#
            let answer = try await client.request("POST", "/v1/bulk", body, headers: Self.ndjson)
            #expect(answer.status == 207 && answer.body.contains(#""status":422"#))
            #expect(!gateway.writer.hasCall)
        }
    }
}
