import Weir
import WeirCore
import WeirRecord

/// The bodies of answers, as JSON.
extension Array where Element == UInt8 {
    /// `{"result":…}`, what a single record's caller is told.
    mutating func appendStored(
        _ result: RowResult, _ receipt: BatchReceipt?, messageID: String?,
        minted: @autoclosure () -> UUID7, record: Record?
    ) {
        self += "{\"result\":\"".utf8
        self += result.effect.name.utf8
        self += "\",".utf8
        appendFirst(result)
        appendIdentity(result, messageID: messageID, minted: minted(), record: record)
        if result.effect != .replayed, let receipt {
            self += ",\"batch\":{\"id\":\"".utf8
            receipt.id.appendTypeID("bat", to: &self)
            self += "\",\"records\":".utf8
            append(decimal: receipt.recordCount)
            return self += "}}".utf8
        }
        if let first = result.first {
            self += ",\"batch\":{\"id\":\"".utf8
            first.batchID.appendTypeID("bat", to: &self)
            self += "\"}".utf8
        }
        self += "}".utf8
    }

    /// What the message was told when it committed. Its time is that of its batch's departure,
    /// which stands in the batch's ID.
    fileprivate mutating func appendFirst(_ result: RowResult) {
        guard let first = result.first else { return }
        self += "\"first\":{\"result\":\"".utf8
        self += first.effect.name.utf8
        self += "\",\"at\":\"".utf8
        CivilTime.appendText(unixMilliseconds: first.batchID.unixMilliseconds, to: &self)
        self += "\"},".utf8
    }

    /// `{"index":…}`, one of many.
    mutating func appendItem(
        _ index: Int, _ result: RowResult, messageID: String?, minted: @autoclosure () -> UUID7,
        record: Record?
    ) {
        self += "{\"index\":".utf8
        append(decimal: index)
        self += storedItemMiddles[result.effect.rawValue]
        appendFirst(result)
        appendIdentity(result, messageID: messageID, minted: minted(), record: record)
        append(UInt8(ascii: "}"))
    }

    fileprivate mutating func appendIdentity(
        _ result: RowResult, messageID: String?, minted: @autoclosure () -> UUID7, record: Record?
    ) {
        if let messageID {
            self += "\"id\":".utf8
            appendJSONString(messageID, to: &self)
        } else {
            self += "\"id\":\"".utf8
            minted().appendTypeID("msg", to: &self)
            append(UInt8(ascii: "\""))
        }
        if let key = result.first?.key {
            self += ",\"key\":".utf8
            self += key
        } else if let record, record.hasKey,
            result.effect != .replayed || record.mintedColumn == nil
        {
            // A repetition brings an ID of its own where the gateway mints them, and that one is
            // stored nowhere.
            self += ",\"key\":".utf8
            record.appendKeyJSON(to: &self)
        } else if let key = result.key {
            self += ",\"key\":".utf8
            self += key
        }
        if let row = result.row {
            self += ",\"row\":".utf8
            self += row
        }
    }

    mutating func appendItem(_ index: Int, _ failure: Failure, messageID: String?) {
        self += "{\"index\":".utf8
        append(decimal: index)
        self += ",\"status\":".utf8
        append(decimal: failure.code.status)
        self += ",\"result\":\"".utf8
        self += failure.resultName.utf8
        self += "\"".utf8
        if let messageID {
            self += ",\"id\":".utf8
            appendJSONString(messageID, to: &self)
        }
        failure.appendDeadLetter(to: &self)
        self += ",\"error\":".utf8
        failure.append(to: &self)
        self += "}".utf8
    }
}

/// What stands between an item's index and its ID, for each effect.
private let storedItemMiddles = RowEffect.allCases.map {
    Array(",\"status\":\($0 == .inserted ? 201 : 200),\"result\":\"\($0.name)\",".utf8)
}
