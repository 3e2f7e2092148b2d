import NIOCore

/// What a gateway's response promises about the record: read from the status and from the few
/// members of the body that say so, wherever they stand.
package enum AnswerReader {
    /// Results that say that the record's effect has committed.
    private static let committed = [
        "inserted", "updated", "deleted", "unchanged", "ignored", "merged", "replayed",
    ]

    package static func answer(_ response: ResponseParser.Response) -> Answer {
        response.body.withUnsafeReadableBytes { bytes in
            answer(response.status, bytes)
        }
    }

    private static func answer(_ status: Int, _ body: UnsafeRawBufferPointer) -> Answer {
        if status == 200 || status == 201 {
            guard let result = text(after: "\"result\":\"", body) else {
                return Answer(.unknown, code: "no result in a \(status)")
            }
            guard committed.contains(result) else {
                return Answer(.unknown, code: result)
            }
            return Answer(.acknowledged, batchRecords: number(after: "\"records\":", body) ?? 0)
        }
        // All members of a group share one fate: the first error that says something stands for it.
        let code =
            text(after: "\"sqlstate\":\"", body) ?? text(after: "\"code\":\"", body) ?? "\(status)"
        let written = text(after: "\"written\":\"", body)
        if written == "unknown" { return Answer(.unknown, code: code) }
        if status == 207 {
            return Answer(written == "no" ? .rejected : .unknown, code: code)
        }
        if status == 429 || status == 503 {
            // Without a word on it, a proxy may have said so after the gateway had written.
            return Answer(written == "no" ? .refused : .unknown, code: code)
        }
        if (400..<500).contains(status) { return Answer(.rejected, code: code) }
        return Answer(written == "no" ? .refused : .unknown, code: code)
    }

    private static func index(after key: StaticString, _ body: UnsafeRawBufferPointer) -> Int? {
        let length = key.utf8CodeUnitCount
        guard body.count > length else { return nil }
        return key.withUTF8Buffer { letters in
            let last = letters[length - 1]
            var at = length - 1
            while at < body.count {
                if body[at] == last {
                    var same = 0
                    while same < length, body[at - same] == letters[length - 1 - same] { same += 1 }
                    if same == length { return at + 1 }
                }
                at += 1
            }
            return nil
        }
    }

    /// Up to the next quote: names only, which hold no escapes.
    private static func text(after key: StaticString, _ body: UnsafeRawBufferPointer) -> String? {
        guard let start = index(after: key, body) else { return nil }
        var end = start
        while end < body.count, body[end] != UInt8(ascii: "\""), end - start < 64 { end += 1 }
        return String(decoding: body[start..<end], as: UTF8.self)
    }

    private static func number(after key: StaticString, _ body: UnsafeRawBufferPointer) -> Int? {
        guard let start = index(after: key, body) else { return nil }
        var value = 0
        var at = start
        while at < body.count, body[at] >= 0x30, body[at] <= 0x39, at - start < 9 {
            value = value * 10 + Int(body[at] - 0x30)
            at += 1
        }
        return at == start ? nil : value
    }
}
