import Testing
import Weir
import WeirCore
import WeirRecord

/// What callers are told of messages that committed before, and of dead letters.
@Suite(.timeLimit(.minutes(1))) struct ReplayAnswerTests {
    /// 2026-03-01T12:34:56.789Z, in a UUID of version 7.
    private static let firstBatch = UUID7(
        high: 1_772_368_496_789 << 16 | 0x7ABC, low: 0x8123_4567_89AB_CDEF)
    private static let batchText = firstBatch.typeID("bat")
    private static let keyed = ["Content-Type": "application/json", "Idempotency-Key": "edit-7"]

    private static func replayed(
        _ effect: RowEffect = .inserted, key: [UInt8]? = nil, deadLetter: Int64? = nil
    ) -> RowResult {
        RowResult(
            .replayed,
            first: FirstResult(
                effect: effect, batchID: firstBatch, key: key, deadLetter: deadLetter))
    }

    @Test func aRepetitionIsToldTheFirstResult() async throws {
        try await withScriptedGateway { gateway in
            let answer = try await gateway.request(
                "POST", "/v1/tables/orders/records", #"{"id":5,"qty":1}"#, headers: Self.keyed
            ) { _ in .committed([Self.replayed()]) }
            #expect(answer.status == 200)
            #expect(answer.headers["idempotent-replayed"] == "true")
            #expect(
                answer.body == #"{"result":"replayed","first":{"result":"inserted","at":"#
                    + #""2026-03-01T12:34:56.789Z"},"id":"edit-7","key":{"id":5},"#
                    + #""batch":{"id":"\#(Self.batchText)"}}"#)
        }
    }

    @Test func theKeyThatTheDatabaseMadeIsToldAgain() async throws {
        try await withScriptedGateway { gateway in
            let answer = try await gateway.request(
                "POST", "/v1/tables/orders/records", #"{"qty":1}"#, headers: Self.keyed
            ) { _ in .committed([Self.replayed(key: Array(#"{"id":41}"#.utf8))]) }
            #expect(answer.body.contains(#""id":"edit-7","key":{"id":41},"#))
        }
    }

    @Test func anIDThatTheGatewayMintedForARepetitionIsNotTold() async throws {
        var policy = TablePolicy()
        policy.id = IDRule(column: "id", prefix: "", form: .uuid)
        var column = Column(
            name: "id", type: .uuid, typeName: "uuid", isNullable: false, hasDefault: false)
        column.declaredID = try DeclaredID.resolve(
            try #require(policy.id), columns: [column], primaryKey: [0]
        ).id
        let table = TableSchema(
            number: 0, version: 1, name: "things", columns: [column], primaryKey: [0],
            policy: policy)
        try await withScriptedGateway([table]) { gateway in
            let unknown = try await gateway.request(
                "POST", "/v1/tables/things/records", "{}", headers: Self.keyed
            ) { _ in .committed([Self.replayed()]) }
            #expect(!unknown.body.contains(#""key""#))
            let known = try await gateway.request(
                "POST", "/v1/tables/things/records", "{}", headers: Self.keyed
            ) { _ in .committed([Self.replayed(key: Array(#"{"id":"x"}"#.utf8))]) }
            #expect(known.body.contains(#""key":{"id":"x"}"#))
        }
    }

    @Test func whoWantsLittleIsToldInTheHead() async throws {
        try await withScriptedGateway { gateway in
            let headers = Self.keyed.merging(["Prefer": "return=minimal"]) { $1 }
            let answer = try await gateway.request(
                "PUT", "/v1/tables/orders/records/5", #"{"qty":1}"#, headers: headers
            ) { _ in .committed([Self.replayed(.updated)]) }
            #expect(answer.status == 204 && answer.headers["idempotent-replayed"] == "true")
        }
    }

    @Test func manyAreToldEachByItself() async throws {
        try await withScriptedGateway { gateway in
            let body = #"[{"id":1},{"id":2}]"#
            let some = try await gateway.request(
                "POST", "/v1/tables/orders/records", body, headers: Self.keyed
            ) { _ in .committed([Self.replayed(), RowResult(.inserted)]) }
            #expect(some.status == 200 && some.headers["idempotent-replayed"] == nil)
            #expect(
                some.body.contains(
                    #"{"index":0,"status":200,"result":"replayed","first":{"result":"inserted","at":"#
                        + #""2026-03-01T12:34:56.789Z"},"id":"edit-7#0","key":{"id":1}}"#))
            #expect(some.body.contains(#"{"total":2,"ok":2,"failed":0}"#))
            let all = try await gateway.request(
                "POST", "/v1/tables/orders/records", body, headers: Self.keyed
            ) { batch in .committed(batch.records.map { _ in Self.replayed() }) }
            #expect(all.status == 200 && all.headers["idempotent-replayed"] == "true")
        }
    }

    @Test func streamedItemsSaySoToo() async throws {
        try await withScriptedGateway { gateway in
            let headers = Self.keyed.merging(["Accept": "application/x-ndjson"]) { $1 }
            let answer = try await gateway.request(
                "POST", "/v1/tables/orders/records", #"[{"id":1}]"#, headers: headers
            ) { _ in .committed([Self.replayed(deadLetter: nil)]) }
            #expect(
                answer.body.hasPrefix(#"{"index":0,"status":200,"result":"replayed","first":{"#)
                    && answer.body.hasSuffix("{\"summary\":{\"total\":1,\"ok\":1,\"failed\":0}}\n"))
        }
    }

    // MARK: Dead letters

    private static let refusal = DatabaseError(
        code: .checkViolation, sqlstate: "23514", message: "qty is too small",
        constraint: "orders_qty_check")

    @Test func aRepetitionOfADeadLetterGetsTheSameAnswer() async throws {
        try await withScriptedGateway { gateway in
            for result in [
                Self.replayed(.deadLettered, deadLetter: 17),
                RowResult(
                    .deadLettered,
                    first: FirstResult(effect: .deadLettered, batchID: Self.firstBatch),
                    deadLetter: 17),
            ] {
                let answer = try await gateway.request(
                    "POST", "/v1/tables/orders/records", #"{"id":5}"#, headers: Self.keyed
                ) { _ in .committed([result]) }
                #expect(answer.status == 422)
                #expect(answer.headers["content-type"] == "application/problem+json")
                #expect(answer.headers["idempotent-replayed"] == "true")
                #expect(
                    answer.body
                        == #"{"type":"urn:weir:problem:dead-lettered","title":"The record is kept "#
                        + #"with the dead letters","status":422,"detail":"the record was refused, and is "#
                        + #"kept as dead letter 17","code":"dead-lettered","retryable":false,"#
                        + #""written":"no","table":"orders","result":"dead_lettered","id":"edit-7","#
                        + #""dead_letter":17}"#)
            }
            #expect(
                gateway.coordinator.figures().metrics.effects[RowEffect.deadLettered.rawValue] == 2)
        }
    }

    @Test func aDeadLetterAmongManyIsAFailedItem() async throws {
        try await withScriptedGateway { gateway in
            let answer = try await gateway.request(
                "POST", "/v1/tables/orders/records", #"[{"id":1},{"id":2}]"#, headers: Self.keyed
            ) { _ in
                .committed([RowResult(.inserted), Self.replayed(.deadLettered, deadLetter: 3)])
            }
            #expect(answer.status == 207 && answer.headers["weir-failed"] == "1")
            #expect(
                answer.body.contains(
                    #"{"index":1,"status":422,"result":"dead_lettered","id":"edit-7#1","dead_letter":3,"#
                        + #""error":{"type":"urn:weir:problem:dead-lettered","#))
        }
    }

    @Test func theReasonIsToldWhereItIsKnown() {
        let receipt = BatchReceipt(
            id: Self.firstBatch, recordCount: 1, assignedAt: .zero, finishedAt: .zero,
            databaseTime: .zero, refusal: Self.refusal)
        let failure = Failure(
            deadLetter: RowResult(.deadLettered, deadLetter: 9), receipt.refusal, table: "orders")
        #expect(failure.code == .deadLettered && failure.sqlstate == "23514")
        #expect(failure.constraint == "orders_qty_check")
        #expect(failure.deadLetter == .init(number: 9, cause: .checkViolation))
        #expect(failure.detail.hasSuffix("dead letter 9: qty is too small"))
    }
}
