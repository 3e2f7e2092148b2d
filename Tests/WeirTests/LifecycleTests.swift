import Testing
import Weir
import WeirCore
import WeirRecord
import WeirTesting

@Suite(.timeLimit(.minutes(1))) struct LifecycleTests {
    // MARK: Connections

    @Test func withoutAConnectionNothingIsAccepted() async throws {
        try await Stage.run { stage in
            #expect(stage.submit(0, key: 1) == .databaseUnavailable)
            await stage.connect(stage.writer)
            #expect(stage.submit(1, key: 1) == nil)
        }
    }

    @Test func aFailedConnectIsRepeatedAfterAWait() async throws {
        try await Stage.run { stage in
            expect(await stage.writer.nextCall(), .connect)
            stage.writer.reply(.failed("refused"))
            await stage.clock.alarm(within: .milliseconds(100))
            #expect(stage.coordinator.databaseTrouble == "refused")
            #expect(stage.coordinator.unreadiness == "database unavailable: refused")
            stage.clock.advance(by: .milliseconds(100))
            await stage.connect(stage.writer)
            #expect(stage.submit(0, key: 1) == nil)
            #expect(stage.coordinator.databaseTrouble == nil)
        }
    }

    @Test func aLostConnectionIsOpenedAgainAndTheBatchRepeated() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            _ = try await stage.nextBatch()
            stage.writer.reply(.report(.lost(.transient(.connectionLost))))
            expect(await stage.writer.nextCall(), .connect)
            #expect(stage.submit(1, key: 2) == .databaseUnavailable)
            stage.clock.advance(by: .milliseconds(10))
            stage.writer.reply(.connected)
            let batch = try await stage.nextBatch()
            #expect(batch.attempt == 2)
            #expect(batch.keys == [#"{"id":1}"#])
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["0 inserted"])
        }
    }

    @Test func aQueuedRecordWhoseDatabaseIsGoneIsToldSo() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1, timeout: .milliseconds(100))
            _ = try await stage.nextBatch()
            stage.submit(1, key: 2, timeout: .milliseconds(100))
            stage.writer.reply(.report(.lost(.transient(.connectionLost))))
            expect(await stage.writer.nextCall(), .connect)
            stage.clock.advance(by: .milliseconds(120))
            #expect(
                await Set(stage.inbox.next()) == [
                    "0 database-unavailable", "1 database-unavailable",
                ])
        }
    }

    @Test func anIdleConnectionIsLookedAtOnceASecond() async throws {
        try await Stage.connected(answersChecks: false) { stage in
            expect(await stage.nextCheck(), .isAlive)
            stage.writer.reply(.alive(true))
            expect(await stage.nextCheck(), .isAlive)
            stage.writer.reply(.alive(false))
            expect(await stage.writer.nextCall(), .connect)
            #expect(stage.submit(0, key: 1) == .databaseUnavailable)
        }
    }

    @Test func aBatchForAWriterThatIsBeingLookedAtIsNotLost() async throws {
        try await Stage.connected(answersChecks: false) { stage in
            expect(await stage.nextCheck(), .isAlive)
            stage.submit(1, key: 1)
            stage.writer.reply(.alive(false))
            // The batch was handed over while the writer looked: writing it finds the loss.
            #expect(try await stage.nextBatch().keys == [#"{"id":1}"#])
            stage.writer.reply(.report(.lost(.transient(.connectionLost))))
            expect(await stage.writer.nextCall(), .connect)
            stage.clock.advance(by: .milliseconds(10))
            stage.writer.reply(.connected)
            _ = try await stage.nextBatch()
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["1 inserted"])
        }
    }

    // MARK: Catalog

    @Test func aTableFaultPausesTheTableUntilItsDefinitionHasChanged() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            _ = try await stage.nextBatch()
            stage.writer.reply(.report(BatchReport(.tableFault(orders.id))))
            #expect(await stage.inbox.next() == ["0 table-paused"])
            expect(await stage.writer.nextCall(), .loadCatalog)
            #expect(stage.submit(1, key: 1) == .tablePaused)
            let changed = TableSchema(
                number: 0, version: 3, name: "orders", columns: Array(orders.columns.prefix(1)),
                primaryKey: [0])
            stage.writer.reply(.catalog(Catalog([.found(changed), .found(customers)])))
            try await stage.settle(in: customers)
            #expect(stage.coordinator.catalogStore.catalog?.found.first?.version == 3)
            // The fault was the old definition's, and stays with what was decoded for it.
            #expect(stage.submit(2, key: 1) == .tablePaused)
            #expect(stage.submit(3, key: 1, in: changed) == nil)
        }
    }

    @Test func theSameDefinitionAgainEndsNoPause() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            _ = try await stage.nextBatch()
            stage.writer.reply(.report(BatchReport(.tableFault(orders.id))))
            #expect(await stage.inbox.next() == ["0 table-paused"])
            expect(await stage.writer.nextCall(), .loadCatalog)
            stage.writer.reply(.catalog(catalog))
            try await stage.settle(in: customers)
            #expect(stage.submit(1, key: 1) == .tablePaused)
            stage.clock.advance(by: .seconds(1))
            #expect(stage.submit(2, key: 1) == nil)
        }
    }

    @Test func aMissingTableIsLookedForOnceASecond() async throws {
        try await Stage.run { stage in
            expect(await stage.writer.nextCall(), .connect)
            stage.writer.reply(.connected)
            expect(await stage.writer.nextCall(), .loadCatalog)
            stage.writer.reply(.catalog(Catalog([.missing(name: "orders"), .found(customers)])))
            try await stage.settle(in: customers)
            expect(await stage.nextCheck(), .loadCatalog)
            stage.writer.reply(.catalog(catalog))
            try await stage.settle(in: customers)
            #expect(stage.coordinator.catalogStore.catalog?.missing == [])
        }
    }

    @Test func aCatalogThatCannotBeReadIsAskedForWithTheNextLook() async throws {
        try await Stage.run { stage in
            expect(await stage.writer.nextCall(), .connect)
            stage.writer.reply(.connected)
            expect(await stage.writer.nextCall(), .loadCatalog)
            stage.writer.reply(.failed("57014"))
            // Not at once: the reason may last.
            try await stage.settle()
            #expect(stage.coordinator.catalogStore.catalog == nil)
            expect(await stage.nextCheck(), .loadCatalog)
            stage.writer.reply(.catalog(catalog))
            try await stage.settle()
            #expect(stage.coordinator.catalogStore.catalog != nil)
        }
    }

    // MARK: The end

    @Test func aDrainRefusesWhatIsNewAndWaitsForWhatIsNot() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            _ = try await stage.nextBatch()
            stage.submit(1, key: 2)
            let coordinator = stage.coordinator
            async let isDrained: Void = coordinator.drain()
            await stage.drainBegins()
            #expect(stage.submit(2, key: 3) == .draining)
            #expect(coordinator.unreadiness == "draining")
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["0 inserted"])
            #expect(try await stage.nextBatch().keys == [#"{"id":2}"#])
            #expect(coordinator.figures().gauges.recordsHeld == 1)
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["1 inserted"])
            await isDrained
            #expect(coordinator.figures().gauges.recordsHeld == 0)
            // Once drained, drained.
            await coordinator.drain()
        }
    }

    @Test func aDrainWithNothingHeldIsOverAtOnce() async throws {
        try await Stage.connected { stage in
            await stage.coordinator.drain()
            #expect(stage.coordinator.figures().gauges.isDraining)
        }
    }

    @Test func anAbandonedDrainEndsTheWait() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            _ = try await stage.nextBatch()
            let coordinator = stage.coordinator
            async let isDrained: Void = coordinator.drain()
            await stage.drainBegins()
            coordinator.abandonDrain()
            await isDrained
            #expect(coordinator.figures().gauges.recordsHeld == 1)
            #expect(stage.inbox.unread == [["0 outcome-unknown"]])
        }
    }

    @Test func stopLetsEveryWriterGo() async throws {
        // `run` returns when every writer has: the test would not end if one stayed.
        try await Stage.connected(writers: 3) { stage in
            #expect(!stage.coordinator.isStopping)
            stage.coordinator.stop()
            #expect(stage.coordinator.isStopping)
        }
    }

    @Test func startedReturnsOnceTheFirstAttemptIsOver() async throws {
        try await Stage.run { stage in
            let coordinator = stage.coordinator
            async let isStarted: Void = coordinator.started()
            coordinator.markStarted()
            await isStarted
            await coordinator.started()
        }
    }
}

extension Stage {
    /// Takes one record through, so that everything that came before it has been dealt with.
    func settle(_ index: Int = 0, in table: TableSchema = orders) async throws {
        #expect(submit(index, key: 1_000, in: table) == nil)
        _ = try await nextBatch()
        writer.reply(.report(.committed(1)))
        #expect(await inbox.next() == ["\(index) inserted"])
    }

    /// What the writer is asked when the clock moves on second by second: it is looked at as soon
    /// as it has nothing to do.
    func nextCheck() async -> ScriptedWriter.Call {
        while !writer.hasCall && !Task.isCancelled {
            clock.advance(by: .seconds(1))
            await Task.yield()
        }
        return await writer.nextCall()
    }

    /// Returns once the coordinator has been told to drain.
    func drainBegins() async {
        await reached { coordinator.figures().gauges.isDraining }
    }
}
