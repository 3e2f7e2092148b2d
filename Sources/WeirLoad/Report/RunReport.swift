package import WeirCore

/// How the same calls are brought to the database.
package enum Mode: String, CaseIterable, Sendable {
    /// A connection for each call, as a function that starts cold has it.
    case direct
    /// So many connections of the caller's own, each lent for one transaction.
    case pool
    /// A connection to PgBouncer for each call; it lends its own in transaction mode.
    case pgbouncer
    case gateway
}

/// What one mode came to.
package struct ModeResult: Sendable {
    package var mode: Mode
    package var measured: Measured
    /// `nil` when the table could not be read back.
    package var audit: Ledger.Result?
    package var auditFailure: String?
    package var verdict: RunVerdict
    /// By `pg_stat_database`; `nil` where it cannot be known.
    package var transactions: Int?
    package var deadlocks: Int?
    package var walBytes: Int?
    package var databaseProcessor: Nanoseconds?
    /// Of the gateway or PgBouncer, where the harness started it.
    package var middleProcessor: Nanoseconds?
    /// Connections to the database, at equal distances from the start on, and how far these are.
    package var connections: [Int] = []
    package static let connectionsEvery = Nanoseconds.milliseconds(200)
    /// Connections that were ended by force.
    package var killed = 0
    /// From the beginning of the recovery phase to the first good second; `nil` without one.
    package var recovery: Recovery?
    /// Rows that a call writes.
    package var rowsPerCall: Int
    package var seconds: Double

    package enum Recovery: Sendable, Equatable {
        case after(Nanoseconds)
        case never
    }

    package var total: Tally { measured.total }
    package var connectionsPeak: Int { connections.max() ?? 0 }
    package var rowsWritten: Int { total.acknowledged * rowsPerCall }
    package var rate: Double { seconds > 0 ? Double(total.acknowledged) / seconds : 0 }
    package var refusedConnections: Int {
        total.errors.reduce(0) {
            $0 + ($1.key == "53300" || $1.key == "connection refused" ? $1.value : 0)
        }
    }

    /// CPU time for a thousand rows, in milliseconds.
    package func per1000Rows(_ time: Nanoseconds?) -> Double? {
        guard let time, rowsWritten > 0 else { return nil }
        return time.milliseconds / Double(rowsWritten) * 1_000
    }

    /// Only the gateway promises that a repeated message is written once.
    package var breaches: [(name: String, count: Int)] {
        (audit?.breaches ?? []).filter { mode == .gateway || $0.name != "written twice" }
    }
}

/// What a run came to.
package struct RunReport: Sendable {
    package var plan: LoadPlan
    package var scheduleHash: UInt64
    package var table: String
    package var isScratch: Bool
    package var serverVersion: String
    package var version: String
    package var startedUnixSeconds: UInt64
    package var results: [ModeResult] = []
    package var isInterrupted = false
    package var thresholds: [Judged] = []
    /// Something that has to be said beside the figures.
    package var remarks: [String] = []

    package struct Judged: Sendable, Equatable {
        package var text: String
        /// With the mode that it is of.
        package var values: [String]
        package var isKept: Bool
    }

    package mutating func judge(_ thresholds: [Threshold]) {
        self.thresholds = thresholds.map { threshold in
            let judged = results.filter {
                threshold.mode == nil || threshold.mode == $0.mode.rawValue
            }
            .map { result -> (text: String, isKept: Bool) in
                let (value, isKept) = threshold.judge(result.total, seconds: result.seconds)
                return ("\(result.mode.rawValue) \(value)", isKept)
            }
            return Judged(
                text: threshold.text, values: judged.map(\.text),
                isKept: !judged.isEmpty && judged.allSatisfy(\.isKept))
        }
    }

    package var isVoid: Bool { results.contains { $0.verdict.isVoid } }
    package var isAudited: Bool { results.allSatisfy { $0.audit != nil } }
    package var hasBreaches: Bool { results.contains { !$0.breaches.isEmpty } }
}
