import Testing
import Weir
import WeirCore
import WeirRecord
import WeirTesting

/// What writers are told of records that the database refused, and what callers are.
@Suite(.timeLimit(.minutes(1))) struct RefusalTests {
    private static func table(
        _ number: Int, _ onReject: OnReject, _ order: OrderRule
    ) -> TableSchema {
        var policy = TablePolicy()
        policy.onReject = onReject
        policy.order = order
        return TableSchema(
            number: number, version: number + 10, name: "table\(number)", columns: orders.columns,
            primaryKey: [0], policy: policy)
    }

    private let keeping = table(2, .deadLetter, .skip)
    private let strict = table(3, .respond, .strict)

    /// Record 0 was refused, and the writer is to keep it.
    private func deadLetter(
        _ stage: Stage, id: String? = nil, isConnected: Bool = true
    ) async throws -> WriteBatch {
        stage.submit(0, key: 1, in: keeping, id: id)
        _ = try await stage.nextBatch()
        var report = BatchReport.refused(culprit: 0)
        report.isConnected = isConnected
        stage.writer.reply(.report(report))
        if !isConnected {
            expect(await stage.writer.nextCall(), .connect)
            stage.writer.reply(.connected)
        }
        return try await stage.nextBatch()
    }

    /// It is kept as dead letter 7.
    private func kept() -> BatchReport {
        var report = BatchReport(.committed)
        report.results = [RowResult(.deadLettered, deadLetter: 7)]
        return report
    }

    // MARK: Dead letters

    @Test(arguments: [true, false])
    func aRefusedRecordIsHandedOutAgainWithWhatWasSaidOfIt(_ isConnected: Bool) async throws {
        try await Stage.connected { stage in
            let batch = try await deadLetter(stage, isConnected: isConnected)
            #expect(batch.work == .deadLetter)
            #expect(batch.keys == [#"{"id":1}"#])
            #expect(batch.refusal?.sqlstate == "23505")
            stage.writer.reply(.report(kept()))
            let answer = try #require(await stage.inbox.nextAnswers().first)
            #expect(answer.words == ["0 dead-lettered"])
            guard case .failed(let failure) = answer.fate else { return }
            #expect(failure.deadLetter?.number == 7)
            #expect(failure.deadLetter?.cause == .uniqueViolation)
        }
    }

    @Test func whatCannotBeKeptIsToldAsItWasRefused() async throws {
        try await Stage.connected { stage in
            _ = try await deadLetter(stage)
            var report = BatchReport(.tableFault(customers.id))
            report.error = DatabaseError(code: .tablePaused, sqlstate: "42501", message: "denied")
            stage.writer.reply(.report(report))
            let answer = try #require(await stage.inbox.nextAnswers().first)
            guard case .failed(let failure) = answer.fate else {
                Issue.record("not refused: \(answer.words)")
                return
            }
            #expect(failure.code == .uniqueViolation)
            #expect(failure.sqlstate == "23505")
        }
    }

    @Test func whetherItIsKeptIsAskedWithWhatWasSaidOfIt() async throws {
        try await Stage.connected { stage in
            let attempt = try await deadLetter(stage)
            var report = BatchReport.lost(.unknown)
            report.unresolved = Unresolved(id: attempt.id, results: kept().results)
            stage.writer.reply(.report(report))
            expect(await stage.writer.nextCall(), .connect)
            stage.writer.reply(.connected)
            await stage.reached { stage.coordinator.figures().gauges.connections == 1 }
            stage.clock.advance(by: .milliseconds(20))
            let inquiry = try await stage.nextBatch()
            #expect(inquiry.work == .resolve)
            #expect(inquiry.unresolved?.id == attempt.id)
            stage.writer.reply(.report(BatchReport(.committed)))
            let answer = try #require(await stage.inbox.nextAnswers().first)
            guard case .failed(let failure) = answer.fate else {
                Issue.record("not told as a dead letter: \(answer.words)")
                return
            }
            #expect(failure.deadLetter?.number == 7)
            #expect(failure.sqlstate == "23505")
        }
    }

    /// Somebody may have redriven it meanwhile, here or elsewhere.
    @Test func ofADeadLetterOnlyTheDatabaseIsBelieved() async throws {
        try await Stage.connected { stage in
            stage.coordinator.connected(w0, isOtherHistory: false)
            _ = try await deadLetter(stage, id: "m")
            stage.writer.reply(.report(kept()))
            #expect(await stage.inbox.next() == ["0 dead-lettered"])
            stage.submit(1, key: 1, in: keeping, id: "m")
            let first = FirstResult(
                effect: .deadLettered, batchID: UUID7(high: 1, low: 2), deadLetter: 7)
            for index in 1...2 {
                #expect(try await stage.nextBatch().messages.count == 1)
                var report = BatchReport(.committed)
                report.results = [RowResult(.replayed, first: first)]
                stage.writer.reply(.report(report))
                #expect(await stage.inbox.next() == ["\(index) dead-lettered"])
                if index == 1 { stage.submit(2, key: 1, in: keeping, id: "m") }
            }
            #expect(stage.coordinator.figures().metrics.replays == 0)
        }
    }

    @Test func whatIsKeptCountsTheAttemptsThatCameBefore() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1, in: keeping)
            _ = try await stage.nextBatch()
            stage.writer.reply(.report(BatchReport(.transient(.deadlock))))
            await stage.clock.alarm(within: .milliseconds(10))
            stage.clock.advance(by: .milliseconds(10))
            #expect(try await stage.nextBatch().attempt == 2)
            stage.writer.reply(.report(.refused(culprit: 0)))
            let letter = try await stage.nextBatch()
            #expect(letter.work == .deadLetter && letter.attempt == 2)
            stage.writer.reply(.report(BatchReport(.transient(.deadlock))))
            await stage.clock.alarm(within: .milliseconds(20))
            stage.clock.advance(by: .milliseconds(20))
            #expect(try await stage.nextBatch().attempt == 3)
            stage.writer.reply(.report(kept()))
            #expect(await stage.inbox.next() == ["0 dead-lettered"])
            let metrics = stage.coordinator.figures().metrics
            #expect(metrics.deadLetters.values.map { $0 } == [1])
            #expect(metrics.deadLetters.keys.first?.sqlstate == "23505")
        }
    }

    // MARK: Order

    @Test func aStrictTableHoldsBackWhatCameInTheSameCall() async throws {
        try await Stage.connected { stage in
            let refused = stage.coordinator.submit([
                stage.submission(0, key: 1, in: strict), stage.submission(1, key: 2, in: strict),
                stage.submission(2, key: 1, in: strict),
            ])
            #expect(refused.isEmpty)
            let batch = try await stage.nextBatch()
            var report = BatchReport.refused()
            report.suspect = batch.keys.firstIndex(of: #"{"id":1}"#)
            stage.writer.reply(.report(report))
            #expect(try await stage.nextBatch().keys == [#"{"id":2}"#])
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["1 inserted"])
            #expect(try await stage.nextBatch().keys == [#"{"id":1}"#])
            stage.writer.reply(.report(.refused(culprit: 0)))
            #expect(await stage.inbox.next() == ["0 unique-violation", "2 order-blocked"])
            #expect(stage.coordinator.figures().gauges.recordsHeld == 0)
        }
    }
}
