import ArgumentParser
import NIOHTTP1
import WeirRecord

// Looking at dead letters.
extension DLQCommand {
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ls", abstract: "List dead letters, the newest first.",
            discussion: """
                EXAMPLES
                  weir dlq ls
                  weir dlq ls --table orders --sqlstate 23514 --since 24h
                  weir dlq ls --fingerprint 5d2c1f0e9a8b7c6d --limit 1000 --json
                """)

        @OptionGroup var choice: Choice
        @OptionGroup var gateway: Gateway

        @Option(help: "How many: 1 to 1000.")
        var limit = 100

        @Option(help: "Go on where the page before ended.")
        var after: String?

        @Flag(help: "The oldest first.")
        var oldest = false

        func run() async throws {
            var path = "/v1/dead-letters?limit=\(limit)\(choice.query)"
            if let after { path += "&after=\(AdminClient.encoded(after))" }
            if oldest { path += "&order=oldest" }
            let body = try await gateway.client().ask(.GET, path)
            if gateway.json { return put(body) }
            let page = Fields(body)
            var table = TextTable([
                "ID", "AT", "TABLE", "OP", "CODE", "SQLSTATE", "WHERE", "TRIES", "REASON",
            ])
            for item in page.items("items") {
                var reason = item.text("reason")
                if item.has("redrive") { reason = "[redriven in vain] " + reason }
                if item.has("edited_at") { reason = "[edited] " + reason }
                table.add([
                    item.text("id"), item.text("at"), item.text("table"), item.text("operation"),
                    item.text("code"), item.text("sqlstate"), item.place, item.text("attempts"),
                    reason,
                ])
            }
            print(table.text, terminator: "")
            if page.has("next") { complain("there are more: --after \(page.text("next"))") }
        }
    }

    struct Groups: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "groups", abstract: "What is wrong, and how often; the most first.",
            discussion: """
                EXAMPLES
                  weir dlq groups
                  weir dlq groups --table orders --json
                """)

        @Option(help: "Of this table: name or schema.name.")
        var table: String?

        @Option(help: "How many: 1 to 1000.")
        var limit = 100

        @Option(help: "Go on where the page before ended.")
        var after: String?

        @OptionGroup var gateway: Gateway

        func run() async throws {
            var path = "/v1/dead-letters/groups?limit=\(limit)"
            if let table { path += "&table=\(AdminClient.encoded(table))" }
            if let after { path += "&after=\(AdminClient.encoded(after))" }
            let body = try await gateway.client().ask(.GET, path)
            if gateway.json { return put(body) }
            let page = Fields(body)
            var text = TextTable([
                "FINGERPRINT", "COUNT", "TABLE", "CODE", "SQLSTATE", "WHERE", "FIRST", "LAST",
                "SAMPLE", "REASON",
            ])
            for group in page.items("groups") {
                text.add([
                    group.text("fingerprint"), group.text("count"), group.text("table"),
                    group.text("code"), group.text("sqlstate"), group.place,
                    group.text("first_at"), group.text("last_at"), group.text("sample"),
                    group.text("reason"),
                ])
            }
            print(text.text, terminator: "")
            if page.has("next") { complain("there are more: --after \(page.text("next"))") }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "Show one dead letter, with the bytes that came.",
            discussion: """
                EXAMPLES
                  weir dlq show 12
                  weir dlq show 12 --record > record.json    what is sent again, to edit
                """)

        @Argument(help: "The letter's number.")
        var number: Int64

        @Flag(help: "Only the record, as it would be sent again.")
        var record = false

        @OptionGroup var gateway: Gateway

        func run() async throws {
            let body = try await gateway.client().ask(.GET, "/v1/dead-letters/\(number)")
            let letter = Fields(body)
            if record {
                guard letter.has("record") else {
                    complain("letter \(number) has no record that can be shown as JSON")
                    throw ExitCode.failure
                }
                return print(letter.text("record"))
            }
            if gateway.json { return put(body) }
            print(letter.lines, terminator: "")
        }
    }

    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "export",
            abstract: "Write dead letters as lines of /v1/bulk, the oldest first.",
            discussion: """
                EXAMPLES
                  weir dlq export > all.ndjson
                  weir dlq export --table orders --without-ids > orders.ndjson

                With their message IDs the lines are answered `dead_lettered` again where those are
                remembered; without, they are new messages. What is to be sent again where it was
                refused, redrive.
                """)

        @OptionGroup var choice: Choice

        @Flag(help: "Leave out the message IDs.")
        var withoutIds = false

        @OptionGroup var gateway: Gateway

        func run() async throws {
            let ids = withoutIds ? "&ids=false" : ""
            let answer = try await gateway.client().send(
                .GET, "/v1/dead-letters?format=ndjson\(ids)\(choice.query)", nil, put)
            guard answer.status == 200 else { throw AdminClient.refusal(answer) }
        }
    }
}
