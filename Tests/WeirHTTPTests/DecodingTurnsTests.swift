import Testing
import WeirCore
import WeirHTTP

/// Whose records are decoded next.
@Suite struct DecodingTurnsTests {
    private final class Request: TakesTurns {
        var onTheirWay: Int
        var heardAt: Timestamp
        var mayGoOn = true

        init(onTheirWay: Int = 0, heardAt: Timestamp = now) {
            self.onTheirWay = onTheirWay
            self.heardAt = heardAt
        }
    }

    private static let now = Timestamp(nanoseconds: 10_000_000_000)
    private static let overdue = now + DecodingTurns<Request>.patience

    private func turns(_ requests: Request...) -> DecodingTurns<Request> {
        var turns = DecodingTurns<Request>(windowMax: 10)
        for request in requests { turns.add(request) }
        return turns
    }

    @Test func theOldestComesFirst() throws {
        let (first, second) = (Request(), Request())
        let next = try #require(turns(first, second).next(now: Self.now))
        #expect(next.request === first && next.room == 10)
    }

    @Test func theNextOneTakesWhatTheOldestLeaves() throws {
        let (first, second) = (Request(onTheirWay: 6), Request(onTheirWay: 1))
        first.mayGoOn = false
        let next = try #require(turns(first, second).next(now: Self.now))
        #expect(next.request === second && next.room == 3)
    }

    @Test func theWindowIsOneForAll() {
        let (first, second) = (Request(onTheirWay: 6), Request(onTheirWay: 4))
        #expect(turns(first, second).next(now: Self.now) == nil)
        #expect(turns(first, second, Request()).next(now: Self.now) == nil)
    }

    @Test func whoHasGoneCountsNoMore() throws {
        let (first, second) = (Request(onTheirWay: 10), Request())
        var turns = turns(first, second)
        turns.remove(first)
        let next = try #require(turns.next(now: Self.now))
        #expect(next.request === second && next.room == 10)
    }

    @Test func whoWaitsForALockHoldsNobodyBack() throws {
        let stuck = Request(onTheirWay: 10)
        let waiting = Request(onTheirWay: 2, heardAt: Self.overdue)
        let turns = turns(stuck, waiting)
        #expect(turns.next(now: Self.now) == nil)
        #expect(turns.retryAt(now: Self.now) == Self.overdue)
        let next = try #require(turns.next(now: Self.overdue))
        #expect(next.request === waiting && next.room == 3)
    }

    @Test func theQueueIsNotFilledHoweverManyWaitForLocks() {
        let stuck = (Request(onTheirWay: 10), Request(onTheirWay: 5))
        #expect(turns(stuck.0, stuck.1, Request()).next(now: Self.overdue) == nil)
    }

    @Test func hisOwnRecordsCountHoweverLongTheyTake() throws {
        let stuck = Request(onTheirWay: 7)
        #expect(try #require(turns(stuck).next(now: Self.overdue)).room == 3)
        stuck.onTheirWay = 10
        #expect(turns(stuck).next(now: Self.overdue) == nil)
    }

    @Test func nobodyIsWokenForNothing() {
        let request = Request(onTheirWay: 10)
        #expect(turns(request).retryAt(now: Self.overdue) == nil)
        request.mayGoOn = false
        #expect(turns(request).retryAt(now: Self.now) == nil)
    }
}
