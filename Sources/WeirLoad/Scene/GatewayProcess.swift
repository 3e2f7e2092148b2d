import Subprocess
import SystemPackage
package import Weir

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A gateway that runs for one measurement, as a process of its own: its CPU time is not the
/// generator's.
package struct GatewayProcess: Sendable {
    package struct Failure: Error {
        package let reason: String
    }

    package var executable: String
    /// Of `weir serve`, beyond the addresses.
    package var arguments: [String]
    /// A folder of ours, for sockets and the log.
    package var folder: String

    package init(executable: String, arguments: [String], folder: String) {
        self.executable = executable
        self.arguments = arguments
        self.folder = folder
    }

    /// Runs it while `body` runs; it drains before this returns.
    ///
    /// - Parameter table: which it has to expose before `body` begins.
    package func run<Value: Sendable>(
        exposing table: String, _ body: (ListenAddress, Int32) async throws -> Value
    ) async throws -> Value {
        let socket = folder + "/gateway.sock"
        let log = folder + "/gateway.log"
        let words =
            ["serve"] + arguments + [
                "--listen", "unix:" + socket, "--admin", "unix:\(folder)/admin.sock",
            ]
        let file = try FileDescriptor.open(
            FilePath(log), .writeOnly, options: [.create, .truncate], permissions: .ownerReadWrite)
        var options = PlatformOptions()
        // ^C is for the harness, which then ends what it started.
        options.processGroupID = 0
        let outcome = try await Subprocess.run(
            .path(FilePath(executable)), arguments: Arguments(words), platformOptions: options,
            input: .none, output: .discarded,
            error: .fileDescriptor(file, closeAfterSpawningProcess: true)
        ) { execution -> Result<Value, any Error> in
            let process = execution.processIdentifier.value
            let result: Result<Value, any Error>
            do {
                let address = ListenAddress.unix(path: socket)
                try await waitUntilReady(address, table, process, log)
                result = .success(try await body(address, process))
            } catch {
                result = .failure(error)
            }
            await execution.teardown(using: [
                .send(signal: .terminate, allowedDurationToNextStep: .seconds(10))
            ])
            return result
        }
        return try outcome.closureResult.get()
    }

    private func waitUntilReady(
        _ address: ListenAddress, _ table: String, _ process: Int32, _ log: String
    ) async throws {
        for _ in 0..<300 {
            if let answer = try? await GatewayProbe.get(
                address, "/v1/tables/\(percentEncoded(table))"),
                answer.status == 200
            {
                return
            }
            if kill(process, 0) != 0 { break }
            try await Task.sleep(for: .milliseconds(50))
        }
        let lines = Self.text(of: log).split(separator: "\n").suffix(5).joined(separator: "\n  ")
        throw Failure(reason: "the gateway did not start:\n  \(lines)")
    }

    private static func text(of path: String) -> String {
        let bytes = try? SmallFile.read(path, byteCountMax: 1 << 20)
        return bytes.map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}
