import NIOHTTP1
import WeirRecord

/// What a request's method and target ask for.
enum Route: Equatable {
    case insert(table: String)
    /// Upsert, patch or delete of the row with this key.
    case write(WeirRecord.Operation, table: String, key: [[UInt8]])
    case bulk
    case tables
    case table(String)
    case openAPI

    init(_ method: HTTPMethod, _ target: String) throws(RouteFailure) {
        let path = Self.withoutAuthority(target.utf8)
            .prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        let parts = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .dropFirst()
        let first = parts.first.map { Substring($0) } ?? ""
        if parts.count == 1 && first == "openapi.json" {
            self = try Self.only(.GET, method, .openAPI)
            return
        }
        guard first == "v1", parts.count >= 2 else { throw .notFound }
        let rest = Array(parts.dropFirst())
        switch (Substring(rest[0]), rest.count) {
        case ("bulk", 1):
            self = try Self.only(.POST, method, .bulk)
        case ("tables", 1):
            self = try Self.only(.GET, method, .tables)
        case ("tables", 2):
            self = try Self.only(.GET, method, .table(try Self.text(rest[1])))
        case ("tables", 3) where Substring(rest[2]) == "records":
            self = try Self.only(.POST, method, .insert(table: try Self.text(rest[1])))
        case ("tables", 4) where Substring(rest[2]) == "records":
            let table = try Self.text(rest[1])
            var key: [[UInt8]] = []
            for part in rest[3].split(
                separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
            {
                key.append(try Self.decoded(part))
            }
            switch method {
            case .PUT: self = .write(.upsert, table: table, key: key)
            case .PATCH: self = .write(.patch, table: table, key: key)
            case .DELETE: self = .write(.delete, table: table, key: key)
            default: throw .methodNotAllowed(allow: "PUT, PATCH, DELETE")
            }
        default:
            throw .notFound
        }
    }

    /// The target from its path on. Clients that take the gateway for a proxy send the whole URL,
    /// which a server must accept (RFC 9112, section 3.2.2).
    private static func withoutAuthority(_ target: String.UTF8View) -> Substring.UTF8View {
        guard target.first != UInt8(ascii: "/"), target.starts(with: "http".utf8),
            let colon = target.firstIndex(of: UInt8(ascii: ":")),
            target[colon...].starts(with: "://".utf8)
        else { return target[...] }
        return target[colon...].dropFirst(3).drop { $0 != UInt8(ascii: "/") }
    }

    private static func only(
        _ allowed: HTTPMethod, _ method: HTTPMethod,
        _ route: @autoclosure () throws(RouteFailure) -> Route
    ) throws(RouteFailure) -> Route {
        guard method == allowed else { throw .methodNotAllowed(allow: allowed.rawValue) }
        return try route()
    }

    static func text(_ part: some Collection<UInt8>) throws(RouteFailure) -> String {
        guard let text = String(validating: try decoded(part), as: UTF8.self) else {
            throw .malformed
        }
        return text
    }

    /// Resolves percent-encoding (RFC 3986, section 2.1). The result is UTF-8 without NUL.
    private static func decoded(_ part: some Collection<UInt8>) throws(RouteFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(part.count)
        var rest = part[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexadecimal),
                let low = rest.popFirst().flatMap(hexadecimal)
            else { throw .malformed }
            bytes.append(high << 4 | low)
        }
        guard !bytes.contains(0), String(validating: bytes, as: UTF8.self) != nil else {
            throw .malformed
        }
        return bytes
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}

enum RouteFailure: Error, Equatable {
    case notFound
    case methodNotAllowed(allow: String)
    /// Percent-encoding that is none, or that hides something other than UTF-8 text.
    case malformed
}
