internal import CLibpq
import Weir
import WeirCore
import WeirRecord

/// A batch whose transaction leaves entries in the replay tables: the transaction, and what has to
/// be looked up when it meets an entry of another one.
struct RememberedWrite {
    let batch: WriteBatch
    let session: Session
    let ledger: ReplayLedger
    let configurationHash: String
    let deadline: Timestamp

    /// A message that is met here and not found there, or a generation that closes each time: more
    /// than bad luck, and for the batch's own retries.
    private static let roundMax = 3

    func run(_ cache: inout StatementCache, _ parameters: inout [ArrayParameter]) -> BatchReport {
        do {
            return try attempt(&cache, &parameters)
        } catch {
            // The question was lost: what could have been written was rolled back before.
            var report = BatchReport(.transient(.connectionLost))
            report.isConnected = false
            return report
        }
    }

    private func attempt(
        _ cache: inout StatementCache, _ parameters: inout [ArrayParameter]
    ) throws(Session.Failure) -> BatchReport {
        var decision = ReplayDecision(batch, entries: [:])
        var statementCount = 0
        if ledger.expectsRepetitions && batch.messages.contains(where: { $0 != nil }) {
            decision = try look()
            statementCount += 1
        }
        var last = BatchReport(.transient(.serialization))
        for _ in 0..<Self.roundMax {
            let remaining = decision.remaining
            // What is committed elsewhere needs no transaction here.
            guard !remaining.isEmpty else {
                last = decision.merged(BatchReport(.committed))
                break
            }
            let isWhole = remaining.count == batch.records.count
            let (report, refusal) = transact(
                isWhole ? batch : batch.keeping(remaining), &cache, &parameters)
            last = decision.merged(report)
            statementCount += report.statementCount
            // What a connection that is lost still has to say would be taken for something else.
            switch report.isConnected ? refusal : nil {
            case .messageMet:
                decision = try look()
                statementCount += 1
            case .generationClosed: try ledger.update(on: session, by: deadline)
            case .letterGone, .ordinary, .broken, nil:
                last.statementCount = statementCount
                return last
            }
        }
        last.statementCount = statementCount
        return last
    }

    private func transact(
        _ batch: WriteBatch, _ cache: inout StatementCache, _ parameters: inout [ArrayParameter]
    ) -> (BatchReport, ReplayLedger.Refusal?) {
        if batch.work == .deadLetter, let reason = batch.refusal {
            var transaction = DeadLetterTransaction(
                batch: batch, reason: reason, session: session, ledger: ledger,
                configurationHash: configurationHash, deadline: deadline)
            return (transaction.run(), transaction.refusal)
        }
        var transaction = BatchTransaction(
            batch, session: session, ledger: ledger, deadline: deadline)
        return (transaction.run(&cache, &parameters), transaction.refusal)
    }

    /// What is stored of the batch's messages, and what follows.
    private func look() throws(Session.Failure) -> ReplayDecision {
        let positions = batch.messagePositions
        let parameters = ledger.parameters
        try session.enterPipeline()
        var prepared: [ReplayLedger.Statement?] = [nil]
        try session.sendExecute("weir_begin", [])
        for statement in [ReplayLedger.Statement.byIndex, .look] {
            if !ledger.isPrepared(statement) {
                try session.sendPrepare(
                    ledger.name(statement), ledger.sql(statement), parameterOIDs: [])
                prepared.append(statement)
            }
            parameters.removeAll()
            if statement == .look { parameters.appendMessages(batch, positions) }
            try session.sendExecute(ledger.name(statement), parameters)
            prepared.append(nil)
        }
        try session.sendExecute("weir_commit", [])
        prepared.append(nil)
        try session.sendSync()
        try session.flush(by: deadline)
        var entries: [Int: ReplayEntry] = [:]
        for statement in prepared {
            guard let result = try session.nextResult(by: deadline) else {
                throw .lost("the server left out a result")
            }
            switch result.status {
            case PGRES_COMMAND_OK: if let statement { ledger.markPrepared(statement) }
            case PGRES_TUPLES_OK: try read(result, positions, into: &entries)
            default: throw .lost(result.error.message)
            }
            _ = try session.nextResult(by: deadline)
        }
        guard let end = try session.nextResult(by: deadline), end.status == PGRES_PIPELINE_SYNC
        else { throw .lost("the server did not end the pipeline") }
        try session.exitPipeline()
        ledger.noteLook(hasFound: !entries.isEmpty)
        return ReplayDecision(batch, entries: entries)
    }

    private func read(
        _ result: borrowing QueryResult, _ positions: [Int], into entries: inout [Int: ReplayEntry]
    ) throws(Session.Failure) {
        for row in 0..<result.rowCount {
            guard let first = FirstResult(result, row) else {
                throw .lost("an entry of the replay tables cannot be read")
            }
            let position = positions[result.integer(row, 0) - 1]
            // The entry of a letter that is sent again goes with the letter.
            if let letter = batch.records[position].redriven?.letter, first.deadLetter == letter {
                continue
            }
            entries[position] = ReplayEntry(isSame: result.text(row, 1) == "t", first: first)
        }
    }
}

extension FirstResult {
    /// From attempt, outcome, key and dead letter, which begin at the third column.
    init?(_ result: borrowing QueryResult, _ row: Int) {
        guard let attempt = result.text(row, 2).flatMap(UUID7.init(hexadecimal:)),
            let effect = RowEffect(stored: result.integer(row, 3))
        else { return nil }
        let key = result.text(row, 4).map { Array($0.utf8) }
        let deadLetter = result.text(row, 5).flatMap { Int64($0) }
        self.init(effect: effect, batchID: attempt, key: key, deadLetter: deadLetter)
    }
}

extension RowEffect {
    /// The number that stands for a dead letter in the replay tables.
    static let storedDeadLetter = 100

    /// As it stands in the replay tables.
    init?(stored: Int) {
        switch stored {
        case 0...4: self.init(rawValue: stored)
        case Self.storedDeadLetter: self = .deadLettered
        default: return nil
        }
    }
}

extension UUID7 {
    /// 32 hexadecimal digits, with hyphens or without.
    init?(hexadecimal text: String) {
        var words: (high: UInt64, low: UInt64) = (0, 0)
        var count = 0
        for byte in text.utf8 where byte != UInt8(ascii: "-") {
            guard let digit = hexDigitValue(byte) else { return nil }
            words.high = words.high << 4 | words.low >> 60
            words.low = words.low << 4 | UInt64(digit)
            count += 1
        }
        guard count == 32 else { return nil }
        self.init(high: words.high, low: words.low)
    }

    /// As PostgreSQL takes it.
    var hexadecimal: String {
        [high, low].map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}
