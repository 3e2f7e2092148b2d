package import Histogram
package import WeirCore

/// Three histograms of the same calls, in nanoseconds: the response as the caller's plan has it,
/// the service as the server sees it, and what lies between, the generator's own lag.
///
/// A response counts from the intended start, so that a stalled server cannot hide the calls that
/// would have come meanwhile; no sample is made up for them (HdrHistogram's "corrected" values),
/// since each was really sent.
package struct LatencyRecorder: Sendable {
    package typealias Values = Histogram<UInt64>

    /// 1 µs to 1 h, three digits.
    package static let highest: UInt64 = 3_600_000_000_000
    package static func makeHistogram() -> Values {
        Values(lowestDiscernibleValue: 1_000, highestTrackableValue: highest)
    }

    /// Intended start to answer, of calls that were acknowledged.
    package private(set) var response = makeHistogram()
    /// Sent to answer, of the same.
    package private(set) var service = makeHistogram()
    /// Intended start to answer, or to the moment of giving up, of all others.
    package private(set) var failed = makeHistogram()
    /// Intended start to sent, of all but those that follow others of their burst.
    package private(set) var lag = makeHistogram()
    /// The same of these: who makes a hundred calls at once makes one after the other, and each
    /// waits for the ones before. Its response counts from the burst's moment all the same.
    package private(set) var fanOut = makeHistogram()

    package init() {}

    package mutating func record(
        intended: Timestamp, sent: Timestamp, done: Timestamp, isAcknowledged: Bool,
        isFollower: Bool = false
    ) {
        if isFollower {
            Self.add(sent - intended, to: &fanOut)
        } else {
            Self.add(sent - intended, to: &lag)
        }
        if isAcknowledged {
            Self.add(done - intended, to: &response)
            Self.add(done - sent, to: &service)
        } else {
            Self.add(done - intended, to: &failed)
        }
    }

    private static func add(_ span: Nanoseconds, to values: inout Values) {
        // A clock that two threads read may seem to go back by nanoseconds.
        values.record(min(UInt64(max(span.count, 0)), highest))
    }

    package mutating func add(_ other: LatencyRecorder) {
        response.add(other.response)
        service.add(other.service)
        failed.add(other.failed)
        lag.add(other.lag)
        fanOut.add(other.fanOut)
    }
}

extension Histogram where Count == UInt64 {
    /// The value below which so many per cent lie; `nil` when there is none.
    package func span(atPercentile percentile: Double) -> Nanoseconds? {
        totalCount == 0 ? nil : Nanoseconds(Int64(clamping: valueAtPercentile(percentile)))
    }

    package var highestSpan: Nanoseconds? {
        totalCount == 0 ? nil : Nanoseconds(Int64(clamping: maxRecorded))
    }

    package var meanSpan: Nanoseconds? {
        totalCount == 0 ? nil : Nanoseconds(Int64(mean))
    }
}
