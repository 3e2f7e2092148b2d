import WeirRecord

/// Bytes with holes for what differs from message to message, so that a request is copied together
/// and not encoded.
package struct Pieces: Sendable, Equatable {
    enum Piece: Sendable, Equatable {
        case bytes([UInt8])
        /// The message's number and this, in decimal.
        case number(plus: Int)
        /// A UUID of the run's bits and the message's number.
        case uuid(high: UInt64, plus: Int)
    }

    private var list: [Piece] = []

    init() {}

    init(_ text: String) {
        append(text)
    }

    init(_ piece: Piece) {
        append(piece)
    }

    mutating func append(_ text: String) { append(.bytes(Array(text.utf8))) }

    mutating func append(_ piece: Piece) {
        if case .bytes(let more) = piece, case .bytes(let bytes)? = list.last {
            list[list.count - 1] = .bytes(bytes + more)
        } else {
            list.append(piece)
        }
    }

    mutating func append(_ other: Pieces) {
        for piece in other.list { append(piece) }
    }

    /// In quotes, as JSON: no hole's content needs escaping.
    var quoted: Pieces {
        var result = Pieces("\"")
        for piece in list {
            guard case .bytes(let bytes) = piece else {
                result.append(piece)
                continue
            }
            var escaped: [UInt8] = []
            appendJSONString(utf8: bytes, to: &escaped)
            result.append(.bytes(Array(escaped.dropFirst().dropLast())))
        }
        result.append("\"")
        return result
    }

    /// Appends it for one message.
    package func render(_ message: Int, to bytes: inout [UInt8]) {
        for piece in list {
            switch piece {
            case .bytes(let constant): bytes += constant
            case .number(let offset): bytes.append(decimal: message &+ offset)
            case .uuid(let high, let offset):
                Self.appendUUID(high, UInt64(truncatingIfNeeded: message &+ offset), to: &bytes)
            }
        }
    }

    package func text(_ message: Int) -> String {
        var bytes: [UInt8] = []
        render(message, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// RFC 9562, version 8: bits of our own making.
    static func appendUUID(_ high: UInt64, _ low: UInt64, to bytes: inout [UInt8]) {
        let words = [
            high & 0xFFFF_FFFF_FFFF_0FFF | 0x8000,
            low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000,
        ]
        var place = 0
        for word in words {
            for shift in stride(from: 60, through: 0, by: -4) {
                if place == 8 || place == 12 || place == 16 || place == 20 {
                    bytes.append(UInt8(ascii: "-"))
                }
                bytes.append(Array("0123456789abcdef".utf8)[Int(word >> UInt64(shift) & 15)])
                place += 1
            }
        }
    }
}
