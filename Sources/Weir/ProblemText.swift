import WeirCore
import WeirRecord

// A failure as callers read it.
extension Failure {
    /// Appends it as a problem document: RFC 9457, with members of the gateway's own.
    package func append(to json: inout [UInt8]) {
        json += "{\"type\":\"urn:weir:problem:\(code.rawValue)\",\"title\":".utf8
        appendJSONString(code.title, to: &json)
        json += ",\"status\":\(code.status),\"detail\":".utf8
        appendJSONString(detail, to: &json)
        json += ",\"code\":\"\(code.rawValue)\",\"retryable\":\(code.isRetryable)".utf8
        json += ",\"written\":\"\(code == .outcomeUnknown ? "unknown" : "no")\"".utf8
        appendMember("cause", deadLetter?.cause?.rawValue, to: &json)
        appendMember("sqlstate", sqlstate, to: &json)
        appendMember("constraint", constraint, to: &json)
        appendMember("column", column, to: &json)
        appendMember("table", table, to: &json)
        if let wait = retryAfter {
            json += ",\"retry_after_ms\":\(wait.count / 1_000_000)".utf8
        }
        json += "}".utf8
    }

    /// The same for one record. Where something is kept of it, or it may have been written, the
    /// document says by what name to ask for it.
    package func append(messageID: String?, to json: inout [UInt8]) {
        append(to: &json)
        guard deadLetter != nil || code == .outcomeUnknown else { return }
        json.removeLast()
        if deadLetter != nil { appendMember("result", resultName, to: &json) }
        appendMember("id", messageID, to: &json)
        appendDeadLetter(to: &json)
        json += "}".utf8
    }

    /// Appends `,"dead_letter":17`, where there is one.
    package func appendDeadLetter(to json: inout [UInt8]) {
        guard let number = deadLetter?.number else { return }
        json += ",\"dead_letter\":\(number)".utf8
    }

    private func appendMember(_ name: String, _ value: String?, to json: inout [UInt8]) {
        guard let value, !value.isEmpty else { return }
        json += ",\"\(name)\":".utf8
        appendJSONString(value, to: &json)
    }

    /// `result` of an item that was not stored.
    package var resultName: String {
        if deadLetter != nil { return RowEffect.deadLettered.name }
        return switch code.status {
        case 424: "rolled_back"
        case 500...: "failed"
        default: "rejected"
        }
    }
}
