/// Bytes on their way to libpq, which takes an address: memory of its own, kept from batch to
/// batch.
@safe final class WireBuffer {
    /// Memory beyond this is given back when the buffer is used again.
    private static let keptByteCountMax = 256 << 10

    private var memory: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private(set) var count = 0

    init() {
        capacity = 4 << 10
        unsafe memory = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
    }

    deinit {
        unsafe memory.deallocate()
    }

    /// Valid until the buffer is changed.
    var start: UnsafePointer<CChar> {
        unsafe UnsafeRawPointer(memory).assumingMemoryBound(to: CChar.self)
    }

    func removeAll() {
        count = 0
        if capacity > Self.keptByteCountMax { resize(to: Self.keptByteCountMax) }
    }

    func append(_ source: [UInt8], _ range: Range<Int>) {
        reserve(range.count)
        unsafe source[range].withUnsafeBufferPointer { bytes in
            guard let first = bytes.baseAddress else { return }
            unsafe (memory + count).update(from: first, count: range.count)
        }
        count += range.count
    }

    /// In network byte order.
    func append(_ value: some FixedWidthInteger) {
        let byteCount = value.bitWidth / 8
        reserve(byteCount)
        count += byteCount
        overwrite(at: count - byteCount, with: value)
    }

    /// Writes what was not known when its place was taken.
    func overwrite(at place: Int, with value: some FixedWidthInteger) {
        precondition(place + value.bitWidth / 8 <= count, "a place that has been written")
        for index in 0..<(value.bitWidth / 8) {
            let shift = value.bitWidth - 8 - index * 8
            unsafe memory[place + index] = UInt8(truncatingIfNeeded: value >> shift)
        }
    }

    private func reserve(_ more: Int) {
        if count + more > capacity { resize(to: max(capacity * 2, count + more)) }
    }

    private func resize(to newCapacity: Int) {
        let other = UnsafeMutablePointer<UInt8>.allocate(capacity: newCapacity)
        unsafe other.update(from: memory, count: count)
        unsafe memory.deallocate()
        unsafe memory = other
        capacity = newCapacity
    }
}
