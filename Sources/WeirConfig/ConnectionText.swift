/// Whether a connection string holds a password, and the same without it. libpq has the last word
/// on what the string means; this goes by its manual, section "Connection Strings".
struct ConnectionText {
    private let text: String
    /// Where passwords stand.
    private let secrets: [Range<String.Index>]

    init(_ text: String) {
        self.text = text
        secrets =
            text.hasPrefix("postgres://") || text.hasPrefix("postgresql://")
            ? Self.secretsOfURI(text) : Self.secretsOfPairs(text)
    }

    var hasPassword: Bool { !secrets.isEmpty }

    var redacted: String {
        var result = text
        for secret in secrets.reversed() { result.replaceSubrange(secret, with: "********") }
        return result
    }

    /// Behind the colon of `user:password@`, and in the query.
    private static func secretsOfURI(_ text: String) -> [Range<String.Index>] {
        guard let scheme = text.firstIndex(of: "/") else { return [] }
        var rest = text[scheme...].dropFirst(2)
        var secrets: [Range<String.Index>] = []
        if let at = rest.prefix(while: { $0 != "/" }).firstIndex(of: "@") {
            if let colon = rest[..<at].firstIndex(of: ":") {
                let start = text.index(after: colon)
                if start < at { secrets.append(start..<at) }
            }
            rest = rest[at...]
        }
        guard let query = rest.firstIndex(of: "?") else { return secrets }
        for pair in rest[query...].dropFirst().split(separator: "&") {
            guard let equals = pair.firstIndex(of: "="),
                ["password", "sslpassword"].contains(pair[..<equals].lowercased())
            else { continue }
            let start = text.index(after: equals)
            if start < pair.endIndex { secrets.append(start..<pair.endIndex) }
        }
        return secrets
    }

    /// `password = 'it''s'` among `key = value` pairs: in quotes or up to a space, a backslash
    /// hiding what follows it.
    private static func secretsOfPairs(_ text: String) -> [Range<String.Index>] {
        var secrets: [Range<String.Index>] = []
        var rest = text[...]
        while let equals = rest.firstIndex(of: "=") {
            let name = rest[..<equals].split(whereSeparator: \.isWhitespace).last ?? ""
            rest = rest[rest.index(after: equals)...].drop(while: \.isWhitespace)
            let value = Self.value(&rest)
            if ["password", "sslpassword"].contains(name), !value.isEmpty { secrets.append(value) }
        }
        return secrets
    }

    private static func value(_ rest: inout Substring) -> Range<String.Index> {
        let isQuoted = rest.first == "'"
        if isQuoted { rest = rest.dropFirst() }
        let start = rest.startIndex
        while let character = rest.first {
            if isQuoted ? character == "'" : character.isWhitespace { break }
            rest = rest.dropFirst(character == "\\" ? 2 : 1)
        }
        let range = start..<rest.startIndex
        rest = rest.dropFirst()
        return range
    }
}
