import Testing
import Weir
import WeirCore
import WeirRecord
import WeirTesting

/// Repetitions of messages that committed, answered from memory.
@Suite(.timeLimit(.minutes(1))) struct ReplayTests {
    /// Runs `body` when record 0, with the message ID `m`, has committed with `result`.
    private func committed(
        _ result: RowResult = RowResult(.inserted), isVerified: Bool = true,
        _ body: (Stage, WriteBatch) async throws -> Void
    ) async throws {
        try await Stage.connected { stage in
            if isVerified { stage.coordinator.connected(w0, isOtherHistory: false) }
            stage.submit(0, key: 1, id: "m", qty: 5)
            let batch = try await stage.nextBatch()
            var report = BatchReport(.committed)
            report.results = [result]
            stage.writer.reply(.report(report))
            _ = await stage.inbox.next()
            try await body(stage, batch)
        }
    }

    @Test func aRepetitionIsAnsweredAtOnceWithTheFirstResult() async throws {
        try await committed { stage, batch in
            let submission = stage.submission(1, key: 1, id: "m", qty: 5)
            let ticket = try stage.coordinator.submit(submission).get()
            #expect(ticket == nil)
            let answer = try #require(await stage.inbox.nextAnswers().first)
            #expect(answer.words == ["1 replayed"])
            guard case .stored(let result, let receipt) = answer.fate else { return }
            #expect(result.first == FirstResult(effect: .inserted, batchID: batch.id))
            #expect(receipt.id == batch.id)
            let figures = stage.coordinator.figures()
            #expect(figures.gauges.recordsHeld == 0)
            #expect(figures.metrics.transactions == 1)
            #expect(figures.metrics.effects[RowEffect.replayed.rawValue] == 1)
            #expect(figures.metrics.replays == 1)
        }
    }

    @Test func anotherPayloadIsRefusedAtOnce() async throws {
        try await committed { stage, _ in
            #expect(stage.submit(1, key: 1, id: "m", qty: 6) == .messageIDReused)
        }
    }

    @Test func beforeAWriterHasVouchedForTheDatabaseItIsAsked() async throws {
        try await committed(isVerified: false) { stage, _ in
            stage.submit(1, key: 1, id: "m", qty: 5)
            let batch = try await stage.nextBatch()
            #expect(batch.messages.count == 1)
        }
    }

    @Test func afterALossTheDatabaseIsAskedUntilAWriterHasVouchedForIt() async throws {
        try await committed { stage, _ in
            stage.submit(1, key: 2)
            _ = try await stage.nextBatch()
            stage.writer.reply(.report(.lost(.transient(.connectionLost))))
            expect(await stage.writer.nextCall(), .connect)
            stage.writer.reply(.connected)
            stage.clock.advance(by: .milliseconds(10))
            _ = try await stage.nextBatch()
            stage.submit(2, key: 1, id: "m", qty: 5)
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["1 inserted"])
            let batch = try await stage.nextBatch()
            #expect(batch.messages.count == 1)
            stage.coordinator.connected(w0, isOtherHistory: false)
            stage.submit(3, key: 2, id: "n")
            stage.writer.reply(.report(.committed(1, .notFound)))
            #expect(await stage.inbox.next() == ["2 record-not-found"])
        }
    }

    @Test func aDatabaseThatMayHaveLostSomethingIsAskedAboutAllOfIt() async throws {
        try await committed { stage, _ in
            stage.coordinator.connected(w0, isOtherHistory: true)
            stage.submit(1, key: 1, id: "m", qty: 5)
            let batch = try await stage.nextBatch()
            #expect(batch.messages.count == 1)
        }
    }

    @Test(arguments: [RowEffect.notFound, .messageIDReused])
    func whatLeftNothingIsNotRemembered(_ effect: RowEffect) async throws {
        try await committed(RowResult(effect)) { stage, _ in
            stage.submit(1, key: 1, id: "m", qty: 5)
            let batch = try await stage.nextBatch()
            #expect(batch.records.count == 1)
        }
    }

    @Test func whatTheDatabaseReplayedIsRememberedAsItWasFirst() async throws {
        let first = FirstResult(effect: .updated, batchID: UUID7(high: 1, low: 2))
        try await committed(RowResult(.replayed, first: first)) { stage, _ in
            stage.submit(1, key: 1, id: "m", qty: 5)
            let answer = try #require(await stage.inbox.nextAnswers().first)
            guard case .stored(let result, _) = answer.fate else {
                Issue.record("not told: \(answer.words)")
                return
            }
            #expect(result.effect == .replayed)
            #expect(result.first == first)
        }
    }

    @Test func aKeyThatTheDatabaseMadeIsTold() async throws {
        let key = Array(#"{"id":7}"#.utf8)
        try await committed(RowResult(.inserted, key: key)) { stage, _ in
            stage.submit(1, key: 1, id: "m", qty: 5)
            guard case .stored(let result, _)? = await stage.inbox.nextAnswers().first?.fate else {
                return
            }
            #expect(result.key == key)
        }
    }

    // MARK: Groups

    /// Submits a group of the messages `ids`, numbered from 10; those it is refused with.
    private func submitGroup(_ stage: Stage, _ ids: [String?], qty: Int = 5) -> [ProblemCode] {
        let members = ids.enumerated().map { offset, id in
            stage.submission(10 + offset, key: 1 + offset, id: id, qty: qty, group: 1)
        }
        return stage.coordinator.submit(members).map(\.failure.code)
    }

    @Test func aGroupThatCommittedIsAnsweredMemberByMember() async throws {
        try await Stage.connected { stage in
            stage.coordinator.connected(w0, isOtherHistory: false)
            #expect(submitGroup(stage, ["a", "b"]) == [])
            _ = try await stage.nextBatch()
            stage.writer.reply(.report(.committed(2)))
            #expect(await stage.inbox.next() == ["10 inserted", "11 inserted"])
            #expect(submitGroup(stage, ["a", "b"]) == [])
            #expect(await stage.inbox.next() == ["10 replayed", "11 replayed"])
        }
    }

    @Test(arguments: [["m", "n"], ["m", nil]])
    func theDatabaseSaysWhatBecomesOfAGroupOfWhichAPartIsKnown(_ ids: [String?]) async throws {
        try await committed { stage, _ in
            #expect(submitGroup(stage, ids) == [])
            let batch = try await stage.nextBatch()
            #expect(batch.records.count == 2)
        }
    }

    @Test func aGroupWithAnotherPayloadIsRefusedWhole() async throws {
        try await committed { stage, _ in
            #expect(
                submitGroup(stage, ["m", "n"], qty: 6) == [.messageIDReused, .messageIDReused])
        }
    }
}
