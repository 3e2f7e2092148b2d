package import NIOCore

/// Takes HTTP/1.1 responses from a connection, one for each request that was sent on it. It reads
/// what a gateway answers: a status line, fields, and a body of a declared length.
package struct ResponseParser {
    package struct Response: Equatable {
        package var status: Int
        package var body: ByteBuffer
        package var isKeepAlive: Bool

        package init(status: Int, body: ByteBuffer, isKeepAlive: Bool) {
            self.status = status
            self.body = body
            self.isKeepAlive = isKeepAlive
        }
    }

    package enum Malformed: Error, Equatable {
        case head
        /// Neither a length nor a status that has no body: where it ends nobody knows.
        case length
        case tooLong
    }

    static let headByteCountMax = 64 << 10
    static let bodyByteCountMax = 16 << 20

    private var buffer = ByteBuffer()

    package init() {}

    package mutating func feed(_ bytes: inout ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            buffer.writeBuffer(&bytes)
        }
    }

    /// Whether bytes came that belong to no whole response yet.
    package var isEmpty: Bool { buffer.readableBytes == 0 }

    /// - Returns: `nil` until a whole response has come.
    package mutating func next() throws(Malformed) -> Response? {
        while true {
            guard let length = headLength() else {
                if buffer.readableBytes > Self.headByteCountMax { throw .tooLong }
                return nil
            }
            let head = try Head(buffer.readableBytesView.prefix(length))
            // An interim response; the one that counts follows.
            if (100..<200).contains(head.status) && head.status != 101 {
                buffer.moveReaderIndex(forwardBy: length)
                continue
            }
            let bodyLength = head.status == 204 || head.status == 304 ? 0 : head.contentLength
            guard let bodyLength else { throw .length }
            guard bodyLength <= Self.bodyByteCountMax else { throw .tooLong }
            guard buffer.readableBytes >= length + bodyLength else { return nil }
            buffer.moveReaderIndex(forwardBy: length)
            guard let body = buffer.readSlice(length: bodyLength) else { throw .length }
            if buffer.readableBytes == 0 { buffer = ByteBuffer() }
            return Response(status: head.status, body: body, isKeepAlive: head.isKeepAlive)
        }
    }

    /// Up to and with the empty line.
    private func headLength() -> Int? {
        buffer.withUnsafeReadableBytes { bytes in
            guard bytes.count >= 4 else { return nil }
            var at = 3
            while at < bytes.count {
                if bytes[at] == 0x0A {
                    if bytes[at - 1] == 0x0D, bytes[at - 2] == 0x0A, bytes[at - 3] == 0x0D {
                        return at + 1
                    }
                    at += 1
                } else {
                    at += bytes[at] == 0x0D ? 1 : 2
                }
            }
            return nil
        }
    }

    private struct Head {
        var status = 0
        var contentLength: Int?
        var isKeepAlive = true

        init(_ bytes: ByteBufferView) throws(Malformed) {
            var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: true).makeIterator()
            // `HTTP/1.1 200 OK`
            guard let first = lines.next(), first.count >= 12, first.starts(with: "HTTP/1.".utf8)
            else { throw .head }
            isKeepAlive = first[first.startIndex + 7] != UInt8(ascii: "0")
            for byte in first.dropFirst(9).prefix(3) {
                guard byte >= 0x30 && byte <= 0x39 else { throw .head }
                status = status * 10 + Int(byte - 0x30)
            }
            guard status >= 100 else { throw .head }
            while let line = lines.next() {
                guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
                let name = line[..<colon]
                if equals(name, "content-length") {
                    guard let length = Self.number(line[(colon + 1)...]) else { throw .length }
                    contentLength = length
                } else if equals(name, "connection") {
                    isKeepAlive = !contains(line[(colon + 1)...], "close")
                } else if equals(name, "transfer-encoding") {
                    throw .length
                }
            }
        }

        private static func number(_ bytes: ByteBufferView) -> Int? {
            var value = 0
            var digits = 0
            for byte in bytes where byte != 0x20 && byte != 0x0D && byte != 0x09 {
                guard byte >= 0x30 && byte <= 0x39, digits < 12 else { return nil }
                value = value * 10 + Int(byte - 0x30)
                digits += 1
            }
            return digits == 0 ? nil : value
        }
    }
}

/// Without regard to case; `word` is in small letters.
private func equals(_ bytes: ByteBufferView, _ word: StaticString) -> Bool {
    guard bytes.count == word.utf8CodeUnitCount else { return false }
    return word.withUTF8Buffer { letters in
        zip(bytes, letters).allSatisfy { ($0 | 0x20) == $1 || $0 == $1 }
    }
}

private func contains(_ bytes: ByteBufferView, _ word: StaticString) -> Bool {
    var rest = bytes
    while rest.count >= word.utf8CodeUnitCount {
        if equals(rest.prefix(word.utf8CodeUnitCount), word) { return true }
        rest = rest.dropFirst()
    }
    return false
}
