import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord

extension PostgresTests {
    /// Many shapes, many columns, many rows, large values.
    @Suite struct CapacityTests {
        @Test func statementsThatAreNotUsedAreForgotten() async throws {
            // Ten columns have more shapes than a connection keeps statements for.
            let columns = (0..<10).map { "c\($0) int" }.joined(separator: ", ")
            let scene = try await Scene(
                """
                CREATE FUNCTION prepared() RETURNS bigint LANGUAGE sql AS
                    'SELECT count(*) FROM pg_prepared_statements';
                CREATE TABLE items (id int PRIMARY KEY, seen bigint DEFAULT prepared(), \(columns))
                """)
            for round in 0..<2 {
                for shape in 0..<600 {
                    let id = round * 1_000 + shape
                    let members = (0..<10).filter { shape & (1 << $0) != 0 }
                        .map { ",\"c\($0)\":\(shape)" }
                    let report = try await scene.write(
                        .insert("items", "{\"id\":\(id)\(members.joined())}"))
                    guard report.outcome == .committed else {
                        Issue.record("shape \(shape): \(report.error as Any)")
                        return
                    }
                }
            }
            #expect(try await scene.rows("SELECT count(*) FROM items") == [["1200"]])
            // Three of the transaction's own are always there.
            let most = try await scene.rows("SELECT max(seen) BETWEEN 500 AND 515 FROM items")
            #expect(most == [["t"]])
        }

        @Test func aBatchMayHaveMoreShapesThanAreKept() async throws {
            let columns = (0..<10).map { "c\($0) int" }.joined(separator: ", ")
            let scene = try await Scene("CREATE TABLE items (id int PRIMARY KEY, \(columns))")
            let rows = (0..<1_000).map { shape in
                let members = (0..<10).filter { shape & (1 << $0) != 0 }.map {
                    ",\"c\($0)\":\(shape)"
                }
                return Row.insert("items", "{\"id\":\(shape)\(members.joined())}")
            }
            let report = try await scene.write(rows)
            #expect(report.outcome == .committed, "\(report.error as Any)")
            #expect(
                try await scene.rows("SELECT count(*), sum(c0) FROM items") == [["1000", "250000"]])
            // And again, with whatever is left of them.
            let upserts = rows.map { row in Row.upsert("items", row.data) }
            #expect(
                try await scene.write(upserts).effects == Array(repeating: .updated, count: 1_000))
        }

        /// In several waves: what the first one used is still there in the second.
        @Test func aBatchMayUseMoreShapesThanAreKeptAgain() async throws {
            let columns = (0..<10).map { "c\($0) int" }.joined(separator: ", ")
            let scene = try await Scene("CREATE TABLE items (id int PRIMARY KEY, \(columns))")
            let rows = (0..<1_200).map { number in
                let shape = number % 600
                let members = (0..<10).filter { shape & (1 << $0) != 0 }.map {
                    ",\"c\($0)\":\(number)"
                }
                return Row.upsert("items", "{\"id\":\(shape)\(members.joined())}")
            }
            for effect in [RowEffect.inserted, .updated] {
                let report = try await scene.write(rows)
                #expect(report.outcome == .committed, "\(report.error as Any)")
                #expect(report.effects.first == effect)
                #expect(report.effects.last == .updated)
            }
            #expect(try await scene.rows("SELECT c9 FROM items WHERE id = 599") == [["1199"]])
        }

        @Test(arguments: [64, 65, 600, 1_500]) func aTableMayHaveManyColumns(_ count: Int)
            async throws
        {
            let columns = (1..<count).map { "c\($0) int" }.joined(separator: ", ")
            let scene = try await Scene("CREATE TABLE wide (id int PRIMARY KEY, \(columns))")
            let all = (1..<count).map { "\"c\($0)\":\($0)" }.joined(separator: ",")
            let last = "c\(count - 1)"
            let report = try await scene.write(
                .insert("wide", #"{"id":1,\#(all)}"#), .upsert("wide", #"{"id":1,\#(all)}"#),
                .patch("wide", #"{"id":1}"#, #"{"\#(last)":-1}"#),
                .insert("wide", #"{"id":2,"\#(last)":7}"#))
            #expect(report.outcome == .committed, "\(report.error as Any)")
            #expect(
                try await scene.rows("SELECT id, c1, \(last) FROM wide ORDER BY id")
                    == [["1", "1", "-1"], ["2", nil, "7"]])
        }

        @Test func largeValuesArriveWhole() async throws {
            let scene = try await Scene("CREATE TABLE items (id int PRIMARY KEY, v text, b bytea)")
            let text = String(repeating: "äöü€😀", count: 70_000)
            let hex = String(repeating: "00ff", count: 200_000)
            let report = try await scene.write(
                (0..<8).map { .insert("items", #"{"id":\#($0),"v":"\#(text)","b":"\\x\#(hex)"}"#) })
            #expect(report.outcome == .committed)
            let same = try await scene.rows(
                "SELECT count(DISTINCT v), min(length(v)), min(length(b)), count(*) FROM items")
            #expect(same == [["1", "350000", "400000", "8"]])
        }

        @Test func largeRowsComeBackWhole() async throws {
            let scene = try await Scene("CREATE TABLE items (id int PRIMARY KEY, v text)")
            let text = String(repeating: "x", count: 500_000)
            let rows = (0..<20).map { id in
                Row.insert("items", #"{"id":\#(id),"v":"\#(text)"}"#).returningRow
            }
            let report = try await scene.write(rows)
            #expect(report.outcome == .committed)
            #expect(report.results.map { $0.row?.count ?? 0 }.allSatisfy { $0 > 500_000 })
        }

        @Test func manyRowsOfManyTablesAreOneTransaction() async throws {
            let scene = try await Scene(
                """
                CREATE TABLE a (id int PRIMARY KEY, xid xid8 DEFAULT pg_current_xact_id());
                CREATE TABLE b (id int PRIMARY KEY, xid xid8 DEFAULT pg_current_xact_id())
                """)
            let report = try await scene.write(
                (0..<2_000).map { .insert($0 % 2 == 0 ? "a" : "b", #"{"id":\#($0)}"#) })
            #expect(report.outcome == .committed)
            #expect(report.statementCount == 2)
            #expect(
                try await scene.rows(
                    "SELECT count(DISTINCT xid), count(*) FROM (TABLE a UNION ALL TABLE b) AS t")
                    == [["1", "2000"]])
        }
    }
}
