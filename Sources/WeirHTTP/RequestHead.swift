import NIOHTTP1
import Weir
import WeirCore
import WeirRecord

/// The header fields that mean something to the gateway, read in one pass.
struct RequestHead {
    enum MediaType {
        case json
        case ndjson
        case csv
        case other
    }

    var mediaType = MediaType.json
    var acceptsNDJSON = false
    var messageID: String?
    var preferences = Preferences()
    var timeout: Nanoseconds?
    var requestID: String?
    var orderKey: OrderKey?
    var traceID: TraceID?
    var expectsContinue = false
    var contentLength: Int?
    var isKeepAlive: Bool
    /// What GET would answer, without its body.
    let isHeadRequest: Bool
    /// The first field that cannot be taken as it is.
    var defect: Defect?

    init(_ head: HTTPRequestHead) {
        isKeepAlive = head.isKeepAlive
        isHeadRequest = head.method == .HEAD
        takeQuery(head.uri)
        for (name, value) in head.headers {
            // By length first: most fields of most requests mean nothing here.
            switch name.utf8.count {
            case 6:
                if name.isCaseInsensitivelyEqual("prefer") { takePreferences(value) }
                if name.isCaseInsensitivelyEqual("accept") {
                    acceptsNDJSON = value.contains("ndjson")
                }
                if name.isCaseInsensitivelyEqual("expect") { takeExpectation(value) }
            case 7:
                // The parser stops at an upgrade; nothing that follows would be read.
                if name.isCaseInsensitivelyEqual("upgrade") { isKeepAlive = false }
            case 11:
                if name.isCaseInsensitivelyEqual("traceparent") {
                    traceID = TraceID(traceparent: value)
                }
            case 12:
                if name.isCaseInsensitivelyEqual("content-type") { takeMediaType(value) }
                if name.isCaseInsensitivelyEqual("x-request-id") { takeRequestID(value) }
                if name.isCaseInsensitivelyEqual("weir-timeout") { takeTimeout(value) }
            case 14:
                if name.isCaseInsensitivelyEqual("content-length") { contentLength = Int(value) }
                if name.isCaseInsensitivelyEqual("weir-order-key") { takeOrderKey(value) }
            case 15:
                if name.isCaseInsensitivelyEqual("idempotency-key") { takeMessageID(value) }
            case 16:
                if name.isCaseInsensitivelyEqual("content-encoding"), value != "identity" {
                    defect =
                        defect
                        ?? Defect(
                            .unsupportedMediaType,
                            "Content-Encoding is not supported; send the body as it is")
                }
            case 17:
                if name.isCaseInsensitivelyEqual("transfer-encoding") {
                    takeTransferEncoding(value)
                }
            default:
                break
            }
        }
    }

    /// The parser undoes `chunked`; a body that is coded further would be stored as it is.
    private mutating func takeTransferEncoding(_ value: String) {
        guard !value.isCaseInsensitivelyEqual("chunked") else { return }
        isKeepAlive = false
        defect = defect ?? Defect(.invalidRequest, "the only Transfer-Encoding is chunked")
    }

    private mutating func takePreferences(_ value: String) {
        do {
            try preferences.take(value)
        } catch {
            defect = defect ?? error
        }
    }

    private mutating func takeMessageID(_ value: String) {
        do {
            messageID = try MessageID.parse(header: value)
        } catch {
            defect = defect ?? error
        }
    }

    private mutating func takeOrderKey(_ value: String) {
        do {
            orderKey = try OrderKey(value)
        } catch {
            defect = defect ?? error
        }
    }

    private mutating func takeQuery(_ target: String) {
        do {
            guard let name = try QueryText.value(of: "version_column", in: target) else { return }
            preferences.versionColumn = name
        } catch {
            defect = defect ?? error
        }
    }

    private mutating func takeExpectation(_ value: String) {
        guard value.isCaseInsensitivelyEqual("100-continue") else {
            defect = defect ?? Defect(.invalidRequest, "only Expect: 100-continue is understood")
            return
        }
        expectsContinue = true
    }

    private mutating func takeMediaType(_ value: String) {
        // What nearly everybody says; taking it apart shows in a profile.
        if value == "application/json" {
            mediaType = .json
            return
        }
        let parts = value.split(separator: ";").map { $0.trimmingSpaces.lowercased() }
        switch parts.first ?? "" {
        case "application/json", "application/merge-patch+json", "": mediaType = .json
        case "application/x-ndjson", "application/ndjson", "application/jsonl",
            "application/x-jsonlines":
            mediaType = .ndjson
        case "text/csv": mediaType = .csv
        // What curl -d sends without a header; a form never starts with a brace.
        case "application/x-www-form-urlencoded": mediaType = .other
        default: mediaType = .other
        }
        if let charset = parts.dropFirst().first(where: { $0.hasPrefix("charset=") }),
            !["charset=utf-8", "charset=\"utf-8\"", "charset=utf8"].contains(charset)
        {
            mediaType = .other
        }
    }

    private mutating func takeRequestID(_ value: String) {
        let isPrintable = value.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        // One that is not fit to be echoed is replaced, not refused.
        if isPrintable && !value.isEmpty && value.utf8.count <= 128 { requestID = value }
    }

    private mutating func takeTimeout(_ value: String) {
        guard let span = Nanoseconds(timeout: value) else {
            defect =
                defect
                ?? Defect(
                    .invalidRequest,
                    "Weir-Timeout takes a number with ms, s or m, such as 500ms or 2s")
            return
        }
        timeout = span
    }
}

extension Nanoseconds {
    /// `500ms`, `2s`, `1m`; more than nothing and at most a day.
    init?(timeout text: String) {
        let units: [(String, Double)] = [("ms", 1e6), ("s", 1e9), ("m", 60e9)]
        guard let (suffix, factor) = units.first(where: { text.hasSuffix($0.0) }),
            let number = Double(text.dropLast(suffix.count)), number > 0,
            number * factor <= 86_400e9
        else { return nil }
        self.init(Int64(number * factor))
    }
}

/// `Prefer` (RFC 7240). Preferences that are not known are ignored, as the RFC says; a known one
/// with a value that is not is refused, because silence would store something else than was meant.
struct Preferences {
    var onConflict: ConflictRule?
    var isMinimal = false
    var returnsRow = false
    var isDryRun = false
    /// `?version_column=…`.
    var versionColumn: String?
    /// What `Preference-Applied` says.
    private(set) var applied: [String] = []

    mutating func take(_ value: String) throws(Defect) {
        for part in value.split(separator: ",") {
            let preference = part.split(separator: ";")[0].trimmingSpaces
            switch preference.lowercased() {
            case "resolution=merge-duplicates": onConflict = .merge
            case "resolution=ignore-duplicates": onConflict = .ignore
            case "return=minimal": isMinimal = true
            case "return=representation": returnsRow = true
            case "tx=rollback": isDryRun = true
            case "tx=commit": break
            case let other
            where other.hasPrefix("resolution=") || other.hasPrefix("return=")
                || other.hasPrefix("tx="):
                throw Defect(
                    .invalidPreference, "the preference \"\(other.prefix(80))\" has no such value")
            default: continue
            }
            applied.append(preference)
        }
    }
}

extension StringProtocol {
    func isCaseInsensitivelyEqual(_ lowercase: StaticString) -> Bool {
        guard utf8.count == lowercase.utf8CodeUnitCount else { return false }
        return lowercase.withUTF8Buffer { expected in
            var index = 0
            for byte in utf8 {
                let lower = byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
                if lower != expected[index] { return false }
                index += 1
            }
            return true
        }
    }

    var trimmingSpaces: String {
        var text = self[...]
        while let first = text.first, first == " " || first == "\t" { text = text.dropFirst() }
        while let last = text.last, last == " " || last == "\t" { text = text.dropLast() }
        return String(text)
    }
}
