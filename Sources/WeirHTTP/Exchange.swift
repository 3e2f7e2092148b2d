import NIOCore
import Weir
import WeirCore
import WeirRecord

/// One request and its answer. Answers leave in the order of their requests, whenever they are
/// ready.
final class Exchange {
    /// What the answer waits for.
    enum State {
        /// For the fate of one record; no ticket when it is on its way already.
        case record(Ticket?)
        /// For the fates of many.
        case many(ManyRecords)
        /// For its turn.
        case ready(ByteBuffer)
    }

    /// Counts the connection's requests.
    let number: Int
    let requestID: String?
    let preferences: Preferences
    let isKeepAlive: Bool
    let omitsBody: Bool
    let mintedID: UUID7
    private let traceID: TraceID?
    /// What its records say of where they came from.
    private(set) lazy var origin = RecordOrigin(
        requestID.map { .said($0) } ?? .minted(mintedID), trace: traceID)
    var state: State?
    /// The catalog has been looked at since the request came: what it says may be held against it.
    var isCatalogConfirmed = false

    init(number: Int, head: RequestHead, mintedID: UUID7) {
        self.number = number
        requestID = head.requestID
        preferences = head.preferences
        isKeepAlive = head.isKeepAlive
        omitsBody = head.isHeadRequest
        self.mintedID = mintedID
        traceID = head.traceID
    }

    var isReady: Bool {
        if case .ready = state { true } else { false }
    }

    /// A head for this exchange's answer.
    func head(_ status: Int) -> ResponseText.Head {
        ResponseText.Head(
            status: status, requestID: requestID, mintedRequestID: mintedID,
            isKeepAlive: isKeepAlive, omitsBody: omitsBody)
    }
}

extension Answer {
    /// A waiter's number for a record holds the exchange's number and the record's place in its
    /// request.
    static func index(exchange: Int, item: Int) -> Int { exchange << 20 | item }
    static func item(_ index: Int) -> Int { index & 0xF_FFFF }
    var exchange: Int { index >> 20 }
}
