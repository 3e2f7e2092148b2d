import WeirCore
import WeirRecord

/// The parameters of a statement that takes plain values, in binary form and one buffer.
final class ParameterList {
    private let buffer = WireBuffer()
    /// Where each value stands; `nil` is NULL.
    private(set) var places: [Range<Int>?] = []

    var bytes: WireBuffer { buffer }

    func removeAll() {
        buffer.removeAll()
        places.removeAll(keepingCapacity: true)
    }

    func append(_ value: some FixedWidthInteger) {
        let start = buffer.count
        buffer.append(value)
        places.append(start..<buffer.count)
    }

    func append(_ id: UUID7) {
        let start = buffer.count
        buffer.append(id.high)
        buffer.append(id.low)
        places.append(start..<buffer.count)
    }

    func append(_ id: MessageKey.Identity) {
        let start = buffer.count
        buffer.append(id.high)
        buffer.append(id.low)
        places.append(start..<buffer.count)
    }

    func append(_ bytes: [UInt8]?) {
        guard let bytes else { return places.append(nil) }
        let start = buffer.count
        buffer.append(bytes, 0..<bytes.count)
        places.append(start..<buffer.count)
    }

    /// Appends the array element at `source[range]`: its length (-1: NULL) and as many bytes.
    func append(element source: [UInt8], _ range: Range<Int>) {
        // A length without bytes is that of NULL, or 0.
        guard range.count > 4 || source[range.lowerBound] != 0xFF else { return places.append(nil) }
        let start = buffer.count
        buffer.append(source, (range.lowerBound + 4)..<range.upperBound)
        places.append(start..<buffer.count)
    }

    func append(_ text: String?) {
        append(text.map { Array($0.utf8) })
    }

    /// Appends an array (`array_recv`; see `ArrayParameter`) with an element for each of `values`.
    ///
    /// - Parameter append: appends the element's length and bytes.
    func appendArray<Value>(
        _ elementOID: UInt32, _ values: [Value], _ append: (WireBuffer, Value) -> Void
    ) {
        let start = buffer.count
        for word in [1, 0, elementOID, UInt32(values.count), 1] { buffer.append(word) }
        for value in values { append(buffer, value) }
        places.append(start..<buffer.count)
    }
}

extension WireBuffer {
    func appendElement(_ value: some FixedWidthInteger) {
        append(UInt32(value.bitWidth / 8))
        append(value)
    }

    func appendElement(_ id: MessageKey.Identity) {
        append(UInt32(16))
        append(id.high)
        append(id.low)
    }

    /// `nil` is NULL.
    func appendElement(_ text: [UInt8]?) {
        guard let text else { return append(UInt32.max) }
        append(UInt32(text.count))
        append(text, 0..<text.count)
    }
}

/// Object identifiers of PostgreSQL's own types (src/include/catalog/pg_type.dat).
enum TypeOID {
    static let int8: UInt32 = 20
    static let int2: UInt32 = 21
    static let text: UInt32 = 25
    static let uuid: UInt32 = 2950
}
