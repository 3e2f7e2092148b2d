import Weir
import WeirCore
import WeirRecord

/// A message by its ID and what it says, without the record that it would make: where the table's
/// definition refuses that, it may have committed before.
struct Message {
    let id: String
    let key: MessageKey

    init(_ id: String, fingerprint: UInt64) {
        self.id = id
        key = MessageKey(MessagePrint(id, fingerprint: fingerprint))
    }

    /// Of a record that has a message ID.
    init?(_ record: Record) {
        guard let id = record.messageID, let print = record.message else { return nil }
        self.id = id
        key = MessageKey(print)
    }
}

extension Fingerprint {
    init(_ table: TableSchema, _ operation: WeirRecord.Operation, _ preferences: Preferences) {
        self.init(
            table, operation, rule: preferences.onConflict, version: preferences.versionColumn)
    }

    /// Of a record that has a request of its own.
    static func ofRequest(
        _ table: TableSchema, _ operation: WeirRecord.Operation, _ preferences: Preferences,
        key: [[UInt8]]?, _ body: Span<UInt8>
    ) throws(Defect) -> UInt64 {
        var print = Fingerprint(table, operation, preferences)
        if let key { print.takeKey(key) }
        if operation != .delete {
            var cursor = JSONCursor(0..<body.count)
            try print.takeData(&cursor, body)
            try cursor.expectEnd(body)
        }
        return print.value
    }
}
