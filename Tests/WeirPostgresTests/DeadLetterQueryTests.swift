import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord

extension PostgresTests {
    /// Lists of dead letters are what reading them from end to end would say.
    @Suite(.timeLimit(.minutes(2))) struct DeadLetterQueryTests {
        /// Letters of six groups in three tables, a second apart, some of them edited.
        private static func scene() async throws -> Scene {
            let scene = try await Scene("CREATE TABLE items (id int PRIMARY KEY)") {
                $0.remembers = true
            }
            try await scene.execute(
                """
                INSERT INTO weir.dead_letter (fingerprint, at, table_name, operation, message_id,
                    message, sqlstate, constraint_name, code, reason, raw)
                SELECT (i % 6) * 1000 + \(scene.schema.dropFirst()),
                    timestamptz '2026-01-01T00:00:00Z' + i * interval '1 second',
                    '\(scene.schema).' || (ARRAY['a', 'b', 'it''s'])[1 + i % 3], 'insert',
                    '\(scene.schema)-' || i,
                    substr(encode(sha256(('\(scene.schema)-' || i)::bytea), 'hex'), 1, 32)::uuid,
                    CASE WHEN i % 2 = 0 THEN '23514' ELSE '23505' END,
                    CASE WHEN i % 2 = 0 THEN 'few' ELSE 'key' END, 'code', 'why',
                    convert_to('{"id":' || i || '}', 'UTF8')
                FROM generate_series(1, 300) i
                """)
            return scene
        }

        private static func seconds(_ count: Int64) -> Int64 {
            1_767_225_600_000_000 + count * 1_000_000
        }

        /// Reads page by page to the end.
        private static func all(
            _ scene: Scene, _ first: DeadLetterPage
        ) async throws -> [DeadLetter] {
            var page = first
            var letters: [DeadLetter] = []
            while true {
                guard case .letters(let some) = try await scene.writer.answer(.page(page)) else {
                    Issue.record("no letters were answered")
                    return []
                }
                letters += some
                if some.count < page.limit { return letters }
                page.past = some.last?.cursor
            }
        }

        private static func expected(
            _ scene: Scene, _ condition: String, _ order: String
        ) async throws -> [Int64] {
            try await scene.rows(
                """
                SELECT id FROM weir.dead_letter WHERE table_name LIKE '\(scene.schema).%'
                  AND \(condition) ORDER BY \(order)
                """
            ).compactMap { $0[0].flatMap { Int64($0) } }
        }

        @Test func eachChoiceIsReadWholeInPages() async throws {
            let scene = try await Self.scene()
            let table = "\(scene.schema).it's"
            let quoted = "'\(scene.schema).it''s'"
            let fingerprint = 2_000 + (Int64(scene.schema.dropFirst()) ?? 0)
            func selection(_ change: (inout DeadLetterSelection) -> Void) -> DeadLetterSelection {
                var selection = DeadLetterSelection()
                change(&selection)
                return selection
            }
            let choices: [(DeadLetterSelection, String)] = [
                (selection { $0.table = table }, "table_name = \(quoted)"),
                (
                    selection {
                        $0.table = table
                        $0.sqlstate = "23514"
                        $0.constraint = "few"
                    }, "table_name = \(quoted) AND sqlstate = '23514'"
                ),
                (
                    selection {
                        $0.table = table
                        $0.since = Self.seconds(50)
                        $0.until = Self.seconds(90)
                    },
                    "table_name = \(quoted) AND at >= '2026-01-01T00:00:50Z' "
                        + "AND at < '2026-01-01T00:01:30Z'"
                ),
                (
                    selection {
                        $0.since = Self.seconds(100)
                        $0.until = Self.seconds(140)
                    }, "at >= '2026-01-01T00:01:40Z' AND at < '2026-01-01T00:02:20Z'"
                ),
                (selection { $0.fingerprint = fingerprint }, "fingerprint = \(fingerprint)"),
                (
                    selection { $0.messageID = "\(scene.schema)-77" },
                    "message_id = '\(scene.schema)-77'"
                ),
                (
                    selection {
                        $0.fingerprint = fingerprint
                        $0.sqlstate = "23505"
                    }, "fingerprint = \(fingerprint) AND sqlstate = '23505'"
                ),
            ]
            for (selection, condition) in choices {
                for isNewestFirst in [true, false] {
                    let direction = isNewestFirst ? "DESC" : "ASC"
                    let expected = try await Self.expected(scene, condition, "id \(direction)")
                    for limit in [7, 1_000] {
                        var page = DeadLetterPage(selection, limit: limit)
                        page.isNewestFirst = isNewestFirst
                        let found = try await Self.all(scene, page)
                        #expect(found.map(\.number) == expected, "\(condition) \(limit)")
                    }
                }
            }
        }

        @Test func aLetterIsReadAsItStands() async throws {
            let scene = try await Self.scene()
            var page = DeadLetterPage(DeadLetterSelection(), limit: 1)
            page.selection.messageID = "\(scene.schema)-10"
            let listed = try #require(try await Self.all(scene, page).first)
            #expect(listed.body == nil && listed.at == Self.seconds(10))
            #expect(listed.messageID == "\(scene.schema)-10" && listed.sqlstate == "23514")
            page.hasBodies = true
            let whole = try #require(try await Self.all(scene, page).first)
            #expect(whole.body?.raw == Array(#"{"id":10}"#.utf8) && whole.body?.edited == nil)
            #expect(
                try await scene.writer.answer(.letter(listed.number)) == .letters([whole]))
            #expect(try await scene.writer.answer(.letter(-1)) == .letters([]))
        }

        @Test func groupsComeInPagesTheLargestFirst() async throws {
            let scene = try await Self.scene()
            var fingerprints: [Int64] = []
            var past: DeadLetterGroupCursor?
            while true {
                guard
                    case .groups(let groups) = try await scene.writer.answer(
                        .groups(table: "\(scene.schema).a", past: past, limit: 1))
                else { return }
                guard let group = groups.first else { break }
                #expect(group.count == 50 && group.table == "\(scene.schema).a")
                #expect(group.lastAt - group.firstAt == 294_000_000)
                fingerprints.append(group.fingerprint)
                past = DeadLetterGroupCursor(count: group.count, fingerprint: group.fingerprint)
            }
            #expect(fingerprints.count == 2 && Set(fingerprints).count == 2)
            guard case .counts(let counts) = try await scene.writer.answer(.counts) else { return }
            #expect(
                counts.filter { $0.table.hasPrefix("\(scene.schema).") }.map(\.count) == [
                    100, 100, 100,
                ])
        }

        @Test func onlyWhatIsConfirmedIsDiscarded() async throws {
            let scene = try await Self.scene()
            let table = "\(scene.schema).a"
            let some = try await Self.expected(scene, "true", "id").prefix(30)
            #expect(
                try await scene.writer.answer(
                    .discard(DeadLetterSelection(numbers: Array(some)), table: table, limit: 7))
                    == .changed(7))
            var selection = DeadLetterSelection()
            selection.sqlstate = "23505"
            selection.numberMax = some.last
            // The oldest went first: 3, 6, … 21; of 24, 27 and 30 one is of the other kind.
            #expect(
                try await scene.writer.answer(.discard(selection, table: table, limit: 100))
                    == .changed(1))
            let left = try await scene.rows(
                """
                SELECT table_name = '\(table)', count(*) FROM weir.dead_letter
                WHERE table_name LIKE '\(scene.schema).%' GROUP BY 1 ORDER BY 1
                """)
            #expect(left == [["f", "200"], ["t", "92"]])
        }

        @Test func whatWasMetIsWrittenDown() async throws {
            let scene = try await Self.scene()
            let numbers = try await Self.expected(scene, "true", "id").prefix(2)
            let notes = numbers.map {
                RedriveNote(
                    letter: $0, code: "check-violation", reason: String(repeating: "ä", count: 900))
            }
            #expect(try await scene.writer.answer(.note(notes)) == .changed(2))
            #expect(try await scene.writer.answer(.note([notes[0]])) == .changed(1))
            guard case .letters(let letters) = try await scene.writer.answer(.letter(numbers[0]))
            else { return }
            #expect(letters[0].redrives == 2 && letters[0].redriveCode == "check-violation")
            #expect(letters[0].redriveReason?.utf8.count == 1_024)
        }

        @Test func aGatewayWithoutTablesHasNone() async throws {
            let scene = try await Scene("CREATE TABLE items (id int PRIMARY KEY)")
            #expect(try await scene.writer.answer(.newest) == DeadLetterReply.none)
        }
    }
}
