import ArgumentParser
import NIOHTTP1

/// `weir health`: is a gateway ready?
struct HealthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health",
        abstract: "Exit 0 if a gateway is ready, for probes that run a command.",
        discussion: """
            EXAMPLES
              weir health
              weir health --admin 127.0.0.1:8433 --db
              weir health --admin unix:/run/weir/admin.sock
            """)

    @Option(
        help: """
            The gateway's admin address: host:port or unix:/path. Default: WEIR_LISTEN_ADMIN, else \
            127.0.0.1:8433.
            """)
    var admin: String?

    @Flag(help: "Ask for the database too.")
    var db = false

    func run() async throws {
        let answer = try await AdminClient(admin).send(.GET, db ? "/readyz?db=1" : "/readyz")
        print(answer.text, terminator: "")
        if answer.status != 200 { throw ExitCode.failure }
    }
}
