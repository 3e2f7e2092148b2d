import Testing
import Weir
import WeirCore
import WeirRecord
import WeirTesting

@Suite(.timeLimit(.minutes(1))) struct CoordinatorTests {
    @Test func aRecordIsAnsweredWithWhatItsTransactionDid() async throws {
        try await Stage.connected { stage in
            stage.submit(7, key: 1)
            #expect(try await stage.nextBatch().keys == [#"{"id":1}"#])
            stage.clock.advance(by: .milliseconds(3))
            var report = BatchReport.committed(1, .updated)
            report.databaseTime = .milliseconds(2)
            stage.writer.reply(.report(report))
            let answer = try #require(await stage.inbox.nextAnswers().first)
            guard case .stored(let result, let receipt) = answer.fate else {
                Issue.record("not stored: \(answer.words)")
                return
            }
            #expect(result.effect == .updated)
            #expect(answer.index == 7)
            #expect(answer.admittedAt == .zero)
            #expect(receipt.recordCount == 1)
            #expect(receipt.databaseTime == .milliseconds(2))
            #expect(receipt.finishedAt - receipt.assignedAt == .milliseconds(3))
        }
    }

    @Test func recordsThatComeWhileTheWriterIsBusyShareABatch() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            #expect(try await stage.nextBatch().keys == [#"{"id":1}"#])
            for index in 1...3 { stage.submit(index, key: index + 1) }
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["0 inserted"])
            let batch = try await stage.nextBatch()
            #expect(batch.keys == [#"{"id":2}"#, #"{"id":3}"#, #"{"id":4}"#])
            stage.writer.reply(.report(.committed(3)))
            #expect(await stage.inbox.next() == ["1 inserted", "2 inserted", "3 inserted"])
        }
    }

    @Test func recordsOfSeveralRequestsAreAdmittedInOneStep() async throws {
        try await Stage.connected {
            $0.admission.recordsMax = 3
        } _: { stage in
            stage.coordinator.connected(w0, isOtherHistory: false)
            let origin = RecordOrigin(.said("r"))
            let submissions = (0..<4).map { stage.submission($0, key: $0, id: "m\($0)", qty: 1) }
            let results = stage.coordinator.submit(each: submissions.map { ($0, origin) })
            // Of four the last one finds the queue full, and is told so here and now.
            #expect(results.map { (try? $0.get()) != nil } == [true, true, true, false])
            let batch = try await stage.nextBatch()
            #expect(batch.keys == [#"{"id":0}"#, #"{"id":1}"#, #"{"id":2}"#])
            stage.writer.reply(.report(.committed(3)))
            #expect(await stage.inbox.next() == ["0 inserted", "1 inserted", "2 inserted"])
            // What is remembered is answered without a ticket.
            let again = stage.submission(7, key: 1, id: "m1", qty: 1)
            let other = stage.submission(8, key: 9)
            let tickets = try stage.coordinator.submit(each: [(again, origin), (other, origin)])
                .map { try $0.get() }
            #expect(tickets.map { $0 != nil } == [false, true])
            #expect(await stage.inbox.next() == ["7 replayed"])
            #expect(try await stage.nextBatch().keys == [#"{"id":9}"#])
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["8 inserted"])
        }
    }

    @Test func aMailboxIsCalledOnceForABatch() async throws {
        try await Stage.connected { stage in
            let (one, other) = (Inbox(), Inbox())
            stage.submit(0, key: 1)
            _ = try await stage.nextBatch()
            for (index, inbox) in [one, other, one].enumerated() {
                stage.submit(index, key: index + 2, to: inbox)
            }
            stage.writer.reply(.report(.committed(1)))
            _ = try await stage.nextBatch()
            stage.writer.reply(.report(.committed(3)))
            #expect(await one.next() == ["0 inserted", "2 inserted"])
            #expect(await other.next() == ["1 inserted"])
            #expect(one.unread == [])
            #expect(other.unread == [])
        }
    }

    @Test func equalMessageIDsAreWrittenOnceAndAnsweredEach() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1, id: "m", qty: 5)
            let batch = try await stage.nextBatch()
            #expect(stage.submit(1, key: 1, id: "m", qty: 5) == nil)
            #expect(batch.records.count == 1)
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["0 inserted", "1 inserted"])
            #expect(stage.coordinator.figures().gauges.recordsHeld == 0)
        }
    }

    @Test func anEqualMessageIDWithAnotherPayloadIsRefusedAtOnce() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1, id: "m", qty: 5)
            _ = try await stage.nextBatch()
            #expect(stage.submit(1, key: 1, id: "m", qty: 6) == .messageIDReused)
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["0 inserted"])
        }
    }

    @Test func theRowThatIsNotThereIsItsOwnRecordsFailure() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            _ = try await stage.nextBatch()
            stage.writer.reply(.report(.committed(1, .notFound)))
            #expect(await stage.inbox.next() == ["0 record-not-found"])
        }
    }

    @Test func aRefusedRecordIsFoundAndItsBatchMatesAreStored() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 9)
            _ = try await stage.nextBatch()
            for index in 1...4 { stage.submit(index, key: index) }
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["0 inserted"])
            #expect(try await stage.nextBatch().records.count == 4)
            stage.writer.reply(.report(.refused()))
            #expect(try await stage.nextBatch().keys == [#"{"id":1}"#, #"{"id":2}"#])
            stage.writer.reply(.report(.committed(2)))
            #expect(await stage.inbox.next() == ["1 inserted", "2 inserted"])
            #expect(try await stage.nextBatch().keys == [#"{"id":3}"#, #"{"id":4}"#])
            stage.writer.reply(.report(.refused()))
            #expect(try await stage.nextBatch().keys == [#"{"id":3}"#])
            stage.writer.reply(.report(.refused()))
            let refused = await stage.inbox.nextAnswers()
            #expect(refused.flatMap(\.words) == ["3 unique-violation"])
            guard case .failed(let failure)? = refused.first?.fate else { return }
            #expect(failure.constraint == "orders_pkey")
            #expect(failure.sqlstate == "23505")
            #expect(failure.table == "orders")
            #expect(try await stage.nextBatch().keys == [#"{"id":4}"#])
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["4 inserted"])
        }
    }

    @Test func aCommitWhoseAnswerNeverCameIsUnknown() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            _ = try await stage.nextBatch()
            stage.writer.reply(.report(.lost(.unknown)))
            #expect(await stage.inbox.next() == ["0 outcome-unknown"])
        }
    }

    @Test func aCancelledRecordIsNotWritten() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            _ = try await stage.nextBatch()
            let gone = stage.submission(1, key: 2)
            let admitted = try stage.coordinator.submit(gone).get()
            let ticket = try #require(admitted)
            stage.submit(2, key: 3)
            stage.coordinator.cancel(ticket)
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["0 inserted"])
            #expect(try await stage.nextBatch().keys == [#"{"id":3}"#])
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["2 inserted"])
        }
    }

    @Test func thePastTheBoundsIsRefusedBeforeAnySideEffect() async throws {
        try await Stage.connected {
            $0.admission.recordsMax = 2
        } _: { stage in
            #expect(stage.submit(0, key: 1) == nil)
            #expect(stage.submit(1, key: 2) == nil)
            let (failure) = stage.coordinator.submit(stage.submission(2, key: 3)).failure
            #expect(failure?.code == .overloaded)
            #expect(failure?.retryAfter == .seconds(1))
            #expect(stage.coordinator.figures().metrics.failures == [.overloaded: 1])
        }
    }

    @Test func whatIsCountedIsWhatCallersWereTold() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            _ = try await stage.nextBatch()
            stage.writer.reply(.report(.refused()))
            _ = await stage.inbox.next()
            stage.submit(1, key: 1)
            _ = try await stage.nextBatch()
            stage.writer.reply(.report(.committed(1)))
            _ = await stage.inbox.next()
            let metrics = stage.coordinator.figures().metrics
            #expect(metrics.effects[RowEffect.inserted.rawValue] == 1)
            #expect(metrics.failures == [.uniqueViolation: 1])
            #expect(metrics.transactions == 1)
            #expect(metrics.rolledBack == 1)
            #expect(metrics.errors == ["23505": 1])
        }
    }
}

extension Result where Failure == Weir.Failure {
    var failure: Weir.Failure? {
        if case .failure(let failure) = self { failure } else { nil }
    }
}
