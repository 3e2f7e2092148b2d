import ArgumentParser
import WeirLoad
import WeirPostgres

/// A private PostgreSQL for one run of a measuring command; its caller removes it.
///
/// - Throws: exit code 69.
func startPrivateServer(_ command: String) async throws -> EmbeddedServer {
    let name = String(UInt32.random(in: .min ... .max), radix: 36)
    do {
        return try await EmbeddedServer.start(
            .init(directory: "/tmp/weir-\(command)-pg-\(name)"))
    } catch {
        complain("\(error)")
        throw ExitCode.unreachable
    }
}

extension ExitCode {
    /// How a command ends that could not measure.
    init(_ kind: LoadRun.Failure.Kind) {
        switch kind {
        case .unreachable: self = .unreachable
        case .configuration: self = .configuration
        case .busy: self = .temporary
        case .failure: self = .failure
        }
    }
}
