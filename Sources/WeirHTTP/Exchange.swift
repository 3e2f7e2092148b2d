import NIOCore
import NIOHTTP1
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
    let method: HTTPMethod
    let target: String
    let request: RequestHead
    let mintedID: UUID7
    /// What its records say of where they came from.
    let origin: RecordOrigin
    /// Whether another request may follow.
    var isKeepAlive: Bool
    var state: State?
    /// The catalog has been looked at since the request came: what it says may be held against it.
    var isCatalogConfirmed = false

    init(number: Int, _ head: HTTPRequestHead, mintedID: UUID7) {
        self.number = number
        method = head.method
        target = head.uri
        request = RequestHead(head)
        self.mintedID = mintedID
        origin = RecordOrigin(
            request.requestID.map { .said($0) } ?? .minted(mintedID), trace: request.traceID)
        isKeepAlive = request.isKeepAlive
    }

    var isReady: Bool {
        if case .ready = state { true } else { false }
    }

    /// A head for this exchange's answer.
    func head(_ status: Int) -> ResponseText.Head {
        ResponseText.Head(
            status: status, requestID: request.requestID, mintedRequestID: mintedID,
            isKeepAlive: isKeepAlive, omitsBody: request.isHeadRequest)
    }
}

extension Answer {
    /// A waiter's number for a record holds the exchange's number and the record's place in its
    /// request.
    static func index(exchange: Int, item: Int) -> Int { exchange << 20 | item }
    static func item(_ index: Int) -> Int { index & 0xF_FFFF }
    var exchange: Int { index >> 20 }
}
