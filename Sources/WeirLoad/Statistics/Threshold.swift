import WeirCore

/// A bound that a run has to keep: `p99<50ms`, `failed<0.1%`, `gateway:rate>=1000`.
package struct Threshold: Sendable, Equatable {
    package enum Metric: Sendable, Equatable {
        /// Of the response, from the intended start; 100 is the slowest call.
        case percentile(Double)
        case mean
        /// Of the service, from the moment of sending.
        case servicePercentile(Double)
        case lagPercentile(Double)
        /// Calls that were not acknowledged, of all, in per cent.
        case failedShare
        case failedCount
        /// Acknowledged calls a second.
        case rate
    }

    package struct Malformed: Error, Equatable {
        package let reason: String
    }

    package let text: String
    /// The only mode that it is for; `nil` for each.
    package let mode: String?
    package let metric: Metric
    let relation: String
    /// Nanoseconds, per cent, or a number: what the metric is in.
    let bound: Double

    /// Longer ones first: `<=` begins with `<`.
    private static let relations = ["<=", ">=", "<", ">"]

    package init(_ text: String) throws(Malformed) {
        self.text = text
        let spaceless = text.filter { $0 != " " }
        guard
            let relation = Self.relations.first(where: { spaceless.contains($0) }),
            let range = spaceless.firstRange(of: relation)
        else { throw Malformed(reason: "expected something like p99<50ms or failed<0.1%") }
        self.relation = relation
        var name = String(spaceless[..<range.lowerBound])
        if let colon = name.firstIndex(of: ":") {
            mode = String(name[..<colon])
            name = String(name[name.index(after: colon)...])
        } else {
            mode = nil
        }
        let value = String(spaceless[range.upperBound...])
        (metric, bound) = try Self.parse(name, value)
    }

    private static func parse(
        _ name: String, _ value: String
    ) throws(Malformed) -> (Metric, Double) {
        switch name {
        case "failed":
            guard value.hasSuffix("%") else { return (.failedCount, try number(value)) }
            return (.failedShare, try number(String(value.dropLast())))
        case "rate":
            return (.rate, try number(value.hasSuffix("/s") ? String(value.dropLast(2)) : value))
        case "mean", "avg": return (.mean, try span(value))
        default: break
        }
        let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
        if parts.first == "service" || parts.first == "lag", parts.count == 2 {
            let percentile = try percentile(parts[1])
            let metric: Metric =
                parts[0] == "lag" ? .lagPercentile(percentile) : .servicePercentile(percentile)
            return (metric, try span(value))
        }
        return (.percentile(try percentile(name)), try span(value))
    }

    private static func percentile(_ name: String) throws(Malformed) -> Double {
        if name == "max" { return 100 }
        if name.hasPrefix("p"), let number = Double(name.dropFirst()), number > 0, number <= 100 {
            return number
        }
        throw Malformed(
            reason: "there is no \"\(name)\"; there is p50, p99, p99.9, max, mean, failed, rate, "
                + "service.p99 and lag.p99")
    }

    private static func number(_ text: String) throws(Malformed) -> Double {
        guard let number = Double(text), number.isFinite, number >= 0 else {
            throw Malformed(reason: "\"\(text)\" is no number")
        }
        return number
    }

    private static func span(_ text: String) throws(Malformed) -> Double {
        for (unit, size) in [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)]
        where text.hasSuffix(unit) {
            return try number(String(text.dropLast(unit.count))) * size
        }
        throw Malformed(reason: "\"\(text)\" needs a unit: us, ms or s")
    }

    /// What a run came to, and whether that is within the bound. A figure that there is none of
    /// keeps no bound.
    package func judge(_ tally: Tally, seconds: Double) -> (value: String, isKept: Bool) {
        let value: Double?
        switch metric {
        case .percentile(let at): value = spanCount(tally.latency.response, at)
        case .servicePercentile(let at): value = spanCount(tally.latency.service, at)
        case .lagPercentile(let at): value = spanCount(tally.latency.lag, at)
        case .mean: value = tally.latency.response.meanSpan.map { Double($0.count) }
        case .failedShare:
            value = tally.calls == 0 ? nil : Double(tally.failed) / Double(tally.calls) * 100
        case .failedCount: value = Double(tally.failed)
        case .rate: value = seconds > 0 ? Double(tally.acknowledged) / seconds : nil
        }
        guard let value else { return ("n/a", false) }
        let isKept =
            switch relation {
            case "<": value < bound
            case "<=": value <= bound
            case ">": value > bound
            default: value >= bound
            }
        switch metric {
        case .failedShare: return (fixed(value, 2) + "%", isKept)
        case .failedCount: return (grouped(Int(value)), isKept)
        case .rate: return (grouped(Int(value)) + "/s", isKept)
        default: return (Nanoseconds(Int64(value)).text, isKept)
        }
    }

    private func spanCount(_ values: LatencyRecorder.Values, _ percentile: Double) -> Double? {
        (percentile >= 100 ? values.highestSpan : values.span(atPercentile: percentile))
            .map { Double($0.count) }
    }
}
