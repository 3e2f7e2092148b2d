import Testing
import Weir
import WeirCore
import WeirRecord
import WeirTesting

@Suite(.timeLimit(.minutes(1))) struct GroupTests {
    private let busy = "0 inserted"

    @Test func aGroupReachesTheWriterAsOneRange() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 9)
            _ = try await stage.nextBatch()
            let refused = stage.coordinator.submit([
                stage.submission(1, key: 1),
                stage.submission(2, key: 2, group: 1),
                stage.submission(3, key: 3, group: 1),
            ])
            #expect(refused.isEmpty)
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == [busy])
            let batch = try await stage.nextBatch()
            #expect(batch.keys == [#"{"id":1}"#, #"{"id":2}"#, #"{"id":3}"#])
            #expect(batch.groups == [1..<3])
        }
    }

    @Test func groupsOfTwoCallsWithOneNumberStayApart() async throws {
        try await Stage.connected { stage in
            stage.submit(0, key: 9)
            _ = try await stage.nextBatch()
            for first in [1, 3] {
                let refused = stage.coordinator.submit([
                    stage.submission(first, key: first, group: 1),
                    stage.submission(first + 1, key: first + 1, group: 1),
                ])
                #expect(refused.isEmpty)
            }
            stage.writer.reply(.report(.committed(1)))
            #expect(await stage.inbox.next() == [busy])
            #expect(try await stage.nextBatch().groups == [0..<2, 2..<4])
        }
    }

    @Test func aGroupWhoseMemberIsRefusedIsRolledBackWhole() async throws {
        try await Stage.connected { stage in
            _ = stage.coordinator.submit([
                stage.submission(0, key: 1, group: 1),
                stage.submission(1, key: 2, group: 1),
            ])
            _ = try await stage.nextBatch()
            stage.writer.reply(.report(.refused()))
            // Once more, a record to a statement, so that the guilty one is known.
            let again = try await stage.nextBatch()
            #expect(again.isIsolated)
            #expect(again.records.count == 2)
            stage.writer.reply(.report(.refused(culprit: 1)))
            #expect(await stage.inbox.next() == ["0 rolled-back", "1 unique-violation"])
        }
    }

    @Test func aGroupIsRefusedWhole() async throws {
        try await Stage.connected {
            $0.admission.recordsMax = 2
        } _: { stage in
            let refused = stage.coordinator.submit([
                stage.submission(4, key: 1, group: 1),
                stage.submission(5, key: 2, group: 1),
                stage.submission(6, key: 3, group: 1),
                stage.submission(7, key: 4),
            ])
            #expect(refused.map(\.index) == [4, 5, 6])
            #expect(Set(refused.map(\.failure.code)) == [.overloaded])
            let batch = try await stage.nextBatch()
            #expect(batch.keys == [#"{"id":4}"#])
        }
    }

    @Test func aGroupLargerThanABatchIsACallersMistake() async throws {
        try await Stage.connected { stage in
            let members = (0..<5).map { stage.submission($0, key: $0, group: 1) }
            let refused = stage.coordinator.submit(members)
            #expect(refused.count == 5)
            #expect(Set(refused.map(\.failure.code)) == [.invalidRequest])
        }
    }
}
