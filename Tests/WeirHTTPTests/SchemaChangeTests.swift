import Foundation
import Synchronization
import Testing
import Weir
import WeirCore
import WeirHTTP
import WeirPostgres

/// The tables change under callers that never stop writing. Nobody is refused for it but with
/// "come again", every record that was acknowledged is there once, and no other is.
@Suite(.cluster, .serialized, .timeLimit(.minutes(2))) struct SchemaChangeTests {
    /// One change of a table, and records that are right before and after it.
    struct Change: Sendable, CustomTestStringConvertible {
        let name: String
        var table = "id bigint PRIMARY KEY, qty integer NOT NULL, note text"
        let sql: String
        /// A record that is right under both definitions.
        var before: @Sendable (Int) -> String = { #"{"id":\#($0),"qty":\#($0 % 97),"note":"n"}"# }
        /// One that is right under the new definition, and mostly under no other.
        let after: @Sendable (Int) -> String
        /// What holds of every row in the end.
        let holds: String
        /// What tells the rows of `after` apart.
        let isAfter: String
        var testDescription: String { name }
    }

    static let changes: [Change] = [
        Change(
            name: "a column is added", sql: "ALTER TABLE items ADD COLUMN extra bigint",
            after: { #"{"id":\#($0),"qty":\#($0 % 97),"extra":\#($0)}"# },
            holds: "qty = id % 97 AND (extra = id OR extra IS NULL)", isAfter: "extra IS NOT NULL"),
        Change(
            name: "a column is dropped",
            table: "gone text, id bigint PRIMARY KEY, qty integer NOT NULL, note text",
            sql: "ALTER TABLE items DROP COLUMN gone",
            after: { #"{"id":\#($0),"qty":\#($0 % 97),"note":"after"}"# },
            holds: "qty = id % 97", isAfter: "note = 'after'"),
        Change(
            name: "a column is renamed",
            table: "id bigint PRIMARY KEY, qty integer NOT NULL, note text, old text",
            sql: "ALTER TABLE items RENAME old TO new",
            after: { #"{"id":\#($0),"qty":\#($0 % 97),"new":"\#($0)"}"# },
            holds: "qty = id % 97 AND (new = id::text OR new IS NULL)", isAfter: "new IS NOT NULL"),
        Change(
            name: "two columns change their names",
            table: "id bigint PRIMARY KEY, qty integer NOT NULL, note text, other text",
            sql: """
                BEGIN; ALTER TABLE items RENAME note TO x; ALTER TABLE items RENAME other TO note;
                ALTER TABLE items RENAME x TO other; COMMIT
                """,
            after: { #"{"id":\#($0),"qty":\#($0 % 97),"note":"after"}"# },
            holds: "qty = id % 97 AND (note IS NULL OR other IS NULL)", isAfter: "note = 'after'"),
        Change(
            name: "an integer becomes bigint", sql: "ALTER TABLE items ALTER qty TYPE bigint",
            after: { #"{"id":\#($0),"qty":\#(5_000_000_000 + $0)}"# },
            holds: "qty IN (id % 97, 5000000000 + id)", isAfter: "qty > 100"),
        Change(
            name: "an integer becomes numeric",
            sql: "ALTER TABLE items ALTER qty TYPE numeric(12,3)",
            after: { #"{"id":\#($0),"qty":\#($0 % 97).125}"# },
            holds: "qty IN (id % 97, id % 97 + 0.125)", isAfter: "qty <> trunc(qty)"),
        Change(
            name: "a text gets longer",
            table: "id bigint PRIMARY KEY, qty integer NOT NULL, note varchar(3)",
            sql: "ALTER TABLE items ALTER note TYPE varchar(30)",
            after: { #"{"id":\#($0),"qty":\#($0 % 97),"note":"much longer \#($0)"}"# },
            holds: "note IN ('n', 'much longer ' || id)", isAfter: "note <> 'n'"),
        Change(
            name: "NOT NULL is given", sql: "ALTER TABLE items ALTER note SET NOT NULL",
            after: { #"{"id":\#($0),"qty":\#($0 % 97),"note":"after"}"# },
            holds: "note IN ('n', 'after')", isAfter: "note = 'after'"),
        Change(
            name: "NOT NULL is lost", sql: "ALTER TABLE items ALTER qty DROP NOT NULL",
            after: { #"{"id":\#($0),"qty":null}"# },
            holds: "qty = id % 97 OR qty IS NULL", isAfter: "qty IS NULL"),
        Change(
            name: "a default is given", sql: "ALTER TABLE items ALTER qty SET DEFAULT -1",
            after: { #"{"id":\#($0),"note":"after"}"# },
            holds: "qty IN (id % 97, -1)", isAfter: "qty = -1"),
        Change(
            name: "a label is added",
            table: "id bigint PRIMARY KEY, qty mood NOT NULL, note text",
            sql: "ALTER TYPE mood ADD VALUE 'fine'", before: { #"{"id":\#($0),"qty":"ok"}"# },
            after: { #"{"id":\#($0),"qty":"fine"}"# },
            holds: "qty IN ('ok', 'fine')", isAfter: "qty = 'fine'"),
        Change(
            name: "a type is made anew",
            table: "id bigint PRIMARY KEY, qty mood NOT NULL, note text",
            sql: """
                BEGIN; CREATE TYPE other AS ENUM ('ok', 'fine');
                ALTER TABLE items ALTER qty TYPE other USING qty::text::other;
                DROP TYPE mood; ALTER TYPE other RENAME TO mood; COMMIT
                """, before: { #"{"id":\#($0),"qty":"ok"}"# },
            after: { #"{"id":\#($0),"qty":"fine"}"# },
            holds: "qty IN ('ok', 'fine')", isAfter: "qty = 'fine'"),
        Change(
            name: "the key gets another column",
            sql: """
                BEGIN; ALTER TABLE items DROP CONSTRAINT items_pkey;
                ALTER TABLE items ADD PRIMARY KEY (id, qty); COMMIT
                """,
            after: { #"{"id":\#($0),"qty":\#($0 % 97),"note":"after"}"# },
            holds: "qty = id % 97", isAfter: "note = 'after'"),
        Change(
            name: "the table is made anew",
            sql: """
                BEGIN; LOCK TABLE items; CREATE TABLE copy (note text, qty integer NOT NULL, extra int,
                    id bigint PRIMARY KEY);
                INSERT INTO copy (id, qty, note) SELECT id, qty, note FROM items;
                DROP TABLE items; ALTER TABLE copy RENAME TO items; COMMIT
                """,
            after: { #"{"id":\#($0),"qty":\#($0 % 97),"extra":1}"# },
            holds: "qty = id % 97", isAfter: "extra = 1"),
        Change(
            name: "the table is renamed away and back",
            sql: """
                ALTER TABLE items RENAME TO away; SELECT pg_sleep(0.2);
                ALTER TABLE away RENAME TO items
                """,
            after: { #"{"id":\#($0),"qty":\#($0 % 97),"note":"after"}"# },
            holds: "qty = id % 97", isAfter: "note = 'after'"),
    ]

    @Test(arguments: changes) func nobodyIsRefusedForIt(_ change: Change) async throws {
        let sql = "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE items (\(change.table))"
        try await withOrders(tables: ["items"], sql: sql) { gateway, database in
            let traffic = Traffic(table: "items", before: change.before, after: change.after)
            try await traffic.run(gateway) {
                try await traffic.reach(200)
                // Each statement by itself, unless it says otherwise.
                let session = try database.openSession()
                for statement in change.sql.split(separator: "BEGIN;").count > 1
                    ? [change.sql[...]] : change.sql.split(separator: ";")
                {
                    try session.execute(String(statement))
                }
                traffic.change()
                try await traffic.reach(200)
            }
            try traffic.expectStored(in: database, change.holds, isAfter: change.isAfter)
        }
    }

    @Test func aPrivilegeThatComesBackEndsThePause() async throws {
        let role = "app\(UInt32.random(in: 0 ... .max))"
        let database = try Database()
        try database.execute(
            """
            CREATE ROLE \(role) LOGIN; CREATE TABLE items (id bigint PRIMARY KEY, qty int, note text);
            GRANT SELECT, INSERT ON items TO \(role)
            """)
        let conninfo = database.conninfo.replacing("user=weir", with: "user=\(role)")
        try await withGateway(conninfo: conninfo, tables: ["items"]) { gateway in
            let record = SchemaChangeTests.changes[0].before
            let traffic = Traffic(table: "items", before: record, after: record)
            try await traffic.run(gateway) {
                for _ in 0..<2 {
                    try await traffic.reach(100)
                    try database.execute("REVOKE INSERT ON items FROM \(role)")
                    let told = traffic.pausedCount
                    try await eventually { traffic.pausedCount > told }
                    try database.execute("GRANT INSERT ON items TO \(role)")
                }
                traffic.change()
                try await traffic.reach(100)
            }
            try traffic.expectStored(in: database, "qty = id % 97", isAfter: "true")
        }
    }

    // MARK: At the door

    @Test func aColumnThatHasJustBeenAddedIsKnownAtOnce() async throws {
        try await withOrders(tables: ["orders"]) { gateway, database in
            let client = try gateway.client()
            let path = "/v1/tables/orders/records"
            for number in 0..<10 {
                try database.execute("ALTER TABLE orders ADD COLUMN c\(number) int")
                let one = try await client.request("POST", path, #"{"c\#(number)":1}"#)
                #expect(one.status == 201, "\(one.body)")
                try database.execute("ALTER TABLE orders ADD COLUMN d\(number) int")
                let many = try await client.request(
                    "POST", path, #"[{"qty":1},{"d\#(number)":1},{"d\#(number)":2}]"#)
                #expect(many.status == 200, "\(many.body)")
                try database.execute("ALTER TABLE orders ADD COLUMN e\(number) int")
                let bulk = try await client.request(
                    "POST", "/v1/bulk",
                    #"""
                    {"op":"insert","table":"orders","group":"g","data":{"qty":1}}
                    {"op":"insert","table":"orders","group":"g","data":{"e\#(number)":1}}
                    """#, headers: ["Content-Type": "application/x-ndjson"])
                #expect(bulk.status == 200, "\(bulk.body)")
                try database.execute("ALTER TABLE orders ADD COLUMN f\(number) int")
                let rows = try await client.request(
                    "POST", path, "qty,f\(number)\n1,2\n3,4\n",
                    headers: ["Content-Type": "text/csv"])
                #expect(rows.status == 200, "\(rows.body)")
            }
            #expect(try database.query("SELECT count(*) FROM orders") == [["80"]])
        }
    }

    @Test func aColumnThatIsNotThereIsRefusedAfterALook() async throws {
        try await withOrders(tables: ["orders"]) { gateway, database in
            let client = try gateway.client()
            let path = "/v1/tables/orders/records"
            let one = try await client.request("POST", path, #"{"nowhere":1}"#)
            #expect(one.status == 422 && one.member("code") == "unknown-column")
            let many = try await client.request(
                "POST", path, #"[{"nowhere":1},{"qty":1},{"here":1}]"#)
            #expect(many.status == 207 && many.body.contains(#""ok":1,"failed":2"#), "\(many.body)")
            #expect(try database.query("SELECT count(*) FROM orders") == [["1"]])
            #expect(gateway.coordinator.figures().metrics.transactions == 1)
        }
    }

    @Test func withoutADatabaseNothingIsHeldAgainstARecord() async throws {
        try await withServer { server in
            try server.execute(ordersSQL)
            try await withGateway(conninfo: server.conninfo, tables: ["orders"]) { gateway in
                let client = try gateway.client()
                let path = "/v1/tables/orders/records"
                try await eventually {
                    try await client.request("POST", path, #"{"qty":1}"#).status == 201
                }
                await server.stop()
                try await eventually { gateway.coordinator.figures().gauges.connections == 0 }
                let one = try await client.request("POST", path, #"{"nowhere":1}"#)
                #expect(one.status == 503 && one.member("code") == "database-unavailable")
                #expect(one.member("written") == "no" && one.headers["retry-after"] != nil)
                let many = try await client.request("POST", path, #"[{"nowhere":1}]"#)
                #expect(many.body.contains(#""code":"database-unavailable""#), "\(many.body)")
                try await server.startAgain(server.testConfiguration)
                try await eventually {
                    try await client.request("POST", path, #"{"nowhere":1}"#).status == 422
                }
            }
        }
    }

    @Test func statementsThatTheSessionForgotArePreparedAgain() async throws {
        let sql = """
            CREATE SEQUENCE turns; CREATE TABLE items (id bigint PRIMARY KEY, qty int);
            CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('turns') % 3 = 0 THEN DEALLOCATE ALL; END IF; RETURN NULL; END $$;
            CREATE TRIGGER t AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION forget()
            """
        try await withOrders(tables: ["items"], sql: sql) { gateway, database in
            let client = try gateway.client()
            for id in 0..<20 {
                // The session that forgot COMMIT as well is given up, and the record repeated.
                let answer = try await client.request(
                    "POST", "/v1/tables/items/records", #"{"id":\#(id)}"#)
                #expect(answer.status == 201, "\(answer.body)")
            }
            #expect(try database.query("SELECT count(*) FROM items") == [["20"]])
        }
    }
}
