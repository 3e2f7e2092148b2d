/// What a request says of a record apart from what is to be written.
package struct Envelope: Sendable {
    /// The caller's message ID.
    package var messageID: String?
    /// What the message says: of a record that has an ID. Of a dead letter what it said when it was
    /// sent first, since that is what its caller sends again, edited or not.
    package var fingerprint: UInt64?
    /// What the record is to be ordered by besides its row.
    package var orderKey: OrderKey?
    /// Kept of records that have a message ID.
    package var origin: RecordOrigin?
    /// Kept of records whose table keeps those that are refused.
    package var source: RecordSource?
    /// Of a dead letter that is sent again.
    package var redriven: Redriven?

    package init(
        messageID: String? = nil, fingerprint: UInt64? = nil, orderKey: OrderKey? = nil,
        origin: RecordOrigin? = nil, source: RecordSource? = nil, redriven: Redriven? = nil
    ) {
        self.messageID = messageID
        self.fingerprint = fingerprint
        self.orderKey = orderKey
        self.origin = origin
        self.source = source
        self.redriven = redriven
    }
}

/// Which request a record came with. One for all records of a request.
package final class RecordOrigin: Sendable {
    package enum RequestID: Sendable, Equatable {
        /// As the caller sent it.
        case said(String)
        case minted(UUID7)
    }

    package let request: RequestID
    package let trace: TraceID?

    package init(_ request: RequestID, trace: TraceID? = nil) {
        self.request = request
        self.trace = trace
    }

    /// As it is echoed in `X-Request-Id`.
    package var requestID: String {
        switch request {
        case .said(let id): id
        case .minted(let id): id.typeID("req")
        }
    }

    /// 32 hexadecimal digits.
    package var traceID: String? { trace?.description }
}

/// The bytes with which a record came, exactly.
package final class RecordSource: Sendable {
    /// What the bytes are.
    package enum Form: String, CaseIterable, Sendable {
        /// The record as a JSON object: a body, a line of NDJSON or a member of an array. Nothing
        /// at all for a delete.
        case record = "application/json"
        /// The header line and the record's row.
        case csv = "text/csv"
        /// A line of `/v1/bulk`, or a member of its array.
        case bulkLine = "application/vnd.weir.bulk+json"
    }

    package let form: Form
    package let bytes: [UInt8]

    package init(_ form: Form, _ bytes: [UInt8]) {
        self.form = form
        self.bytes = bytes
    }

    package var mediaType: String { form.rawValue }

    /// Of the bytes as they are.
    package var hash: UInt64 {
        let bytes = bytes
        return stableHash(bytes.span, 0..<bytes.count)
    }
}

/// `Weir-Order-Key`: records with equal ones take effect in the order in which they were admitted,
/// whatever rows and tables they write.
package struct OrderKey: Equatable, Sendable {
    package static let lengthMax = 255

    package let text: String
    /// In a space of its own: neither a row's key nor a column's value hashes like it on purpose.
    let hash: UInt64

    package init(_ text: String) throws(Defect) {
        let bytes = text.utf8
        guard !bytes.isEmpty, bytes.count <= Self.lengthMax,
            bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7F })
        else {
            throw Defect(
                .invalidRequest,
                "an order key has 1 to \(Self.lengthMax) printable ASCII characters")
        }
        self.text = text
        var hash = StableHash(seed: 0x6F72_6465_722D_6B65)
        hash.add(text)
        self.hash = hash.value
    }
}

/// The trace ID of a `traceparent` (W3C Trace Context, section 3.2).
package struct TraceID: Hashable, Sendable, CustomStringConvertible {
    package let bits: UUIDBits

    /// - Parameter header: the field's value; `nil` where it is not of the form that the
    ///   recommendation has, which says to go on as if there were none.
    package init?(traceparent header: String) {
        let bytes = Array(header.utf8)
        guard bytes.count >= 55,
            let version = Self.hexadecimal(bytes[0..<2]), version.low != 0xFF,
            // Later versions may add fields.
            bytes.count == 55 || (version.low > 0 && bytes[55] == UInt8(ascii: "-")),
            bytes[2] == UInt8(ascii: "-"), bytes[35] == UInt8(ascii: "-"),
            bytes[52] == UInt8(ascii: "-"),
            let trace = Self.hexadecimal(bytes[3..<35]), trace != UUIDBits(high: 0, low: 0),
            let parent = Self.hexadecimal(bytes[36..<52]), parent.low != 0,
            Self.hexadecimal(bytes[53..<55]) != nil
        else { return nil }
        bits = trace
    }

    /// - Parameter text: 32 hexadecimal digits, as `description` has them.
    package init?(hexadecimal text: String) {
        let digits = Array(text.utf8)
        guard digits.count == 32, let bits = Self.hexadecimal(digits[...]) else { return nil }
        self.bits = bits
    }

    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> UUIDBits? {
        var bits = UUIDBits(high: 0, low: 0)
        for digit in digits {
            // In lower case only, as the recommendation has it.
            guard let value = hexDigitValue(digit), !(0x41...0x46).contains(digit) else {
                return nil
            }
            bits.high = bits.high << 4 | bits.low >> 60
            bits.low = bits.low << 4 | UInt64(value)
        }
        return bits
    }

    package var description: String {
        var bytes: [UInt8] = []
        for word in [bits.high, bits.low] {
            for shift in stride(from: 60, through: 0, by: -4) {
                bytes.append(hexDigits[Int(word >> UInt64(shift) & 15)])
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
