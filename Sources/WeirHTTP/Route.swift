import NIOHTTP1
import Weir
import WeirRecord

/// What a request's method and target ask for.
enum Route: Equatable {
    case insert(table: String)
    /// Upsert, patch or delete of the row with this key.
    case write(WeirRecord.Operation, table: String, key: [[UInt8]])
    case bulk
    case tables
    case table(String)
    /// What became of a message.
    case message(String)
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
        case ("messages", 2):
            self = try Self.only(.GET, method, .message(try Self.text(rest[1])))
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

    private static func text(_ part: Substring.UTF8View) throws(RouteFailure) -> String {
        // Most names need no decoding, and the target is text already.
        if !part.contains(where: { $0 == UInt8(ascii: "%") || $0 == 0 }) {
            return String(Substring(part))
        }
        do {
            return try PercentText.text(part)
        } catch {
            throw .malformed
        }
    }

    private static func decoded(_ part: some Collection<UInt8>) throws(RouteFailure) -> [UInt8] {
        do {
            return try PercentText.bytes(part)
        } catch {
            throw .malformed
        }
    }
}

enum RouteFailure: Error, Equatable {
    case notFound
    case methodNotAllowed(allow: String)
    /// Percent-encoding that is none, or that hides something other than UTF-8 text.
    case malformed
}
