import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord
import WeirTesting

extension PostgresTests {
    /// The gateway and PostgreSQL judge the same texts: what one takes the other takes, and what is
    /// stored is the same; what both refuse is refused with the same SQLSTATE. Where the gateway is
    /// stricter, the type's row says how.
    @Suite struct DifferentialTests {
        static let count = 1_500

        static let types = """
            CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s', 'a b', 'é');
            CREATE DOMAIN code AS varchar(3); CREATE DOMAIN price AS numeric(8,3);
            CREATE FUNCTION is_json(t text) RETURNS boolean LANGUAGE plpgsql AS $$
            BEGIN PERFORM t::json; RETURN true; EXCEPTION WHEN OTHERS THEN RETURN false; END $$;
            CREATE FUNCTION is_rounded(t text, type text) RETURNS boolean LANGUAGE plpgsql AS $$
            DECLARE answer boolean; BEGIN
                EXECUTE format('SELECT %L::numeric <> %L::%s', t, t, type) INTO answer; RETURN answer;
            EXCEPTION WHEN OTHERS THEN RETURN false; END $$;
            CREATE FUNCTION elements(t text) RETURNS text[] LANGUAGE plpgsql AS $$
            BEGIN RETURN t::text[]; EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$;
            """

        @Test(arguments: DifferentialType.all)
        func theGatewayJudgesAsPostgreSQLDoes(_ type: DifferentialType) async throws {
            var generator = ValueGenerator(seed: seed(of: type.sql))
            let texts = (0..<Self.count).map { _ in type.make(&generator) }
            let isJSON = texts.map { text in
                !type.isTextOnly && generator.chance(50)
                    ? (type.isNumber && generator.chance(80) && isJSONNumber(text)
                        ? text : quoted(text))
                    : nil
            }
            try await compare(type.sql, texts, json: isJSON, form: type.form, loss: type.loss)
        }

        /// JSON arrays against the array literals that mean the same.
        @Test(arguments: DifferentialArray.all)
        func aJSONArrayIsPostgreSQLsArray(_ type: DifferentialArray) async throws {
            var generator = ValueGenerator(seed: seed(of: type.sql))
            let values = (0..<Self.count).map { _ in type.make(&generator) }
            try await compare(
                type.sql, values.map(\.text), json: values.map(\.json), form: type.form,
                loss: type.loss)
        }

        // MARK: Judging

        private func compare(
            _ type: String, _ texts: [String], json: [String?], form: String, loss: String
        ) async throws {
            let scene = try await Scene(
                """
                \(Self.types) CREATE TABLE t (id int PRIMARY KEY, v \(type));
                CREATE TABLE oracle (id int PRIMARY KEY, t text, v \(type), state text);
                CREATE FUNCTION judge(id int, t text) RETURNS void LANGUAGE plpgsql AS $$
                BEGIN
                    EXECUTE format('INSERT INTO oracle VALUES (%s, %L, %L)', id, t, t);
                EXCEPTION WHEN OTHERS THEN
                    INSERT INTO oracle VALUES (id, t, NULL, SQLSTATE);
                END $$
                """)
            let table = try scene.table("t")
            var states: [Int: String] = [:]
            var records: [Record] = []
            for (id, text) in texts.enumerated() {
                switch decoded(text, json: json[id], id, table) {
                case .success(let record): records.append(record)
                case .failure(let defect): states[id] = defect.sqlstate ?? "none"
                }
            }
            try await write(records, scene, texts)
            let judged = texts.enumerated().map { "(\($0),\(literal($1)))" }
            let refused = states.map { "(\($0.key),'\($0.value)')" }.joined(separator: ",")
            let differing = try await scene.rows(
                """
                SET TimeZone TO 'UTC'; SET client_min_messages TO error;
                SELECT count(judge(x.id, x.t)) FROM (VALUES \(judged.joined(separator: ","))) x(id, t);
                SELECT o.t, o.v::text, t.v::text, o.state, d.state FROM oracle o
                LEFT JOIN t USING (id)
                LEFT JOIN (VALUES \(refused.isEmpty ? "(-1,'')" : refused)) AS d(id, state) USING (id)
                WHERE CASE
                    WHEN d.state IS NULL THEN o.state IS NOT NULL OR t.v::text IS DISTINCT FROM o.v::text
                    WHEN o.state IS NULL THEN (\(form)) AND NOT (\(loss))
                    -- With several faults either may name one.
                    ELSE o.state <> d.state AND (\(form)) AND NOT (\(loss))
                        AND (o.state, d.state) <> ('22009', '22008')
                        AND NOT (o.t ~ '^[{].*,' AND cardinality(elements(o.t)) > 1) END
                ORDER BY o.id LIMIT 20
                """)
            for row in differing {
                let words = row.map { $0 ?? "–" }
                Issue.record(
                    """
                    \(words[0]): PostgreSQL says \(words[1]) \(words[3]), the gateway \(words[2]) \
                    \(words[4])
                    """)
            }
            // Neither all bad nor, where that can be, all good: it would show nothing.
            #expect(records.count > 30)
            #expect(!states.isEmpty || ["text", "bpchar", "text[]"].contains(type))
        }

        private func decoded(
            _ text: String, json: String?, _ id: Int, _ table: TableSchema
        ) -> Result<Record, Defect> {
            do throws(Defect) {
                if let json {
                    return .success(try .decoded(#"{"id":\#(id),"v":\#(json)}"#, for: table))
                }
                let options = WriteOptions(.insert)
                var decoder = RecordDecoder(table: table, options: options, expectedByteCount: 64)
                let number = Array("\(id)".utf8)
                try decoder.takeText(0, number.span, 0..<number.count)
                let bytes = Array(text.utf8)
                try decoder.takeText(1, bytes.span, 0..<bytes.count)
                return .success(try decoder.finish())
            } catch {
                return .failure(error)
            }
        }

        /// All in one batch; one to a statement when the server finds fault, to name the culprit.
        private func write(_ records: [Record], _ scene: Scene, _ texts: [String]) async throws {
            let batch = WriteBatch(
                id: IDGenerator().next(unixNanoseconds: 0), number: BatchNumber(1), attempt: 1,
                records: records)
            let report = await scene.writer.write(batch)
            guard report.outcome != .committed else { return }
            var rest = records
            while !rest.isEmpty {
                let report = await scene.writer.write(
                    WriteBatch(
                        id: IDGenerator().next(unixNanoseconds: 0), number: BatchNumber(2),
                        attempt: 1, records: rest, isIsolated: true))
                guard case .recordError(let culprit?) = report.outcome else {
                    guard report.outcome == .committed else {
                        throw ConnectFailure("\(report.outcome) \(report.error as Any)")
                    }
                    return
                }
                let id = rest[culprit].keyText
                Issue.record(
                    "taken, and refused by the server: \(id) \(report.error?.message ?? "")")
                rest.remove(at: culprit)
            }
        }
    }
}

private func seed(of name: String) -> UInt64 {
    name.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) }
}

/// A JSON string.
func quoted(_ text: String) -> String {
    var bytes: [UInt8] = []
    appendJSONString(text, to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
}

private func literal(_ text: String) -> String {
    var literal = "'"
    for scalar in text.unicodeScalars {
        if scalar == "'" { literal.unicodeScalars.append(scalar) }
        literal.unicodeScalars.append(scalar)
    }
    return literal + "'"
}

private func isJSONNumber(_ text: String) -> Bool {
    text.wholeMatch(of: /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/) != nil
}

extension Record {
    fileprivate var keyText: String {
        var json: [UInt8] = []
        appendKeyJSON(to: &json)
        return String(decoding: json, as: UTF8.self)
    }
}
