import Testing
import Weir
import WeirPostgres

/// `GET /v1/tables/{table}` says what each column takes, as JSON Schema.
@Suite(.cluster, .serialized, .timeLimit(.minutes(2))) struct ColumnSchemaTests {
    static let columns: [(definition: String, schema: String)] = [
        ("boolean NOT NULL DEFAULT true", #"{"type":"boolean","default":true}"#),
        ("boolean", #"{"type":["boolean","null"]}"#),
        ("smallint", #"{"type":["integer","null"],"minimum":-32768,"maximum":32767}"#),
        (
            "integer NOT NULL DEFAULT 7",
            #"{"type":"integer","minimum":-2147483648,"maximum":2147483647,"default":7}"#
        ),
        ("double precision NOT NULL", #"{"type":["number","string"]}"#),
        ("numeric NOT NULL", #"{"type":["number","string"]}"#),
        (
            "numeric(6,2) NOT NULL",
            #"{"type":["number","string"],"exclusiveMinimum":-1e4,"exclusiveMaximum":1e4}"#
        ),
        ("text NOT NULL DEFAULT 'a\"b'", #"{"type":"string","default":"a\"b"}"#),
        ("text NOT NULL DEFAULT 'a' || 'b'", #"{"type":"string"}"#),
        ("text NOT NULL DEFAULT current_user", #"{"type":"string"}"#),
        ("varchar(5)", #"{"type":["string","null"],"maxLength":5}"#),
        ("char(3) NOT NULL", #"{"type":"string","maxLength":3}"#),
        ("uuid NOT NULL", #"{"type":"string","format":"uuid"}"#),
        ("date NOT NULL", #"{"type":"string","format":"date"}"#),
        ("timestamptz NOT NULL DEFAULT now()", #"{"type":"string","format":"date-time"}"#),
        ("json NOT NULL", "{}"),
        ("jsonb", "{}"),
        ("mood NOT NULL", #"{"enum":["sad","it's \"ok\""]}"#),
        ("mood", #"{"enum":["sad","it's \"ok\"",null]}"#),
        ("short NOT NULL", #"{"type":"string","maxLength":3}"#),
        (
            "varchar(2)[] NOT NULL",
            """
            {"type":["array","string"],"items":{"anyOf":[{"type":["string","null"],"maxLength":2},\
            {"type":"array"}]}}
            """
        ),
        ("jsonb[] NOT NULL", #"{"type":["array","string"],"items":{}}"#),
        ("macaddr NOT NULL", #"{"type":["string","number","boolean"]}"#),
        (
            "integer GENERATED ALWAYS AS (1 + 1) STORED",
            """
            {"type":["integer","null"],"minimum":-2147483648,"maximum":2147483647,"readOnly":true}
            """
        ),
    ]

    @Test func eachColumnIsDescribed() async throws {
        let definitions = Self.columns.enumerated().map { "c\($0) \($1.definition)" }
        let sql = """
            CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"'); CREATE DOMAIN short AS varchar(3);
            CREATE TABLE things (\(definitions.joined(separator: ", ")))
            """
        try await withOrders(tables: ["things"], sql: sql) { gateway, _ in
            let client = try gateway.client()
            let answer = try await client.request("GET", "/v1/tables/things")
            #expect(answer.status == 200)
            let parts = answer.body.split(separator: #"{"name":"#).dropFirst()
            #expect(parts.count == Self.columns.count)
            for (part, column) in zip(parts, Self.columns) {
                #expect(
                    part.contains(#","schema":\#(column.schema)}"#),
                    "\(column.definition): \(part)")
            }
        }
    }
}
