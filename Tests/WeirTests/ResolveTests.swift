import Testing
import Weir
import WeirCore
import WeirRecord
import WeirTesting

/// COMMIT was sent and not answered: what the writer is asked, and what callers are told.
@Suite(.timeLimit(.minutes(1))) struct ResolveTests {
    /// One record is in an attempt whose COMMIT was not answered, and the writer has connected
    /// again and is to find out.
    private func inquiry(
        _ stage: Stage, results: [RowResult] = [RowResult(.inserted)]
    ) async throws -> (attempt: WriteBatch, inquiry: WriteBatch) {
        let attempt = try await stage.nextBatch()
        var report = BatchReport.lost(.unknown)
        report.unresolved = Unresolved(id: attempt.id, results: results)
        stage.writer.reply(.report(report))
        expect(await stage.writer.nextCall(), .connect)
        stage.writer.reply(.connected)
        await stage.reached { stage.coordinator.figures().gauges.connections == 1 }
        stage.clock.advance(by: .milliseconds(20))
        return (attempt, try await stage.nextBatch())
    }

    @Test func theWriterIsAskedAboutTheAttemptItself() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            let (attempt, inquiry) = try await inquiry(stage)
            #expect(attempt.work == .write)
            #expect(attempt.unresolved == nil)
            #expect(inquiry.work == .resolve)
            #expect(inquiry.attempt == 1)
            #expect(inquiry.unresolved?.id == attempt.id)
            #expect(inquiry.id != attempt.id)
            #expect(inquiry.number == attempt.number)
            #expect(inquiry.keys == attempt.keys)
        }
    }

    @Test func whatHadCommittedIsToldAsItsAttemptKnewIt() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            let (attempt, _) = try await inquiry(stage, results: [RowResult(.updated)])
            stage.writer.reply(.report(BatchReport(.committed)))
            let answer = try #require(await stage.inbox.nextAnswers().first)
            #expect(answer.words == ["0 updated"])
            guard case .stored(_, let receipt) = answer.fate else { return }
            #expect(receipt.id == attempt.id)
            let metrics = stage.coordinator.figures().metrics
            #expect(metrics.transactions == 1)
            #expect(metrics.rolledBack == 0)
            #expect(metrics.unresolved == 1)
            #expect(metrics.resolvedCommitted == 1)
        }
    }

    @Test func whatHadNotCommittedIsWritten() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            let (attempt, _) = try await inquiry(stage)
            stage.writer.reply(.report(BatchReport(.transient(.connectionLost))))
            await stage.reached { stage.coordinator.figures().gauges.batchesUnresolved == 0 }
            stage.clock.advance(by: .milliseconds(10))
            let again = try await stage.nextBatch()
            #expect(again.work == .write)
            #expect(again.attempt == 2)
            #expect(again.id != attempt.id)
            #expect(again.unresolved == nil)
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["0 inserted"])
            #expect(stage.coordinator.figures().metrics.resolvedLost == 1)
        }
    }

    @Test func aWriterThatIsLostWhileItAsksIsFollowedByAnother() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            let (attempt, _) = try await inquiry(stage)
            stage.writer.reply(.report(.lost(.transient(.connectionLost))))
            expect(await stage.writer.nextCall(), .connect)
            stage.writer.reply(.connected)
            await stage.reached { stage.coordinator.figures().gauges.connections == 1 }
            stage.clock.advance(by: .milliseconds(40))
            let again = try await stage.nextBatch()
            #expect(again.work == .resolve)
            #expect(again.attempt == 2)
            #expect(again.unresolved?.id == attempt.id)
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["0 inserted"])
        }
    }

    @Test func whatCannotBeFoundOutAnyMoreIsToldOnce() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            _ = try await inquiry(stage)
            stage.writer.reply(.report(BatchReport(.unknown)))
            #expect(await stage.inbox.next() == ["0 outcome-unknown"])
            try await stage.settle(1)
            let figures = stage.coordinator.figures()
            #expect(figures.gauges.recordsHeld == 0)
            #expect(figures.gauges.batchesUnresolved == 0)
            #expect(figures.metrics.resolvedForgotten == 1)
        }
    }

    @Test func aCallerWhoseDeadlinePassesIsToldThatNobodyKnows() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1, timeout: .milliseconds(15))
            _ = try await inquiry(stage)
            #expect(await stage.inbox.next() == ["0 outcome-unknown"])
            #expect(stage.coordinator.figures().gauges.recordsHeld == 1)
            stage.writer.reply(.report(.committed(1)))
            try await stage.settle(1)
            #expect(stage.coordinator.figures().gauges.recordsHeld == 0)
        }
    }

    @Test func anAbandonedDrainTellsThatNobodyKnows() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            _ = try await inquiry(stage)
            let coordinator = stage.coordinator
            async let isDrained: Void = coordinator.drain()
            await stage.drainBegins()
            coordinator.abandonDrain()
            await isDrained
            #expect(stage.inbox.unread == [["0 outcome-unknown"]])
        }
    }
}
