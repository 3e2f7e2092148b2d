import Weir
import WeirCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Tells on standard error how far something is: on a terminal in one line, else every five seconds
/// and whenever the word before the first colon changes.
struct StatusLine: Sendable {
    private let isQuiet: Bool
    private let isTerminal: Bool

    init(isQuiet: Bool) {
        self.isQuiet = isQuiet
        isTerminal = isatty(STDERR_FILENO) == 1
    }

    /// Runs `body`, telling meanwhile.
    ///
    /// - Parameter words: `nil` while there is nothing to tell.
    func during<State: Sendable, Value: Sendable>(
        from state: State, _ words: @escaping @Sendable (inout State) -> String?,
        do body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        if isQuiet { return try await body() }
        return try await withThrowingTaskGroup(of: Value?.self) { tasks in
            tasks.addTask { try await body() }
            tasks.addTask {
                await tell(state, words)
                return nil
            }
            defer { tasks.cancelAll() }
            while let value = try await tasks.next() {
                if let value {
                    if isTerminal { put("\r\u{1B}[K") }
                    return value
                }
            }
            preconditionFailure("the body ends with a value or throws")
        }
    }

    private func tell<State: Sendable>(
        _ state: State, _ words: @Sendable (inout State) -> String?
    ) async {
        var state = state
        var last = (topic: "", time: SystemTime().now)
        while (try? await Task.sleep(for: .milliseconds(isTerminal ? 500 : 100))) != nil {
            guard let words = words(&state) else { continue }
            if isTerminal {
                put("\r\u{1B}[K\(words)")
                continue
            }
            let topic = String(words.prefix { $0 != ":" })
            let now = SystemTime().now
            guard topic != last.topic || now - last.time >= .seconds(5) else { continue }
            last = (topic, now)
            put("weir: \(words)\n")
        }
    }

    private func put(_ text: String) {
        let bytes = Array(text.utf8)
        _ = systemWrite(STDERR_FILENO, bytes, bytes.count)
    }
}
