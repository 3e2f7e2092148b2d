@preconcurrency import Dispatch
import Synchronization
package import Weir
package import WeirCore

/// A writer whose every answer a test gives: what is asked of it comes out of `nextCall`, and it
/// waits on its own thread until the test has called the matching reply.
package actor ScriptedWriter: BatchWriter {
    package enum Call: Sendable {
        case connect
        case write(WriteBatch)
        case isAlive
        case mayDiffer
        case loadCatalog
        case lookUp([MessageKey.Identity])
        /// None: the test was cancelled while it waited.
        case over

        /// The batch, if this is one.
        package var batch: WriteBatch? {
            if case .write(let batch) = self { batch } else { nil }
        }
    }

    /// What the test says to a call.
    package enum Reply: Sendable {
        /// To `connect`.
        case connected
        /// To `connect`, `loadCatalog` and `lookUp`.
        case failed(String)
        /// To `write`.
        case report(BatchReport)
        /// To `isAlive`.
        case alive(Bool)
        /// To `loadCatalog`.
        case catalog(Catalog)
        /// To `mayDiffer`.
        case differs(Bool)
        /// To `lookUp`.
        case found([StoredMessage?])
    }

    private let executor: BlockingExecutor
    private let answersChecks: Bool
    private let answersLooks: Bool
    private nonisolated let script = Script()
    private nonisolated let inlineWrite = Mutex<(@Sendable (WriteBatch) -> BatchReport?)?>(nil)

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    /// - Parameters:
    ///   - answersChecks: says by itself that the connection stands, without a call.
    ///   - answersLooks: says by itself that the catalog is as it was.
    package init(_ number: Int = 0, answersChecks: Bool = true, answersLooks: Bool = true) {
        executor = BlockingExecutor(label: "scripted.\(number)")
        self.answersChecks = answersChecks
        self.answersLooks = answersLooks
    }

    // MARK: The test's side

    /// What the coordinator asks next; the writer waits for the reply.
    package nonisolated func nextCall() async -> Call { await script.nextCall() }

    /// Whether a call has come that the test has not taken.
    package nonisolated var hasCall: Bool { script.hasCall }

    package nonisolated func reply(_ reply: Reply) { script.reply(reply) }

    /// From now on whatever is asked fails: the test is over.
    package nonisolated func close() { script.close() }

    /// What is done when a thread that hands a batch over writes it itself; by default nothing.
    package nonisolated func whenInline(
        _ write: @escaping @Sendable (WriteBatch) -> BatchReport?
    ) {
        inlineWrite.withLock { $0 = write }
    }

    // MARK: BatchWriter

    package func connect() throws(ConnectFailure) {
        switch script.ask(.connect) {
        case .connected: return
        case .failed(let reason): throw ConnectFailure(reason)
        default: throw ConnectFailure("the script is over")
        }
    }

    package nonisolated func writeInline(
        _ batch: WriteBatch, within limit: Nanoseconds
    ) -> BatchReport? {
        inlineWrite.withLock { $0 }?(batch)
    }

    package func write(_ batch: WriteBatch) -> BatchReport {
        if case .report(let report) = script.ask(.write(batch)) { return report }
        var report = BatchReport(.unknown)
        report.isConnected = false
        return report
    }

    package func isAlive() -> Bool {
        if answersChecks { return true }
        if case .alive(let isAlive) = script.ask(.isAlive) { return isAlive }
        return false
    }

    package func mayDiffer(from known: Catalog) throws(ConnectFailure) -> Bool {
        if answersLooks { return false }
        switch script.ask(.mayDiffer) {
        case .differs(let differs): return differs
        case .failed(let reason): throw ConnectFailure(reason)
        default: throw ConnectFailure("the script is over")
        }
    }

    package func loadCatalog() throws(ConnectFailure) -> Catalog {
        switch script.ask(.loadCatalog) {
        case .catalog(let catalog): return catalog
        case .failed(let reason): throw ConnectFailure(reason)
        default: throw ConnectFailure("the script is over")
        }
    }

    package func lookUp(
        _ messages: [MessageKey.Identity]
    ) throws(ConnectFailure) -> [StoredMessage?] {
        switch script.ask(.lookUp(messages)) {
        case .found(let stored): return stored
        case .failed(let reason): throw ConnectFailure(reason)
        default: throw ConnectFailure("the script is over")
        }
    }

    package func disconnect() {}
}

/// Brings calls from the writer's thread to the test, and replies back.
private final class Script: Sendable {
    private struct State {
        var calls: [ScriptedWriter.Call] = []
        var waiter: CheckedContinuation<ScriptedWriter.Call, Never>?
        var replies: [ScriptedWriter.Reply] = []
        var isClosed = false
    }

    private let state = Mutex(State())
    private let replied = DispatchSemaphore(value: 0)

    func ask(_ call: ScriptedWriter.Call) -> ScriptedWriter.Reply? {
        let (isClosed, waiter) = state.withLock { state in
            defer { state.waiter = nil }
            if !state.isClosed && state.waiter == nil { state.calls.append(call) }
            return (state.isClosed, state.waiter)
        }
        guard !isClosed else { return nil }
        waiter?.resume(returning: call)
        replied.wait()
        return state.withLock { $0.replies.isEmpty ? nil : $0.replies.removeFirst() }
    }

    func nextCall() async -> ScriptedWriter.Call {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let call = state.withLock { state -> ScriptedWriter.Call? in
                    if !state.calls.isEmpty { return state.calls.removeFirst() }
                    if Task.isCancelled { return .over }
                    state.waiter = continuation
                    return nil
                }
                if let call { continuation.resume(returning: call) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume(returning: .over)
        }
    }

    var hasCall: Bool { state.withLock { !$0.calls.isEmpty } }

    func reply(_ reply: ScriptedWriter.Reply) {
        state.withLock { $0.replies.append(reply) }
        replied.signal()
    }

    func close() {
        state.withLock { $0.isClosed = true }
        replied.signal()
    }
}
