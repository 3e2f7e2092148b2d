import NIOCore
import WeirRecord

/// Writes a message as an HTTP/1.1 request. Nothing but the holes of its template is encoded.
struct RequestEncoder {
    private let templates: Templates
    private let messageIDs: Bool
    private let idPrefix: String
    private let start: [UInt8]
    private let afterKey: [UInt8]
    private let editLine: [UInt8]
    private var body: [UInt8] = []
    private var head: [UInt8] = []

    /// - Parameters:
    ///   - host: of the Host field.
    ///   - messageIDs: whether each request carries an Idempotency-Key.
    init(_ templates: Templates, host: String, messageIDs: Bool) {
        self.templates = templates
        self.messageIDs = messageIDs
        idPrefix = "load-\(String(templates.target.nonce, radix: 36))-"
        let table = templates.target.schema.publicName
        let isBulk = templates.rowsPerCall > 1
        let method =
            isBulk
            ? "POST"
            : templates.operation == .insert
                ? "POST" : templates.operation == .upsert ? "PUT" : "PATCH"
        let path =
            isBulk
            ? "/v1/bulk"
            : "/v1/tables/\(percentEncoded(table))/records"
                + (templates.operation == .insert ? "" : "/")
        start = Array("\(method) \(path)".utf8)
        let type =
            isBulk
            ? "application/x-ndjson"
            : templates.operation == .patch ? "application/merge-patch+json" : "application/json"
        afterKey = Array(" HTTP/1.1\r\nHost: \(host)\r\nContent-Type: \(type)\r\n".utf8)
        var line = Array("{\"op\":\"\(templates.operation.rawValue)\",\"table\":".utf8)
        appendJSONString(table, to: &line)
        line += ",\"group\":\"g\",".utf8
        editLine = line
    }

    mutating func encode(_ message: Int, isPoison: Bool, into buffer: inout ByteBuffer) {
        body.removeAll(keepingCapacity: true)
        head.removeAll(keepingCapacity: true)
        let template = templates.template(message)
        let json = isPoison ? template.poisonedJSON : template.json
        head += start
        if templates.rowsPerCall > 1 {
            appendLines(message, json)
        } else {
            body.append(UInt8(ascii: "{"))
            json.render(message, to: &body)
            body.append(UInt8(ascii: "}"))
            if templates.operation != .insert, let form = templates.target.keyForm {
                form.pieces.render(templates.keys(message)[0], to: &head)
            }
        }
        head += afterKey
        if messageIDs {
            head += "Idempotency-Key: \"".utf8
            head += idPrefix.utf8
            head.append(decimal: message)
            head += "\"\r\n".utf8
        }
        head += "Content-Length: ".utf8
        head.append(decimal: body.count)
        head += "\r\n\r\n".utf8
        buffer.writeBytes(head)
        buffer.writeBytes(body)
    }

    /// Lines of one group: all of them or none.
    private mutating func appendLines(_ message: Int, _ json: Pieces) {
        let keys = templates.operation == .insert ? [] : templates.keys(message)
        for row in 0..<templates.rowsPerCall {
            body += editLine
            if templates.operation != .insert, let form = templates.target.keyForm {
                body += "\"key\":{".utf8
                let name = templates.target.schema.columns[templates.target.schema.primaryKey[0]]
                    .name
                appendJSONString(name, to: &body)
                body.append(UInt8(ascii: ":"))
                let isNumber = if case .number = form { true } else { false }
                if !isNumber { body.append(UInt8(ascii: "\"")) }
                form.pieces.render(keys[row], to: &body)
                if !isNumber { body.append(UInt8(ascii: "\"")) }
                body += "},".utf8
            }
            body += "\"data\":{".utf8
            json.render(message, to: &body)
            body += "}}\n".utf8
        }
    }
}

/// RFC 3986: everything that is not unreserved.
func percentEncoded(_ text: String) -> String {
    var result = ""
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "_"), UInt8(ascii: "~"):
            result.unicodeScalars.append(Unicode.Scalar(byte))
        default:
            let digits = Array("0123456789ABCDEF")
            result += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
        }
    }
    return result
}
