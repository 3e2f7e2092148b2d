import Testing
import Weir

@Suite struct CivilTimeTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_772_368_496_789, "2026-03-01T12:34:56.789Z"),
            (4_107_542_399_001, "2100-02-28T23:59:59.001Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] as [(UInt64, String)])
    func aMomentIsWrittenAsTheRFCHasIt(_ moment: UInt64, _ text: String) {
        #expect(CivilTime.text(unixMilliseconds: moment) == text)
    }

    @Test func weekdaysFollowEachOther() {
        // 2026-11-23 was a Monday.
        #expect(CivilTime(unixSecond: 1_795_392_000).weekday == 1)
        #expect(CivilTime(unixSecond: 1_795_392_000 + 86_400 * 6).weekday == 0)
    }

    @Test func aMomentThatNoClockShowsStillHasAText() {
        #expect(CivilTime.text(unixMilliseconds: .max).hasPrefix("9999-12-31T23:59:59."))
    }
}
