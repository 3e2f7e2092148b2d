import Weir
import WeirCore
import WeirRecord

/// The bodies of answers, as JSON.
extension Array where Element == UInt8 {
    /// `{"result":…}`, what a single record's caller is told.
    mutating func appendStored(
        _ result: RowResult, _ receipt: BatchReceipt, messageID: String?, minted: UUID7,
        record: Record
    ) {
        self += "{\"result\":\"".utf8
        self += result.effect.name.utf8
        self += "\",".utf8
        appendFirst(result)
        appendIdentity(result, messageID: messageID, minted: minted, record: record)
        guard result.effect == .replayed else {
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
        record: Record
    ) {
        self += "{\"index\":".utf8
        append(decimal: index)
        self += storedItemMiddles[result.effect.rawValue]
        appendFirst(result)
        appendIdentity(result, messageID: messageID, minted: minted(), record: record)
        append(UInt8(ascii: "}"))
    }

    fileprivate mutating func appendIdentity(
        _ result: RowResult, messageID: String?, minted: @autoclosure () -> UUID7, record: Record
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
        } else if record.hasKey && !(result.effect == .replayed && record.mintedColumn != nil) {
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
        appendDeadLetter(failure)
        self += ",\"error\":".utf8
        appendProblem(failure)
        self += "}".utf8
    }

    /// What a single record's caller is told of a dead letter: a problem document with what an item
    /// of many would have.
    mutating func appendDeadLetter(_ failure: Failure, messageID: String?) {
        appendProblem(failure)
        removeLast()
        appendMember("result", failure.resultName)
        appendMember("id", messageID)
        appendDeadLetter(failure)
        self += "}".utf8
    }

    fileprivate mutating func appendDeadLetter(_ failure: Failure) {
        guard let number = failure.deadLetter?.number else { return }
        self += ",\"dead_letter\":\(number)".utf8
    }

    /// RFC 9457, with the contract's extension members.
    mutating func appendProblem(_ failure: Failure) {
        self += "{\"type\":\"urn:weir:problem:\(failure.code.rawValue)\",\"title\":".utf8
        appendJSONString(failure.code.title, to: &self)
        self += ",\"status\":\(failure.code.status),\"detail\":".utf8
        appendJSONString(failure.detail, to: &self)
        self +=
            ",\"code\":\"\(failure.code.rawValue)\",\"retryable\":\(failure.code.isRetryable)".utf8
        self += ",\"written\":\"\(failure.code == .outcomeUnknown ? "unknown" : "no")\"".utf8
        appendMember("cause", failure.deadLetter?.cause?.rawValue)
        appendMember("sqlstate", failure.sqlstate)
        appendMember("constraint", failure.constraint)
        appendMember("column", failure.column)
        appendMember("table", failure.table)
        if let wait = failure.retryAfter {
            self += ",\"retry_after_ms\":\(wait.count / 1_000_000)".utf8
        }
        self += "}".utf8
    }

    fileprivate mutating func appendMember(_ name: String, _ value: String?) {
        guard let value, !value.isEmpty else { return }
        self += ",\"\(name)\":".utf8
        appendJSONString(value, to: &self)
    }
}

/// What stands between an item's index and its ID, for each effect.
private let storedItemMiddles = RowEffect.allCases.map {
    Array(",\"status\":\($0 == .inserted ? 201 : 200),\"result\":\"\($0.name)\",".utf8)
}

extension Failure {
    /// `result` of an item that was not stored.
    var resultName: String {
        if deadLetter != nil { return RowEffect.deadLettered.name }
        return switch code.status {
        case 424: "rolled_back"
        case 500...: "failed"
        default: "rejected"
        }
    }
}
