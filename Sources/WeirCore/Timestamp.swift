/// A point on the monotonic clock, in nanoseconds. The core never reads a clock: its callers pass
/// `now`.
package struct Timestamp: Hashable, Comparable, Sendable {
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    package static let zero = Timestamp(nanoseconds: 0)

    /// Later than any time that can be reached: "never".
    package static let distantFuture = Timestamp(nanoseconds: .max)

    package static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// Saturates at `distantFuture`: a caller may ask for an absurd timeout.
    package static func + (time: Timestamp, span: Nanoseconds) -> Timestamp {
        let (sum, overflow) = time.nanoseconds.addingReportingOverflow(span.count)
        return overflow ? .distantFuture : Timestamp(nanoseconds: sum)
    }

    package static func - (left: Timestamp, right: Timestamp) -> Nanoseconds {
        let (span, overflow) = left.nanoseconds.subtractingReportingOverflow(right.nanoseconds)
        return overflow ? Nanoseconds(.max) : Nanoseconds(span)
    }
}

/// A span of time in nanoseconds. `Swift.Duration` is 128 bits wide and its arithmetic shows in a
/// profile at one subtraction per record; configurations still speak `Duration`.
package struct Nanoseconds: Hashable, Comparable, Sendable {
    package var count: Int64

    package init(_ count: Int64) {
        self.count = count
    }

    package init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let (scaled, isTooLong) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, isJustTooLong) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        count = isTooLong || isJustTooLong ? (duration < .zero ? .min : .max) : sum
    }

    package static let zero = Nanoseconds(0)
    package static func milliseconds(_ count: Int64) -> Nanoseconds {
        Nanoseconds(count * 1_000_000)
    }
    package static func seconds(_ count: Int64) -> Nanoseconds {
        Nanoseconds(count * 1_000_000_000)
    }

    package static func < (left: Nanoseconds, right: Nanoseconds) -> Bool {
        left.count < right.count
    }

    package var milliseconds: Double { Double(count) / 1e6 }
    package var seconds: Double { Double(count) / 1e9 }
}
