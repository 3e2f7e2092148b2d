/// Where a listener listens.
package enum ListenAddress: Sendable, Equatable {
    case tcp(host: String, port: Int)
    case unix(path: String)

    /// `host:port`, an IPv6 host in brackets, or `unix:/path`.
    package var text: String { text(port: nil) }

    /// - Parameter port: the one that the kernel chose, where 0 was asked for.
    package func text(port: Int?) -> String {
        switch self {
        case .tcp(let host, let configured):
            (host.contains(":") ? "[\(host)]" : host) + ":\(port ?? configured)"
        case .unix(let path): "unix:\(path)"
        }
    }

    /// `host:port`, `[v6]:port` or `unix:/path`.
    package init?(_ text: String) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard !path.isEmpty else { return nil }
            self = .unix(path: path)
            return
        }
        guard let colon = text.lastIndex(of: ":"),
            let port = Int(text[text.index(after: colon)...]),
            (0...65_535).contains(port)
        else { return nil }
        let host = text[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        let bare = isBracketed ? String(host.dropFirst().dropLast()) : String(host)
        guard !bare.isEmpty else { return nil }
        self = .tcp(host: bare, port: port)
    }
}
