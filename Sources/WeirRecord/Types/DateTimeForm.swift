/// date, time, timetz, timestamp and timestamptz: from their text to the binary forms of their
/// `recv` functions and back. Nothing depends on a session's DateStyle or TimeZone.
enum DateTimeForm {
    static func encodeDate(
        _ input: Span<UInt8>, _ range: Range<Int>, to bytes: inout [UInt8]
    ) throws(ValueFault) {
        bytes.appendInt32(4)
        if let isNegative = infinity(input, range) {
            return bytes.appendInt32(isNegative ? .min : .max)
        }
        let (text, isBC) = CalendarForm.withoutBC(input, range)
        var scanner = TextScanner(text)
        let days = try CalendarForm.takeDays(&scanner, input, isBC: isBC)
        guard scanner.isAtEnd else { throw .malformed }
        guard CalendarForm.days.contains(days) else { throw .outOfRange }
        bytes.appendInt32(Int32(truncatingIfNeeded: days))
    }

    static func encodeTime(
        _ input: Span<UInt8>, _ range: Range<Int>, digits: Int, hasOffset: Bool,
        to bytes: inout [UInt8]
    ) throws(ValueFault) {
        var scanner = TextScanner(range)
        let time = try CalendarForm.takeTime(&scanner, input, keeping: digits)
        let offset = try CalendarForm.takeOffset(&scanner, input)
        guard scanner.isAtEnd, (offset != nil) == hasOffset else { throw .malformed }
        bytes.appendInt32(hasOffset ? 12 : 8)
        bytes.appendBigEndian(UInt64(bitPattern: time), byteCount: 8)
        // PostgreSQL counts seconds west of Greenwich.
        if let offset { bytes.appendInt32(-Int32(truncatingIfNeeded: offset)) }
    }

    /// A day, `T` or a space, a time, and, where the type has a zone and nowhere else, an offset.
    static func encodeTimestamp(
        _ input: Span<UInt8>, _ range: Range<Int>, digits: Int, hasOffset: Bool,
        to bytes: inout [UInt8]
    ) throws(ValueFault) {
        bytes.appendInt32(8)
        if let isNegative = infinity(input, range) {
            let moment = isNegative ? Int64.min : Int64.max
            return bytes.appendBigEndian(UInt64(bitPattern: moment), byteCount: 8)
        }
        let (text, isBC) = CalendarForm.withoutBC(input, range)
        var scanner = TextScanner(text)
        let days = try CalendarForm.takeDays(&scanner, input, isBC: isBC)
        guard
            scanner.takeLetter(UInt8(ascii: "t"), input)
                || scanner.take(UInt8(ascii: " "), input)
        else { throw .malformed }
        let time = try CalendarForm.takeTime(&scanner, input, keeping: digits)
        let offset = try CalendarForm.takeOffset(&scanner, input)
        guard scanner.isAtEnd, (offset != nil) == hasOffset else { throw .malformed }
        let (midnight, isOver) = days.multipliedReportingOverflow(
            by: CalendarForm.microsecondsPerDay)
        let (local, isSumOver) = midnight.addingReportingOverflow(time)
        let (moment, isShiftOver) = local.subtractingReportingOverflow((offset ?? 0) * 1_000_000)
        guard !isOver, !isSumOver, !isShiftOver, CalendarForm.moments.contains(moment) else {
            throw .outOfRange
        }
        bytes.appendBigEndian(UInt64(bitPattern: moment), byteCount: 8)
    }

    /// Whether the text is `-infinity` or `infinity`; `nil` when it is neither.
    private static func infinity(_ input: Span<UInt8>, _ range: Range<Int>) -> Bool? {
        var scanner = TextScanner(range)
        let isNegative = scanner.take(UInt8(ascii: "-"), input)
        return scanner.takeLast("infinity", input) ? isNegative : nil
    }

    // MARK: Back

    /// Appends the value whose binary form is `bytes[range]`, as PostgreSQL prints it with
    /// DateStyle ISO and TimeZone UTC.
    static func appendText(
        _ type: ColumnType, _ bytes: [UInt8], _ range: Range<Int>, to text: inout [UInt8]
    ) {
        switch type {
        case .date:
            let days = signedInteger(bytes, range)
            if days == Int64(Int32.min) || days == Int64(Int32.max) {
                return text += (days < 0 ? "-infinity" : "infinity").utf8
            }
            if CalendarForm.appendDate(days, to: &text) { text += " BC".utf8 }
        case .time, .timetz:
            let time = range.lowerBound..<(range.lowerBound + 8)
            CalendarForm.appendTime(signedInteger(bytes, time), to: &text)
            guard range.count == 12 else { return }
            let west = signedInteger(bytes, time.upperBound..<range.upperBound)
            CalendarForm.appendOffset(-west, to: &text)
        default:
            let moment = signedInteger(bytes, range)
            if moment == .min || moment == .max {
                return text += (moment < 0 ? "-infinity" : "infinity").utf8
            }
            var days = moment / CalendarForm.microsecondsPerDay
            var time = moment % CalendarForm.microsecondsPerDay
            if time < 0 {
                days -= 1
                time += CalendarForm.microsecondsPerDay
            }
            let isBC = CalendarForm.appendDate(days, to: &text)
            text.append(UInt8(ascii: " "))
            CalendarForm.appendTime(time, to: &text)
            if case .timestamptz = type { text += "+00".utf8 }
            if isBC { text += " BC".utf8 }
        }
    }
}

/// A moment as people write it down for programs.
package enum Timestamptz {
    /// Microseconds since 1970 of a time with an offset (RFC 3339); `nil` where it is none.
    package static func microseconds(_ text: String) -> Int64? {
        let input = Array(text.utf8)
        var bytes: [UInt8] = []
        do throws(ValueFault) {
            try DateTimeForm.encodeTimestamp(
                input.span, 0..<input.count, digits: 6, hasOffset: true, to: &bytes)
        } catch {
            return nil
        }
        let moment = bytes.dropFirst(4).reduce(0) { $0 << 8 | UInt64($1) }
        // PostgreSQL counts from 2000; its infinities are at either end.
        let (sum, isOver) = Int64(bitPattern: moment).addingReportingOverflow(946_684_800_000_000)
        return isOver || sum < 0 ? nil : sum
    }
}
