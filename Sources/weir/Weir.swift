import ArgumentParser

/// The command line's root.
@main
struct WeirCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weir",
        abstract: "Batch many small writes into few PostgreSQL transactions, safely.",
        discussion: """
            EXAMPLES
              weir serve --embedded                            a private PostgreSQL, a demo table
              weir serve --db postgres:///app --tables orders  in front of your own database
              weir check --db postgres:///app --tables orders  what is amiss between the two?
              weir migrate --db postgres:///app                create or update weir's own tables
              weir load --embedded --compare direct,gateway    what does it change?
              weir bench --db postgres:///app --table orders   how many connections does it need?
              weir dlq groups                                  records that were refused, and why
              weir health                                      exit 0 if the gateway is ready
            """,
        version: weirVersion,
        subcommands: [
            ServeCommand.self, CheckCommand.self, MigrateCommand.self, LoadCommand.self,
            BenchCommand.self, DLQCommand.self, HealthCommand.self, VersionCommand.self,
        ])
}

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Print the version.",
        discussion: "EXAMPLES\n  weir version\n  weir version --json")

    @Flag(help: "As JSON.")
    var json = false

    func run() {
        print(json ? "{\"name\":\"weir\",\"version\":\"\(weirVersion)\"}" : "weir \(weirVersion)")
    }
}

/// Set here and in CHANGELOG.md.
let weirVersion = "0.1.0"
