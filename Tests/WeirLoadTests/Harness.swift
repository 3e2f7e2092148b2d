import Foundation
import Testing

/// The command line as a process of its own.
enum Harness {
    struct Output {
        var status: Int32
        var text: String
        var errors: String

        func json() throws -> [String: Any] {
            let object = try JSONSerialization.jsonObject(with: Data(text.utf8))
            return try #require(object as? [String: Any], "\(errors)")
        }

        func modes() throws -> [[String: Any]] {
            try #require(try json()["modes"] as? [[String: Any]])
        }
    }

    static var executable: URL {
        URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath()
            .deletingLastPathComponent().appending(path: "weir")
    }

    static func start(_ arguments: [String]) throws -> (Process, Pipe, Pipe) {
        let process = Process()
        process.executableURL = executable
        process.arguments = arguments
        process.environment = ["PATH": "/usr/bin:/bin", "HOME": "/tmp"]
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        return (process, output, errors)
    }

    static func run(_ arguments: [String]) throws -> Output {
        let (process, output, errors) = try start(arguments)
        return try finish(process, output, errors)
    }

    static func finish(_ process: Process, _ output: Pipe, _ errors: Pipe) throws -> Output {
        let text = try output.fileHandleForReading.readToEnd() ?? Data()
        let errorText = try errors.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return Output(
            status: process.terminationStatus, text: String(decoding: text, as: UTF8.self),
            errors: String(decoding: errorText, as: UTF8.self))
    }
}
