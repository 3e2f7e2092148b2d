import Logging
import WeirCore
import WeirRecord

/// The lines of one step about single messages. They are gathered under the lock and written after
/// it, and none is built that the logger would not take.
struct HistoryLog {
    /// Every change of every message's state.
    let takesAll: Bool
    /// What an operator may be asked about: unknown outcomes, what they turned out to be, dead
    /// letters.
    let takesGrave: Bool
    var lines: [HistoryLine] = []

    init(_ level: Logger.Level) {
        takesAll = level <= .debug
        takesGrave = level <= .info
    }

    func takes(_ outcome: MessageHistory.Outcome, isLate: Bool) -> Bool {
        takesAll || (takesGrave && (isLate || outcome.isGrave))
    }

    func write(to logger: Logger, _ ids: IDGenerator) {
        for line in lines { line.write(to: logger, ids) }
    }
}

extension MessageHistory.Outcome {
    fileprivate var isGrave: Bool {
        switch self {
        case .unknown, .deadLettered: true
        default: false
        }
    }
}

/// One change of one message's state, or of neighbours that share it.
struct HistoryLine {
    enum Event {
        case received
        case batched(UUID7, attempt: Int, TransientReason?)
        case ended(MessageHistory.Outcome, UUID7?, attempts: Int, isLate: Bool)
    }

    let event: Event
    let messageID: String?
    let tick: UInt64
    let count: Int
    let table: String
    let origin: RecordOrigin?

    init(_ event: Event, _ item: Coordinator.Held) {
        self.event = event
        messageID = item.parcel.cargo.first.messageID
        tick = item.parcel.tick
        count = item.parcel.cargo.count
        table = item.parcel.cargo.first.table.publicName
        origin = item.parcel.origin
    }

    init(_ item: Coordinator.Held, _ entry: HistoryRing.Entry, isLate: Bool, offset: Int) {
        event = .ended(
            entry.outcome, entry.batchID, attempts: Int(entry.attempts), isLate: isLate)
        messageID = item.parcel.cargo.first.messageID
        tick = entry.tick
        count = Int(entry.count)
        table = item.parcel.cargo.first.table.publicName
        origin = entry.origin
    }

    func write(to logger: Logger, _ ids: IDGenerator) {
        var metadata: Logger.Metadata = [
            "id": "\(messageID ?? ids.id(tick: tick).typeID("msg"))", "table": "\(table)",
        ]
        if count > 1 { metadata["records"] = "\(count)" }
        if let origin {
            metadata["request"] = "\(origin.requestID)"
            if let trace = origin.traceID { metadata["trace"] = "\(trace)" }
        }
        switch event {
        case .received:
            logger.debug("message received", metadata: metadata)
        case .batched(let batch, let attempt, let reason):
            metadata["batch"] = "\(batch.typeID("bat"))"
            metadata["attempt"] = "\(attempt)"
            if let reason { metadata["reason"] = "\(reason.rawValue)" }
            logger.debug("message in a batch", metadata: metadata)
        case .ended(let outcome, let batch, let attempts, let isLate):
            if let batch { metadata["batch"] = "\(batch.typeID("bat"))" }
            if attempts > 0 { metadata["attempt"] = "\(attempts)" }
            write(outcome, isLate: isLate, to: logger, &metadata)
        }
    }

    private func write(
        _ outcome: MessageHistory.Outcome, isLate: Bool, to logger: Logger,
        _ metadata: inout Logger.Metadata
    ) {
        switch outcome {
        case .stored(let effect): metadata["result"] = "\(effect.name)"
        case .deadLettered(let number):
            metadata["result"] = "\(RowEffect.deadLettered.name)"
            if let number { metadata["dead_letter"] = "\(number)" }
        case .failed(let code, let sqlstate):
            metadata["code"] = "\(code.rawValue)"
            if let sqlstate { metadata["sqlstate"] = "\(sqlstate)" }
        case .abandoned: metadata["result"] = "abandoned"
        case .unknown: metadata["result"] = "unknown"
        }
        switch outcome {
        case .unknown where isLate:
            logger.info("the message's outcome stays unknown", metadata: metadata)
        case .unknown:
            logger.info("the message's outcome is unknown so far", metadata: metadata)
        case .deadLettered:
            logger.info("the message is a dead letter", metadata: metadata)
        case _ where isLate:
            logger.info(
                "the message ended after its caller had been answered, or had left",
                metadata: metadata)
        default:
            logger.debug("the message ended", metadata: metadata)
        }
    }
}
