package import Histogram
package import WeirCore

/// How a run went, in equal spans of time.
package struct TimeSeries: Sendable {
    package struct Bin: Sendable {
        package var sent = 0
        package var acknowledged = 0
        package var failed = 0
        /// Calls in flight at the most.
        package var inFlight = 0
        /// Responses of acknowledged calls, by when they were answered, with two digits.
        package var response: Histogram<UInt32>?
    }

    package let width: Nanoseconds
    package private(set) var bins: [Bin]

    /// More bins than a page has points to draw them with would say nothing more.
    static let binsMax = 600
    static let widthMin = Nanoseconds.milliseconds(100)
    /// Answers may come after the last call was sent.
    static let tail = Nanoseconds.seconds(5)

    package init(duration: Nanoseconds) {
        let all = duration.count + Self.tail.count
        width = Nanoseconds(max(Self.widthMin.count, all / Int64(Self.binsMax)))
        bins = Array(repeating: Bin(), count: Int(all / width.count) + 1)
    }

    private func index(_ time: Nanoseconds) -> Int {
        min(max(Int(time.count / width.count), 0), bins.count - 1)
    }

    /// - Parameter time: since the start.
    package mutating func sent(_ time: Nanoseconds, inFlight: Int) {
        let index = index(time)
        bins[index].sent += 1
        bins[index].inFlight = max(bins[index].inFlight, inFlight)
    }

    package mutating func finished(
        _ time: Nanoseconds, isAcknowledged: Bool, response: Nanoseconds
    ) {
        let index = index(time)
        guard isAcknowledged else { return bins[index].failed += 1 }
        bins[index].acknowledged += 1
        if bins[index].response == nil {
            bins[index].response = Histogram(
                lowestDiscernibleValue: 1_000, highestTrackableValue: LatencyRecorder.highest,
                numberOfSignificantValueDigits: .two)
        }
        let value = min(UInt64(max(response.count, 0)), LatencyRecorder.highest)
        bins[index].response?.record(value)
    }

    /// - Precondition: of the same width; calls in flight on several loops add up.
    package mutating func add(_ other: TimeSeries) {
        precondition(width == other.width && bins.count == other.bins.count)
        for (index, theirs) in other.bins.enumerated() {
            bins[index].sent += theirs.sent
            bins[index].acknowledged += theirs.acknowledged
            bins[index].failed += theirs.failed
            bins[index].inFlight += theirs.inFlight
            if let response = theirs.response {
                if bins[index].response == nil {
                    bins[index].response = response
                } else {
                    bins[index].response?.add(response)
                }
            }
        }
    }

    /// Without the empty end.
    package var used: ArraySlice<Bin> {
        let end = bins.lastIndex { $0.sent + $0.acknowledged + $0.failed > 0 } ?? -1
        return bins[...end]
    }

    /// From `time` on until answers take no longer than `limit` at the 99th percentile and none
    /// fails, to the end of a second of such bins; `nil` where that never happens.
    package func recovery(after time: Nanoseconds, limit: Nanoseconds) -> Nanoseconds? {
        let wanted = max(1, Int(1_000_000_000 / width.count))
        var good = 0
        for at in index(time)..<bins.count {
            let bin = bins[at]
            let p99 = bin.response.map { Int64(clamping: $0.valueAtPercentile(99)) } ?? .max
            good = bin.failed == 0 && bin.acknowledged > 0 && p99 <= limit.count ? good + 1 : 0
            if good == wanted {
                let start = Int64(at - wanted + 1) * width.count
                return Nanoseconds(max(start - time.count, 0))
            }
        }
        return nil
    }
}
