import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord

extension PostgresTests {
    /// What one batch promises about order and wholeness.
    @Suite struct OrderTests {
        static let items = "CREATE TABLE items (id int PRIMARY KEY, qty int, note text)"

        // MARK: One key, several times

        @Test func recordsOfOneKeyTakeEffectInTheirOrder() async throws {
            let scene = try await Scene(Self.items)
            let report = try await scene.write(
                .insert("items", #"{"id":1,"qty":1}"#),
                .patch("items", #"{"id":1}"#, #"{"qty":2}"#),
                .insert("items", #"{"id":2,"qty":10}"#),
                .patch("items", #"{"id":1}"#, #"{"note":"a"}"#),
                .upsert("items", #"{"id":1,"qty":3}"#), .patch("items", #"{"id":1}"#, #"{"qty":4}"#)
            )
            #expect(
                report.effects == [.inserted, .updated, .inserted, .updated, .updated, .updated])
            #expect(
                try await scene.rows("SELECT * FROM items ORDER BY 1")
                    == [["1", "4", "a"], ["2", "10", nil]])
        }

        @Test func anOrderKeyOrdersWhatHasNoRowInCommon() async throws {
            let scene = try await Scene(
                """
                CREATE TABLE parents (id int PRIMARY KEY);
                CREATE TABLE items (id int PRIMARY KEY, seq bigserial);
                CREATE TABLE log (name text, seq bigserial)
                """)
            // Rows are written in the order of their keys, and other tables before this one.
            let rows: [Row] = [
                .insert("items", #"{"id":9}"#).ordered(by: "a"),
                .insert("items", #"{"id":5}"#), .insert("items", #"{"id":7}"#).ordered(by: "a"),
                .insert("log", #"{"name":"x"}"#).ordered(by: "a"),
                .insert("items", #"{"id":2}"#).ordered(by: "a"),
                .insert("log", #"{"name":"y"}"#).ordered(by: "a"),
                .patch("items", #"{"id":9}"#, #"{"seq":100}"#).ordered(by: "b"),
                .insert("items", #"{"id":1}"#).ordered(by: "b"),
            ]
            let report = try await scene.write(rows)
            #expect(report.outcome == .committed)
            let items = try await scene.rows("SELECT id FROM items WHERE seq < 100 ORDER BY seq")
            // 5 goes with the first wave; 7 comes behind 9, 2 behind 7, and 1 behind the patch of 9.
            #expect(
                items == [["5"], ["7"], ["1"], ["2"]] || items == [["5"], ["1"], ["7"], ["2"]])
            #expect(try await scene.rows("SELECT name FROM log ORDER BY seq") == [["x"], ["y"]])
            #expect(try await scene.rows("SELECT seq FROM items WHERE id = 9") == [["100"]])
        }

        @Test func aRowMayComeGoAndComeAgain() async throws {
            let scene = try await Scene(Self.items)
            let report = try await scene.write(
                .insert("items", #"{"id":1,"qty":1,"note":"old"}"#),
                .patch("items", #"{"id":1}"#, #"{"qty":2}"#), .delete("items", #"{"id":1}"#),
                .patch("items", #"{"id":1}"#, #"{"qty":3}"#), .insert("items", #"{"id":1,"qty":4}"#)
            )
            #expect(report.effects == [.inserted, .updated, .deleted, .notFound, .inserted])
            #expect(try await scene.rows("SELECT * FROM items") == [["1", "4", nil]])
        }

        @Test func manyEditsOfFewRowsEndAsTheLastOnesSay() async throws {
            let scene = try await Scene(
                Self.items + "; INSERT INTO items SELECT generate_series(0, 9)")
            let rows = (0..<200).map { number in
                Row.patch("items", #"{"id":\#(number * 7 % 10)}"#, #"{"qty":\#(number)}"#)
            }
            let report = try await scene.write(rows)
            #expect(report.effects == Array(repeating: .updated, count: 200))
            let expected = (0..<10).map { id in
                String((0..<200).last { $0 * 7 % 10 == id } ?? -1)
            }
            #expect(
                try await scene.rows("SELECT qty FROM items ORDER BY id").map { $0[0] ?? "" }
                    == expected)
        }

        @Test func oneKeyTwiceInsertedIsAUniqueViolation() async throws {
            let scene = try await Scene(Self.items)
            let report = try await scene.write(
                .insert("items", #"{"id":1,"qty":1}"#), .insert("items", #"{"id":1,"qty":2}"#))
            #expect(report.outcome == .recordError(culprit: 1))
            #expect(report.error?.constraint == "items_pkey")
            #expect(try await scene.rows("SELECT * FROM items") == [])
        }

        // MARK: Many keys

        @Test func rowsAreWrittenInOneOrderWhateverTheirOwn() async throws {
            let scene = try await Scene(
                """
                CREATE TABLE items (id bigint PRIMARY KEY, at int GENERATED ALWAYS AS IDENTITY);
                """)
            let ids = [5, 300, 2, 70_000, 1]
            _ = try await scene.write(ids.map { .insert("items", #"{"id":\#($0)}"#) })
            let first = try await scene.rows("SELECT id FROM items ORDER BY at")
            _ = try await scene.write(ids.map { .delete("items", #"{"id":\#($0)}"#) })
            _ = try await scene.write(ids.reversed().map { .insert("items", #"{"id":\#($0)}"#) })
            #expect(first == [["1"], ["2"], ["5"], ["300"], ["70000"]])
            #expect(try await scene.rows("SELECT id FROM items ORDER BY at") == first)
        }

        @Test func rowsWhoseKeysTheDatabaseMakesKeepTheirOrder() async throws {
            let scene = try await Scene("CREATE TABLE log (id serial PRIMARY KEY, line text)")
            let report = try await scene.write(
                (0..<50).map { .insert("log", #"{"line":"\#($0)"}"#) })
            #expect(report.keys == (1...50).map { #"{"id":\#($0)}"# })
            #expect(
                try await scene.rows("SELECT line FROM log ORDER BY id").map { $0[0] }
                    == (0..<50).map(String.init))
        }

        // MARK: References

        static let family = """
            CREATE TABLE lines (id int PRIMARY KEY, order_id int NOT NULL);
            CREATE TABLE orders (id int PRIMARY KEY);
            ALTER TABLE lines ADD FOREIGN KEY (order_id) REFERENCES orders
            """

        @Test func parentsAreWrittenBeforeTheirChildrenAndDeletedAfterThem() async throws {
            let scene = try await Scene(Self.family)
            let written = try await scene.write(
                .insert("lines", #"{"id":1,"order_id":7}"#), .insert("orders", #"{"id":7}"#))
            #expect(written.outcome == .committed)
            let deleted = try await scene.write(
                .delete("orders", #"{"id":7}"#), .delete("lines", #"{"id":1}"#))
            #expect(deleted.effects == [.deleted, .deleted])
        }

        // MARK: Groups

        @Test func aGroupWhoseMemberMeetsNoRowIsNotWritten() async throws {
            let scene = try await Scene(Self.items + "; INSERT INTO items VALUES (1, 1)")
            let report = try await scene.write(
                .insert("items", #"{"id":2}"#), .patch("items", #"{"id":1}"#, #"{"qty":2}"#),
                .patch("items", #"{"id":9}"#, #"{"qty":2}"#), groups: [0..<3])
            #expect(report.outcome == .recordError(culprit: 2))
            #expect(report.error?.code == .recordNotFound)
            #expect(report.isConnected)
            #expect(try await scene.rows("SELECT id, qty FROM items") == [["1", "1"]])
        }

        @Test func aRecordOutsideTheGroupMayMeetNoRow() async throws {
            let scene = try await Scene(Self.items)
            let report = try await scene.write(
                .insert("items", #"{"id":1}"#), .patch("items", #"{"id":1}"#, #"{"qty":5}"#),
                .patch("items", #"{"id":9}"#, #"{"qty":2}"#), groups: [0..<2])
            #expect(report.outcome == .committed)
            #expect(report.effects == [.inserted, .updated, .notFound])
        }

        @Test func membersOfAGroupKeepTheirOrder() async throws {
            let scene = try await Scene(
                """
                CREATE TABLE stock (id int PRIMARY KEY, qty int CHECK (qty >= 0));
                CREATE TABLE moves (id int PRIMARY KEY, stock int REFERENCES stock);
                INSERT INTO stock VALUES (1, 5)
                """)
            // The stock is emptied, used as a parent, and gone: in this order only.
            let report = try await scene.write(
                .patch("stock", #"{"id":1}"#, #"{"qty":0}"#),
                .insert("moves", #"{"id":1,"stock":1}"#), .delete("moves", #"{"id":1}"#),
                .delete("stock", #"{"id":1}"#), .insert("stock", #"{"id":1,"qty":9}"#),
                groups: [0..<5])
            #expect(report.effects == [.updated, .inserted, .deleted, .deleted, .inserted])
            #expect(try await scene.rows("SELECT qty FROM stock") == [["9"]])
        }

        @Test func anIsolatedBatchNamesTheGuiltyRecord() async throws {
            let scene = try await Scene(Self.items)
            let rows: [Row] = [
                .insert("items", #"{"id":1,"qty":1}"#), .insert("items", #"{"id":2,"qty":1}"#),
                .insert("items", #"{"id":1,"qty":2}"#), .insert("items", #"{"id":3,"qty":1}"#),
            ]
            let whole = try await scene.write(rows[...1] + [rows[3]], groups: [0..<3])
            #expect(whole.outcome == .committed)
            let report = try await scene.write(
                rows.dropFirst() + [], groups: [0..<3], isIsolated: true)
            #expect(report.outcome == .recordError(culprit: 0))
            #expect(report.error?.sqlstate == "23505")
        }
    }
}
