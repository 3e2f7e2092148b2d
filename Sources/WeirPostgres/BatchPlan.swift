package import Weir
package import WeirRecord

/// The statements of one batch and their order: waves, then tables, then shapes, then keys.
///
/// Records of one key come in successive waves. Within a wave tables are written before those that
/// refer to them and deleted from after them, and rows in the order of their keys: all gateways
/// lock in one order. Members of a group keep the order in which they were sent, table by table.
package struct BatchPlan {
    package struct Step {
        package let shape: WriteStatement.Shape
        package let table: TableSchema
        /// Positions in the batch, in the order of the statement's rows.
        package var positions: [Int]
    }

    package private(set) var steps: [Step] = []

    private struct Item {
        var wave: Int32
        var phase: Int32
        var shape: Int32
        var position: Int32
        /// The key's first bytes: they decide nearly always.
        var keyPrefix: UInt64
    }

    package init(_ batch: WriteBatch) {
        let records = batch.records
        guard records.count > 1 && !batch.isIsolated else {
            steps = records.enumerated().map { Self.step($1, [$0]) }
            return
        }
        var shapes = ShapeList()
        let waves = Self.waves(batch)
        var items: [Item] = []
        items.reserveCapacity(records.count)
        for (position, record) in records.enumerated() {
            let isDelete = record.options.operation == .delete
            let phase =
                isDelete ? Int32(1 << 20) - Int32(record.table.rank) : Int32(record.table.rank)
            items.append(
                Item(
                    wave: waves[position], phase: phase, shape: shapes.index(of: record),
                    position: Int32(position), keyPrefix: record.sortPrefix))
        }
        func isBefore(_ left: Item, _ right: Item) -> Bool {
            if left.wave != right.wave { return left.wave < right.wave }
            if left.phase != right.phase { return left.phase < right.phase }
            if left.shape != right.shape { return left.shape < right.shape }
            if left.keyPrefix != right.keyPrefix { return left.keyPrefix < right.keyPrefix }
            let (first, second) = (records[Int(left.position)], records[Int(right.position)])
            if Record.isOrderedBefore(first, second) { return true }
            // Rows without a key keep the order in which they came.
            return left.position < right.position && !Record.isOrderedBefore(second, first)
        }
        // Bulk loads come sorted as often as not.
        let isSorted = zip(items, items.dropFirst()).allSatisfy { !isBefore($1, $0) }
        if !isSorted { items.sort(by: isBefore) }
        var last: Item?
        for item in items {
            if let last, last.wave == item.wave, last.shape == item.shape {
                steps[steps.count - 1].positions.append(Int(item.position))
            } else {
                steps.append(Self.step(records[Int(item.position)], [Int(item.position)]))
            }
            last = item
        }
    }

    private static func step(_ record: Record, _ positions: [Int]) -> Step {
        Step(shape: WriteStatement.Shape(record), table: record.table, positions: positions)
    }

    /// For each record, how many statements of its keys come before it. Keys are told apart by
    /// their hash: two that share one cost a wave, not an error.
    private static func waves(_ batch: WriteBatch) -> [Int32] {
        let hasOrderKeys = batch.records.contains { $0.orderKeyHash != nil }
        var next = WaveTable(capacity: batch.records.count * (hasOrderKeys ? 2 : 1))
        var waves = Array(repeating: Int32(0), count: batch.records.count)
        var group = 0
        for (position, record) in batch.records.enumerated() {
            while group < batch.groups.count && batch.groups[group].upperBound <= position {
                group += 1
            }
            var wave: Int32 = 0
            if group < batch.groups.count, batch.groups[group].lowerBound < position,
                batch.groups[group].contains(position)
            {
                // A member of a group comes with or after the member before it.
                let before = batch.records[position - 1]
                let isSameStep =
                    before.table === record.table
                    && before.options.operation == record.options.operation
                wave = waves[position - 1] + (isSameStep ? 0 : 1)
            }
            let hashes = (record.orderHash, record.orderKeyHash)
            if let hash = hashes.0 ?? hashes.1 {
                wave = next.take(hash, atLeast: wave)
            }
            if let row = hashes.0, let key = hashes.1 {
                wave = next.take(key, atLeast: wave)
                // The row's own next wave comes behind this one.
                next.skip(row, through: wave)
            }
            waves[position] = wave
        }
        return waves
    }
}

/// Numbers the shapes of a batch in the order in which they are met.
private struct ShapeList {
    private var indices: [WriteStatement.Shape: Int32] = [:]
    private var lastShape: WriteStatement.Shape?
    private var lastIndex: Int32 = 0

    mutating func index(of record: Record) -> Int32 {
        // Most batches have one shape; comparing is cheaper than making and hashing another.
        if let lastShape, lastShape.fits(record) { return lastIndex }
        let shape = WriteStatement.Shape(record)
        lastShape = shape
        if let known = indices[shape] {
            lastIndex = known
        } else {
            lastIndex = Int32(indices.count)
            indices[shape] = lastIndex
        }
        return lastIndex
    }
}

/// For each key's hash the next free wave: open addressing, at most half full. The hashes are good
/// ones, so that they need no hashing again.
private struct WaveTable {
    private var hashes: [UInt64]
    /// 0 where the place is free.
    private var waves: [Int32]
    private let mask: Int

    init(capacity: Int) {
        var size = 16
        while size < capacity * 2 { size *= 2 }
        mask = size - 1
        hashes = Array(repeating: 0, count: size)
        waves = Array(repeating: 0, count: size)
    }

    /// The key's next wave, `lowest` or later, which is then taken.
    mutating func take(_ hash: UInt64, atLeast lowest: Int32) -> Int32 {
        let place = place(of: hash)
        let wave = max(lowest, waves[place])
        hashes[place] = hash
        waves[place] = wave + 1
        return wave
    }

    /// Takes all of a key's waves up to this one.
    mutating func skip(_ hash: UInt64, through wave: Int32) {
        let place = place(of: hash)
        waves[place] = max(waves[place], wave + 1)
    }

    private func place(of hash: UInt64) -> Int {
        var place = Int(truncatingIfNeeded: hash) & mask
        while waves[place] != 0 && hashes[place] != hash { place = (place + 1) & mask }
        return place
    }
}
