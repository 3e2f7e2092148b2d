import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord

extension PostgresTests {
    /// Writes that apply only where they are newer than the row.
    @Suite(.timeLimit(.minutes(1))) struct VersionTests {
        private static func scene(_ key: String = "int", _ more: String = "") async throws -> Scene
        {
            try await Scene(
                """
                CREATE TABLE items (id \(key) PRIMARY KEY, n int NOT NULL DEFAULT 0, v int,
                    name text NOT NULL\(more.isEmpty ? " DEFAULT ''" : ""));
                INSERT INTO items VALUES (1, 1, 5, ''), (2, 1, 5, ''), (3, 1, NULL, ''),
                    (4, 1, 5, '')
                """
            ) { $0.policy.versionColumn = "v" }
        }

        private static let rows: [Row] = [
            .upsert("items", #"{"id":1,"n":7,"v":6}"#), .upsert("items", #"{"id":2,"n":7,"v":5}"#),
            .upsert("items", #"{"id":3,"n":7,"v":1}"#), .upsert("items", #"{"id":9,"n":7,"v":1}"#),
            .upsert("items", #"{"id":4,"n":7,"v":4}"#),
        ]

        /// Keys that have one spelling, and keys that have several.
        @Test(arguments: ["int", "numeric(6, 2)"]) func aLateUpsertIsIgnored(_ key: String)
            async throws
        {
            let scene = try await Self.scene(key)
            let report = try await scene.write(Self.rows.map { $0.returningRow })
            #expect(report.outcome == .committed)
            #expect(report.effects == [.updated, .ignored, .updated, .inserted, .ignored])
            #expect(report.rows.map { $0 == nil } == [false, true, false, false, true])
            let left = try await scene.rows("SELECT id::int, n, v FROM items ORDER BY 1")
            #expect(
                left == [
                    ["1", "7", "6"], ["2", "1", "5"], ["3", "7", "1"], ["4", "1", "5"],
                    ["9", "7", "1"],
                ])
        }

        @Test func aLatePatchIsIgnoredAndAMissingRowIsMissing() async throws {
            let scene = try await Self.scene()
            let rows: [Row] = [
                .patch("items", #"{"id":1}"#, #"{"n":7,"v":6}"#),
                .patch("items", #"{"id":2}"#, #"{"n":7,"v":5}"#),
                .patch("items", #"{"id":3}"#, #"{"n":7,"v":1}"#),
                .patch("items", #"{"id":99}"#, #"{"n":7,"v":9}"#),
            ]
            let report = try await scene.write(rows)
            #expect(report.outcome == .committed)
            #expect(report.effects == [.updated, .ignored, .updated, .notFound])
            let left = try await scene.rows("SELECT n FROM items ORDER BY id")
            #expect(left == [["7"], ["1"], ["7"], ["1"]])
        }

        @Test func anUpsertThatCanOnlyUpdateIsIgnoredToo() async throws {
            let scene = try await Self.scene("int", "NOT NULL")
            let report = try await scene.write(
                .upsert("items", #"{"id":1,"n":7,"v":6}"#),
                .upsert("items", #"{"id":2,"n":7,"v":5}"#))
            #expect(report.outcome == .committed)
            #expect(report.effects == [.updated, .ignored])
        }

        @Test func oneKeysVersionsComeInTheirOrder() async throws {
            let scene = try await Self.scene()
            let report = try await scene.write(
                .upsert("items", #"{"id":9,"n":1,"v":2}"#),
                .upsert("items", #"{"id":9,"n":2,"v":1}"#),
                .patch("items", #"{"id":9}"#, #"{"n":3,"v":3}"#),
                .insert("items", #"{"id":9,"n":4,"v":3}"#).mergingConflicts,
                .insert("items", #"{"id":10,"n":4,"v":3}"#))
            #expect(report.effects == [.inserted, .ignored, .updated, .ignored, .inserted])
            #expect(try await scene.rows("SELECT n FROM items WHERE id = 9") == [["3"]])
        }

        @Test func aMessageIsToldThatItWasIgnored() async throws {
            let scene = try await Scene(
                "CREATE TABLE items (id int PRIMARY KEY, v int); INSERT INTO items VALUES (1, 5)"
            ) {
                $0.policy.versionColumn = "v"
                $0.remembers = true
            }
            let row = Row.upsert("items", #"{"id":1,"v":4}"#).message(scene.schema)
            #expect(try await scene.write(row).effects == [.ignored])
            let again = try await scene.write(row)
            #expect(again.effects == [.replayed])
            #expect(again.first == [.ignored])
        }
    }
}
