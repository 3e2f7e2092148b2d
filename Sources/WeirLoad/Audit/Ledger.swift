/// What was promised about each message, what the table holds of it, and what that comes to.
package struct Ledger: Sendable {
    /// By message.
    package private(set) var fates: [Fate]
    private var isPoison: [Bool]
    /// Rows found, up to 255.
    private var found: [UInt8]
    /// Rows whose content is another one's.
    package private(set) var altered = 0
    /// Rows that say they are of a message that nobody sent.
    package private(set) var foreign = 0
    /// Rows that one message writes.
    private let rowsPerCall: Int

    package init(messageCount: Int, rowsPerCall: Int) {
        fates = Array(repeating: .unsent, count: messageCount)
        isPoison = Array(repeating: false, count: messageCount)
        found = Array(repeating: 0, count: messageCount)
        self.rowsPerCall = rowsPerCall
    }

    package var messageCount: Int { fates.count }

    /// Of several calls with one message, the strongest word counts.
    package mutating func told(_ message: Int, _ fate: Fate) {
        if message >= fates.count { grow(message + 1) }
        if fate.rawValue > fates[message].rawValue { fates[message] = fate }
    }

    private mutating func grow(_ count: Int) {
        let more = count - fates.count
        fates += Array(repeating: .unsent, count: more)
        isPoison += Array(repeating: false, count: more)
        found += Array(repeating: 0, count: more)
    }

    package mutating func markPoison(_ message: Int) {
        if message < isPoison.count { isPoison[message] = true }
    }

    /// - Parameters:
    ///   - message: as the row has it; `nil` when it has none.
    ///   - isAltered: its content is not what that message sends.
    package mutating func saw(_ message: Int?, isAltered: Bool) {
        guard let message, fates.indices.contains(message), fates[message] != .unsent else {
            foreign += 1
            return
        }
        if found[message] < .max { found[message] += 1 }
        if isAltered || isPoison[message] { altered += 1 }
    }

    /// A row whose edits are counted elsewhere, with content that its last editor did not send.
    package mutating func sawAltered() { altered += 1 }

    // MARK: Judging

    package struct Result: Sendable, Equatable {
        package var acknowledged = 0
        /// Acknowledged messages of which nothing is there.
        package var missing = 0
        /// Messages of which a part is there.
        package var torn = 0
        /// Messages whose effect is there more often than once.
        package var twice = 0
        /// Messages that were called not written, and are there.
        package var deniedButPresent = 0
        /// Messages that nobody knew the outcome of, and what the table says.
        package var unknownPresent = 0
        package var unknownAbsent = 0
        package var altered = 0
        package var foreign = 0

        package init() {}

        /// Messages without a promise that are there: resolved ones, and broken words.
        package var unacknowledgedButPresent: Int { unknownPresent + deniedButPresent }

        /// What must be 0, with its name.
        package var breaches: [(name: String, count: Int)] {
            [
                ("acknowledged and missing", missing), ("written in part", torn),
                ("written twice", twice), ("called not written, but present", deniedButPresent),
                ("with other content than was sent", altered), ("of no message", foreign),
            ].filter { $0.1 > 0 }
        }

        package var isHonest: Bool { breaches.isEmpty }
    }

    package var result: Result {
        var result = Result()
        result.altered = altered
        result.foreign = foreign
        for (message, fate) in fates.enumerated() {
            let rows = Int(found[message])
            if rows > rowsPerCall { result.twice += 1 }
            let isTorn = rows > 0 && rows < rowsPerCall
            if isTorn { result.torn += 1 }
            switch fate {
            case .unsent: break
            case .acknowledged:
                result.acknowledged += 1
                if rows == 0 { result.missing += 1 }
            case .denied: if rows > 0 { result.deniedButPresent += 1 }
            case .unknown:
                if rows > 0 { result.unknownPresent += 1 } else { result.unknownAbsent += 1 }
            }
        }
        return result
    }
}
