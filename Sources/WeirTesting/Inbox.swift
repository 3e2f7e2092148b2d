import Synchronization
package import Weir
import WeirCore
import WeirRecord

/// A caller with a mailbox of its own. Each delivery comes out of `next` as it was made, one short
/// line for each answer: the record's number and what became of it.
package final class Inbox: Waiter, Mailbox {
    private struct State {
        var deliveries: [[Answer]] = []
        var waiter: CheckedContinuation<[Answer], Never>?
    }

    private let state = Mutex(State())

    package init() {}

    package var mailbox: any Mailbox { self }

    package func deliver(_ answers: [Answer]) {
        let waiter = state.withLock { state in
            defer { state.waiter = nil }
            if state.waiter == nil { state.deliveries.append(answers) }
            return state.waiter
        }
        waiter?.resume(returning: answers)
    }

    /// The answers of the next delivery; none when the test is cancelled while it waits.
    package func nextAnswers() async -> [Answer] {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answers = state.withLock { state -> [Answer]? in
                    if !state.deliveries.isEmpty { return state.deliveries.removeFirst() }
                    if Task.isCancelled { return [] }
                    state.waiter = continuation
                    return nil
                }
                if let answers { continuation.resume(returning: answers) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume(returning: [])
        }
    }

    /// The next delivery, in words.
    package func next() async -> [String] { await nextAnswers().flatMap(\.words) }

    /// What has been delivered and nobody has asked for, in words; it is gone then.
    package func take() -> [String] {
        state.withLock { state in
            defer { state.deliveries = [] }
            return state.deliveries.flatMap { $0.flatMap(\.words) }
        }
    }

    /// Deliveries that nobody has asked for.
    package var unread: [[String]] { state.withLock { $0.deliveries.map { $0.flatMap(\.words) } } }
}

extension Answer {
    /// `3 inserted`, `4 unique-violation`.
    package var words: [String] {
        var words: [String] = []
        forEach { index, _, fate in
            switch fate {
            case .stored(let result, _): words.append("\(index) \(result.effect.name)")
            case .failed(let failure): words.append("\(index) \(failure.code.rawValue)")
            }
        }
        return words
    }
}
