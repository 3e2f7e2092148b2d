import WeirRecord

/// One parameter of a statement: a PostgreSQL array of one dimension in binary form
/// (src/backend/utils/adt/ arrayfuncs.c, `array_recv`): dimensions, flags, element type, length,
/// lower bound, then the elements.
///
/// It owns its memory, because libpq is given an address, and keeps it from batch to batch.
@safe final class ArrayParameter {
    private static let headerByteCount = 20
    /// Memory beyond this is given back after a batch.
    private static let keptByteCountMax = 256 << 10

    private var memory: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private(set) var count = 0
    private var elementCount: UInt32 = 0

    init() {
        capacity = 4 << 10
        unsafe memory = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
    }

    deinit {
        unsafe memory.deallocate()
    }

    /// Valid until the parameter is changed.
    var start: UnsafePointer<CChar> {
        unsafe UnsafeRawPointer(memory).assumingMemoryBound(to: CChar.self)
    }

    func begin(_ type: ColumnType) {
        count = 0
        elementCount = 0
        if capacity > Self.keptByteCountMax { grow(to: Self.keptByteCountMax) }
        for word in [1, 0, type.elementOID, 0, 1] { appendWord(word) }
        assert(count == Self.headerByteCount, "the header has five words")
    }

    /// Appends an element that stands, with its length, in `source[range]`.
    func append(_ source: [UInt8], _ range: Range<Int>) {
        reserve(range.count)
        unsafe source[range].withUnsafeBufferPointer { elements in
            guard let first = elements.baseAddress else { return }
            unsafe (memory + count).update(from: first, count: range.count)
        }
        count += range.count
        elementCount += 1
    }

    func end() {
        for index in 0..<4 {
            unsafe memory[12 + index] = UInt8(
                truncatingIfNeeded: elementCount >> UInt32(24 - index * 8))
        }
    }

    private func appendWord(_ value: UInt32) {
        reserve(4)
        for index in 0..<4 {
            unsafe memory[count + index] = UInt8(
                truncatingIfNeeded: value >> UInt32(24 - index * 8))
        }
        count += 4
    }

    private func reserve(_ more: Int) {
        if count + more > capacity { grow(to: max(capacity * 2, count + more)) }
    }

    private func grow(to newCapacity: Int) {
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: newCapacity)
        unsafe larger.update(from: memory, count: count)
        unsafe memory.deallocate()
        unsafe memory = larger
        capacity = newCapacity
    }
}
