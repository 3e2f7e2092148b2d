import Foundation
import Testing

/// The command that was built beside these tests, as a process.
struct Command {
    struct Output {
        var status: Int32
        var text: String
        var errors: String
    }

    /// A gateway that runs.
    struct Served {
        /// The data listener's.
        var address: String
        var process: Process
        /// Of the private server.
        var conninfo: String
    }

    /// The tests run in a bundle that stands in the build folder.
    static var executable: URL {
        URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath()
            .deletingLastPathComponent().appending(path: "weir")
    }

    private static func process(_ arguments: [String], _ environment: [String: String]) -> Process {
        let process = Process()
        process.executableURL = executable
        process.arguments = arguments
        let inherited = ProcessInfo.processInfo.environment
        process.environment = inherited.filter { !$0.key.hasPrefix("WEIR_") }
            .merging(environment) { $1 }
        return process
    }

    /// Runs it to its end.
    static func run(
        _ arguments: [String], environment: [String: String] = [:]
    ) throws -> Output {
        let process = process(arguments, environment)
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        // A page of each fits into its pipe, so neither holds up the other.
        let text = try output.fileHandleForReading.readToEnd() ?? Data()
        let errorText = try errors.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return Output(
            status: process.terminationStatus, text: String(decoding: text, as: UTF8.self),
            errors: String(decoding: errorText, as: UTF8.self))
    }

    /// Starts it, and lets it run; what it says is dropped.
    static func start(_ arguments: [String]) throws -> Process {
        let process = process(arguments, [:])
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }

    /// Runs a gateway while `body` runs, then has it drain.
    static func serve(
        _ arguments: [String], environment: [String: String] = [:],
        _ body: (Served) throws -> Void
    ) throws -> Output {
        let process = process(["serve"] + arguments, environment)
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        var log = ""
        let address = try address(errors.fileHandleForReading, &log)
        let served = Served(
            address: address, process: process,
            conninfo: log.firstMatch(of: /conninfo=(host=.* user=weir)/).map { String($0.1) } ?? "")
        let result = Result { try body(served) }
        process.terminate()
        let rest = try errors.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        try result.get()
        return Output(
            status: process.terminationStatus, text: "",
            errors: log + String(decoding: rest, as: UTF8.self))
    }

    private static func address(_ errors: FileHandle, _ log: inout String) throws -> String {
        while true {
            let data = errors.availableData
            // The end: it listens no more.
            try #require(!data.isEmpty, "\(log)")
            log += String(decoding: data, as: UTF8.self)
            guard
                let line = log.split(separator: "\n").first(where: {
                    $0.contains("data API listening")
                }),
                log.hasSuffix("\n"), let start = line.range(of: "address=")?.upperBound
            else { continue }
            return String(line[start...].prefix { !$0.isWhitespace && $0 != "," })
        }
    }

    /// One HTTP request by curl, which every machine has that builds this.
    static func request(_ arguments: String...) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["curl", "-sS", "--max-time", "20", "-w", "\n%{http_code}"] + arguments
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return String(decoding: data, as: UTF8.self)
    }
}

/// A file that is gone when the test is over.
func withFile(_ text: String, _ body: (String) throws -> Void) throws {
    let path = NSTemporaryDirectory() + "weir-\(UInt64.random(in: 0 ... .max)).yaml"
    try text.write(toFile: path, atomically: false, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try body(path)
}
