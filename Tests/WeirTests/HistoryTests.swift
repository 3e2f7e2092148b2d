import Logging
import Synchronization
import Testing
import Weir
import WeirCore
import WeirRecord
import WeirTesting

/// What is known of a message, from its arrival to long after.
@Suite(.timeLimit(.minutes(1))) struct HistoryTests {
    private let keeping: TableSchema = {
        var policy = TablePolicy()
        policy.onReject = .deadLetter
        return TableSchema(
            number: 2, version: 12, name: "keeping", columns: orders.columns, primaryKey: [0],
            policy: policy)
    }()

    private func history(_ stage: Stage, _ id: String) async -> Result<MessageHistory?, Failure> {
        await withCheckedContinuation { continuation in
            stage.coordinator.history(of: id, by: stage.clock.now + .seconds(1)) {
                continuation.resume(returning: $0)
            }
        }
    }

    /// What memory knows; the database is not asked for it.
    private func known(_ stage: Stage, _ id: String) async throws -> MessageHistory {
        try #require(try await history(stage, id).get())
    }

    @Test func aMessageIsFollowedFromTheQueueToItsEnd() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1, id: "first")
            let batch = try await stage.nextBatch()
            stage.submit(1, key: 1, id: "second")
            stage.clock.advance(by: .milliseconds(20))

            let running = try await known(stage, "first")
            #expect(running.state == .inBatch && running.attempts == 1 && running.outcome == nil)
            #expect(running.batchID == batch.id && running.table == "orders")
            let waiting = try await known(stage, "second")
            #expect(waiting.state == .queued && waiting.batchID == nil && waiting.attempts == nil)

            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == ["0 inserted"])
            let ended = try await known(stage, "first")
            #expect(ended.state == .settled && ended.outcome == .stored(.inserted))
            #expect(ended.batchID == batch.id && ended.attempts == 1 && ended.lastReason == nil)
            let received = try #require(ended.receivedAt)
            #expect(ended.endedAt == received + 20 && ended.batchedAt == received)
            _ = try await stage.nextBatch()
            stage.writer.reply(.report(.committed(1, .updated)))
            #expect(await stage.inbox.next() == ["1 updated"])
            #expect(try await known(stage, "second").outcome == .stored(.updated))
        }
    }

    @Test func attemptsAreCountedWithTheLastReason() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1, id: "m")
            _ = try await stage.nextBatch()
            stage.writer.reply(.report(BatchReport(.transient(.deadlock))))
            await stage.reached { stage.coordinator.figures().gauges.batchesResting == 1 }
            let resting = try await known(stage, "m")
            #expect(resting.state == .resting && resting.attempts == 1)
            stage.clock.advance(by: .milliseconds(20))
            let second = try await stage.nextBatch()
            stage.writer.reply(.report(.committed(1)))
            _ = await stage.inbox.next()
            let ended = try await known(stage, "m")
            #expect(
                ended.attempts == 2 && ended.lastReason == .deadlock && ended.batchID == second.id)
        }
    }

    @Test func aRefusalIsRememberedWithItsReason() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1, id: "m")
            _ = try await stage.nextBatch()
            stage.writer.reply(.report(.refused(culprit: 0)))
            _ = await stage.inbox.next()
            // The database may know better: another gateway may have written it since.
            async let asked = history(stage, "m")
            let call = await stage.writer.nextCall()
            #expect(call.name == "lookUp")
            stage.writer.reply(.found([nil]))
            let history = try #require(try await asked.get())
            #expect(history.outcome == .failed(.uniqueViolation, sqlstate: "23505"))
        }
    }

    /// Somebody may have redriven it since.
    @Test func aDeadLetterIsNotTheLastWord() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1, in: keeping, id: "m")
            _ = try await stage.nextBatch()
            stage.writer.reply(.report(.refused(culprit: 0)))
            let letter = try await stage.nextBatch()
            var report = BatchReport(.committed)
            report.results = [RowResult(.deadLettered, deadLetter: 7)]
            stage.writer.reply(.report(report))
            _ = await stage.inbox.next()
            // Of the same letter, memory knows more.
            async let same = history(stage, "m")
            _ = await stage.writer.nextCall()
            stage.writer.reply(
                .found([
                    StoredMessage(
                        FirstResult(effect: .deadLettered, batchID: letter.id, deadLetter: 7))
                ]))
            let told = try #require(try await same.get())
            #expect(told.outcome == .deadLettered(7) && !told.isStored && told.receivedAt != nil)
            async let other = history(stage, "m")
            _ = await stage.writer.nextCall()
            let id = UUID7(high: 1_772_368_496_789 << 16 | 0x7000, low: 1 << 63)
            stage.writer.reply(.found([StoredMessage(FirstResult(effect: .inserted, batchID: id))]))
            let redriven = try #require(try await other.get())
            #expect(redriven.outcome == .stored(.inserted) && redriven.isStored)
            #expect(stage.coordinator.figures().metrics.lookUpsFound == 2)
        }
    }

    // MARK: Minted IDs

    @Test func aRecordWithoutAnIDIsFoundByItsMintedOne() async throws {
        try await Stage.connected { stage in
            let origin = RecordOrigin(.said("r-1"))
            let submissions = (0..<4).map { stage.submission($0, key: $0) }
            #expect(stage.coordinator.submit(submissions, from: origin).isEmpty)
            var batches: [UUID7] = []
            var ids: [String] = []
            while ids.count < 4 {
                let batch = try await stage.nextBatch()
                batches.append(batch.id)
                stage.writer.reply(.report(.committed(batch.records.count)))
                for answer in await stage.inbox.nextAnswers() {
                    answer.forEach { index, _, _ in
                        let tick = answer.tick + UInt64(index - answer.index)
                        ids.append(stage.coordinator.ids.id(tick: tick).typeID("msg"))
                    }
                }
            }
            #expect(Set(ids).count == 4)
            for id in ids {
                let history = try await known(stage, id)
                #expect(history.outcome == .stored(.inserted) && history.requestID == "r-1")
                #expect(batches.contains(try #require(history.batchID)))
            }
        }
    }

    @Test func membersOfAPackThatMetDifferentFatesAreToldApart() async throws {
        try await Stage.connected { stage in
            let submissions = (0..<2).map { stage.submission($0, key: $0) }
            _ = stage.coordinator.submit(submissions)
            let batch = try await stage.nextBatch()
            #expect(batch.records.count == 2)
            var report = BatchReport(.committed)
            report.results = [RowResult(.inserted), RowResult(.ignored)]
            stage.writer.reply(.report(report))
            let answers = await stage.inbox.nextAnswers()
            #expect(answers.count == 1)
            let tick = try #require(answers.first).tick
            let ids = [tick, tick + 1].map { stage.coordinator.ids.id(tick: $0).typeID("msg") }
            #expect(try await known(stage, ids[0]).outcome == .stored(.inserted))
            #expect(try await known(stage, ids[1]).outcome == .stored(.ignored))
        }
    }

    // MARK: Unknown outcomes

    @Test func whatIsBeingFoundOutIsSaidToBe() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1, id: "m", timeout: .milliseconds(50))
            let batch = try await stage.nextBatch()
            var report = BatchReport(.unknown)
            report.unresolved = Unresolved(id: batch.id, results: [RowResult(.inserted)])
            stage.writer.reply(.report(report))
            await stage.reached { stage.coordinator.figures().gauges.batchesUnresolved == 1 }
            let unresolved = try await known(stage, "m")
            #expect(
                unresolved.state == .unresolved && unresolved.outcome == .unknown(isResolving: true)
            )
            // Its caller is told that nobody knows, and it goes on.
            stage.clock.advance(by: .milliseconds(60))
            #expect(await stage.inbox.next() == ["0 outcome-unknown"])
            #expect(try await known(stage, "m").outcome == .unknown(isResolving: true))
            let inquiry = try await stage.nextBatch()
            #expect(inquiry.work == .resolve)
            var found = BatchReport(.committed)
            found.results = [RowResult(.inserted)]
            stage.writer.reply(.report(found))
            await stage.reached { stage.coordinator.figures().gauges.recordsHeld == 0 }
            let resolved = try await known(stage, "m")
            #expect(resolved.state == .settled && resolved.outcome == .stored(.inserted))
            #expect(resolved.batchID == batch.id && resolved.attempts == 1)
        }
    }

    @Test func aRecordThatIsWrittenAfterItsCallerWasAnsweredIsKnownToBe() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1, id: "m", timeout: .milliseconds(50))
            _ = try await stage.nextBatch()
            stage.clock.advance(by: .milliseconds(60))
            #expect(await stage.inbox.next() == ["0 outcome-unknown"])
            #expect(try await known(stage, "m").state == .inBatch)
            stage.writer.reply(.report(.committed(1)))
            await stage.reached { stage.coordinator.figures().gauges.recordsHeld == 0 }
            let ended = try await known(stage, "m")
            #expect(ended.state == .settled && ended.outcome == .stored(.inserted))
        }
    }

    // MARK: The database

    @Test func whatIsNotRememberedTheDatabaseIsAskedFor() async throws {
        try await Stage.connected { stage in
            let hash = MessageID.hash("old")
            async let asked = history(stage, "old")
            guard case .lookUp(let identities) = await stage.writer.nextCall() else {
                Issue.record("the database was not asked")
                return
            }
            #expect(identities == [.init(high: hash.high, low: hash.low)])
            let id = UUID7(high: 1_772_368_496_789 << 16 | 0x7000, low: 1 << 63)
            var stored = StoredMessage(FirstResult(effect: .updated, batchID: id))
            stored.requestID = "r-5"
            stored.instance = "elsewhere/1"
            stage.writer.reply(.found([stored]))
            let history = try #require(try await asked.get())
            #expect(history.isStored && history.outcome == .stored(.updated))
            #expect(history.batchedAt == 1_772_368_496_789 && history.instance == "elsewhere/1")
        }
    }

    @Test func whatNobodyKnowsIsNotFound() async throws {
        try await Stage.connected { stage in
            async let asked = history(stage, "nobody's")
            _ = await stage.writer.nextCall()
            stage.writer.reply(.found([nil]))
            let answer = try await asked.get()
            #expect(answer == nil)
        }
    }

    @Test func aDatabaseThatCannotAnswerIsNoAnswer() async throws {
        try await Stage.connected { stage in
            async let asked = history(stage, "x")
            _ = await stage.writer.nextCall()
            stage.writer.reply(.failed("gone"))
            let answer = await asked
            #expect(throws: Failure.self) { try answer.get() }
        }
        try await Stage.run { stage in
            let asked = await history(stage, "x")
            #expect(throws: Failure.self) { try asked.get() }
        }
    }

    /// The only writer is in a batch, and nobody can be asked.
    @Test func aQuestionHasADeadline() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 1)
            _ = try await stage.nextBatch()
            async let asked = history(stage, "x")
            stage.clock.advance(by: .milliseconds(1))
            await stage.reached { stage.coordinator.isLookingUp }
            stage.clock.advance(by: .seconds(2))
            let answer = await asked
            #expect(throws: Failure.self) { try answer.get() }
            stage.writer.reply(.report(.committed(1)))
            _ = await stage.inbox.next()
        }
    }

    // MARK: Lines

    @Test func noLineIsBuiltThatNobodyReads() async throws {
        for (level, expected) in [
            (Logger.Level.warning, []),
            (.info, []),
            (.debug, ["message received m", "message in a batch m", "the message ended m"]),
        ] as [(Logger.Level, [String])] {
            let lines = Lines()
            try await Stage.connected(logger: lines.logger(level)) { stage in
                stage.submit(0, key: 1, id: "m")
                _ = try await stage.nextBatch()
                stage.writer.reply(.report(.committed(1)))
                _ = await stage.inbox.next()
                await stage.reached { lines.all.count >= expected.count }
            }
            #expect(lines.all == expected)
        }
    }

    @Test func whatAnOperatorMayBeAskedAboutIsLogged() async throws {
        let lines = Lines()
        try await Stage.connected(logger: lines.logger(.info)) { stage in
            stage.submit(0, key: 1, id: "m", timeout: .milliseconds(50))
            _ = try await stage.nextBatch()
            stage.clock.advance(by: .milliseconds(60))
            _ = await stage.inbox.next()
            stage.writer.reply(.report(.committed(1)))
            await stage.reached { lines.all.count == 2 }
        }
        #expect(
            lines.all == [
                "the message's outcome is unknown so far m",
                "the message ended after its caller had been answered, or had left m",
            ])
    }
}

/// Log lines about messages, each with its ID.
private final class Lines: Sendable {
    private let texts = Mutex<[String]>([])
    var all: [String] { texts.withLock { $0 } }

    func logger(_ level: Logger.Level) -> Logger {
        var logger = Logger(label: "test") { _ in Handler(lines: self) }
        logger.logLevel = level
        return logger
    }

    private struct Handler: LogHandler {
        let lines: Lines
        var logLevel = Logger.Level.info
        var metadata: Logger.Metadata = [:]
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) {
            guard let id = event.metadata?["id"] else { return }
            lines.texts.withLock { $0.append("\(event.message) \(id)") }
        }
    }
}
