import Weir
import WeirCore
import WeirRecord

/// What a request about dead letters asks for, and what is wrong with it.
enum DeadLetterRequest {
    // MARK: Selections

    /// The names by which letters are chosen, in queries and in a body's `filter`.
    private static let names = [
        "table", "sqlstate", "constraint", "column", "code", "fingerprint", "message", "since",
        "until",
    ]

    /// - Parameter unixMicroseconds: now.
    static func selection(
        _ members: [(name: String, value: String)], unixMicroseconds now: Int64
    ) throws(Failure) -> DeadLetterSelection {
        var selection = DeadLetterSelection()
        for (name, value) in members {
            guard !value.isEmpty else {
                throw Failure(.invalidRequest, "\"\(name)\" is empty; leave it out")
            }
            switch name {
            case "table": selection.table = publicName(value)
            case "sqlstate": selection.sqlstate = value
            case "constraint": selection.constraint = value
            case "column": selection.column = value
            case "code": selection.code = value
            case "fingerprint":
                guard let number = groupNumber(value) else {
                    throw Failure(
                        .invalidRequest,
                        "\"fingerprint\" takes 16 hexadecimal digits, as /v1/dead-letters/groups "
                            + "has them")
                }
                selection.fingerprint = number
            case "message": selection.messageID = value
            case "since": selection.since = try time(name, value, now)
            case "until": selection.until = try time(name, value, now)
            default:
                throw Failure(
                    .invalidRequest,
                    "letters are not chosen by \"\(name.prefix(40))\"; there is "
                        + names.joined(separator: ", "))
            }
        }
        return selection
    }

    /// A table of schema public goes by its name alone.
    private static func publicName(_ name: String) -> String {
        name.hasPrefix("public.") ? String(name.dropFirst("public.".count)) : name
    }

    /// Microseconds since 1970: of an RFC 3339 time, or of so long ago (`15m`, `24h`, `7d`).
    private static func time(
        _ name: String, _ text: String, _ now: Int64
    ) throws(Failure) -> Int64 {
        let units: [(Character, Int64)] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)]
        if let unit = units.first(where: { $0.0 == text.last }),
            let count = Int64(text.dropLast()), (0...1_000_000).contains(count)
        {
            return now - count * unit.1 * 1_000_000
        }
        if let time = Timestamptz.microseconds(text) { return time }
        throw Failure(
            .invalidRequest,
            "\"\(name)\" takes a time such as 2026-01-31T12:00:00Z, or how long ago: 15m, 24h, 7d")
    }

    // MARK: Bodies

    /// What stands in a body, which has these members and no others.
    static func members(
        _ body: [UInt8], _ known: [String]
    ) throws(Failure) -> JSONMembers {
        do throws(Defect) {
            let members = try JSONMembers(body)
            if let other = members.all.first(where: { !known.contains($0.name) }) {
                throw Defect(
                    .invalidRequest,
                    "there is no member \"\(other.name.prefix(40))\"; there is "
                        + known.joined(separator: ", "))
            }
            return members
        } catch {
            throw Failure(error)
        }
    }

    /// `ids` or `filter`. An empty filter chooses all of them, and has to be there to do so.
    static func chosen(
        _ members: JSONMembers, unixMicroseconds now: Int64
    ) throws(Failure) -> DeadLetterSelection {
        switch (members["ids"], members["filter"]) {
        case (let ids?, nil): return DeadLetterSelection(numbers: try numbers(ids))
        case (nil, let filter?):
            return try selection(try texts(filter), unixMicroseconds: now)
        default:
            throw Failure(
                .invalidRequest,
                "say which letters: \"ids\":[1,2] or \"filter\":{\"table\":\"orders\"}; "
                    + "\"filter\":{} are all of them")
        }
    }

    private static func texts(
        _ filter: [UInt8]
    ) throws(Failure) -> [(name: String, value: String)] {
        do throws(Defect) {
            var texts: [(name: String, value: String)] = []
            for member in try JSONMembers(filter).all {
                guard let text = try JSONScalar.text(member.value) else {
                    throw Defect(
                        .invalidRequest,
                        "\"filter\": \"\(member.name.prefix(40))\" takes a string")
                }
                texts.append((member.name, text))
            }
            return texts
        } catch {
            throw Failure(error)
        }
    }

    private static func numbers(_ value: [UInt8]) throws(Failure) -> [Int64] {
        let elements: [[UInt8]]?
        do throws(Defect) {
            elements = try JSONScalar.elements(value)
        } catch {
            throw Failure(error)
        }
        let numbers = elements?.compactMap(JSONScalar.integer) ?? []
        guard !numbers.isEmpty, numbers.count == elements?.count,
            numbers.count <= DeadLetterSelection.numbersMax
        else {
            throw Failure(
                .invalidRequest,
                "\"ids\" takes 1 to \(DeadLetterSelection.numbersMax) numbers")
        }
        return numbers
    }

    static func redrive(
        _ body: [UInt8], unixMicroseconds now: Int64
    ) throws(Failure) -> Redrive.Order {
        let members = try members(body, ["ids", "filter", "rate", "dry_run"])
        var order = Redrive.Order(try chosen(members, unixMicroseconds: now))
        if let value = members["rate"] {
            let max = Redrive.Order.rateMax
            guard let rate = JSONScalar.integer(value).map({ Int($0) }), (1...max).contains(rate)
            else {
                throw Failure(
                    .invalidRequest, "\"rate\" takes a number of letters a second from 1 to \(max)")
            }
            order.rate = rate
        }
        if let value = members["dry_run"] {
            guard let isDryRun = JSONScalar.boolean(value) else {
                throw Failure(.invalidRequest, "\"dry_run\" takes true or false")
            }
            order.isDryRun = isDryRun
        }
        return order
    }

    /// The letters, and the table that whoever discards them has named once more.
    static func discard(
        _ body: [UInt8], unixMicroseconds now: Int64
    ) throws(Failure) -> (selection: DeadLetterSelection, table: String) {
        let members = try members(body, ["ids", "filter", "confirm"])
        var selection = try chosen(members, unixMicroseconds: now)
        var confirmed: String?
        do throws(Defect) {
            confirmed = try members["confirm"].flatMap(JSONScalar.text)
        } catch {
            throw Failure(error)
        }
        guard let confirmed, !confirmed.isEmpty else {
            throw Failure(
                .invalidRequest,
                "discarded letters are gone for good: confirm with the name of their table, "
                    + "\"confirm\":\"\(selection.table ?? "orders")\"")
        }
        let table = publicName(confirmed)
        guard selection.table ?? table == table else {
            throw Failure(
                .invalidRequest,
                "\"confirm\" names table \(table), and the filter table \(selection.table ?? "")")
        }
        selection.table = table
        return (selection, table)
    }

    // MARK: Edits

    /// What a letter's record is to be: `null` in place of the record is the original again.
    static func edit(
        _ body: [UInt8], of letter: DeadLetter, _ table: TableSchema?
    ) throws(Failure) -> StoredRecord.Edit? {
        let members = try members(body, ["record", "set", "unset", "key"])
        do throws(Defect) {
            guard let stored = try letter.stored() else {
                throw Defect(
                    .invalidRequest, "this version cannot read the letter, and not edit it")
            }
            var edit = stored.edit ?? StoredRecord.Edit()
            if let record = members["record"] {
                if JSONScalar.isNull(record), members.all.count == 1 { return nil }
                edit.record = try JSONMembers(record).bytes
            }
            if members["set"] != nil || members["unset"] != nil {
                var columns = edit.record
                if columns == nil { columns = try stored.columns(for: table) }
                var record = try columns.map(JSONMembers.init) ?? JSONMembers()
                if let set = members["set"] {
                    for member in try JSONMembers(set).all { record[member.name] = member.value }
                }
                if let unset = members["unset"] {
                    for name in try names(unset) { record[name] = nil }
                }
                edit.record = record.bytes
            }
            if let key = members["key"] { edit.key = try JSONMembers(key).bytes }
            guard edit != stored.edit ?? StoredRecord.Edit() else {
                throw Defect(
                    .invalidRequest,
                    "say what to change: \"set\":{\"qty\":5}, \"unset\":[\"note\"], "
                        + "\"record\":{…}, \"key\":{…}, or \"record\":null for the original")
            }
            return edit
        } catch {
            throw Failure(error)
        }
    }

    private static func names(_ value: [UInt8]) throws(Defect) -> [String] {
        var names: [String] = []
        for element in try JSONScalar.elements(value) ?? [] {
            guard let name = try JSONScalar.text(element) else {
                throw Defect(.invalidRequest, "\"unset\" takes names of columns")
            }
            names.append(name)
        }
        return names
    }
}
