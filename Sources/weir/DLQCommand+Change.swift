import ArgumentParser
import NIOHTTP1
import Weir
import WeirRecord

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

// Changing dead letters, sending them again, throwing them away.
extension DLQCommand {
    struct Edit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "edit",
            abstract: "Say what is sent again in a letter's place. The original stays.",
            discussion: """
                EXAMPLES
                  weir dlq edit 12 --set '{"qty":5,"note":null}' --unset colour
                  weir dlq show 12 --record > r.json; vi r.json; weir dlq edit 12 --record r.json
                  weir dlq edit 12 --key '{"id":7}'
                  weir dlq edit 12 --original

                What its table would not take as it is (an unknown column, a wrong type) is refused.
                """)

        @Argument(help: "The letter's number.")
        var number: Int64

        @Option(help: "Columns to set, as a JSON object; null is NULL.")
        var set: String?

        @Option(help: "A column to leave out (repeatable).")
        var unset: [String] = []

        @Option(help: "A file with the whole record as a JSON object; - is standard input.")
        var record: String?

        @Option(help: "The row's key, as a JSON object: for an upsert, a patch or a delete.")
        var key: String?

        @Flag(help: "Send the original again.")
        var original = false

        @OptionGroup var gateway: Gateway

        func validate() throws {
            let isChanged = set != nil || !unset.isEmpty || record != nil || key != nil
            guard isChanged != original else {
                throw ValidationError(
                    original
                        ? "--original goes alone"
                        : "say what to change: --set, --unset, --record, --key or --original")
            }
        }

        func run() async throws {
            var body = JSONMembers()
            do throws(Defect) {
                if let set { body["set"] = try JSONMembers(Array(set.utf8)).bytes }
                if let key { body["key"] = try JSONMembers(Array(key.utf8)).bytes }
            } catch {
                complain("--set and --key take a JSON object: \(error.detail)")
                throw ExitCode.validationFailure
            }
            if let record { body["record"] = try read(record) }
            if original { body["record"] = Array("null".utf8) }
            if !unset.isEmpty {
                var names: [UInt8] = [UInt8(ascii: "[")]
                for (index, name) in unset.enumerated() {
                    if index > 0 { names.append(UInt8(ascii: ",")) }
                    appendJSONString(name, to: &names)
                }
                body["unset"] = names + [UInt8(ascii: "]")]
            }
            let answer = try await gateway.client().ask(
                .PATCH, "/v1/dead-letters/\(number)", body.bytes)
            if gateway.json { return put(answer) }
            let letter = Fields(answer)
            print("letter \(number) is sent as \(letter.text("record"))")
        }

        /// The gateway has a bound of its own, which may be lower.
        private static let fileByteCountMax = 256 << 20

        private func read(_ path: String) throws -> [UInt8] {
            var bytes: [UInt8] = []
            do throws(FileFailure) {
                if path == "-" {
                    while let line = readLine(strippingNewline: false) { bytes += line.utf8 }
                } else {
                    bytes = try SmallFile.read(path, byteCountMax: Self.fileByteCountMax)
                }
            } catch {
                complain("\(path): \(error.reason)")
                throw ExitCode.validationFailure
            }
            do throws(Defect) {
                return try JSONMembers(bytes).bytes
            } catch {
                complain("\(path): no JSON object: \(error.detail)")
                throw ExitCode.validationFailure
            }
        }
    }

    struct Redrive: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "redrive", abstract: "Send dead letters again, the oldest first.",
            discussion: """
                EXAMPLES
                  weir dlq redrive 12 13 --dry-run
                  weir dlq redrive --fingerprint 5d2c1f0e9a8b7c6d --rate 50
                  weir dlq redrive --all

                A letter goes with its record's effect, in one transaction: it takes effect once,
                whenever this is ended. Of letters that share a key, one that is refused holds back
                the later ones. --dry-run writes each by itself and rolls it back.
                """)

        @OptionGroup var target: Target

        @Option(help: "Letters a second: 1 to 10000.")
        var rate = 100

        @Flag(help: "Say what would happen, and change nothing.")
        var dryRun = false

        @OptionGroup var gateway: Gateway

        func run() async throws {
            let body = "{\(target.member),\"rate\":\(rate),\"dry_run\":\(dryRun)}"
            var cutter = LineCutter()
            var report = RedriveReport(isJSON: gateway.json)
            let answer = try await gateway.client().send(
                .POST, "/v1/dead-letters/redrive", Array(body.utf8)
            ) { bytes in
                cutter.take(bytes) { report.take($0) }
            }
            guard answer.status == 200 else { throw AdminClient.refusal(answer) }
            if let code = report.end() { throw code }
        }
    }

    struct Discard: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "discard", abstract: "Throw dead letters away, for good.",
            discussion: """
                EXAMPLES
                  weir dlq discard 12 13 --confirm orders
                  weir dlq discard --table orders --sqlstate 23514 --until 30d --confirm orders

                Only letters of the table that is confirmed are discarded. Their message IDs stay
                remembered: who sends one again is told what it was told first.
                """)

        @OptionGroup var target: Target

        @Option(help: "The name of the letters' table. On a terminal it is asked for.")
        var confirm: String?

        @OptionGroup var gateway: Gateway

        func run() async throws {
            let table = try confirm ?? asked()
            var name: [UInt8] = []
            appendJSONString(table, to: &name)
            let confirmed = String(decoding: name, as: UTF8.self)
            let body = "{\(target.member),\"confirm\":\(confirmed)}"
            let answer = try await gateway.client().ask(
                .POST, "/v1/dead-letters/discard", Array(body.utf8))
            if gateway.json { return put(answer) }
            print("discarded \(Fields(answer).text("discarded"))")
        }

        private func asked() throws -> String {
            guard isatty(STDIN_FILENO) == 1 else {
                complain("say --confirm with the name of the letters' table")
                throw ExitCode.validationFailure
            }
            let question = Array("Gone for good. The name of the letters' table: ".utf8)
            _ = write(STDERR_FILENO, question, question.count)
            guard let table = readLine(), !table.isEmpty else {
                complain("nothing was discarded")
                throw ExitCode.failure
            }
            return table
        }
    }
}
