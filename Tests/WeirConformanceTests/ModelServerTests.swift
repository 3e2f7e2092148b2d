import Testing
import WeirTesting

/// What the model server shows that no script can make a real one show: the moments inside COMMIT,
/// messages that are lost, and servers that were promoted.
@Suite struct ModelServerTests {
    private var server = ModelServer(Scenario.tables)

    @discardableResult
    private mutating func run(_ session: SessionID) -> [Reply] {
        while server.isRunnable(session) { server.run(session) }
        return replies(session)
    }

    private mutating func replies(_ session: SessionID) -> [Reply] {
        var replies: [Reply] = []
        while let reply = server.receive(session) { replies.append(reply) }
        return replies
    }

    private mutating func connect() throws -> SessionID {
        try server.connect().get()
    }

    private mutating func send(_ session: SessionID, _ statements: [Statement]) {
        for statement in statements { server.send(session, statement) }
        server.sendSync(session)
    }

    private func keys(_ table: Relation = .items) -> [Int] {
        server.rows(of: table).map { $0.values[0] }
    }

    // MARK: COMMIT in three steps

    /// Sends a transaction and takes `steps` steps from the reading of COMMIT on.
    private mutating func commit(steps: Int) throws -> SessionID {
        let session = try connect()
        send(session, [.begin, .put(.items, [1, 1])])
        run(session)
        send(session, [.commit])
        for _ in 0..<steps { server.run(session) }
        return session
    }

    @Test mutating func aCommitThatIsOnlyWrittenMayBeLost() throws {
        _ = try commit(steps: 1)
        #expect(server.survivors == 0...2)
        server.crash(at: 0)
        server.recover()
        #expect(keys() == [])
        #expect(server.identity.position == 0)
    }

    @Test mutating func aCommitThatIsOnlyWrittenMaySurvive() throws {
        _ = try commit(steps: 1)
        server.crash(at: 2)
        #expect(keys() == [1])
    }

    @Test mutating func aDurableCommitSurvivesAndIsNotSeenBefore() throws {
        let session = try commit(steps: 2)
        #expect(keys() == [])
        #expect(!server.hasReply(session))
        #expect(server.survivors == 2...2)
        server.crash(at: 2)
        #expect(keys() == [1])
        #expect(replies(session) == [.closed])
    }

    @Test mutating func aVisibleCommitIsAnswered() throws {
        let session = try commit(steps: 3)
        #expect(keys() == [1])
        #expect(server.receive(session) == .complete(.commit))
    }

    @Test mutating func anotherCommitMakesThisOneDurable() throws {
        _ = try commit(steps: 1)
        let other = try connect()
        send(other, [.put(.items, [2, 2])])
        run(other)
        server.crash(at: server.survivors.lowerBound)
        #expect(keys() == [1, 2])
    }

    @Test mutating func aSessionThatIsTerminatedInItsCommitFinishesIt() throws {
        let session = try commit(steps: 1)
        server.terminate(session)
        #expect(
            run(session) == [
                .complete(.commit), .failure(ServerFailure("57P01", isFatal: true)), .closed,
            ])
        #expect(keys() == [1])
    }

    // MARK: Messages

    @Test mutating func aCutFallsBetweenAnyTwoMessages() throws {
        for arriving in 0...5 {
            let session = try connect()
            send(
                session,
                [.begin, .put(.items, [arriving, 0]), .put(.log, [arriving, 0]), .commit])
            server.cut(session, messages: arriving)
            #expect(run(session) == [.closed])
            #expect(keys().contains(arriving) == (arriving >= 4))
            #expect(keys(.log) == keys())
        }
        #expect(server.live == [])
    }

    @Test mutating func aCutLosesTheLastReplies() throws {
        for arriving in 0...3 {
            let session = try connect()
            send(session, [.begin, .rollback])
            while server.isRunnable(session) { server.run(session) }
            server.cut(session, replies: arriving)
            let all: [Reply] = [.complete(.begin), .complete(.rollback), .ready(.idle)]
            #expect(replies(session) == all.prefix(arriving) + [.closed])
        }
    }

    @Test mutating func aClientThatIsGoneIsNotMissed() throws {
        let session = try connect()
        send(session, [.begin, .put(.items, [1, 1])])
        server.cut(session, isNoticed: false)
        #expect(run(session) == [.closed])
        #expect(server.live == [session])
        let other = try connect()
        send(other, [.ignore(.items, [1, 2])])
        run(other)
        #expect(server.isWaiting(other))
        server.hangUp(session)
        run(session)
        #expect(run(other).first == .complete(.insert(1), rows: [[1]]))
    }

    @Test mutating func aStatementCanBeLeftInItsMiddle() throws {
        let first = try connect()
        let second = try connect()
        send(first, [.begin, .put(.items, [1, 0], [2, 0])])
        send(second, [.begin, .put(.items, [2, 1], [1, 1])])
        for session in [first, second] {
            server.run(session)
            server.run(session, rows: 1)
        }
        run(first)
        run(second)
        #expect(server.isDeadlocked(first) && server.isDeadlocked(second))
        server.checkDeadlock(second)
        #expect(run(first).last == .ready(.open))
    }

    // MARK: Servers

    @Test mutating func aServerThatRecoversRefusesConnections() throws {
        server.crash(at: 0)
        #expect(server.connect() == .failure(ServerFailure("57P03", isFatal: true)))
        server.recover()
        #expect(throws: Never.self) { try server.connect().get() }
    }

    @Test mutating func aPromotedStandbyLacksTheEnd() throws {
        let session = try connect()
        for key in 1...3 {
            send(session, [.put(.items, [key, 0])])
            run(session)
        }
        send(session, [.close(.newer)])
        run(session)
        let position = server.rows(of: .items)[1].position
        var standby = server.promotedStandby(at: position)
        #expect(standby.rows(of: .items).map { $0.values[0] } == [1, 2])
        #expect(standby.identity == ServerIdentity(system: 1, timeline: 2, position: position))
        #expect(server.rows(of: .items).count == 3)
        let fresh = try standby.connect().get()
        standby.send(fresh, .put(.newer, [1, 1]))
        standby.sendSync(fresh)
        while standby.isRunnable(fresh) { standby.run(fresh) }
        #expect(standby.receive(fresh) == .complete(.insert(1)))
    }

    @Test mutating func whatIsInjectedFailsTheNextStatement() throws {
        let session = try connect()
        server.inject(ServerFailure("53100"), session)
        send(session, [.begin, .commit])
        #expect(run(session) == [.failure(ServerFailure("53100")), .ready(.idle)])
        send(session, [.begin, .commit])
        #expect(run(session).count == 3)
    }
}
