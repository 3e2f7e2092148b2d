package import Weir
import WeirCore
package import WeirRecord

// What a transaction leaves in the replay tables: its marker, and an entry for each message ID.
extension BatchTransaction {
    /// The marker, and the message IDs' entries: before anything is written, in every gateway, so
    /// that a transaction that waits for another one's message holds nothing that one could want.
    ///
    /// A message that has an entry fails the transaction on the server, and with it all that stands
    /// behind it in the pipeline: also in a transaction that was given up for lost and runs late.
    mutating func sendClaims() throws(Session.Failure) {
        guard let ledger, !isDryRun else { return }
        let parameters = ledger.parameters
        parameters.appendMarker(batch)
        try send(.marker, ledger)
        try sendReleases(ledger)
        let positions = batch.messagePositions
        guard !positions.isEmpty else { return }
        parameters.removeAll()
        parameters.append(batch.id)
        parameters.appendMessages(batch, positions)
        parameters.appendArray(TypeOID.int2, positions) { buffer, position in
            buffer.appendElement(Int16(RowEffect.implied(by: batch.records[position]).rawValue))
        }
        parameters.appendOrigins(batch, positions)
        parameters.append(ledger.generation.number)
        // Hardly any batch has such keys.
        let keys = positions.map { batch.records[$0].mintedKey }
        guard keys.contains(where: { $0 != nil }) else { return try send(.gate, ledger) }
        parameters.appendArray(TypeOID.text, keys) { $0.appendElement($1) }
        try send(.gateWithKeys, ledger)
    }

    /// Takes dead letters that are sent again out of their table, and their messages' entries,
    /// which the gate then makes anew: all of it with the records' effects, or none of it.
    private mutating func sendReleases(_ ledger: ReplayLedger) throws(Session.Failure) {
        guard hasRedriven else { return }
        let parameters = ledger.parameters
        parameters.removeAll()
        try send(.byIndex, ledger)
        // In the order of their numbers, so that two gateways do not wait for each other.
        let letters = batch.records.enumerated().compactMap { position, record in
            record.redriven.map { (position: position, letter: $0) }
        }.sorted { $0.letter.letter < $1.letter.letter }
        for (position, redriven) in letters {
            parameters.removeAll()
            parameters.append(redriven.letter)
            parameters.append(redriven.edits)
            if let message = batch.messages.isEmpty ? nil : batch.messages[position] {
                parameters.append(message.identity)
            } else {
                parameters.append(nil as String?)
            }
            try send(.release, ledger, position: position)
        }
    }

    var hasRedriven: Bool { batch.records.contains { $0.redriven != nil } }

    private mutating func send(
        _ statement: ReplayLedger.Statement, _ ledger: ReplayLedger, position: Int? = nil
    ) throws(Session.Failure) {
        if !ledger.isPrepared(statement), !preparingLedger.contains(statement) {
            try session.sendPrepare(
                ledger.name(statement), ledger.sql(statement), parameterOIDs: [])
            expected.append(.prepareLedger(statement))
            preparingLedger.insert(statement)
        }
        try session.sendExecute(ledger.name(statement), ledger.parameters)
        expected.append(.ledger(statement, position: position))
    }

    /// Whether results have to be known before COMMIT is sent: a message's are stored with it, and
    /// what may have met no row must not be told otherwise if COMMIT is never answered.
    var resultsAreKept: Bool {
        guard ledger != nil else { return false }
        if hasRedriven { return true }
        let hasMessages = !batch.messages.isEmpty
        return plan.steps.contains { step in
            switch step.shape.kind {
            case .insert: hasMessages && step.shape.returnsKeys(of: step.table)
            case .upsert where step.shape.versionColumn != nil: true
            case .upsert: hasMessages || batch.records[step.positions[0]].lackedColumn != nil
            case .insertIgnoring, .patch, .delete: true
            }
        }
    }

    /// What the gate stored for want of knowing better is put right. A message that met no row is
    /// forgotten: its record was not applied.
    mutating func sendCorrections() throws(Session.Failure) {
        guard let ledger, !batch.messages.isEmpty, !isDryRun else { return }
        var changed: [Int] = []
        var withdrawn: [Int] = []
        for position in batch.messagePositions {
            let result = results[position]
            if result.effect == .notFound {
                withdrawn.append(position)
            } else if result.key != nil || result.effect != .implied(by: batch.records[position]) {
                changed.append(position)
            }
        }
        guard !changed.isEmpty || !withdrawn.isEmpty else { return }
        let parameters = ledger.parameters
        parameters.removeAll()
        try send(.byIndex, ledger)
        if !changed.isEmpty {
            parameters.appendIdentities(batch, changed)
            parameters.appendArray(TypeOID.int2, changed) { buffer, position in
                buffer.appendElement(Int16(results[position].effect.rawValue))
            }
            parameters.appendArray(TypeOID.text, changed) { buffer, position in
                buffer.appendElement(results[position].key ?? batch.records[position].mintedKey)
            }
            try send(.results, ledger)
        }
        if !withdrawn.isEmpty {
            parameters.removeAll()
            parameters.appendIdentities(batch, withdrawn)
            try send(.withdraw, ledger)
        }
    }

    func ledgerStatement(_ expectation: Expectation) -> ReplayLedger.Statement? {
        switch expectation {
        case .prepareLedger(let statement), .ledger(let statement, _): statement
        default: nil
        }
    }

    /// What it means that a statement for the replay tables failed: never that a record is at
    /// fault.
    var refusal: ReplayLedger.Refusal? {
        guard let trouble, let statement = trouble.statement else { return nil }
        return ReplayLedger.refusal(of: statement, trouble.error)
    }

    func classifiedByLedger(_ trouble: Trouble) -> BatchReport? {
        guard let refusal else { return nil }
        var report = BatchReport(.transient(.other))
        switch refusal {
        case .messageMet, .generationClosed: break
        case .ordinary:
            guard case .transient(let reason) = ErrorClass(trouble.error) else { break }
            report.outcome = .transient(reason)
            report.isConnected = reason != .connectionLost
        case .letterGone:
            report.outcome = .recordError(culprit: trouble.suspect)
            report.suspect = trouble.suspect
            report.error = DatabaseError(
                code: .notFound, sqlstate: "02000",
                message: "the dead letter was redriven, edited or discarded meanwhile")
            return report
        case .broken:
            // The next connection says what is wrong with the tables.
            report.outcome = .transient(.connectionLost)
            report.isConnected = false
        }
        report.error = DatabaseError(
            code: .retriesExhausted, sqlstate: trouble.error.sqlstate,
            message: trouble.error.message)
        return report
    }
}

extension RowEffect {
    /// What a record comes to as a rule: what its message's entry says before anything else is
    /// known, and what its caller is told when COMMIT was not answered and turns out to have
    /// taken effect.
    package static func implied(by record: Record) -> RowEffect {
        switch WriteStatement.Kind(record) {
        case .insert, .insertIgnoring: .inserted
        case .upsert, .patch: .updated
        case .delete: .deleted
        }
    }
}

extension WriteBatch {
    /// Positions of the records that carry a message ID, in the order of the IDs: all gateways
    /// claim them in one order, so that none waits for another in a circle.
    package var messagePositions: [Int] {
        let claims = messages.enumerated().compactMap { position, message in
            message.map { (identity: $0.identity, position: position) }
        }
        return claims.sorted {
            let (left, right) = ($0.identity, $1.identity)
            return left.high != right.high ? left.high < right.high : left.low < right.low
        }.map(\.position)
    }
}

extension ParameterList {
    func appendMarker(_ batch: WriteBatch) {
        removeAll()
        append(batch.id)
        append(Int32(clamping: batch.attempt))
        append(Int32(clamping: batch.records.count))
    }

    func appendIdentities(_ batch: WriteBatch, _ positions: [Int]) {
        appendArray(TypeOID.uuid, positions) { buffer, position in
            if let message = batch.messages[position] { buffer.appendElement(message.identity) }
        }
    }

    /// Requests and traces that the records came with.
    func appendOrigins(_ batch: WriteBatch, _ positions: [Int]) {
        appendOrigins(batch, positions) { $0.requestID }
        appendOrigins(batch, positions) { $0.traceID }
    }

    private func appendOrigins(
        _ batch: WriteBatch, _ positions: [Int], _ text: (RecordOrigin) -> String?
    ) {
        // Records of one request share its origin.
        var last: RecordOrigin?
        var bytes: [UInt8]?
        appendArray(TypeOID.text, positions) { buffer, position in
            let origin = batch.records[position].origin
            if origin !== last {
                last = origin
                bytes = origin.flatMap(text).map { Array($0.utf8) }
            }
            buffer.appendElement(bytes)
        }
    }

    /// IDs and fingerprints.
    func appendMessages(_ batch: WriteBatch, _ positions: [Int]) {
        appendIdentities(batch, positions)
        appendArray(TypeOID.int8, positions) { buffer, position in
            if let message = batch.messages[position] {
                buffer.appendElement(Int64(bitPattern: message.fingerprint))
            }
        }
    }
}
