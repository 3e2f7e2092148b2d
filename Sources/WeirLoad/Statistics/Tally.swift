package import WeirCore

/// What a caller knows of its message after the answer, or without one. In the order in which one
/// outranks another, where a message was sent several times.
package enum Fate: UInt8, Sendable {
    case unsent
    /// The answer says that nothing was written.
    case denied
    /// There was no answer, or one that says that nobody knows.
    case unknown
    case acknowledged
}

/// What one call came to.
package struct Answer: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        case acknowledged
        /// The record is at fault: it would be refused again.
        case rejected
        /// Not taken at present: overload, or no connection to be had.
        case refused
        case unknown
    }

    package var kind: Kind
    /// The gateway's code, the SQLSTATE, or what happened to the connection; empty on success.
    package var code = ""
    /// Records of the batch that this one travelled in, where the answer says so.
    package var batchRecords = 0

    package init(_ kind: Kind, code: String = "", batchRecords: Int = 0) {
        self.kind = kind
        self.code = code
        self.batchRecords = batchRecords
    }

    package var fate: Fate {
        switch kind {
        case .acknowledged: .acknowledged
        case .rejected, .refused: .denied
        case .unknown: .unknown
        }
    }
}

/// Counts and latencies of a phase.
package struct Tally: Sendable {
    package private(set) var acknowledged = 0
    package private(set) var rejected = 0
    package private(set) var refused = 0
    package private(set) var unknown = 0
    /// By code. Bounded: what is beyond goes under "other".
    package private(set) var errors: [String: Int] = [:]
    package private(set) var latency = LatencyRecorder()
    /// Answers by the size of the batch that their record travelled in.
    package private(set) var batchSizes: [Int: Int] = [:]
    /// Calls that waited because the generator had no connection left to send them on.
    package var waitedForConnection = 0
    /// When the first call of the phase was due, and the last one answered.
    package private(set) var first: Timestamp?
    package private(set) var last: Timestamp?

    private static let codesMax = 100
    private static let sizesMax = 10_000

    package init() {}

    package var calls: Int { acknowledged + rejected + refused + unknown }
    package var failed: Int { rejected + refused + unknown }
    /// Transactions that the answers speak of: a batch of n records has n answers.
    package var batches: Double {
        batchSizes.reduce(0) { $0 + Double($1.value) / Double($1.key) }
    }

    package mutating func record(
        _ answer: Answer, intended: Timestamp, sent: Timestamp, done: Timestamp,
        isFollower: Bool = false
    ) {
        switch answer.kind {
        case .acknowledged: acknowledged += 1
        case .rejected: rejected += 1
        case .refused: refused += 1
        case .unknown: unknown += 1
        }
        if answer.kind != .acknowledged {
            let isKnown = errors[answer.code] != nil || errors.count < Self.codesMax
            errors[isKnown ? answer.code : "other", default: 0] += 1
        }
        if answer.batchRecords > 0,
            batchSizes[answer.batchRecords] != nil || batchSizes.count < Self.sizesMax
        {
            batchSizes[answer.batchRecords, default: 0] += 1
        }
        latency.record(
            intended: intended, sent: sent, done: done,
            isAcknowledged: answer.kind == .acknowledged, isFollower: isFollower)
        first = min(first ?? intended, intended)
        last = max(last ?? done, done)
    }

    package mutating func add(_ other: Tally) {
        acknowledged += other.acknowledged
        rejected += other.rejected
        refused += other.refused
        unknown += other.unknown
        errors.merge(other.errors, uniquingKeysWith: +)
        batchSizes.merge(other.batchSizes, uniquingKeysWith: +)
        latency.add(other.latency)
        waitedForConnection += other.waitedForConnection
        if let theirs = other.first { first = min(first ?? theirs, theirs) }
        if let theirs = other.last { last = max(last ?? theirs, theirs) }
    }
}
