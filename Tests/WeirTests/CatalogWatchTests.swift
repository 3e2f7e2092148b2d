import Testing
import Weir
import WeirCore

@Suite(.timeLimit(.minutes(1))) struct CatalogWatchTests {
    private func at(_ milliseconds: Int64) -> Timestamp { .zero + .milliseconds(milliseconds) }

    private func waiter(since: Int64, deadline: Int64 = 5_000) -> CatalogWatch.Waiter {
        CatalogWatch.Waiter(since: at(since), deadline: at(deadline)) { _ in }
    }

    @Test func nothingIsReadThatNobodyWants() {
        var watch = CatalogWatch()
        #expect(watch.begin(now: at(0)) == nil)
        watch.check(isMissingTable: false)
        #expect(watch.begin(now: at(0)) == .look)
        // One at a time.
        watch.check(isMissingTable: true)
        #expect(watch.begin(now: at(0)) == nil)
        #expect(watch.succeeded().map(\.since) == [])
        #expect(watch.begin(now: at(0)) == nil)
    }

    @Test func aFaultDuringAReadingIsReadFor() {
        var watch = CatalogWatch()
        watch.want(.look)
        #expect(watch.begin(now: at(0)) == .look)
        // The reading may have begun before the change that caused the fault.
        watch.want(.load)
        watch.want(.look)
        #expect(watch.begin(now: at(1)) == nil)
        _ = watch.succeeded()
        #expect(watch.begin(now: at(2)) == .load)
    }

    @Test func onlyALookThatBeganLaterSatisfies() {
        var watch = CatalogWatch()
        watch.want(.look)
        #expect(watch.begin(now: at(0)) == .look)
        _ = watch.add(waiter(since: 1))
        #expect(watch.succeeded().map(\.since) == [])
        // Looks that waiters ask for keep their distance.
        #expect(watch.begin(now: at(2)) == nil)
        #expect(watch.nextDeadline == at(10))
        #expect(watch.begin(now: at(10)) == .look)
        #expect(watch.succeeded().map(\.since) == [at(1)])
        #expect(watch.nextDeadline == .distantFuture)
    }

    @Test func aFailedReadingIsRepeatedWithTheNextCheck() {
        var watch = CatalogWatch()
        _ = watch.add(waiter(since: 0))
        #expect(watch.begin(now: at(0)) == .look)
        watch.failed(now: at(5))
        #expect(watch.begin(now: at(900)) == nil)
        watch.check(isMissingTable: false)
        #expect(watch.begin(now: at(1_000)) == .load)
        #expect(watch.succeeded().map(\.since) == [at(0)])
    }

    @Test func nobodyWaitsForEver() {
        var watch = CatalogWatch()
        _ = watch.add(waiter(since: 0, deadline: 50))
        _ = watch.add(waiter(since: 0, deadline: 80))
        #expect(watch.begin(now: at(0)) == .look)
        #expect(watch.nextDeadline == at(50))
        #expect(watch.expire(now: at(49)).map(\.since) == [])
        #expect(watch.expire(now: at(50)).map(\.deadline) == [at(50)])
        #expect(watch.giveUp().map(\.deadline) == [at(80)])
        #expect(watch.giveUp().map(\.since) == [])
    }

    @Test func whoWaitsIsBounded() {
        var watch = CatalogWatch()
        let added = (0...CatalogWatch.waitersMax).map { _ in watch.add(waiter(since: 0)) }
        #expect(added.dropLast().allSatisfy { $0 })
        #expect(added.last == false)
    }
}
