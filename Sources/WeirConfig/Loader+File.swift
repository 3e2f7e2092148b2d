import WeirRecord

// From the file's maps to settings; what is no setting is refused with its line.
extension Loader {
    mutating func takeFile(_ path: String, _ bytes: [UInt8]) {
        do throws(YAMLDefect) {
            let (root, repeated) = try YAMLReader.read(bytes)
            for defect in repeated {
                report(.file(path: path, line: defect.line), nil, defect.text)
            }
            guard let root else { return }
            guard case .map(let members) = root.content else {
                return report(
                    .file(path: path, line: root.line), nil,
                    "the file is a map of settings, such as batch: {max_records: 5000}")
            }
            takeSections(members, path)
        } catch {
            report(.file(path: path, line: error.line), nil, error.text)
        }
    }

    private mutating func takeSections(_ members: [YAMLNode.Member], _ path: String) {
        for member in members {
            let origin = Origin.file(path: path, line: member.line)
            if member.key == "tables" {
                takeTables(member, path)
            } else if Self.sections.contains(member.key) {
                takeSection(member, path)
            } else {
                reportUnknown(member.key, under: "", among: Self.sections + ["tables"], origin)
            }
        }
    }

    /// `database`, `batch` and so on, in the order of the settings.
    static let sections: [String] = {
        var sections: [String] = []
        for setting in Setting.all {
            let section = String(setting.key.prefix { $0 != "." })
            if !sections.contains(section) { sections.append(section) }
        }
        return sections
    }()

    private mutating func takeSection(_ section: YAMLNode.Member, _ path: String) {
        guard let members = map(section.value, section.key, section.line, path) else { return }
        let prefix = section.key + "."
        let known = Setting.all.filter { $0.key.hasPrefix(prefix) }
            .map { String($0.key.dropFirst(prefix.utf8.count)) }
        for member in members {
            let origin = Origin.file(path: path, line: member.line)
            guard let setting = Setting.named(prefix + member.key), known.contains(member.key)
            else {
                reportUnknown(member.key, under: prefix, among: known, origin)
                continue
            }
            if let text = scalar(member, setting.key, path) { take(setting, text, origin) }
        }
    }

    private mutating func reportUnknown(
        _ key: String, under prefix: String, among known: [String], _ origin: Origin
    ) {
        let everywhere = Setting.all.map(\.key) + TableSetting.all.map { "tables.NAME.\($0.key)" }
        let nearHere = nearestName(to: key, among: known).map { prefix + $0 }
        // A key in the wrong section is nearer where it belongs.
        let elsewhere = everywhere.first { $0.split(separator: ".").last.map(String.init) == key }
        report(
            origin, prefix + key.prefix(80),
            "there is no such key; the nearest is \(elsewhere ?? nearHere ?? "") (here: "
                + "\(known.joined(separator: ", ")))")
    }

    // MARK: Tables

    private mutating func takeTables(_ tables: YAMLNode.Member, _ path: String) {
        guard let members = map(tables.value, "tables", tables.line, path) else { return }
        for member in members {
            let origin = Origin.file(path: path, line: member.line)
            let name = TableName(member.key)
            var draft = TableDraft(name, origin)
            if name.name.isEmpty {
                report(origin, "tables", "a table is called name or schema.name")
                continue
            }
            if drafts.contains(where: { $0.name == name }) {
                // With one spelling, the reader has said so.
                if members.count(where: { $0.key == member.key }) == 1 {
                    report(origin, "tables.\(name.publicName)", "the table stands twice")
                }
                continue
            }
            if member.value.content != .empty {
                takeTable(member.value, "", &draft, member.line, path)
            }
            drafts.append(draft)
        }
    }

    /// - Parameter prefix: `id.` inside the map of that name.
    private mutating func takeTable(
        _ node: YAMLNode, _ prefix: String, _ draft: inout TableDraft, _ line: Int, _ path: String
    ) {
        let place = draft.path(prefix).dropLast()
        guard let members = map(node, String(place), line, path) else { return }
        let known = TableSetting.keys(under: prefix)
        for member in members {
            let origin = Origin.file(path: path, line: member.line)
            let key = prefix + member.key
            if prefix.isEmpty && member.key == "id" {
                takeTable(member.value, "id.", &draft, member.line, path)
            } else if key == "operations" {
                guard let texts = list(member, draft.path(key), path) else { continue }
                draft.said[key] = .init(texts: texts, origin: origin)
            } else if TableSetting.all.contains(where: { $0.key == key }) {
                guard let text = scalar(member, draft.path(key), path) else { continue }
                draft.said[key] = .init(texts: [text], origin: origin)
            } else {
                reportUnknown(member.key, under: draft.path(prefix), among: known, origin)
            }
        }
    }

    // MARK: Kinds of nodes

    private mutating func map(
        _ node: YAMLNode, _ key: String, _ line: Int, _ path: String
    ) -> [YAMLNode.Member]? {
        switch node.content {
        case .map(let members): return members
        case .empty: report(.file(path: path, line: line), key, "it is empty; leave it out")
        case .scalar, .list: report(.file(path: path, line: line), key, "it takes a map of keys")
        }
        return nil
    }

    private mutating func scalar(
        _ member: YAMLNode.Member, _ key: String, _ path: String
    ) -> String? {
        let origin = Origin.file(path: path, line: member.line)
        switch member.value.content {
        case .scalar(let text) where !text.isEmpty: return text
        case .scalar, .empty:
            report(origin, key, "it has no value; give it one or leave the key out")
        case .list, .map:
            report(origin, key, "it takes one value, not a list or a map")
        }
        return nil
    }

    private mutating func list(
        _ member: YAMLNode.Member, _ key: String, _ path: String
    ) -> [String]? {
        let origin = Origin.file(path: path, line: member.line)
        guard case .list(let items) = member.value.content else {
            report(origin, key, "it takes a list, such as [insert, upsert]")
            return nil
        }
        var texts: [String] = []
        for item in items {
            guard case .scalar(let text) = item.content else {
                report(.file(path: path, line: item.line), key, "each item is one word")
                return nil
            }
            texts.append(text)
        }
        return texts
    }
}
