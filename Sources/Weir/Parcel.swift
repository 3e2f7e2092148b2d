import WeirCore
import WeirRecord

/// What one ticket stands for.
enum Cargo: Sendable {
    case one(Record)
    case pack(Pack)

    var first: Record {
        switch self {
        case .one(let record): record
        case .pack(let pack): pack.records[0]
        }
    }

    var count: Int {
        switch self {
        case .one: 1
        case .pack(let pack): pack.records.count
        }
    }
}

/// Neighbouring records of one caller and one table that travel as one.
struct Pack: Sendable {
    let records: [Record]
    /// Of what each in turn is ordered by: its row, and its order key.
    let orderHashes: [UInt64]
    /// Where those of each end; empty where each has one, or none has any.
    let hashEnds: [Int32]
    let byteCount: Int

    init(_ records: [Record]) {
        self.records = records
        var hashes: [UInt64] = []
        hashes.reserveCapacity(records.count)
        var isUneven = false
        var byteCount = 0
        let span = records.span
        for place in span.indices {
            let (row, key) = (span[place].orderHash, span[place].orderKeyHash)
            if let row { hashes.append(row) }
            if let key { hashes.append(key) }
            isUneven = isUneven || (row == nil) == (key == nil)
            byteCount += span[place].byteCount
        }
        orderHashes = hashes
        hashEnds = isUneven && !hashes.isEmpty ? Self.ends(records) : []
        self.byteCount = byteCount
    }

    private static func ends(_ records: [Record]) -> [Int32] {
        var end: Int32 = 0
        return records.map { record in
            end += record.orderHash == nil ? 0 : 1
            end += record.orderKeyHash == nil ? 0 : 1
            return end
        }
    }
}

/// A cargo and who waits for it: what is known when it is admitted, and does not change. An object,
/// since it goes from the caller's thread through the queue to a batch and back with the answer.
final class Parcel: Sendable {
    let cargo: Cargo
    let waiter: any Waiter
    /// The waiter's own number for the record, or for the first of a pack.
    let index: Int
    let admittedAt: Timestamp
    /// Tells apart groups; 0 is no group.
    let groupSerial: Int
    /// Of a single record that carries one and is no dry run.
    let message: MessageKey?
    /// Waits for another record's answer.
    let isJoined: Bool
    /// Of the minted ID, or of the first of them; 0 where none was minted.
    let tick: UInt64
    let origin: RecordOrigin?

    init(
        _ cargo: Cargo, waiter: any Waiter, index: Int, admittedAt: Timestamp, groupSerial: Int = 0,
        message: MessageKey? = nil, isJoined: Bool = false, tick: UInt64 = 0,
        origin: RecordOrigin? = nil
    ) {
        self.cargo = cargo
        self.waiter = waiter
        self.index = index
        self.admittedAt = admittedAt
        self.groupSerial = groupSerial
        self.message = message
        self.isJoined = isJoined
        self.tick = tick
        self.origin = origin
    }

    /// The record at `offset` by itself, with the number and the minted ID that it has in its pack.
    func part(_ offset: Int, of pack: Pack) -> Parcel {
        Parcel(
            .one(pack.records[offset]), waiter: waiter, index: index + offset,
            admittedAt: admittedAt, tick: tick + UInt64(offset), origin: origin)
    }
}
