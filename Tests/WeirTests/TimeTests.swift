import Testing
import Weir
import WeirCore
import WeirRecord
import WeirTesting

@Suite(.timeLimit(.minutes(1))) struct TimeTests {
    @Test func aQueuedRecordIsAnsweredWhenItsDeadlineComes() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            _ = try await stage.nextBatch()
            stage.submit(1, key: 2, timeout: .milliseconds(200))
            await stage.clock.alarm(within: .milliseconds(200))
            stage.clock.advance(by: .milliseconds(199))
            #expect(stage.inbox.unread == [])
            stage.clock.advance(by: .milliseconds(20))
            #expect(await stage.inbox.next() == ["1 deadline-exceeded"])
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["0 inserted"])
        }
    }

    @Test func aRecordInATransactionIsUnknownAtItsDeadlineAndAnsweredOnce() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1, timeout: .milliseconds(200))
            _ = try await stage.nextBatch()
            stage.clock.advance(by: .milliseconds(220))
            #expect(await stage.inbox.next() == ["0 outcome-unknown"])
            stage.submit(1, key: 2)
            stage.writer.reply(.report(.committed(1)))
            #expect(try await stage.nextBatch().keys == [#"{"id":2}"#])
            #expect(stage.inbox.unread == [])
        }
    }

    @Test func aTransientFailureIsRepeatedAfterAWait() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            #expect(try await stage.nextBatch().attempt == 1)
            stage.writer.reply(.report(BatchReport(.transient(.deadlock))))
            // Between half the wait and all of it.
            await stage.clock.alarm(within: .milliseconds(10))
            stage.clock.advance(by: .milliseconds(4))
            #expect(stage.coordinator.figures().gauges.batchesResting == 1)
            stage.clock.advance(by: .milliseconds(6))
            let batch = try await stage.nextBatch()
            #expect(batch.attempt == 2)
            #expect(batch.keys == [#"{"id":1}"#])
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["0 inserted"])
            #expect(stage.coordinator.figures().metrics.retries == [.deadlock: 1])
        }
    }

    @Test func afterTheLastAttemptTheCallerIsTold() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            for attempt in 1...3 {
                let batch = try await stage.nextBatch()
                #expect(batch.attempt == attempt)
                stage.writer.reply(.report(BatchReport(.transient(.deadlock))))
                guard attempt < 3 else { break }
                await stage.clock.alarm(within: .milliseconds(10))
                stage.clock.advance(by: .milliseconds(10))
            }
            #expect(await stage.inbox.next() == ["0 retries-exhausted"])
        }
    }

    @Test func aRestingRecordIsAnsweredAtItsDeadline() async throws {
        try await Stage.connected {
            $0.retry.delayMin = .seconds(3)
            $0.retry.delayMax = .seconds(3)
        } _: { stage in
            stage.submit(0, key: 1, timeout: .milliseconds(500))
            _ = try await stage.nextBatch()
            stage.writer.reply(.report(BatchReport(.transient(.lockTimeout))))
            await stage.clock.alarm(within: .milliseconds(500))
            // The failure has been taken in once the batch rests.
            stage.submit(1, key: 2)
            #expect(try await stage.nextBatch().keys == [#"{"id":2}"#])
            stage.clock.advance(by: .milliseconds(520))
            #expect(await stage.inbox.next() == ["0 deadline-exceeded"])
        }
    }

    @Test func aSecondWriterIsUsedWhenARecordHasLingered() async throws {
        try await Stage.connected(writers: 2) { stage in
            stage.submit(0, key: 1)
            // The writer that became idle last is used first.
            let first = try await stage.nextBatch(stage.writers[1])
            #expect(first.keys == [#"{"id":1}"#])
            stage.submit(1, key: 2)
            await stage.clock.alarm(within: .milliseconds(5))
            stage.clock.advance(by: .milliseconds(5))
            #expect(try await stage.nextBatch(stage.writers[0]).keys == [#"{"id":2}"#])
        }
    }
}
