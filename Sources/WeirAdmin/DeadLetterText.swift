import Weir
import WeirRecord

// Dead letters as JSON. Members are added, never renamed.
extension DeadLetter {
    /// - Parameter table: its table as it is now, if it is there.
    func appendJSON(_ table: TableSchema? = nil, to json: inout [UInt8]) {
        json += "{\"id\":\(number)".utf8
        json.appendTime("at", at)
        json.appendMember("table", self.table)
        json.appendMember("operation", operation)
        json.appendMember("message", messageID)
        json.appendMember("key", json: key.map { Array($0.utf8) })
        json.appendMember("order_key", orderKey)
        json.appendMember("sqlstate", sqlstate)
        json.appendMember("constraint", constraint)
        json.appendMember("column", column)
        json.appendMember("code", code)
        json.appendMember("reason", reason)
        json.appendMember("attempts", attempts)
        json.appendMember("fingerprint", groupText(fingerprint))
        json.appendMember("on_conflict", onConflict)
        json.appendMember("version_column", versionColumn)
        json.appendMember("request", request)
        json.appendMember("trace", trace)
        json.appendMember("instance", instance)
        json.appendMember("version", version)
        json.appendMember("config_hash", configurationHash)
        if let editedAt {
            json.appendMember("edits", edits)
            json.appendTime("edited_at", editedAt)
        }
        appendRedrive(to: &json)
        appendBody(table, to: &json)
        json.append(UInt8(ascii: "}"))
    }

    /// What it met when it was sent again.
    private func appendRedrive(to json: inout [UInt8]) {
        guard redrives > 0 else { return }
        json += ",\"redrive\":{\"count\":\(redrives)".utf8
        json.appendTime("at", redrivenAt)
        json.appendMember("code", redriveCode)
        json.appendMember("reason", redriveReason)
        json += "}".utf8
    }

    private func appendBody(_ table: TableSchema?, to json: inout [UInt8]) {
        guard let body else { return }
        json.appendMember("media_type", mediaType)
        if let text = String(validating: body.raw, as: UTF8.self) {
            json.appendMember("raw", text)
        } else {
            json.appendMember("raw_hex", hexadecimal(body.raw))
        }
        json.appendMember("is_edited", body.edited != nil)
        // What cannot be read any more stands in `raw` all the same.
        guard let stored = try? stored() else { return }
        if let edit = stored.edit?.key { json.appendMember("edited_key", json: edit) }
        json.appendMember("record", json: try? stored.columns(for: table))
    }

    /// A line of `/v1/bulk` that does the same; `nil` where its columns cannot be read.
    func bulkLine(_ table: TableSchema?, hasMessageID: Bool) -> [UInt8]? {
        guard let stored = try? stored() else { return nil }
        let columns: [UInt8]?
        do throws(Defect) {
            columns = try stored.columns(for: table)
        } catch {
            return nil
        }
        if columns == nil && stored.operation != .delete { return nil }
        var json = Array("{\"op\":\"\(operation)\"".utf8)
        json.appendMember("table", self.table)
        if hasMessageID { json.appendMember("id", messageID) }
        json.appendMember("order_key", orderKey)
        if stored.operation != .insert {
            json.appendMember("key", json: stored.edit?.key ?? stored.key)
        }
        // One line, whatever white space it came with.
        json.appendMember("data", json: columns.map { $0.filter { $0 != 0x0A && $0 != 0x0D } })
        json += "}\n".utf8
        return json
    }
}

extension DeadLetterGroup {
    func appendJSON(to json: inout [UInt8]) {
        json += "{\"fingerprint\":\"\(groupText(fingerprint))\"".utf8
        json.appendMember("table", table)
        json.appendMember("sqlstate", sqlstate)
        json.appendMember("constraint", constraint)
        json.appendMember("column", column)
        json.appendMember("code", code)
        json.appendMember("reason", reason)
        json.appendMember("count", count)
        json.appendMember("sample", sample)
        json.appendTime("first_at", firstAt)
        json.appendTime("last_at", lastAt)
        json.append(UInt8(ascii: "}"))
    }
}

/// A group's name: 16 hexadecimal digits, since not every reader of JSON has 64 bits.
func groupText(_ fingerprint: Int64) -> String {
    let digits = String(UInt64(bitPattern: fingerprint), radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}

func groupNumber(_ text: String) -> Int64? {
    guard text.utf8.count == 16 else { return nil }
    return UInt64(text, radix: 16).map { Int64(bitPattern: $0) }
}

private func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

extension Array where Element == UInt8 {
    fileprivate mutating func appendTime(_ name: StaticString, _ microseconds: Int64?) {
        guard let microseconds else { return }
        appendMember(
            name, CivilTime.text(unixMilliseconds: UInt64(clamping: microseconds / 1_000)))
    }
}
