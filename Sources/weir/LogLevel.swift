import Logging
import Synchronization

/// The level of all log lines of the process, which may change while it runs: loggers are values
/// and keep their own.
final class LogLevel: Sendable {
    private let current: Mutex<Logger.Level>

    init(_ name: String) {
        current = Mutex(Logger.Level(rawValue: name) ?? .info)
    }

    var value: Logger.Level { current.withLock { $0 } }

    func set(_ name: String) {
        guard let level = Logger.Level(rawValue: name) else { return }
        current.withLock { $0 = level }
    }

    /// A logger for standard error that goes by this level, unless it is given a stricter one.
    func makeLogger(label: String) -> Logger {
        Logger(label: label) { Handler(shared: self, inner: .standardError(label: $0)) }
    }

    private struct Handler: LogHandler {
        let shared: LogLevel
        var inner: StreamLogHandler
        /// What this logger alone was given.
        private var own: Logger.Level?

        init(shared: LogLevel, inner: StreamLogHandler) {
            self.shared = shared
            self.inner = inner
            self.inner.logLevel = .trace
        }

        var logLevel: Logger.Level {
            get { max(own ?? .trace, shared.value) }
            set { own = newValue }
        }
        var metadata: Logger.Metadata {
            get { inner.metadata }
            set { inner.metadata = newValue }
        }
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { inner[metadataKey: key] }
            set { inner[metadataKey: key] = newValue }
        }
        func log(event: LogEvent) { inner.log(event: event) }
    }
}
