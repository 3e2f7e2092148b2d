package import WeirCore
package import WeirRecord

/// What is known of one message: `GET /v1/messages/{id}`.
package struct MessageHistory: Equatable, Sendable {
    package enum State: String, Sendable {
        case queued
        case inBatch = "in_batch"
        /// Between attempts; certainly not written so far.
        case resting
        /// COMMIT was not answered; whether it took effect is being found out.
        case unresolved
        case settled
    }

    package enum Outcome: Equatable, Sendable {
        case stored(RowEffect)
        /// With its number, where that is known.
        case deadLettered(Int64?)
        case failed(ProblemCode, sqlstate: String?)
        /// Its caller left before the record was sent; it was not written.
        case abandoned
        /// COMMIT was sent and never answered.
        case unknown(isResolving: Bool)
    }

    package var state: State
    /// Milliseconds since 1970, here and below; `nil` where the database is all that knows of it.
    package var receivedAt: UInt64?
    package var table: String?
    package var batchID: UUID7?
    package var batchedAt: UInt64?
    package var attempts: Int?
    /// Why there was more than one attempt.
    package var lastReason: TransientReason?
    package var outcome: Outcome?
    /// The key that was made for it, as a JSON object, where that is known.
    package var key: [UInt8]?
    package var endedAt: UInt64?
    package var requestID: String?
    package var traceID: String?
    package var instance: String?
    package var version: String?
    /// Told by the database, not from memory.
    package var isStored = false

    package init(_ state: State) {
        self.state = state
    }

    /// The message has taken effect: nothing can say otherwise later.
    package var isFinal: Bool {
        if case .stored = outcome { true } else { false }
    }
}

/// What the database remembers of a message that committed.
package struct StoredMessage: Equatable, Sendable {
    package var first: FirstResult
    /// What the message said: `Fingerprint`.
    package var fingerprint: UInt64?
    /// Milliseconds since 1970; `nil` where the attempt's own row is gone.
    package var committedAt: UInt64?
    package var attempt: Int?
    package var requestID: String?
    package var traceID: String?
    package var instance: String?
    package var version: String?

    package init(_ first: FirstResult) {
        self.first = first
    }
}

extension MessageHistory {
    package init(_ stored: StoredMessage) {
        self.init(.settled)
        let first = stored.first
        outcome =
            first.effect == .deadLettered
            ? .deadLettered(first.deadLetter) : .stored(first.effect)
        key = first.key
        batchID = first.batchID
        batchedAt = first.batchID.unixMilliseconds
        endedAt = stored.committedAt
        attempts = stored.attempt
        requestID = stored.requestID
        traceID = stored.traceID
        instance = stored.instance
        version = stored.version
        isStored = true
    }

    /// Appends it as a JSON object.
    ///
    /// - Parameter id: as the caller spelt it.
    package func appendJSON(id: String, to json: inout [UInt8]) {
        json += "{\"id\":".utf8
        appendJSONString(id, to: &json)
        json += ",\"state\":\"\(state.rawValue)\"".utf8
        append("table", table, to: &json)
        if let receivedAt {
            json += ",\"received\":{\"at\":\"".utf8
            CivilTime.appendText(unixMilliseconds: receivedAt, to: &json)
            json += "\"}".utf8
        }
        if let batchID {
            json += ",\"batched\":{".utf8
            if let batchedAt {
                json += "\"at\":\"".utf8
                CivilTime.appendText(unixMilliseconds: batchedAt, to: &json)
                json += "\",".utf8
            }
            json += "\"batch\":\"\(batchID.typeID("bat"))\"}".utf8
        }
        if let attempts {
            json += ",\"attempts\":{\"count\":\(attempts)".utf8
            append("last_reason", lastReason?.rawValue, to: &json)
            json += "}".utf8
        }
        if let outcome { append(outcome, to: &json) }
        append("request", requestID, to: &json)
        append("trace", traceID, to: &json)
        append("instance", instance, to: &json)
        append("version", version, to: &json)
        json += ",\"source\":\"\(isStored ? "database" : "memory")\"}".utf8
    }

    private func append(_ outcome: Outcome, to json: inout [UInt8]) {
        json += ",\"outcome\":{\"result\":\"".utf8
        switch outcome {
        case .stored(let effect):
            json += "\(effect.name)\"".utf8
        case .deadLettered(let number):
            json += "\(RowEffect.deadLettered.name)\"".utf8
            if let number { json += ",\"dead_letter\":\(number)".utf8 }
        case .failed(let code, let sqlstate):
            json += "\(Failure(code, "").resultName)\",\"code\":\"\(code.rawValue)\"".utf8
            append("sqlstate", sqlstate, to: &json)
            json += ",\"written\":\"no\"".utf8
        case .abandoned:
            json += "abandoned\",\"written\":\"no\"".utf8
        case .unknown(let isResolving):
            json += "unknown\",\"resolving\":\(isResolving)".utf8
        }
        if let key {
            json += ",\"key\":".utf8
            json += key
        }
        if let endedAt, outcome != .unknown(isResolving: true) {
            json += ",\"at\":\"".utf8
            CivilTime.appendText(unixMilliseconds: endedAt, to: &json)
            json += "\"".utf8
        }
        json += "}".utf8
    }

    private func append(_ name: String, _ value: String?, to json: inout [UInt8]) {
        guard let value, !value.isEmpty else { return }
        json += ",\"\(name)\":".utf8
        appendJSONString(value, to: &json)
    }
}
