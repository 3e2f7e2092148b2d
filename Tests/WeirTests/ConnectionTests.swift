import Testing
import Weir
import WeirCore
import WeirTesting

/// Connections that lead to a server that has been replaced: what they say does not count.
@Suite(.timeLimit(.minutes(1))) struct ConnectionTests {
    private let w1 = WriterID(1)

    /// The second writer has a batch with one record when the first one finds that the database is
    /// another one.
    private func outdated(_ body: (Stage, WriteBatch) async throws -> Void) async throws {
        try await Stage.connected(writers: 2) { stage in
            stage.coordinator.connected(w1, isOtherHistory: false)
            stage.submit(0, key: 1, id: "m")
            let batch = try await stage.nextBatch(stage.writers[1])
            stage.coordinator.connected(w0, isOtherHistory: true)
            try await body(stage, batch)
        }
    }

    private func committed(_ batch: WriteBatch) -> BatchReport {
        var report = BatchReport.committed(1)
        report.unresolved = Unresolved(id: batch.id, results: report.results)
        return report
    }

    @Test func whatCommittedOnAServerThatWasReplacedIsFoundOut() async throws {
        try await outdated { stage, batch in
            stage.writers[1].reply(.report(committed(batch)))
            await stage.reached { stage.coordinator.figures().gauges.batchesUnresolved == 1 }
            // The writer itself is asked, and gives its connection up.
            stage.clock.advance(by: .milliseconds(20))
            expect(await stage.writers[1].nextCall(), .connect)
            stage.clock.advance(by: .milliseconds(100))
            let inquiry = try await stage.nextBatch()
            #expect(inquiry.work == .resolve)
            #expect(inquiry.unresolved?.id == batch.id)
            #expect(stage.inbox.unread.isEmpty)
            stage.writer.reply(.report(BatchReport(.committed)))
            #expect(await stage.inbox.next() == ["0 inserted"])
        }
    }

    @Test func whereNothingIsKeptItStaysUnknown() async throws {
        try await outdated { stage, _ in
            stage.writers[1].reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["0 outcome-unknown"])
        }
    }

    @Test func aRefusalCountsAllTheSame() async throws {
        try await outdated { stage, _ in
            stage.writers[1].reply(.report(.refused(culprit: 0)))
            #expect(await stage.inbox.next() == ["0 unique-violation"])
        }
    }

    @Test func nobodyIsAskedByAConnectionToAServerThatWasReplaced() async throws {
        try await Stage.connected(writers: 2) { stage in
            stage.submit(0, key: 1)
            let attempt = try await stage.nextBatch(stage.writers[1])
            var report = BatchReport.lost(.unknown)
            report.unresolved = Unresolved(id: attempt.id, results: [RowResult(.inserted)])
            stage.writers[1].reply(.report(report))
            expect(await stage.writers[1].nextCall(), .connect)
            stage.clock.advance(by: .milliseconds(20))
            let inquiry = try await stage.nextBatch()
            #expect(inquiry.work == .resolve)
            stage.coordinator.connected(w1, isOtherHistory: true)
            // The replaced server has no such attempt, and could not have.
            stage.writer.reply(.report(BatchReport(.transient(.connectionLost))))
            stage.writers[1].reply(.connected)
            await stage.reached { stage.coordinator.figures().gauges.connections == 2 }
            #expect(stage.coordinator.figures().gauges.batchesUnresolved == 1)
        }
    }

    @Test func anIdleConnectionToAServerThatWasReplacedIsGivenUp() async throws {
        try await Stage.connected(writers: 2) { stage in
            stage.coordinator.connected(w0, isOtherHistory: true)
            stage.submit(0, key: 1)
            expect(await stage.writers[1].nextCall(), .connect)
            stage.clock.advance(by: .milliseconds(20))
            let again = try await stage.nextBatch()
            #expect(again.attempt == 2)
        }
    }

    /// A connection that was begun before another was lost may lead to the server that was replaced
    /// meanwhile: it does not vouch for what is remembered.
    @Test func onlyAConnectionThatIsBegunAfterALossVouches() async throws {
        try await Stage.connected(writers: 2) { stage in
            let coordinator = stage.coordinator
            coordinator.connected(w0, isOtherHistory: false)
            stage.submit(0, key: 1, id: "m")
            _ = try await stage.nextBatch(stage.writers[1])
            stage.writers[1].reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["0 inserted"])
            stage.submit(1, key: 1, id: "m")
            #expect(await stage.inbox.next() == ["1 replayed"])

            coordinator.connecting(w0)
            stage.submit(2, key: 2)
            _ = try await stage.nextBatch(stage.writers[1])
            stage.writers[1].reply(.report(.lost(.unknown)))
            #expect(await stage.inbox.next() == ["2 outcome-unknown"])
            coordinator.connected(w0, isOtherHistory: false)
            stage.submit(3, key: 1, id: "m")
            let asked = try await stage.nextBatch()
            #expect(asked.messages.count == 1)

            coordinator.connecting(w1)
            coordinator.connected(w1, isOtherHistory: false)
            stage.submit(4, key: 1, id: "m")
            stage.writer.reply(.report(.committed(1, .replayed)))
            _ = await stage.inbox.next()
        }
    }
}
