/// Changes single settings of a configuration file and leaves every other byte as it is: order,
/// comments, blank lines, quotes.
///
/// The text is changed in the line where the file's reader found the setting, and then read again:
/// unless exactly these settings differ, nothing is changed at all.
package struct ConfigurationEdit {
    /// Why the file is left alone.
    package struct Refusal: Error, Equatable {
        package let reason: String
    }

    /// - Parameter changes: `section.key` and the new value, plain text that needs no quotes.
    package static func apply(
        _ changes: [(key: String, value: String)], to bytes: [UInt8]
    ) throws(Refusal) -> [UInt8] {
        let before = try read(bytes)
        // By bytes: to Swift a carriage return and a line feed are one character.
        var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        var wanted = before.map(Plain.init) ?? .map([])
        do {
            for change in changes {
                let parts = change.key.split(separator: ".").map(String.init)
                // Lines may have moved by the change before.
                try set(parts[0], parts[1], change.value, try read(joined(lines)), &lines)
                wanted = wanted.setting(parts[0], parts[1], change.value)
            }
            guard try read(joined(lines)).map(Plain.init) == wanted else { throw unsafe }
        } catch {
            throw unsafe
        }
        return joined(lines)
    }

    private static var unsafe: Refusal {
        Refusal(reason: "it is written in a way that cannot be changed safely")
    }

    private static func joined(_ lines: [String]) -> [UInt8] {
        Array(lines.map { Array($0.utf8) }.joined(separator: [0x0A]))
    }

    private static func read(_ bytes: [UInt8]) throws(Refusal) -> YAMLNode? {
        do throws(YAMLDefect) {
            let (root, repeated) = try YAMLReader.read(bytes)
            if let defect = repeated.first { throw defect }
            return root
        } catch {
            throw Refusal(reason: "line \(error.line): \(error.text)")
        }
    }

    private static func set(
        _ section: String, _ key: String, _ value: String, _ root: YAMLNode?,
        _ lines: inout [String]
    ) throws(Refusal) {
        let end = lines.first?.last == "\r" ? "\r" : ""
        guard let member = root?.member(section) else {
            while let last = lines.last, last.allSatisfy(\.isWhitespace) { lines.removeLast() }
            lines += lines.isEmpty ? [] : [end]
            lines += ["\(section):\(end)", "  \(key): \(value)\(end)", ""]
            return
        }
        if let setting = member.value.member(key) {
            let line = setting.line - 1
            guard let changed = replaced(value, of: key, in: lines[line]) else {
                throw unsafe
            }
            lines[line] = changed
            return
        }
        let line = member.line - 1
        guard case .map(let members) = member.value.content, let first = members.first else {
            // Nothing below it yet; what stands behind its colon is a comment, or empty brackets.
            if let brackets = lines[line].range(of: "{}") {
                lines[line].replaceSubrange(brackets, with: "{\(key): \(value)}")
            } else {
                let indent = lines[line].prefix { $0 == " " }
                lines.insert("\(indent)  \(key): \(value)\(end)", at: line + 1)
            }
            return
        }
        if first.line == member.line, let bracket = lines[line].range(of: "{") {
            lines[line].insert(contentsOf: "\(key): \(value), ", at: bracket.upperBound)
        } else {
            let indent = lines[first.line - 1].prefix { $0 == " " }
            lines.insert("\(indent)\(key): \(value)\(end)", at: first.line - 1)
        }
    }

    /// The line with another value behind `key:`.
    private static func replaced(_ value: String, of key: String, in line: String) -> String? {
        var start = line.startIndex
        while let found = line[start...].range(of: key) {
            start = found.upperBound
            let isWhole =
                found.lowerBound == line.startIndex
                || " {,\"'".contains(line[line.index(before: found.lowerBound)])
            var at = found.upperBound
            while at < line.endIndex, "\"' ".contains(line[at]) { at = line.index(after: at) }
            guard isWhole, at < line.endIndex, line[at] == ":" else { continue }
            at = line.index(after: at)
            while at < line.endIndex, line[at] == " " { at = line.index(after: at) }
            var end = at
            while end < line.endIndex, !" ,}#\r".contains(line[end]) {
                end = line.index(after: end)
            }
            guard at > line.startIndex else { return nil }
            let space = line[line.index(before: at)] == ":" ? " " : ""
            return line[..<at] + space + value + line[end...]
        }
        return nil
    }

    /// What a file says, without where it says it.
    private indirect enum Plain: Equatable {
        case scalar(String)
        case empty
        case list([Plain])
        case map([(String, Plain)])

        init(_ node: YAMLNode) {
            switch node.content {
            case .scalar(let text): self = .scalar(text)
            case .empty: self = .empty
            case .list(let items): self = .list(items.map(Plain.init))
            case .map(let members): self = .map(members.map { ($0.key, Plain($0.value)) })
            }
        }

        func setting(_ section: String, _ key: String, _ value: String) -> Plain {
            changed(section) { $0.changed(key) { _ in .scalar(value) } }
        }

        private func changed(_ key: String, _ body: (Plain) -> Plain) -> Plain {
            var members: [(String, Plain)] = []
            if case .map(let own) = self { members = own }
            if let place = members.firstIndex(where: { $0.0 == key }) {
                members[place].1 = body(members[place].1)
            } else {
                members.append((key, body(.empty)))
            }
            return .map(members)
        }

        /// Maps are equal in any order: a new key may stand first.
        static func == (left: Plain, right: Plain) -> Bool {
            switch (left, right) {
            case (.scalar(let one), .scalar(let other)): one == other
            case (.empty, .empty): true
            case (.list(let one), .list(let other)): one == other
            case (.map(let one), .map(let other)):
                one.count == other.count
                    && one.allSatisfy { member in
                        other.contains { $0.0 == member.0 && $0.1 == member.1 }
                    }
            default: false
            }
        }
    }
}

extension YAMLNode {
    fileprivate func member(_ key: String) -> Member? {
        guard case .map(let members) = content else { return nil }
        return members.first { $0.key == key }
    }
}

extension StringProtocol {
    /// Where a text stands first.
    fileprivate func range(of text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            let rest = self[start...]
            if rest.hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return nil
    }
}
