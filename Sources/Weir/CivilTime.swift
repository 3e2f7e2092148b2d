/// A moment as a calendar in UTC has it, and its text in answers (RFC 3339).
///
/// Civil dates after Hinnant, "chrono-Compatible Low-Level Date Algorithms".
package struct CivilTime: Equatable, Sendable {
    package let year: Int
    package let month: Int
    package let day: Int
    /// 0 is Sunday.
    package let weekday: Int
    package let hour: Int
    package let minute: Int
    package let second: Int

    package init(unixSecond: UInt64) {
        // What is past the year 9999 has no RFC 3339 text, and comes from no clock.
        let seconds = min(unixSecond, 253_402_300_799)
        let days = Int(seconds / 86_400)
        let time = Int(seconds % 86_400)
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        // 1970 began on a Thursday.
        weekday = (days + 4) % 7
        hour = time / 3_600
        minute = time / 60 % 60
        second = time % 60
    }

    /// Appends `2026-11-23T12:00:00.123Z`.
    package static func appendText(unixMilliseconds: UInt64, to bytes: inout [UInt8]) {
        let time = CivilTime(unixSecond: unixMilliseconds / 1_000)
        append(time.year, digits: 4, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        append(time.month, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        append(time.day, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: "T"))
        append(time.hour, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        append(time.minute, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        append(time.second, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: "."))
        append(Int(unixMilliseconds % 1_000), digits: 3, to: &bytes)
        bytes.append(UInt8(ascii: "Z"))
    }

    package static func text(unixMilliseconds: UInt64) -> String {
        var bytes: [UInt8] = []
        appendText(unixMilliseconds: unixMilliseconds, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func append(_ number: Int, digits: Int, to bytes: inout [UInt8]) {
        var divisor = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            bytes.append(0x30 + UInt8(number / divisor % 10))
            divisor /= 10
        }
    }
}
