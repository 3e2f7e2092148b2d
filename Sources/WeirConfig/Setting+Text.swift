import Weir

// From a setting's text to its value and back.
extension Setting {
    /// Takes the value from its text; returns what is wrong with it, if anything is.
    func apply(_ text: String, to configuration: inout Configuration) -> String? {
        switch kind {
        case .count(let field, let range):
            return take(Int(plain: text), range, text) { configuration[keyPath: field] = $0 }
        case .derivedCount(let field, let range):
            return take(Int(plain: text), range, text) { configuration[keyPath: field] = $0 }
        case .size(let field, let range):
            return take(byteCount(configured: text), range, text) {
                configuration[keyPath: field] = $0
            }
        case .duration(let field, let range):
            return take(Duration(configured: text), range, text) {
                configuration[keyPath: field] = $0
            }
        case .window(let field, let range):
            if ["off", "0"].contains(text) {
                configuration[keyPath: field] = .off
                return nil
            }
            return take(Duration(configured: text), range, text) {
                configuration[keyPath: field] = .on(window: $0)
            }
        case .address(let field):
            guard let address = ListenAddress(text) else { return mismatch(text) }
            configuration[keyPath: field] = address
        case .logLevel(let field):
            guard Self.logLevels.contains(text) else {
                let nearest = nearestName(to: text, among: Self.logLevels) ?? ""
                return mismatch(text) + "; the nearest is \(nearest)"
            }
            configuration[keyPath: field] = text
        case .path(let field), .connection(let field):
            configuration[keyPath: field] = text
        }
        return nil
    }

    private func take<Value>(
        _ value: Value?, _ range: ClosedRange<Value>, _ text: String, _ store: (Value) -> Void
    ) -> String? {
        guard let value else { return mismatch(text) }
        guard range.contains(value) else {
            return "\(quoted(text)) is out of range; it takes \(form)"
        }
        store(value)
        return nil
    }

    private func mismatch(_ text: String) -> String {
        "\(quoted(text)) is not of this kind; it takes \(form)"
    }

    private func quoted(_ text: String) -> String { "\"\(text.prefix(80))\"" }

    /// What it takes, for people.
    package var form: String {
        switch kind {
        case .count(_, let range), .derivedCount(_, let range):
            "a number from \(range.lowerBound) to \(range.upperBound)"
        case .size(_, let range):
            "bytes from \(configuredText(byteCount: range.lowerBound)) to "
                + "\(configuredText(byteCount: range.upperBound)), such as 64KiB or 4MiB"
        case .duration(_, let range):
            "a time from \(range.lowerBound.configured) to \(range.upperBound.configured), "
                + "such as 500ms or 10s"
        case .window(_, let range):
            "a time from \(range.lowerBound.configured) to \(range.upperBound.configured), such as "
                + "24h or 7d, or off"
        case .address: "host:port or unix:/path"
        case .logLevel: Self.logLevels.joined(separator: ", ")
        case .path: "a path"
        case .connection: "a postgres:// URI or key=value pairs"
        }
    }

    /// The value as the file would have it; `nil` where there is none. Secrets are left out.
    package func text(in configuration: Configuration) -> String? {
        switch kind {
        case .count(let field, _): String(configuration[keyPath: field])
        case .derivedCount(let field, _): configuration[keyPath: field].map { String($0) }
        case .size(let field, _): configuredText(byteCount: configuration[keyPath: field])
        case .duration(let field, _): configuration[keyPath: field].configured
        case .window(let field, _): configuration[keyPath: field].window?.configured ?? "off"
        case .address(let field): configuration[keyPath: field].text
        case .logLevel(let field): configuration[keyPath: field]
        case .path(let field): configuration[keyPath: field]
        case .connection(let field):
            configuration[keyPath: field].map { ConnectionText($0).redacted }
        }
    }
}

extension Int {
    /// Digits and nothing else: neither sign nor `_`, whatever YAML makes of them.
    fileprivate init?(plain text: String) {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
        self.init(text)
    }
}
