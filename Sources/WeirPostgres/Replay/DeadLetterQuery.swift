import Weir
import WeirRecord

/// The SQL that reads lists of dead letters: each a range of an index, however many letters there
/// are.
struct DeadLetterQuery {
    /// In the order in which `DeadLetter.init(row:)` takes them.
    static let columns = [
        "id", micros("at"), "fingerprint", "table_name", "operation", "message_id", "order_key",
        "key", "media_type", "sqlstate", "constraint_name", "column_name", "code", "reason",
        "attempts", "request", "trace", "instance", "version", "config_hash", "on_conflict",
        "version_column", "message_fingerprint", "edits", micros("edited_at"), "redrives",
        micros("redriven_at"), "redrive_code", "redrive_reason",
    ]
    private static let bodies = [
        "pg_catalog.encode(d.raw, 'hex')", "pg_catalog.encode(d.edited, 'hex')",
    ]

    /// Plans are made for what is asked, and never read the table from end to end.
    private static let settings = "SET LOCAL enable_seqscan = off; "

    private static func micros(_ column: String) -> String {
        "(date_part('epoch', d.\(column)) * 1000000)::int8"
    }

    private static func list(hasBodies: Bool) -> String {
        let plain = columns.map { $0.contains("d.") ? $0 : "d.\($0)" }
        return (plain + (hasBodies ? bodies : [])).joined(separator: ", ")
    }

    static func letter(_ number: Int64) -> String {
        "SELECT \(list(hasBodies: true)) FROM weir.dead_letter d WHERE d.id = \(number)"
    }

    // MARK: Pages

    static func page(_ page: DeadLetterPage) -> String {
        let list = list(hasBodies: page.hasBodies)
        let direction = page.isNewestFirst ? "DESC" : "ASC"
        let order =
            page.isByTime ? "d.at \(direction), d.id \(direction)" : "d.id \(direction)"
        let end = "ORDER BY \(order) LIMIT \(page.limit)"
        var conditions = plainConditions(page.selection)
        if let past = page.past {
            let sign = page.isNewestFirst ? "<" : ">"
            conditions.append(
                page.isByTime
                    ? "(d.at, d.id) \(sign) (\(timestamp(past.at)), \(past.number))"
                    : "d.id \(sign) \(past.number)")
        }
        let source = source(page.selection, conditions, end)
        return settings + "SELECT \(list) FROM \(source) \(end)"
    }

    /// Where the letters of a selection are, as `d`. A choice of groups is the first letters of
    /// each, which the statement round it merges.
    private static func source(
        _ selection: DeadLetterSelection, _ conditions: [String], _ end: String
    ) -> String {
        let isNarrow =
            selection.numbers != nil || selection.messageID != nil || selection.fingerprint != nil
        guard selection.choosesGroups, !isNarrow else {
            let all = conditions + groupConditions(selection, "d")
            return "weir.dead_letter d WHERE " + (all.isEmpty ? "true" : all.and)
        }
        let own = ["d.fingerprint = g.fingerprint"] + conditions
        return """
            (SELECT e.* FROM weir.dead_letter_group g CROSS JOIN LATERAL (
                SELECT d.* FROM weir.dead_letter d WHERE \(own.and) \(end)) e
            WHERE \(groupConditions(selection, "g").and)) d
            """
    }

    // MARK: Conditions

    /// By what letters of one group share.
    private static func groupConditions(
        _ selection: DeadLetterSelection, _ alias: String
    ) -> [String] {
        let texts = [
            ("table_name", selection.table), ("sqlstate", selection.sqlstate),
            ("constraint_name", selection.constraint), ("column_name", selection.column),
            ("code", selection.code),
        ]
        return texts.compactMap { column, value in
            value.map { "\(alias).\(column) = \(quotedLiteral($0))" }
        }
    }

    private static func plainConditions(_ selection: DeadLetterSelection) -> [String] {
        var conditions: [String] = []
        if let numbers = selection.numbers {
            let list = numbers.map { String($0) }.joined(separator: ", ")
            conditions.append("d.id = ANY (ARRAY[\(list)]::int8[])")
        }
        if let fingerprint = selection.fingerprint {
            conditions.append("d.fingerprint = \(fingerprint)::int8")
        }
        if let message = selection.messageID {
            let hash = MessageID.hash(message)
            let id = UUID7(high: hash.high, low: hash.low).hexadecimal
            conditions.append("d.message = '\(id)'::uuid")
        }
        if let since = selection.since { conditions.append("d.at >= \(timestamp(since))") }
        if let until = selection.until { conditions.append("d.at < \(timestamp(until))") }
        if let max = selection.numberMax { conditions.append("d.id <= \(max)") }
        return conditions
    }

    private static func timestamp(_ micros: Int64) -> String {
        // By whole numbers: seconds as a float lose the last digit.
        "(timestamptz 'epoch' + interval '\(micros) microseconds')"
    }

    // MARK: The others

    static func groups(table: String?, past: DeadLetterGroupCursor?, limit: Int) -> String {
        var conditions: [String] = []
        if let table { conditions.append("d.table_name = \(quotedLiteral(table))") }
        if let past {
            conditions.append(
                "(d.count, d.fingerprint) < (\(past.count)::int8, \(past.fingerprint)::int8)")
        }
        return settings + """
            SELECT d.fingerprint, d.table_name, d.sqlstate, d.constraint_name, d.column_name,
                d.code, d.reason, d.count, d.sample, \(micros("first_at")), \(micros("last_at"))
            FROM weir.dead_letter_group d WHERE \(conditions.isEmpty ? "true" : conditions.and)
            ORDER BY d.count DESC, d.fingerprint DESC LIMIT \(limit)
            """
    }

    static let newest = "SELECT COALESCE((SELECT max(id) FROM weir.dead_letter), 0)"

    static let counts =
        settings + """
            SELECT table_name, sum(count)::int8 FROM weir.dead_letter_group GROUP BY 1 ORDER BY 1
            """

    static func edit(_ number: Int64, edits: Int32, to bytes: [UInt8]?) -> String {
        let value = bytes.map { "'\\x\(hexadecimal($0))'::bytea" } ?? "NULL"
        return """
            UPDATE weir.dead_letter SET edited = \(value), edits = edits + 1,
                edited_at = pg_catalog.now()
            WHERE id = \(number) AND edits = \(edits) RETURNING id
            """
    }

    static func note(_ notes: [RedriveNote]) -> String {
        let values = notes.sorted { $0.letter < $1.letter }.map { note in
            "(\(note.letter)::int8, \(quotedLiteral(note.code)), "
                + "\(quotedLiteral(DeadLetterTransaction.cut(note.reason))))"
        }
        return """
            UPDATE weir.dead_letter d SET redrives = redrives + 1,
                redriven_at = pg_catalog.now(), redrive_code = n.code, redrive_reason = n.reason
            FROM (VALUES \(values.joined(separator: ", "))) AS n(id, code, reason)
            WHERE d.id = n.id RETURNING d.id
            """
    }

    static func discard(
        _ selection: DeadLetterSelection, table: String, limit: Int
    ) -> String {
        var selection = selection
        selection.table = table
        var page = DeadLetterPage(selection, limit: limit)
        page.isNewestFirst = false
        let end = "ORDER BY \(page.isByTime ? "d.at, d.id" : "d.id") LIMIT \(limit)"
        let source = source(selection, plainConditions(selection), end)
        return settings + """
            WITH chosen AS (SELECT d.id FROM \(source) \(end))
            DELETE FROM weir.dead_letter WHERE id IN (SELECT id FROM chosen) RETURNING id
            """
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}

extension Array where Element == String {
    fileprivate var and: String { joined(separator: " AND ") }
}
