import ArgumentParser
import WeirRecord

/// `weir dlq`: what became of records that the database refused, and what is to become of them.
struct DLQCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dlq",
        abstract: "Look at dead letters, edit them, send them again, throw them away.",
        discussion: """
            EXAMPLES
              weir dlq groups                              what is wrong, and how often
              weir dlq ls --table orders --since 24h       which records
              weir dlq show 12                             one of them, with its bytes
              weir dlq edit 12 --set '{"qty":5}'           send something else; the original stays
              weir dlq redrive 12 --dry-run                would it be taken now?
              weir dlq redrive --table orders --rate 50    send them again, the oldest first
              weir dlq discard 12 13 --confirm orders      throw them away
              weir dlq export --table orders > orders.ndjson

            All of them ask a running gateway by its admin listener, so that what is sent again goes
            through its lanes and keeps its order.

            EXIT CODES
              0 done   1 something was refused, or is not there   64 usage
              69 no gateway answers   75 it cannot do it now: try again
            """,
        subcommands: [
            List.self, Groups.self, Show.self, Edit.self, Redrive.self, Discard.self, Export.self,
        ])

    struct Gateway: ParsableArguments {
        @Option(
            help: """
                The gateway's admin address: host:port or unix:/path. Default: WEIR_LISTEN_ADMIN, \
                else 127.0.0.1:8433.
                """)
        var admin: String?

        @Flag(help: "As JSON.")
        var json = false

        func client() throws -> AdminClient { try AdminClient(admin) }
    }

    /// Which letters.
    struct Choice: ParsableArguments {
        @Option(help: "Of this table: name or schema.name.")
        var table: String?

        @Option(help: "With this SQLSTATE, such as 23514.")
        var sqlstate: String?

        @Option(help: "Refused by this constraint.")
        var constraint: String?

        @Option(help: "Refused for this column.")
        var column: String?

        @Option(help: "With this code, such as check-violation.")
        var code: String?

        @Option(help: "Of this group, as `weir dlq groups` names it.")
        var fingerprint: String?

        @Option(help: "With this message ID.")
        var message: String?

        @Option(help: "Refused at this time or later: 2026-01-31T12:00:00Z, or 15m, 24h, 7d ago.")
        var since: String?

        @Option(help: "Refused before this time.")
        var until: String?

        var members: [(String, String)] {
            [
                ("table", table), ("sqlstate", sqlstate), ("constraint", constraint),
                ("column", column), ("code", code), ("fingerprint", fingerprint),
                ("message", message), ("since", since), ("until", until),
            ].compactMap { name, value in value.map { (name, $0) } }
        }

        /// As an API's query has it, `&` before each.
        var query: String {
            members.map { "&\($0.0)=\(AdminClient.encoded($0.1))" }.joined()
        }

        /// As a body's `filter`.
        var json: [UInt8] {
            var filter = JSONMembers()
            for (name, value) in members {
                var text: [UInt8] = []
                appendJSONString(value, to: &text)
                filter[name] = text
            }
            return filter.bytes
        }
    }

    /// Letters by number, by a choice, or all: one of the three.
    struct Target: ParsableArguments {
        @Argument(help: "Numbers of letters.")
        var numbers: [Int64] = []

        @OptionGroup var choice: Choice

        @Flag(help: "All of them.")
        var all = false

        func validate() throws {
            let ways = [!numbers.isEmpty, !choice.members.isEmpty, all].count { $0 }
            guard ways == 1 else {
                throw ValidationError(
                    ways == 0
                        ? "say which letters: their numbers, a choice such as --table, or --all"
                        : "choose letters by their numbers, or by a choice, or take --all")
            }
        }

        /// `"ids":[…]` or `"filter":{…}`.
        var member: String {
            numbers.isEmpty
                ? "\"filter\":\(String(decoding: choice.json, as: UTF8.self))"
                : "\"ids\":[\(numbers.map { String($0) }.joined(separator: ","))]"
        }
    }
}
