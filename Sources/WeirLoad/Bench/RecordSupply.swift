import Synchronization
import Weir
import WeirCore
import WeirRecord

/// Records for batches, made before they are needed: what a visit measures is the database, not how
/// fast rows are made up.
///
/// Between visits the table is emptied, so that the same keys serve again. Where records hold none,
/// the same ones serve within a visit too.
final class RecordSupply: Sendable {
    private let templates: Templates
    private let options = WriteOptions(.insert)
    private let ids = IDGenerator()
    /// No two rows of a visit may be the same.
    private let isUnique: Bool
    private struct State {
        var records: [Record] = []
        var taken = 0
        /// The most that a visit took.
        var most = 0
    }
    private let state = Mutex(State())

    /// Of those that are kept; more than a visit of the default length takes from a fast server.
    /// With some hundred bytes each, they stay below 200 MiB.
    static let countMax = 400_000
    /// Made for the first visit; also what serves again and again where records hold no keys.
    private static let countMin = 8_192

    init(_ templates: Templates) throws(Defect) {
        self.templates = templates
        let target = templates.target
        isUnique =
            target.insertsKey || templates.columns.contains { target.uniqueColumns.contains($0) }
        let first = try make(0..<Self.countMin)
        state.withLock { $0.records = first }
    }

    private func make(_ numbers: Range<Int>) throws(Defect) -> [Record] {
        var records: [Record] = []
        records.reserveCapacity(numbers.count)
        var json: [UInt8] = []
        for number in numbers {
            json.removeAll(keepingCapacity: true)
            json.append(UInt8(ascii: "{"))
            templates.template(number).json.render(number, to: &json)
            json.append(UInt8(ascii: "}"))
            var decoder = RecordDecoder(
                table: templates.target.schema, options: options, expectedByteCount: json.count)
            var cursor = JSONCursor(0..<json.count)
            try decoder.takeObject(&cursor, json.span)
            records.append(
                try decoder.finish(
                    minting: ids.next(unixNanoseconds: SystemTime().unixNanoseconds)))
        }
        return records
    }

    /// Bytes of a record, on average.
    var recordBytes: Int {
        state.withLock { state in
            let some = state.records.prefix(1_000)
            return some.reduce(0) { $0 + $1.byteCount } / max(some.count, 1)
        }
    }

    /// Before a visit, with the table empty: the records serve again, and as many as the visits
    /// before took are there.
    func restart() {
        let missing = state.withLock { state -> Range<Int>? in
            state.most = max(state.most, state.taken)
            state.taken = 0
            let wanted = min(Self.countMax, state.most + state.most / 4)
            let count = state.records.count
            return isUnique && wanted > count ? count..<wanted : nil
        }
        guard let missing, let more = try? make(missing) else { return }
        state.withLock { $0.records += more }
    }

    func take(_ count: Int) -> [Record] {
        let (ready, missing) = state.withLock { state -> ([Record], Range<Int>) in
            let start = state.taken
            state.taken += count
            guard isUnique else {
                let from = start % state.records.count
                let first = state.records[from..<min(from + count, state.records.count)]
                var records = Array(first)
                while records.count < count {
                    records += state.records.prefix(count - records.count)
                }
                return (records, 0..<0)
            }
            let end = state.records.count
            let kept = min(start, end)..<min(start + count, end)
            return (Array(state.records[kept]), max(start, end)..<max(start + count, end))
        }
        guard !missing.isEmpty else { return ready }
        // None are left: made now, at the cost of this connection's time.
        return ready + ((try? make(missing)) ?? [])
    }
}
