package import Weir
import WeirCore
import WeirRecord

// Questions about dead letters, put over a writer's own connection.
extension PostgresWriter {
    package func answer(
        _ question: DeadLetterQuestion
    ) throws(ConnectFailure) -> DeadLetterReply {
        guard configuration.replay != .off else { return .none }
        switch question {
        case .page(let page):
            return .letters(try rows(DeadLetterQuery.page(page)).map(letter))
        case .groups(let table, let past, let limit):
            let sql = DeadLetterQuery.groups(table: table, past: past, limit: limit)
            return .groups(try rows(sql).map(group))
        case .letter(let number):
            return .letters(try rows(DeadLetterQuery.letter(number)).map(letter))
        case .newest:
            guard let row = try rows(DeadLetterQuery.newest).first, let number = row.integer(0)
            else { throw unreadable }
            return .newest(number)
        case .counts:
            return .counts(
                try rows(DeadLetterQuery.counts).map { row throws(ConnectFailure) in
                    guard let table = row.text(0), let count = row.integer(1) else {
                        throw unreadable
                    }
                    return (table, count)
                })
        case .edit(let number, let edits, let bytes):
            let sql = DeadLetterQuery.edit(number, edits: edits, to: bytes)
            return .changed(try rows(sql).count)
        case .note(let notes):
            return .changed(try rows(DeadLetterQuery.note(notes)).count)
        case .discard(let selection, let table, let limit):
            let sql = DeadLetterQuery.discard(selection, table: table, limit: limit)
            return .changed(try rows(sql).count)
        }
    }

    private var unreadable: ConnectFailure { ConnectFailure("a dead letter cannot be read") }

    private func rows(_ sql: String) throws(ConnectFailure) -> [[String?]] {
        try ask { session, deadline throws(ConnectFailure) in
            do throws(Session.Failure) {
                return try session.query(sql, by: deadline)
            } catch {
                throw error.connectFailure
            }
        }
    }

    private func letter(_ row: [String?]) throws(ConnectFailure) -> DeadLetter {
        guard let letter = DeadLetter(row: row) else { throw unreadable }
        return letter
    }

    private func group(_ row: [String?]) throws(ConnectFailure) -> DeadLetterGroup {
        guard row.count == 11, let fingerprint = row.integer(0), let table = row.text(1),
            let code = row.text(5), let reason = row.text(6), let count = row.integer(7),
            let sample = row.integer(8), let first = row.integer(9), let last = row.integer(10)
        else { throw unreadable }
        return DeadLetterGroup(
            fingerprint: fingerprint, table: table, sqlstate: row[2], constraint: row[3],
            column: row[4], code: code, reason: reason, count: count, sample: sample,
            firstAt: first, lastAt: last)
    }
}

extension DeadLetter {
    /// From the columns of `DeadLetterQuery`, with the bodies behind them or without.
    fileprivate init?(row: [String?]) {
        guard row.count >= DeadLetterQuery.columns.count, let number = row.integer(0),
            let at = row.integer(1), let fingerprint = row.integer(2), let table = row.text(3),
            let operation = row.text(4), let code = row.text(12), let reason = row.text(13)
        else { return nil }
        self.init(
            number: number, at: at, fingerprint: fingerprint, table: table, operation: operation,
            code: code, reason: reason)
        messageID = row[5]
        orderKey = row[6]
        key = row[7]
        mediaType = row[8]
        sqlstate = row[9]
        constraint = row[10]
        column = row[11]
        attempts = row.integer(14).map { Int($0) } ?? 1
        request = row[15]
        trace = row[16]
        instance = row[17]
        version = row[18]
        configurationHash = row[19]
        onConflict = row[20]
        versionColumn = row[21]
        messageFingerprint = row.integer(22)
        edits = row.integer(23).map { Int32(clamping: $0) } ?? 0
        editedAt = row.integer(24)
        redrives = row.integer(25).map { Int($0) } ?? 0
        redrivenAt = row.integer(26)
        redriveCode = row[27]
        redriveReason = row[28]
        guard row.count >= DeadLetterQuery.columns.count + 2, let raw = row.bytes(29) else {
            return
        }
        body = Body(raw: raw, edited: row.bytes(30))
    }
}

extension [String?] {
    fileprivate func text(_ place: Int) -> String? { self[place] }
    fileprivate func integer(_ place: Int) -> Int64? { self[place].flatMap { Int64($0) } }

    /// From hexadecimal digits.
    fileprivate func bytes(_ place: Int) -> [UInt8]? {
        guard let text = self[place] else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count / 2)
        var high: UInt8?
        for digit in text.utf8 {
            let value = digit <= UInt8(ascii: "9") ? digit - 0x30 : digit - 0x61 + 10
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return bytes
    }
}
