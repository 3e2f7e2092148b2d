/// interval: from an ISO 8601 duration, or the words in which PostgreSQL prints one, to the binary
/// form of `interval_recv` and back. A session's IntervalStyle has no say.
enum IntervalForm {
    /// Whole months, days and microseconds; none becomes another.
    struct Parts {
        var months: Int64 = 0
        var days: Int64 = 0
        var microseconds: Int64 = 0

        mutating func add(
            _ count: Int64, _ unit: Unit
        ) throws(ValueFault) {
            switch unit {
            case .month(let factor): try Self.add(count, factor, to: &months)
            case .day(let factor): try Self.add(count, factor, to: &days)
            case .microsecond(let factor): try Self.add(count, factor, to: &microseconds)
            }
        }

        private static func add(
            _ count: Int64, _ factor: Int64, to sum: inout Int64
        ) throws(ValueFault) {
            let (product, isOver) = count.multipliedReportingOverflow(by: factor)
            let (total, isSumOver) = sum.addingReportingOverflow(product)
            guard !isOver, !isSumOver else { throw .intervalOverflow }
            sum = total
        }
    }

    enum Unit {
        case month(Int64)
        case day(Int64)
        case microsecond(Int64)

        static let second = Unit.microsecond(1_000_000)
        static let minute = Unit.microsecond(60_000_000)
        static let hour = Unit.microsecond(3_600_000_000)

        var isSecond: Bool {
            if case .microsecond(1_000_000) = self { true } else { false }
        }
    }

    static func encode(
        _ input: Span<UInt8>, _ range: Range<Int>, digits: Int, to bytes: inout [UInt8]
    ) throws(ValueFault) {
        var scanner = TextScanner(range)
        let parts =
            scanner.takeLetter(UInt8(ascii: "p"), input)
            ? try duration(&scanner, input, digits) : try words(&scanner, input, digits)
        guard let months = Int32(exactly: parts.months) else { throw .outOfRange }
        guard let days = Int32(exactly: parts.days),
            // What PostgreSQL can print: hours are 32 bits wide.
            abs(parts.microseconds / 3_600_000_000) <= Int64(Int32.max)
        else { throw .intervalOverflow }
        bytes.appendInt32(16)
        bytes.appendBigEndian(UInt64(bitPattern: parts.microseconds), byteCount: 8)
        bytes.appendInt32(days)
        bytes.appendInt32(months)
    }

    // MARK: ISO 8601

    /// `P1Y2M3W4DT5H6M7.8S`, behind its P: whole numbers, a minus before any, in this order.
    private static func duration(
        _ scanner: inout TextScanner, _ input: Span<UInt8>, _ digits: Int
    ) throws(ValueFault) -> Parts {
        var parts = Parts()
        var units = dateUnits[...]
        var isInTime = false
        var count = 0
        while !scanner.isAtEnd {
            if !isInTime && scanner.takeLetter(UInt8(ascii: "t"), input) {
                isInTime = true
                units = timeUnits[...]
                guard !scanner.isAtEnd else { throw .malformed }
            }
            let (value, fraction) = try number(&scanner, input, digits, takesPlus: false)
            guard let letter = scanner.peek(input).map({ $0 | 0x20 }),
                let place = units.firstIndex(where: { $0.letter == letter })
            else { throw .malformed }
            let unit = units[place].unit
            units = units[(place + 1)...]
            scanner.advance()
            try parts.add(value, unit)
            if let fraction {
                guard unit.isSecond else { throw .malformed }
                try parts.add(fraction, .microsecond(1))
            }
            count += 1
        }
        guard count > 0 else { throw .malformed }
        return parts
    }

    private static let dateUnits: [(letter: UInt8, unit: Unit)] = [
        (UInt8(ascii: "y"), .month(12)), (UInt8(ascii: "m"), .month(1)),
        (UInt8(ascii: "w"), .day(7)), (UInt8(ascii: "d"), .day(1)),
    ]
    private static let timeUnits: [(letter: UInt8, unit: Unit)] = [
        (UInt8(ascii: "h"), .hour), (UInt8(ascii: "m"), .minute), (UInt8(ascii: "s"), .second),
    ]

    /// A whole number with or without a sign, and a fraction of a second, if there is one.
    private static func number(
        _ scanner: inout TextScanner, _ input: Span<UInt8>, _ digits: Int, takesPlus: Bool
    ) throws(ValueFault) -> (Int64, fraction: Int64?) {
        let isNegative = scanner.take(UInt8(ascii: "-"), input)
        if !isNegative && takesPlus { _ = scanner.take(UInt8(ascii: "+"), input) }
        guard scanner.digitCount(input) > 0 else { throw .malformed }
        var value: Int64 = 0
        while let digit = scanner.digits(1, input) {
            value = value * 10 + Int64(digit)
            guard value <= Int64(Int32.max) else { throw .intervalOverflow }
        }
        var fraction: Int64?
        if scanner.take(UInt8(ascii: "."), input) {
            fraction = try scanner.microseconds(input, keeping: digits)
        }
        let sign: Int64 = isNegative ? -1 : 1
        return (sign * value, fraction.map { sign * $0 })
    }

    // MARK: PostgreSQL's words

    /// `1 year 2 mons 3 days 04:05:06.7`: numbers with units, each once, then a time.
    private static func words(
        _ scanner: inout TextScanner, _ input: Span<UInt8>, _ digits: Int
    ) throws(ValueFault) -> Parts {
        var parts = Parts()
        var seen: Set<Int> = []
        while true {
            let start = scanner.position
            let (value, fraction) = try number(&scanner, input, digits, takesPlus: true)
            if fraction == nil && scanner.peek(input) == UInt8(ascii: ":") {
                guard !seen.contains(where: { $0 >= 4 }) else { throw .malformed }
                scanner = TextScanner(start..<scanner.end)
                try parts.add(try time(&scanner, input, digits), .microsecond(1))
                guard scanner.isAtEnd else { throw .malformed }
                return parts
            }
            guard scanner.take(UInt8(ascii: " "), input),
                let word = unitWords.first(where: { scanner.isWord($0.word, input) }),
                seen.insert(word.place).inserted
            else { throw .malformed }
            scanner.skip(word.word.utf8CodeUnitCount)
            try parts.add(value, word.unit)
            if let fraction {
                guard word.unit.isSecond else { throw .malformed }
                try parts.add(fraction, .microsecond(1))
            }
            if scanner.isAtEnd { return parts }
            guard scanner.take(UInt8(ascii: " "), input) else { throw .malformed }
        }
    }

    /// `HH:MM` or `HH:MM:SS.ffffff` with or without a sign, and with any number of hours.
    private static func time(
        _ scanner: inout TextScanner, _ input: Span<UInt8>, _ digits: Int
    ) throws(ValueFault) -> Int64 {
        let isNegative = scanner.peek(input) == UInt8(ascii: "-")
        let (hours, _) = try number(&scanner, input, digits, takesPlus: true)
        guard scanner.take(UInt8(ascii: ":"), input), let minutes = scanner.digits(2, input) else {
            throw .malformed
        }
        var (seconds, fraction) = (0, Int64(0))
        if scanner.take(UInt8(ascii: ":"), input) {
            guard let value = scanner.digits(2, input) else { throw .malformed }
            seconds = value
            if scanner.take(UInt8(ascii: "."), input) {
                fraction = try scanner.microseconds(input, keeping: digits)
            }
        }
        guard minutes < 60, seconds < 60 else {
            throw .refused(
                sqlstate: "22015", because: "minutes and seconds of an interval end at 59")
        }
        let rest = Int64(minutes * 60 + seconds) * 1_000_000 + fraction
        return hours * 3_600_000_000 + (isNegative ? -rest : rest)
    }

    /// Longer words before those that they begin with. Units of one place exclude each other.
    private static let unitWords: [(word: StaticString, unit: Unit, place: Int)] = [
        ("years", .month(12), 0), ("year", .month(12), 0), ("months", .month(1), 1),
        ("month", .month(1), 1), ("mons", .month(1), 1), ("mon", .month(1), 1),
        ("weeks", .day(7), 2), ("week", .day(7), 2), ("days", .day(1), 3), ("day", .day(1), 3),
        ("hours", .hour, 4), ("hour", .hour, 4), ("minutes", .minute, 5), ("minute", .minute, 5),
        ("mins", .minute, 5), ("min", .minute, 5), ("seconds", .second, 6),
        ("second", .second, 6), ("secs", .second, 6), ("sec", .second, 6),
    ]

    // MARK: Back

    /// Appends the interval as PostgreSQL reads it with IntervalStyle `postgres`.
    static func appendText(_ bytes: [UInt8], _ range: Range<Int>, to text: inout [UInt8]) {
        let at = range.lowerBound
        let microseconds = signedInteger(bytes, at..<(at + 8))
        let days = signedInteger(bytes, (at + 8)..<(at + 12))
        let months = signedInteger(bytes, (at + 12)..<(at + 16))
        if months != 0 {
            text.appendDecimal(months)
            text += " mons ".utf8
        }
        if days != 0 {
            text.appendDecimal(days)
            text += " days ".utf8
        }
        // A sign in front of the time, so that it does not take that of the days.
        if microseconds < 0 { text.append(UInt8(ascii: "-")) }
        CalendarForm.appendTime(abs(microseconds), to: &text)
    }

    /// Makes intervals that PostgreSQL holds equal alike: a month is 30 days, a day 24 hours. What
    /// does not fit then keeps its form.
    static func normalise(_ bytes: inout [UInt8], from start: Int) {
        let microseconds = signedInteger(bytes, start..<(start + 8))
        let ofTime = floorDivide(microseconds, CalendarForm.microsecondsPerDay)
        let days =
            signedInteger(bytes, (start + 8)..<(start + 12))
            + signedInteger(bytes, (start + 12)..<(start + 16)) * 30 + ofTime.quotient
        let ofDays = floorDivide(days, 30)
        guard let months = Int32(exactly: ofDays.quotient) else { return }
        bytes.removeSubrange(start...)
        bytes.appendBigEndian(UInt64(bitPattern: ofTime.remainder), byteCount: 8)
        bytes.appendInt32(Int32(truncatingIfNeeded: ofDays.remainder))
        bytes.appendInt32(months)
    }

    private static func floorDivide(
        _ value: Int64, _ by: Int64
    ) -> (quotient: Int64, remainder: Int64) {
        let remainder = ((value % by) + by) % by
        return ((value - remainder) / by, remainder)
    }
}

extension ValueFault {
    static let intervalOverflow = ValueFault.refused(
        sqlstate: "22015", because: "the interval is out of range")
}

extension TextScanner {
    /// Whether the word comes next and ends there.
    fileprivate func isWord(_ word: StaticString, _ input: Span<UInt8>) -> Bool {
        guard isNext(word, input) else { return false }
        let after = position + word.utf8CodeUnitCount
        return after == end || input[after] == UInt8(ascii: " ")
    }
}
