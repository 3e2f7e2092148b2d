import Synchronization
import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord

/// Which servers a gateway goes on with.
@Suite struct IdentityTests {
    private static func identity(
        _ system: String = "7", timeline: UInt32 = 3, position: UInt64 = 500
    ) -> ServerIdentity {
        ServerIdentity(systemIdentifier: system, timeline: timeline, position: position)
    }

    @Test func aServerThatGoesOnIsTheSame() throws {
        let watch = IdentityWatch()
        let verdicts = Mutex<[IdentityWatch.Verdict]>([])
        watch.observe { _, verdict in verdicts.withLock { $0.append(verdict) } }
        try watch.admit(Self.identity())
        try watch.admit(Self.identity(position: 500))
        try watch.admit(Self.identity(position: 900))
        #expect(verdicts.withLock { $0 } == [.sameHistory, .sameHistory, .sameHistory])
    }

    @Test func whatMayHaveLostCommitsHasAnotherHistory() throws {
        let watch = IdentityWatch()
        try watch.admit(Self.identity())
        #expect(try watch.admit(Self.identity(position: 499)) == .otherHistory)
        #expect(try watch.admit(Self.identity(position: 499)) == .sameHistory)
        #expect(try watch.admit(Self.identity(timeline: 4, position: 800)) == .otherHistory)
        #expect(try watch.admit(Self.identity(timeline: 4, position: 801)) == .sameHistory)
    }

    @Test func anotherClusterAndAnOldPrimaryAreRefused() throws {
        let watch = IdentityWatch()
        try watch.admit(Self.identity())
        for (other, words) in [
            (Self.identity("8"), "another database cluster"),
            (Self.identity(timeline: 2, position: 9_000), "old primary"),
        ] {
            do {
                try watch.admit(other)
                Issue.record("\(other) was admitted")
            } catch {
                #expect(error.reason.contains(words))
            }
        }
        #expect(try watch.admit(Self.identity()) == .sameHistory)
    }
}

/// The same on a server that becomes a standby and is promoted.
@Suite(.privateServer, .serialized, .timeLimit(.minutes(1))) struct PromotionTests {
    @Test func aStandbyIsRefusedAndAPromotedOneHasAnotherHistory() async throws {
        let scene = try await Scene("CREATE TABLE items (id int)")
        let verdicts = Mutex<[IdentityWatch.Verdict]>([])
        scene.configuration.identities.observe { _, verdict in
            verdicts.withLock { $0.append(verdict) }
        }
        let server = scene.database.server
        await scene.writer.disconnect()
        try await scene.writer.connect()
        #expect(verdicts.withLock { $0 } == [.sameHistory])
        try await scene.database.execute(
            "COPY (SELECT 1 WHERE false) TO '\(scene.database.configuration.directory)"
                + "/data/standby.signal'")
        await server.stop()
        try await server.startAgain(scene.database.configuration)
        do {
            try await scene.writer.connect()
            Issue.record("a standby was taken for a primary")
        } catch {
            #expect(error.reason.contains("standby"))
        }
        #expect(try await scene.database.query("SELECT pg_promote()") == [["t"]])
        try await scene.writer.connect()
        #expect(verdicts.withLock { $0 } == [.sameHistory, .otherHistory])
        #expect(try await scene.write(.insert("items", #"{"id":1}"#)).outcome == .committed)
    }
}
