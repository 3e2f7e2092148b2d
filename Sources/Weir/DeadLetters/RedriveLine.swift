package import WeirRecord

/// What became of one dead letter that was sent again.
package struct RedriveLine: Sendable, Equatable {
    package enum Result: String, CaseIterable, Sendable {
        /// It took effect, and the letter is gone.
        case redriven
        /// In a dry run: it would take effect now.
        case passes
        /// It was refused; the letter is still there.
        case failed
        /// An earlier letter of its key was refused; it was not sent.
        case blocked
        /// Whether it took effect is being found out; if it did, the letter is gone.
        case unknown
    }

    package var letter: Int64
    package var table: String
    package var result: Result
    /// What it did to its row.
    package var effect: String?
    /// A JSON object.
    package var key: [UInt8]?
    package var failure: Failure?

    private init(_ letter: DeadLetter, _ result: Result) {
        self.letter = letter.number
        table = letter.table
        self.result = result
    }

    init(_ letter: DeadLetter, _ failure: Failure) {
        self.init(letter, failure.code == .outcomeUnknown ? .unknown : .failed)
        self.failure = failure
    }

    init(blocked letter: DeadLetter) {
        self.init(
            letter,
            Failure(
                .orderBlocked, "an earlier dead letter of the same key was refused; not sent",
                table: letter.table))
        result = .blocked
    }

    init(_ letter: DeadLetter, _ fate: Fate, _ record: Record, _ isDryRun: Bool) {
        switch fate {
        case .stored(let stored, _) where stored.effect == .replayed:
            self.init(
                letter,
                Failure(
                    .messageIDReused,
                    "the message has committed by itself since; discard this letter",
                    table: letter.table))
        case .stored(let stored, _):
            self.init(letter, isDryRun ? .passes : .redriven)
            effect = stored.effect.name
            key = stored.key
            if key == nil, record.hasKey {
                var json: [UInt8] = []
                record.appendKeyJSON(to: &json)
                key = json
            }
        case .failed(let failure):
            self.init(letter, failure)
        }
    }

    /// Nothing is left to be done with the letter.
    var isDone: Bool { result == .redriven || result == .passes }

    /// What is written down of it: what the database, or the gateway, holds against the record. A
    /// letter that is gone, or that could not be sent, has met nothing.
    var note: RedriveNote? {
        guard result == .failed, let failure, !failure.code.isRetryable,
            failure.code != .notFound
        else { return nil }
        return RedriveNote(letter: letter, code: failure.code.rawValue, reason: failure.detail)
    }

    package func appendJSON(to json: inout [UInt8]) {
        json += "{\"id\":\(letter)".utf8
        json.appendMember("result", result.rawValue)
        json.appendMember("effect", effect)
        json.appendMember("table", table)
        json.appendMember("key", json: key)
        if let failure {
            json += ",\"error\":".utf8
            failure.append(to: &json)
        }
        json += "}".utf8
    }
}

/// What became of all of them.
package struct RedriveSummary: Sendable, Equatable {
    package var isDryRun: Bool
    package private(set) var total = 0
    package private(set) var counts = Array(repeating: 0, count: RedriveLine.Result.allCases.count)
    /// Why it ended before its time: what stopped one would stop all.
    package private(set) var stopped: ProblemCode?

    init(isDryRun: Bool) { self.isDryRun = isDryRun }

    package func count(of result: RedriveLine.Result) -> Int {
        RedriveLine.Result.allCases.firstIndex(of: result).map { counts[$0] } ?? 0
    }

    mutating func count(_ line: RedriveLine) {
        total += 1
        if let place = RedriveLine.Result.allCases.firstIndex(of: line.result) {
            counts[place] += 1
        }
        guard line.result == .failed, let code = line.failure?.code, code.isRetryable else {
            return
        }
        stopped = stopped ?? code
    }

    /// Nothing was refused, and nothing left over.
    package var isComplete: Bool {
        stopped == nil && count(of: .redriven) + count(of: .passes) == total
    }

    package func appendJSON(to json: inout [UInt8]) {
        json += "{\"summary\":{\"dry_run\":\(isDryRun),\"total\":\(total)".utf8
        for (result, count) in zip(RedriveLine.Result.allCases, counts) where count > 0 {
            json += ",\"\(result.rawValue)\":\(count)".utf8
        }
        json.appendMember("stopped", stopped?.rawValue)
        json += "}}".utf8
    }
}
