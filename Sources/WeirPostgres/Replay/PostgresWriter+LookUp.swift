package import Weir
package import WeirCore
import WeirRecord

// What became of messages, as far as the replay tables remember: whichever gateway wrote them.
extension PostgresWriter {
    package func lookUp(
        _ messages: [MessageKey.Identity]
    ) throws(ConnectFailure) -> [StoredMessage?] {
        var found = [StoredMessage?](repeating: nil, count: messages.count)
        guard configuration.replay != .off, !messages.isEmpty else { return found }
        let sql = Self.lookUpSQL(messages)
        let rows = try ask { session, deadline throws(ConnectFailure) in
            do throws(Session.Failure) {
                return try session.query(sql, by: deadline)
            } catch {
                throw error.connectFailure
            }
        }
        for row in rows {
            guard row.count == 12, let place = row[0].flatMap({ Int($0) }),
                found.indices.contains(place - 1), let stored = StoredMessage(row)
            else { throw ConnectFailure("an entry of the replay tables cannot be read") }
            found[place - 1] = stored
        }
        return found
    }

    /// Each entry with its attempt's own row, which is in the same half. Several statements at once
    /// are one transaction, so that the setting holds for them alone.
    private static func lookUpSQL(_ messages: [MessageKey.Identity]) -> String {
        let ids = messages.map { "'\(UUID7(high: $0.high, low: $0.low).hexadecimal)'" }
            .joined(separator: ", ")
        let halves = [ReplayLedger.Half.a, .b].map { half in
            """
            SELECT u.ord, pg_catalog.encode(pg_catalog.uuid_send(r.attempt_id), 'hex'), r.outcome,
                r.key, r.dead_letter,
                pg_catalog.floor(pg_catalog.date_part('epoch', m.at) * 1000)::int8,
                m.attempt, r.request, r.trace, m.instance, m.version, r.fingerprint
            FROM unnest(ARRAY[\(ids)]::uuid[]) WITH ORDINALITY AS u(id, ord)
            JOIN \(half.messages) r ON r.id = u.id
            LEFT JOIN \(half.attempts) m ON m.id = r.attempt_id
            """
        }
        return "SET LOCAL enable_seqscan = off; " + halves.joined(separator: " UNION ALL ")
    }
}

extension StoredMessage {
    /// From a row of the query above.
    fileprivate init?(_ row: [String?]) {
        guard let attempt = row[1].flatMap(UUID7.init(hexadecimal:)),
            let effect = row[2].flatMap({ Int($0) }).flatMap(RowEffect.init(stored:))
        else { return nil }
        self.init(
            FirstResult(
                effect: effect, batchID: attempt, key: row[3].map { Array($0.utf8) },
                deadLetter: row[4].flatMap { Int64($0) }))
        committedAt = row[5].flatMap { UInt64($0) }
        self.attempt = row[6].flatMap { Int($0) }
        requestID = row[7]
        traceID = row[8]
        instance = row[9]
        version = row[10]
        fingerprint = row[11].flatMap { Int64($0) }.map { UInt64(bitPattern: $0) }
    }
}

extension Session.Failure {
    /// For whoever asked something that is not a batch.
    var connectFailure: ConnectFailure {
        switch self {
        case .server(let error): ConnectFailure(error.message)
        case .lost(let reason): ConnectFailure(reason)
        }
    }
}
