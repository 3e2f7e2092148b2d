import NIOCore
import Weir
import WeirCore
import WeirRecord

/// The answer to many records, put together as their fates come in.
struct ManyAnswer {
    let isStreamed: Bool
    /// Only what failed is listed.
    private let isMinimal: Bool
    private let count: Int
    private var okCount = 0
    private var failedCount = 0
    /// Of items for which nothing was applied now.
    private var replayedCount = 0
    /// Items as JSON, in the order in which they came.
    private var text: [UInt8] = []
    /// Where in `text` each item stands, with the comma behind it.
    private var places: [Range<Int>]
    private static let reserveMax = 4 << 20
    private var hasBegun = false
    private var isDone = false

    init(count: Int, isStreamed: Bool, isMinimal: Bool) {
        self.count = count
        self.isStreamed = isStreamed
        self.isMinimal = isMinimal
        places = isStreamed ? [] : Array(repeating: 0..<0, count: count)
    }

    mutating func append(
        _ item: Int, _ result: RowResult, messageID: String?, minted: @autoclosure () -> UUID7,
        record: Record?
    ) {
        okCount += 1
        if result.effect == .replayed { replayedCount += 1 }
        guard !isMinimal else { return }
        let start = text.count
        text.appendItem(item, result, messageID: messageID, minted: minted(), record: record)
        endItem(item, from: start)
    }

    mutating func append(_ item: Int, _ failure: Failure, messageID: String?) {
        failedCount += 1
        if failure.deadLetter?.isRepetition ?? false { replayedCount += 1 }
        let start = text.count
        text.appendItem(item, failure, messageID: messageID)
        endItem(item, from: start)
    }

    private mutating func endItem(_ item: Int, from start: Int) {
        text.append(isStreamed ? 0x0A : UInt8(ascii: ","))
        guard !isStreamed else { return }
        places[item] = start..<text.count
        // Items are about as long as the first; grown once, a large answer is not copied often.
        if start == 0 { text.reserveCapacity(min(text.count * count * 9 / 8, Self.reserveMax)) }
    }

    // MARK: Streaming

    /// Writes the head of a streamed answer: it is its connection's turn.
    mutating func begin(_ exchange: Exchange, on connection: ConnectionHandler) {
        guard isStreamed, !hasBegun else { return }
        hasBegun = true
        var head = exchange.head(200)
        head.contentType = "application/x-ndjson"
        head.isChunked = true
        head.preferenceApplied = exchange.request.preferences.applied
        connection.writeHead(head)
        if isDone { end(exchange, on: connection) }
    }

    mutating func writeGathered(on connection: ConnectionHandler) {
        guard isStreamed, hasBegun, !text.isEmpty else { return }
        var chunk: [UInt8] = []
        chunk.reserveCapacity(text.count + 16)
        chunk += String(text.count, radix: 16).utf8
        chunk += "\r\n".utf8
        chunk += text
        chunk += "\r\n".utf8
        text.removeAll(keepingCapacity: text.capacity <= 64 << 10)
        connection.write(ByteBuffer(bytes: chunk))
    }

    private mutating func end(_ exchange: Exchange, on connection: ConnectionHandler) {
        text += "{\"summary\":\(counts(exchange))}\n".utf8
        writeGathered(on: connection)
        connection.completeStreamed(exchange, ByteBuffer(string: "0\r\n\r\n"))
    }

    // MARK: The end

    mutating func finish(_ exchange: Exchange, on connection: ConnectionHandler) {
        isDone = true
        if isStreamed {
            if hasBegun { end(exchange, on: connection) }
            return
        }
        connection.withText { scratch in
            scratch.beginBody()
            scratch.body.reserveCapacity(text.count + places.count + 256)
            scratch.body += "{\"request\":\"".utf8
            if let id = exchange.request.requestID {
                scratch.body += id.utf8.filter {
                    $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
                }
            } else {
                exchange.mintedID.appendTypeID("req", to: &scratch.body)
            }
            scratch.body +=
                "\",\"errors\":\(failedCount > 0),\"counts\":\(counts(exchange)),\"items\":[".utf8
            // Neighbours that came in order are copied together; each brings its comma.
            var run = 0..<0
            for place in places where !place.isEmpty {
                if place.lowerBound == run.upperBound {
                    run = run.lowerBound..<place.upperBound
                } else {
                    scratch.body += text[run]
                    run = place
                }
            }
            scratch.body += text[run]
            if !text.isEmpty { scratch.body.removeLast() }
            scratch.body += "]}".utf8
        }
        var head = exchange.head(failedCount == 0 ? 200 : 207)
        head.failedCount = failedCount
        head.isReplay = replayedCount == count
        head.preferenceApplied = exchange.request.preferences.applied
        connection.complete(exchange, head)
    }

    private func counts(_ exchange: Exchange) -> String {
        "{\"total\":\(count),\"ok\":\(okCount),\"failed\":\(failedCount)}"
    }
}
