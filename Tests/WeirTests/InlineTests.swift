import Testing
import Weir
import WeirCore
import WeirRecord
import WeirTesting

/// A record whose caller is alone is written on the thread that brings it. The tests do what the
/// writer's own thread would do.
struct InlineTests {
    private let stage = Stage(writers: 2)
    private var coordinator: Coordinator { stage.coordinator }

    /// The writer waits for work, and has written one record in no time.
    init() throws {
        coordinator.connecting(w0)
        coordinator.connected(w0, isOtherHistory: false)
        coordinator.writerReady(w0, inline: stage.writer)
        coordinator.catalogLoaded(catalog)
        while case .readCatalog? = coordinator.takeTask(w0) {}
        #expect(submit(0) == nil)
        try finish(taking: 0, .committed(1))
        #expect(coordinator.takeTask(w0) == nil)
    }

    private func submit(_ index: Int) -> InlineTurn? {
        coordinator.submit(
            alone: stage.submission(index, key: index + 1), from: RecordOrigin(.said("r"))
        ).turn
    }

    /// Does what the thread does that brought the record: passes the answer on, and gives the turn
    /// back.
    private func take(_ turn: InlineTurn) {
        guard let answer = coordinator.take(turn, for: stage.inbox) else { return }
        stage.inbox.deliver([answer])
        coordinator.giveBack(turn)
    }

    /// The writer's own thread takes the batch with this record and nothing else, and writes it.
    private func finish(taking index: Int, _ report: BatchReport) throws {
        let task = try #require(coordinator.takeTask(w0))
        guard case .write(let batch) = task else {
            Issue.record("not a batch: \(task)")
            return
        }
        #expect(batch.keys == [#"{"id":\#(index + 1)}"#])
        coordinator.finished(w0, batch, report)
        #expect(stage.inbox.take() == ["\(index) inserted"])
    }

    @Test func itIsAnsweredBeforeTheThreadGoesOn() throws {
        stage.writer.whenInline { batch in .committed(batch.records.count) }
        for index in 1...3 {
            take(try #require(submit(index)))
            #expect(stage.inbox.take() == ["\(index) inserted"])
        }
        // The writer waits as before, for what comes without a turn.
        stage.submit(4, key: 5)
        try finish(taking: 4, .committed(1))
        #expect(coordinator.takeTask(w0) == nil)
    }

    @Test func nobodyElseIsToldTheAnswer() throws {
        stage.writer.whenInline { _ in .committed(1) }
        let turn = try #require(submit(1))
        let answer = try #require(coordinator.take(turn, for: stage.inbox))
        #expect(answer.words == ["1 inserted"])
        #expect(stage.inbox.take() == [])
        coordinator.giveBack(turn)
    }

    @Test func nobodyGetsATurnBeforeTheLastOneIsGivenBack() throws {
        stage.writer.whenInline { _ in .committed(1) }
        let turn = try #require(submit(1))
        #expect(coordinator.take(turn, for: stage.inbox) != nil)
        #expect(submit(2) == nil)
        coordinator.giveBack(turn)
        try finish(taking: 2, .committed(1))
    }

    @Test func anAnswerToSomebodyElseGoesToHisMailbox() throws {
        stage.writer.whenInline { _ in .committed(1) }
        #expect(coordinator.take(try #require(submit(1)), for: Inbox()) == nil)
        #expect(stage.inbox.take() == ["1 inserted"])
        // The turn was given back: there is nothing to pass on before.
        #expect(submit(2) != nil)
    }

    @Test func whatDoesNotCommitAtOnceIsLeftToTheWriter() throws {
        stage.writer.whenInline { _ in nil }
        take(try #require(submit(1)))
        #expect(stage.inbox.take() == [])
        guard case .goOn(let batch)? = coordinator.takeTask(w0) else {
            Issue.record("the writer is to go on")
            return
        }
        coordinator.finished(w0, batch, .refused(culprit: 0))
        #expect(stage.inbox.take() == ["1 unique-violation"])
    }

    @Test func aTurnThatIsDeclinedIsTheWriters() throws {
        coordinator.decline(try #require(submit(1)))
        try finish(taking: 1, .committed(1))
    }

    @Test func workThatComesMeanwhileIsTheWriters() throws {
        let stage = stage
        stage.writer.whenInline { _ in
            stage.submit(2, key: 3)
            return .committed(1)
        }
        take(try #require(submit(1)))
        #expect(stage.inbox.take() == ["1 inserted"])
        try finish(taking: 2, .committed(1))
    }

    @Test func nobodyGetsATurnWhereTheLastRecordTookLong() throws {
        var slow = BatchReport.committed(1)
        slow.databaseTime = .milliseconds(2)
        coordinator.decline(try #require(submit(1)))
        try finish(taking: 1, slow)
        #expect(coordinator.takeTask(w0) == nil)
        #expect(submit(2) == nil)
        try finish(taking: 2, .committed(1))
        #expect(coordinator.takeTask(w0) == nil)
        #expect(submit(3) != nil)
    }

    @Test func nobodyGetsATurnWhileTheWriterIsBusy() throws {
        stage.submit(1, key: 2)
        #expect(submit(2) == nil)
        try finish(taking: 1, .committed(1))
        try finish(taking: 2, .committed(1))
    }

    @Test func nobodyGetsATurnWithAWriterThatConnectsAnew() throws {
        coordinator.connecting(w0)
        #expect(submit(1) == nil)
        try finish(taking: 1, .committed(1))
    }

    @Test func aConnectionToAServerThatWasReplacedIsLookedAtByTheWriterItself() throws {
        let turn = try #require(submit(1))
        stage.writer.whenInline { _ in .committed(1) }
        coordinator.connected(WriterID(1), isOtherHistory: true)
        take(turn)
        #expect(stage.inbox.take() == [])
        guard case .write? = coordinator.takeTask(w0) else {
            Issue.record("the writer is to have a look")
            return
        }
    }

    @Test func aStopThatComesMeanwhileIsHeard() throws {
        let coordinator = coordinator
        stage.writer.whenInline { _ in
            coordinator.stop()
            return .committed(1)
        }
        take(try #require(submit(1)))
        #expect(stage.inbox.take() == ["1 inserted"])
        guard case .stop? = coordinator.takeTask(w0) else {
            Issue.record("the writer is to stop")
            return
        }
    }
}
