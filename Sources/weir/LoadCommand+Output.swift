import ArgumentParser
@preconcurrency import Dispatch
import Synchronization
import Weir
import WeirCore
import WeirLoad

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

// What a run shows while it goes on, and where its results go.
extension LoadCommand {
    /// Where results go, besides the page on standard output.
    struct Outputs {
        var json: String?
        var csv: String?
        var hgrm: String?
        var html: String?

        /// Before the run: a result that cannot be written would have been measured in vain.
        func check() throws {
            let csvPath = csv.map { $0 + "_stats.csv" }
            for path in [json, csvPath, hgrm, html].compactMap({ $0 }) where path != "-" {
                let isThere = access(path, F_OK) == 0
                let file = open(path, O_WRONLY | O_CREAT, 0o644)
                guard file >= 0 else {
                    complain("\(path) cannot be written: \(String(cString: strerror(errno)))")
                    throw ExitCode.configuration
                }
                close(file)
                if !isThere { unlink(path) }
            }
        }

        /// - Throws: exit code 1 when one cannot be written; all others are.
        func write(_ report: RunReport) throws {
            let isTerminal = isatty(STDOUT_FILENO) == 1
            let refusesColour = getenv("NO_COLOR").map { $0.pointee != 0 } ?? false
            let page = TextReport.text(report, isColoured: isTerminal && !refusesColour)
            var isWhole = true
            if json == "-" {
                isWhole = put(JSONReport.text(report), on: STDOUT_FILENO, "standard output")
            } else {
                isWhole = put(page, on: STDOUT_FILENO, "standard output")
                if let json { isWhole = write(JSONReport.text(report), to: json) && isWhole }
            }
            if let csv {
                for (name, text) in [
                    ("stats", CSVReport.stats(report)), ("history", CSVReport.history(report)),
                    ("errors", CSVReport.errors(report)),
                ] {
                    isWhole = write(text, to: "\(csv)_\(name).csv") && isWhole
                }
            }
            if let hgrm { isWhole = write(CSVReport.distributions(report), to: hgrm) && isWhole }
            if let html { isWhole = write(HTMLReport.text(report), to: html) && isWhole }
            if !isWhole { throw ExitCode.failure }
        }

        private func write(_ text: String, to path: String) -> Bool {
            let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
            guard file >= 0 else {
                complain("\(path) cannot be written: \(String(cString: strerror(errno)))")
                return false
            }
            let isWhole = put(text, on: file, path)
            guard close(file) == 0 else {
                complain("\(path) cannot be written: \(String(cString: strerror(errno)))")
                return false
            }
            return isWhole
        }

        private func put(_ text: String, on file: Int32, _ name: String) -> Bool {
            var bytes = Array(text.utf8)[...]
            while !bytes.isEmpty {
                let count = bytes.withUnsafeBytes { systemWrite(file, $0.baseAddress, $0.count) }
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else {
                    complain("\(name) cannot be written: \(String(cString: strerror(errno)))")
                    return false
                }
                bytes = bytes.dropFirst(count)
            }
            return true
        }
    }
}

/// The system's, in a type that has a `write` of its own.
private func systemWrite(_ file: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(file, bytes, count)
}

/// The first SIGINT or SIGTERM ends the run early and keeps what was measured; the second one ends
/// the process. The scratch table of the latter is dropped by the next run.
final class InterruptOnce {
    private let sources: [any DispatchSourceSignal]

    init(_ action: @escaping @Sendable () -> Void) {
        let count = Count()
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(
                signal: number, queue: DispatchQueue(label: "weir.load.signals"))
            source.setEventHandler {
                if count.increment() > 1 { _exit(130) }
                complain("ending early; once more to leave at once")
                action()
            }
            source.activate()
            return source
        }
    }

    private final class Count: Sendable {
        private let value = Atomic<Int>(0)
        func increment() -> Int { value.wrappingAdd(1, ordering: .relaxed).newValue }
    }
}

/// Tells on standard error how far a run is: on a terminal in one line, else now and then.
struct ProgressLine: Sendable {
    private let control: LoadRun.Control
    private let plan: LoadPlan
    private let isQuiet: Bool
    private let isTerminal: Bool

    init(_ control: LoadRun.Control, plan: LoadPlan, isQuiet: Bool) {
        self.control = control
        self.plan = plan
        self.isQuiet = isQuiet
        isTerminal = isatty(STDERR_FILENO) == 1
    }

    /// Runs `body`, telling meanwhile.
    func during<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        if isQuiet { return try await body() }
        return try await withThrowingTaskGroup(of: Value?.self) { tasks in
            tasks.addTask { try await body() }
            tasks.addTask {
                await tell()
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

    private func tell() async {
        var last = Progress.Figures()
        var lastTime = SystemTime().now
        while true {
            let wait = isTerminal ? Duration.milliseconds(500) : .seconds(5)
            guard (try? await Task.sleep(for: wait)) != nil else { return }
            guard let (mode, job) = control.current, job.hasBegun else { continue }
            let now = SystemTime().now
            let figures = job.progress.figures
            if figures.sent < last.sent { last = .init() }
            let seconds = (now - lastTime).seconds
            let rate = Double(figures.acknowledged - last.acknowledged) / max(seconds, 0.001)
            let left = plan.duration.seconds - (now - job.start).seconds
            let words =
                "\(mode.rawValue): \(grouped(Int(max(rate, 0))))/s · p99 "
                + "\(Nanoseconds(Int64(clamping: figures.p99)).text) · "
                + "\(grouped(figures.failed)) not acknowledged · \(figures.inFlight) in flight · "
                + "\(max(0, Int(left.rounded()))) s left"
            put(isTerminal ? "\r\u{1B}[K\(words)" : "weir: \(words)\n")
            (last, lastTime) = (figures, now)
        }
    }

    private func put(_ text: String) {
        let bytes = Array(text.utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }
}
