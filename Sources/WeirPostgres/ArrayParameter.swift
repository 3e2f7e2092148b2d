import WeirRecord

/// One parameter of a statement: a PostgreSQL array of one dimension in binary form
/// (src/backend/utils/adt/arrayfuncs.c, `array_recv`): dimensions, flags, element type, length,
/// lower bound, then the elements.
final class ArrayParameter {
    private let buffer = WireBuffer()
    private var elementCount: UInt32 = 0

    var bytes: WireBuffer { buffer }

    func begin(_ type: ColumnType) {
        buffer.removeAll()
        elementCount = 0
        for word in [1, 0, type.elementOID, 0, 1] { buffer.append(word) }
    }

    /// Appends an element that stands, with its length, in `source[range]`.
    func append(_ source: [UInt8], _ range: Range<Int>) {
        buffer.append(source, range)
        elementCount += 1
    }

    func end() {
        buffer.overwrite(at: 12, with: elementCount)
    }
}
