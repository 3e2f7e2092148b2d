internal import CLibpq
import Weir
import WeirCore
import WeirRecord

/// Keeps records that the database refused: each with its bytes and what was said of it, and in the
/// same transaction an entry for its message ID, so that a repetition gets the same answer.
struct DeadLetterTransaction {
    let batch: WriteBatch
    let reason: DatabaseError
    let session: Session
    let ledger: ReplayLedger
    /// Names the configuration under which the records were refused.
    let configurationHash: String
    let deadline: Timestamp

    /// What the server owes.
    private enum Expectation {
        case begin
        case prepare(ReplayLedger.Statement)
        case marker
        case letter(ReplayLedger.Statement, position: Int)
        case commit
    }

    /// The table holds so much of a reason (migrations/0002_dead_letter.sql).
    private static let reasonByteCountMax = 1_024

    private var expected: [Expectation] = []
    private var results: [RowResult]
    private var isCommitSent = false
    private var trouble: (error: ServerError, at: Expectation)?

    init(
        batch: WriteBatch, reason: DatabaseError, session: Session, ledger: ReplayLedger,
        configurationHash: String, deadline: Timestamp
    ) {
        self.batch = batch
        self.reason = reason
        self.session = session
        self.ledger = ledger
        self.configurationHash = configurationHash
        self.deadline = deadline
        results = Array(repeating: RowResult(.deadLettered), count: batch.records.count)
    }

    /// What it means, beyond the report, that a statement for the replay tables failed.
    private(set) var refusal: ReplayLedger.Refusal?

    mutating func run() -> BatchReport {
        if let lost = batch.records.firstIndex(where: { $0.source == nil }) {
            // Nothing is kept that could not be sent again.
            var report = BatchReport(.recordError(culprit: lost))
            report.error = reason
            return report
        }
        var report: BatchReport
        do {
            report = try attempt()
        } catch {
            report = BatchReport(isCommitSent ? .unknown : .transient(.connectionLost))
            if isCommitSent { report.unresolved = Unresolved(id: batch.id, results: results) }
            report.isConnected = false
        }
        report.statementCount = batch.records.count
        return report
    }

    private mutating func attempt() throws(Session.Failure) -> BatchReport {
        try session.enterPipeline()
        try session.sendExecute("weir_begin", [])
        expected.append(.begin)
        let parameters = ledger.parameters
        parameters.appendMarker(batch)
        try send(.marker, .marker)
        for (position, record) in batch.records.enumerated() {
            let message = batch.messages.isEmpty ? nil : batch.messages[position]
            append(record, message, to: parameters)
            let statement: ReplayLedger.Statement = message == nil ? .letter : .remembered
            if message != nil { parameters.append(ledger.generation.number) }
            try send(statement, .letter(statement, position: position))
        }
        // The letters' numbers are known before COMMIT is sent: callers are told them.
        try session.sendFlushRequest()
        try session.flush(by: deadline)
        try readExpected()
        if trouble == nil {
            isCommitSent = true
            try session.sendExecute("weir_commit", [])
            expected.append(.commit)
        }
        try session.sendSync()
        try session.flush(by: deadline)
        try readExpected()
        guard let end = try session.nextResult(by: deadline), end.status == PGRES_PIPELINE_SYNC
        else { throw .lost("the server did not end the pipeline") }
        try session.exitPipeline()
        guard let trouble else {
            var report = BatchReport(.committed)
            report.results = results
            return report
        }
        try session.query("ROLLBACK", by: deadline)
        return classified(trouble.error, trouble.at)
    }

    private mutating func send(
        _ statement: ReplayLedger.Statement, _ expectation: Expectation
    ) throws(Session.Failure) {
        if !ledger.isPrepared(statement) {
            try session.sendPrepare(
                ledger.name(statement), ledger.sql(statement), parameterOIDs: [])
            expected.append(.prepare(statement))
        }
        try session.sendExecute(ledger.name(statement), ledger.parameters)
        expected.append(expectation)
    }

    // MARK: The letter

    /// In the order of `ReplayLedger.Statement.letter`'s parameters.
    private func append(_ record: Record, _ message: MessageKey?, to parameters: ParameterList) {
        parameters.removeAll()
        let table = record.table.publicName
        parameters.append(Int64(bitPattern: fingerprint(table)))
        parameters.append(batch.id)
        parameters.append(Int32(clamping: batch.attempt))
        parameters.append(table)
        parameters.append(record.options.operation.rawValue)
        if let message {
            parameters.append(message.identity)
        } else {
            parameters.append(nil as String?)
        }
        parameters.append(record.messageID)
        parameters.append(record.orderKey)
        var key: [UInt8]?
        if record.hasKey {
            var json: [UInt8] = []
            record.appendKeyJSON(to: &json)
            key = json
        }
        parameters.append(key)
        parameters.append(record.source?.mediaType)
        parameters.append(reason.sqlstate.isEmpty ? nil : reason.sqlstate)
        parameters.append(reason.constraint)
        parameters.append(reason.column)
        parameters.append(reason.code.rawValue)
        parameters.append(Self.cut(reason.message))
        parameters.append(record.source?.bytes)
        parameters.append(record.origin?.requestID)
        parameters.append(record.origin?.traceID)
        parameters.append(ledger.origin.instance)
        parameters.append(ledger.origin.version)
        parameters.append(configurationHash)
        let options = record.options
        parameters.append(options.isConflictRuleSaid ? options.onConflict.rawValue : nil)
        let version = options.isVersionColumnSaid ? options.versionColumn : nil
        parameters.append(version.map { record.table.columns[$0].name })
        if let message {
            parameters.append(Int64(bitPattern: message.fingerprint))
        } else {
            parameters.append(nil as String?)
        }
    }

    /// Of what all letters of a group share.
    private func fingerprint(_ table: String) -> UInt64 {
        var hash = StableHash()
        for part in [
            table, reason.sqlstate, reason.constraint ?? "", reason.column ?? "",
            reason.code.rawValue,
        ] {
            hash.add(part)
            // In no text of PostgreSQL's.
            hash.add(0)
        }
        return hash.value
    }

    /// At a character's end.
    static func cut(_ text: String) -> String {
        guard text.utf8.count > reasonByteCountMax else { return text }
        var result = ""
        var count = 0
        for scalar in text.unicodeScalars {
            count += scalar.utf8.count
            if count > reasonByteCountMax { break }
            result.unicodeScalars.append(scalar)
        }
        return result
    }

    // MARK: Reading

    private mutating func readExpected() throws(Session.Failure) {
        for expectation in expected {
            guard let result = try session.nextResult(by: deadline) else {
                throw .lost("the server left out a result")
            }
            switch result.status {
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK: try read(result, expectation)
            case PGRES_PIPELINE_ABORTED: break
            default:
                let error = result.error
                if trouble == nil { trouble = (error, expectation) }
                if error.isFatal || session.isBad { throw .lost(error.message) }
            }
            _ = try session.nextResult(by: deadline)
        }
        expected = []
    }

    private mutating func read(
        _ result: borrowing QueryResult, _ expectation: Expectation
    ) throws(Session.Failure) {
        switch expectation {
        case .begin, .marker: break
        case .prepare(let statement): ledger.markPrepared(statement)
        case .letter(_, let position):
            guard result.rowCount == 1, let number = result.text(0, 0).flatMap({ Int64($0) }) else {
                throw .lost("a dead letter has no number")
            }
            results[position] = RowResult(.deadLettered, deadLetter: number)
        case .commit:
            if result.commandTag != "COMMIT" {
                trouble = (
                    ServerError(
                        sqlstate: "40000", severity: "ERROR",
                        message: "the transaction ended with \(result.commandTag)"), expectation
                )
            }
        }
    }

    private mutating func classified(
        _ error: ServerError, _ expectation: Expectation
    ) -> BatchReport {
        let statement: ReplayLedger.Statement
        switch expectation {
        case .letter(let letter, _), .prepare(let letter): statement = letter
        case .begin, .marker, .commit: statement = .marker
        }
        let refusal = ReplayLedger.refusal(of: statement, error)
        self.refusal = refusal
        var report = BatchReport(.transient(.other))
        report.error = DatabaseError(error)
        switch (refusal, ErrorClass(error)) {
        case (.ordinary, .transient(let reason)):
            report.outcome = .transient(reason)
            report.isConnected = reason != .connectionLost
        case (.broken, .record), (.broken, .table):
            // The letter was refused as well: its record is told what it would have been told
            // without one.
            report.outcome = .recordError(culprit: nil)
            report.error = reason
        case (.broken, _):
            report.isConnected = false
        default: break
        }
        return report
    }
}
