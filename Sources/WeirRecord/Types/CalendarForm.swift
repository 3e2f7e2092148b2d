/// Days and times of day: between their text, ISO 8601 as RFC 3339 and PostgreSQL write it, and the
/// numbers of PostgreSQL's binary forms. The Gregorian calendar holds for all time.
enum CalendarForm {
    static let microsecondsPerDay: Int64 = 86_400_000_000

    /// Days from 2000-01-01 (datatype/timestamp.h): 4714-11-24 BC … 5874897-12-31.
    static let days: ClosedRange<Int64> = -2_451_545...2_145_031_948
    /// Microseconds from 2000-01-01: 4714-11-24 BC … 294276-12-31.
    static let moments: Range<Int64> = -211_813_488_000_000_000..<9_223_371_331_200_000_000

    // MARK: Days

    /// Days from 2000-01-01 to a day of the calendar; year 0 is 1 BC. After Hinnant,
    /// "chrono-Compatible Low-Level Date Algorithms".
    static func days(year: Int64, month: Int, day: Int) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let monthFromMarch = Int64(month > 2 ? month - 3 : month + 9)
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + Int64(day) - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468 - 10_957
    }

    static func date(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468 + 10_957
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    private static func length(ofMonth month: Int, in year: Int64) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// `YYYY-MM-DD`. Years of five and more digits have no zero in front. ` BC` stands at the end
    /// of the whole text.
    static func takeDays(
        _ scanner: inout TextScanner, _ input: Span<UInt8>, isBC: Bool
    ) throws(ValueFault) -> Int64 {
        let yearDigits = scanner.digitCount(input)
        guard yearDigits >= 4, yearDigits <= 7,
            yearDigits == 4 || scanner.peek(input) != 0x30,
            var year = scanner.digits(yearDigits, input).map(Int64.init),
            scanner.take(UInt8(ascii: "-"), input), let month = scanner.digits(2, input),
            scanner.take(UInt8(ascii: "-"), input), let day = scanner.digits(2, input),
            scanner.digitCount(input) == 0
        else { throw .malformed }
        guard year > 0 else { throw .outOfRange }
        if isBC { year = 1 - year }
        guard (1...12).contains(month), day >= 1, day <= length(ofMonth: month, in: year) else {
            throw .outOfRange
        }
        return days(year: year, month: month, day: day)
    }

    /// Takes ` BC` off the end of a text.
    static func withoutBC(_ input: Span<UInt8>, _ range: Range<Int>) -> (Range<Int>, isBC: Bool) {
        let last = max(range.lowerBound, range.upperBound - 3)..<range.upperBound
        guard TextScanner(last).isNext(" bc", input) else { return (range, false) }
        return (range.lowerBound..<last.lowerBound, true)
    }

    // MARK: Times of day

    /// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.ffffff`, to 24:00:00, in microseconds. A leap second is no
    /// time that PostgreSQL could hold.
    static func takeTime(
        _ scanner: inout TextScanner, _ input: Span<UInt8>, keeping digits: Int
    ) throws(ValueFault) -> Int64 {
        guard let hour = scanner.digits(2, input), scanner.take(UInt8(ascii: ":"), input),
            let minute = scanner.digits(2, input)
        else { throw .malformed }
        var second = 0
        var fraction: Int64 = 0
        if scanner.take(UInt8(ascii: ":"), input) {
            guard let value = scanner.digits(2, input) else { throw .malformed }
            second = value
            if scanner.take(UInt8(ascii: "."), input) {
                fraction = try scanner.microseconds(input, keeping: digits)
            }
        }
        guard scanner.digitCount(input) == 0 else { throw .malformed }
        let time = Int64((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction
        guard minute < 60, second < 60, time <= microsecondsPerDay else { throw .outOfRange }
        return time
    }

    /// `Z`, `±HH`, `±HHMM`, `±HH:MM` or `±HH:MM:SS`, in seconds east of Greenwich; `nil` where
    /// there is none.
    static func takeOffset(
        _ scanner: inout TextScanner, _ input: Span<UInt8>
    ) throws(ValueFault) -> Int64? {
        if scanner.takeLetter(UInt8(ascii: "z"), input) { return 0 }
        let isWest = scanner.take(UInt8(ascii: "-"), input)
        guard isWest || scanner.take(UInt8(ascii: "+"), input) else { return nil }
        guard let hour = scanner.digits(2, input) else { throw .malformed }
        var (minute, second) = (0, 0)
        if scanner.take(UInt8(ascii: ":"), input) {
            guard let value = scanner.digits(2, input) else { throw .malformed }
            minute = value
            if scanner.take(UInt8(ascii: ":"), input) {
                guard let value = scanner.digits(2, input) else { throw .malformed }
                second = value
            }
        } else if let value = scanner.digits(2, input) {
            minute = value
        }
        guard scanner.digitCount(input) == 0 else { throw .malformed }
        guard hour <= 15, minute < 60, second < 60 else { throw .badOffset }
        let offset = Int64((hour * 60 + minute) * 60 + second)
        return isWest ? -offset : offset
    }

    // MARK: Back

    /// Appends `YYYY-MM-DD`; the caller appends ` BC` where this returns true.
    static func appendDate(_ days: Int64, to text: inout [UInt8]) -> Bool {
        let (year, month, day) = date(days)
        text.appendDecimal(year > 0 ? year : 1 - year, width: 4)
        text.append(UInt8(ascii: "-"))
        text.appendDecimal(month, width: 2)
        text.append(UInt8(ascii: "-"))
        text.appendDecimal(day, width: 2)
        return year <= 0
    }

    /// Appends `HH:MM:SS`, and of the fraction what is not zero.
    static func appendTime(_ microseconds: Int64, to text: inout [UInt8]) {
        let seconds = microseconds / 1_000_000
        text.appendDecimal(seconds / 3_600, width: 2)
        text.append(UInt8(ascii: ":"))
        text.appendDecimal(seconds / 60 % 60, width: 2)
        text.append(UInt8(ascii: ":"))
        text.appendDecimal(seconds % 60, width: 2)
        let fraction = microseconds % 1_000_000
        guard fraction > 0 else { return }
        text.append(UInt8(ascii: "."))
        text.appendDecimal(fraction, width: 6)
        while text.last == 0x30 { text.removeLast() }
    }

    /// Appends an offset as PostgreSQL prints it: `+02`, `-03:30`.
    static func appendOffset(_ secondsEast: Int64, to text: inout [UInt8]) {
        text.append(UInt8(ascii: secondsEast < 0 ? "-" : "+"))
        let offset = abs(secondsEast)
        text.appendDecimal(offset / 3_600, width: 2)
        guard offset % 3_600 > 0 else { return }
        text.append(UInt8(ascii: ":"))
        text.appendDecimal(offset / 60 % 60, width: 2)
        guard offset % 60 > 0 else { return }
        text.append(UInt8(ascii: ":"))
        text.appendDecimal(offset % 60, width: 2)
    }
}
