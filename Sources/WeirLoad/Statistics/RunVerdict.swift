package import WeirCore

/// Whether the figures are the server's, or the generator's own.
package struct RunVerdict: Sendable, Equatable {
    /// Why the run says nothing about the server; empty when it does.
    package let reasons: [String]

    package var isVoid: Bool { !reasons.isEmpty }

    /// What a run is judged by.
    package struct Evidence: Sendable {
        package var isClosed: Bool
        package var lagP99: Nanoseconds?
        package var responseP50: Nanoseconds?
        /// Calls that found no free connection, of so many.
        package var waitedForConnection: Int
        package var calls: Int
        /// CPU time of the generator's threads over the time that they had; `nil` where nobody
        /// could measure it.
        package var processorShare: Double?
        /// Messages that should have been sent and were not, though nobody interrupted.
        package var unsent: Int

        package init(
            isClosed: Bool, lagP99: Nanoseconds?, responseP50: Nanoseconds?,
            waitedForConnection: Int = 0, calls: Int, processorShare: Double? = nil,
            unsent: Int = 0
        ) {
            self.isClosed = isClosed
            self.lagP99 = lagP99
            self.responseP50 = responseP50
            self.waitedForConnection = waitedForConnection
            self.calls = calls
            self.processorShare = processorShare
            self.unsent = unsent
        }
    }

    /// A lag below it is lost in the noise of any machine, and below 5 % of the response it does
    /// not show in it.
    static let lagMin = Nanoseconds.milliseconds(1)
    static let lagShareMax = 0.05
    static let processorShareMax = 0.8

    package init(_ evidence: Evidence) {
        var reasons: [String] = []
        if evidence.calls == 0 { reasons.append("no call was made") }
        // A closed loop has no schedule to lag behind.
        if !evidence.isClosed {
            if let lag = evidence.lagP99 {
                let share = Double(evidence.responseP50?.count ?? 0) * Self.lagShareMax
                let limit = Nanoseconds(max(Self.lagMin.count, Int64(share)))
                if lag > limit {
                    reasons.append(
                        "the generator sent 1 % of the calls \(lag.text) late or more; "
                            + "at most \(limit.text)")
                }
            }
            if evidence.waitedForConnection > 0 {
                reasons.append(
                    "\(evidence.waitedForConnection) calls waited for a free connection of the "
                        + "generator: raise --connections")
            }
            if let share = evidence.processorShare, share > Self.processorShareMax {
                reasons.append(
                    "the generator used \(Int(share * 100)) % of its threads' time; at most "
                        + "\(Int(Self.processorShareMax * 100)) %: raise --threads, or ask less"
                )
            }
            if evidence.unsent > 0 {
                reasons.append("\(evidence.unsent) calls of the schedule were not made")
            }
        }
        self.reasons = reasons
    }
}

extension Nanoseconds {
    /// For people: three digits and a unit.
    package var text: String {
        func digits(_ value: Double, _ unit: String) -> String {
            let places = value < 9.995 ? 2 : value < 99.95 ? 1 : 0
            return "\(fixed(value, places)) \(unit)"
        }
        let size = Double(count.magnitude)
        if size < 1e3 { return "\(count) ns" }
        if size < 999.5e3 { return digits(Double(count) / 1e3, "µs") }
        if size < 999.5e6 { return digits(Double(count) / 1e6, "ms") }
        return digits(Double(count) / 1e9, "s")
    }
}

/// `value` with so many places behind the point.
package func fixed(_ value: Double, _ places: Int) -> String {
    guard value.isFinite else { return "n/a" }
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    let scaled = (value.magnitude * scale).rounded()
    guard scaled < 9e15 else { return String(value) }
    let number = Int(scaled)
    let sign = value < 0 && number > 0 ? "-" : ""
    if places == 0 { return sign + "\(number)" }
    let fraction = String(number % Int(scale))
    let zeros = String(repeating: "0", count: places - fraction.count)
    return sign + "\(number / Int(scale)).\(zeros)\(fraction)"
}

/// With commas between thousands.
package func grouped(_ number: Int) -> String {
    let digits = Array(String(number.magnitude))
    var text = number < 0 ? "-" : ""
    for (index, digit) in digits.enumerated() {
        if index > 0 && (digits.count - index) % 3 == 0 { text += "," }
        text.append(digit)
    }
    return text
}
