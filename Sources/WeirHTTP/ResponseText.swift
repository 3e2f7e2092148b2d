import NIOCore
import Weir
import WeirCore
import WeirRecord

/// Writes answers as bytes: bodies as JSON, and heads round them. One for each event loop: its
/// memory is used again and again.
struct ResponseText {
    var body: [UInt8] = []
    private var head: [UInt8] = []
    private let serverLine: [UInt8]
    private var dateLine: [UInt8] = []
    private var dateSecond: UInt64 = 0

    init(version: String) {
        serverLine = Array("Server: weir/\(version)\r\n".utf8)
    }

    mutating func beginBody() {
        body.removeAll(keepingCapacity: body.capacity <= 64 << 10)
    }

    // MARK: Heads

    /// What a head says beyond the status and the body.
    struct Head {
        var status: Int
        var contentType: StaticString = "application/json"
        var requestID: String?
        var mintedRequestID: UUID7
        var isKeepAlive: Bool
        var timing: Timing?
        var preferenceApplied: [String] = []
        var failedCount = 0
        /// Nothing was applied now: the answer says what became of the first request.
        var isReplay = false
        var retryAfter: Nanoseconds?
        var allow: String?
        var isChunked = false
        /// The answer to HEAD: the head says what the body would be.
        var omitsBody = false

        struct Timing {
            var queue: Nanoseconds
            var batch: Nanoseconds
            var database: Nanoseconds
        }
    }

    /// The head, and the body that has been written since `beginBody`, as one buffer.
    mutating func response(
        _ fields: Head, unixNanoseconds: UInt64, allocator: ByteBufferAllocator
    ) -> ByteBuffer {
        writeHead(fields, unixNanoseconds: unixNanoseconds)
        var buffer = allocator.buffer(capacity: head.count + body.count)
        buffer.writeBytes(head)
        if !fields.isChunked && !fields.omitsBody { buffer.writeBytes(body) }
        return buffer
    }

    private mutating func writeHead(_ fields: Head, unixNanoseconds: UInt64) {
        head.removeAll(keepingCapacity: true)
        head += "HTTP/1.1 ".utf8
        head.append(decimal: fields.status)
        head.append(UInt8(ascii: " "))
        head += reason(fields.status).utf8
        head += "\r\n".utf8
        if fields.isChunked {
            head += "Transfer-Encoding: chunked\r\n".utf8
        } else if fields.status != 204 {
            head += "Content-Length: ".utf8
            head.append(decimal: body.count)
            head += "\r\n".utf8
        }
        if fields.isChunked || !body.isEmpty {
            head += "Content-Type: ".utf8
            fields.contentType.withUTF8Buffer { head.append(contentsOf: $0) }
            head += "\r\n".utf8
        }
        head += "X-Request-Id: ".utf8
        if let id = fields.requestID {
            head += id.utf8
        } else {
            fields.mintedRequestID.appendTypeID("req", to: &head)
        }
        head += "\r\n".utf8
        head += serverLine
        appendDate(unixNanoseconds / 1_000_000_000)
        appendOptional(fields)
        head += "\r\n".utf8
    }

    private mutating func appendOptional(_ fields: Head) {
        if let timing = fields.timing {
            head += "Server-Timing: queue;dur=".utf8
            head.append(milliseconds: timing.queue)
            head += ", batch;dur=".utf8
            head.append(milliseconds: timing.batch)
            head += ", db;dur=".utf8
            head.append(milliseconds: timing.database)
            head += "\r\n".utf8
        }
        if !fields.preferenceApplied.isEmpty {
            head +=
                "Preference-Applied: \(fields.preferenceApplied.joined(separator: ", "))\r\n".utf8
        }
        if fields.isReplay { head += "Idempotent-Replayed: true\r\n".utf8 }
        if fields.failedCount > 0 { head += "Weir-Failed: \(fields.failedCount)\r\n".utf8 }
        if let wait = fields.retryAfter {
            head += "Retry-After: \(max(1, (wait.count + 999_999_999) / 1_000_000_000))\r\n".utf8
        }
        if let allow = fields.allow { head += "Allow: \(allow)\r\n".utf8 }
        if !fields.isKeepAlive { head += "Connection: close\r\n".utf8 }
    }

    /// RFC 9110, section 5.6.7. Written once a second.
    private mutating func appendDate(_ second: UInt64) {
        if second != dateSecond {
            dateSecond = second
            dateLine = Array("Date: \(httpDate(second))\r\n".utf8)
        }
        head += dateLine
    }

    private func reason(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 201: "Created"
        case 204: "No Content"
        case 207: "Multi-Status"
        case 400: "Bad Request"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 415: "Unsupported Media Type"
        case 422: "Unprocessable Content"
        case 424: "Failed Dependency"
        case 431: "Request Header Fields Too Large"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        default: "Unknown"
        }
    }
}

extension Array where Element == UInt8 {
    /// Milliseconds with three places.
    mutating func append(milliseconds span: Nanoseconds) {
        let micros = Int(Swift.max(span.count, 0) / 1_000)
        append(decimal: micros / 1_000)
        append(UInt8(ascii: "."))
        let fraction = micros % 1_000
        append(0x30 + UInt8(fraction / 100))
        append(0x30 + UInt8(fraction / 10 % 10))
        append(0x30 + UInt8(fraction % 10))
    }
}

/// `Mon, 23 Nov 2026 12:00:00 GMT`.
func httpDate(_ unixSecond: UInt64) -> String {
    let time = CivilTime(unixSecond: unixSecond)
    let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(weekdays[time.weekday]), \(two(time.day)) \(months[time.month - 1]) \(time.year) "
        + "\(two(time.hour)):\(two(time.minute)):\(two(time.second)) GMT"
}
