import Synchronization
package import WeirCore
import WeirRecord

/// What is remembered of a message that cannot be admitted as a record.
package enum Recollection: Sendable {
    /// It has not committed, as far as anybody remembers.
    case nothing
    /// With the result `replayed`.
    case committed(RowResult)
    /// It became a dead letter, was sent with another payload, or cannot be told.
    case failed(Failure)
}

// Messages that committed before, and whose records the table would refuse now.
extension Coordinator {
    /// Tells what became of messages: from memory, else from the database.
    ///
    /// - Parameter resume: called on any thread, once, with an answer for each, in their order.
    package func recall(
        _ messages: [MessageKey], by deadline: Timestamp,
        _ resume: @escaping @Sendable ([Recollection]) -> Void
    ) {
        let gathering = Gathering(count: messages.count, resume)
        act(time.now) { state, actions in
            for (index, message) in messages.enumerated() {
                if let found = state.recall(message) {
                    state.metrics.count(recalled: found)
                    if case .committed = found { state.metrics.countReplay() }
                    actions.told.append { gathering.take(found, at: index) }
                    continue
                }
                let waiter = LookUps.Waiter(identity: message.identity, deadline: deadline) {
                    let found = Recollection($0, of: message)
                    self.state.withLock { $0.metrics.count(recalled: found) }
                    gathering.take(found, at: index)
                }
                if !state.lookUps.add(waiter) {
                    let failure = Failure(.overloaded(retryAfter: .seconds(1)), table: "")
                    actions.told.append { waiter.resume(.failure(failure)) }
                }
            }
            return .none
        }
    }

    /// Answers to several questions, which come one by one and from any thread.
    private final class Gathering: Sendable {
        private let found: Mutex<(answers: [Recollection], missing: Int)>
        private let resume: @Sendable ([Recollection]) -> Void

        init(count: Int, _ resume: @escaping @Sendable ([Recollection]) -> Void) {
            found = Mutex((Array(repeating: .nothing, count: count), count))
            self.resume = resume
        }

        func take(_ answer: Recollection, at index: Int) {
            let all: [Recollection]? = found.withLock { found in
                found.answers[index] = answer
                found.missing -= 1
                return found.missing == 0 ? found.answers : nil
            }
            if let all { resume(all) }
        }
    }
}

extension Coordinator.State {
    /// What is known of the message here.
    fileprivate func recall(_ message: MessageKey) -> Recollection? {
        switch window.match(message) {
        case .same(let first): return Recollection(first)
        case .reused: return .failed(Failure(.messageIDReused, table: ""))
        case .none: break
        }
        guard machine.standing(of: message.identity) != nil else { return nil }
        var failure = Failure(.outcomeUnknown, table: "")
        failure.detail = "the same message is on its way; send it again to hear what became of it"
        failure.retryAfter = .seconds(1)
        return .failed(failure)
    }
}

extension Recollection {
    init(_ first: FirstResult) {
        let result = RowResult(
            .replayed, key: first.key, first: first, deadLetter: first.deadLetter)
        self =
            first.effect == .deadLettered
            ? .failed(Failure(deadLetter: result, nil, table: "")) : .committed(result)
    }

    init(_ answer: Result<StoredMessage?, Failure>, of message: MessageKey) {
        switch answer {
        case .failure(let failure): self = .failed(failure)
        case .success(nil): self = .nothing
        case .success(let stored?) where stored.fingerprint == message.fingerprint:
            self.init(stored.first)
        case .success: self = .failed(Failure(.messageIDReused, table: ""))
        }
    }
}
