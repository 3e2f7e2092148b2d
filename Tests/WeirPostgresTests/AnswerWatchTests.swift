import Testing
import WeirCore
import WeirPostgres

/// When a thread looks for an answer without going to sleep.
@Suite struct AnswerWatchTests {
    private func microseconds(_ count: Int64) -> Nanoseconds { Nanoseconds(count * 1_000) }

    /// After answers that took as long as these, in microseconds.
    private func watch(after took: Int64...) -> AnswerWatch {
        var watch = AnswerWatch()
        for span in took { watch.note(microseconds(span)) }
        return watch
    }

    @Test func theFirstAnswerIsSleptFor() {
        #expect(watch().window == nil)
    }

    @Test func theNextIsLookedForAboutWhenItIsDue() throws {
        let window = try #require(watch(after: 150).window)
        #expect(window.begin == microseconds(105) && window.end == microseconds(195))
    }

    @Test func anAnswerThatComesAtOnceIsLookedForAtOnce() throws {
        #expect(try #require(watch(after: 20).window).begin == .zero)
    }

    @Test func aDatabaseFarAwayIsSleptFor() {
        #expect(watch(after: 401).window == nil)
        #expect(watch(after: 5_000, 5_000, 5_000).window == nil)
    }

    @Test func soonerAnswersAreFollowedAndLaterOnesSlowly() throws {
        #expect(try #require(watch(after: 150, 110).window).begin == microseconds(100))
        #expect(try #require(watch(after: 150, 166).window).begin == microseconds(106))
    }

    @Test func oneThatTakesLongSaysLittleAboutTheNext() throws {
        let seldom = watch(after: 150, 90_000, 150)
        let begin = try #require(seldom.window).begin
        #expect(begin >= microseconds(105) && begin <= microseconds(111))
    }

    @Test func afterALateOneTheNextIsSleptForAndEachTimeTwiceAsMany() {
        var watch = watch(after: 150)
        for count in [1, 2, 4, 8, 16, 32, 64, 64] {
            watch.note(microseconds(390))
            for _ in 0..<count {
                #expect(watch.window == nil)
                watch.note(microseconds(150))
            }
            #expect(watch.window != nil)
        }
        // One that is on time is trusted again.
        watch.note(microseconds(150))
        watch.note(microseconds(390))
        watch.note(microseconds(150))
        #expect(watch.window != nil)
    }

    @Test func aDatabaseThatBecomesFasterIsFoundOut() {
        var watch = watch(after: 2_000)
        for _ in 0..<40 { watch.note(microseconds(150)) }
        #expect(watch.window.map { $0.begin < self.microseconds(150) } == true)
    }
}
