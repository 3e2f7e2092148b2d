import Testing
import Weir
import WeirFuzzing
import WeirPostgres
import WeirRecord

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// PostgreSQL's own parser is the third opinion on what is JSON: what the gateway takes for a
/// document, `json` has to take, and what the gateway calls no JSON, `json` must not take either.
@Suite(.timeLimit(.minutes(1))) struct PostgresTests {
    private static let sql = """
        CREATE FUNCTION is_json(bytes bytea) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
            PERFORM convert_from(bytes, 'UTF8')::json;
            RETURN true;
        EXCEPTION WHEN invalid_text_representation OR character_not_in_repertoire
            OR untranslatable_character THEN RETURN false;
        END $$
        """

    @Test func damagedTextsAreJudgedAsPostgreSQLJudgesThem() async throws {
        let seeds = FuzzTests.corpus.compactMap { FuzzInput($0.bytes) }
            .filter { [.json, .record, .data].contains($0.reader) }.map(\.text)
        var mutator = Mutator(seed: 15)
        var texts = seeds
        for _ in 0..<10_000 {
            let seed = seeds[mutator.below(seeds.count)]
            texts.append(mutator.mutated(seed, with: seeds[mutator.below(seeds.count)]))
        }
        // Deeper than ours is no matter of grammar.
        texts.removeAll { text in
            text.count { $0 == UInt8(ascii: "[") || $0 == UInt8(ascii: "{") } > JSONCursor.depthMax
        }
        let theirs = try await judgements(texts)
        try #require(theirs.count == texts.count)
        var acceptedCount = 0
        for (text, isTheirs) in zip(texts, theirs) {
            let isOurs = isJSON(text)
            if isOurs { acceptedCount += 1 }
            let shown = String(decoding: text, as: UTF8.self).debugDescription
            #expect(isOurs == isTheirs, "\(shown)")
        }
        // The damage is neither always fatal nor never.
        #expect((500...9_500).contains(acceptedCount))
    }

    private func isJSON(_ text: [UInt8]) -> Bool {
        var cursor = JSONCursor(0..<text.count)
        do throws(Defect) {
            try cursor.skipValue(text.span)
            try cursor.expectEnd(text.span)
            return true
        } catch {
            return false
        }
    }

    private func judgements(_ texts: [[UInt8]]) async throws -> [Bool] {
        var configuration = EmbeddedServer.Configuration(
            directory: "/tmp/weir-fuzz-\(getpid())-\(UInt32.random(in: 0 ... .max))")
        configuration.isDurable = false
        let server = try await EmbeddedServer.start(configuration)
        let result = Result {
            let session = try EmbeddedServer.OwnerSession(server.conninfo)
            try session.execute(Self.sql)
            let list = texts.map { "'\(hex($0))'" }.joined(separator: ",")
            return try session.query(
                """
                SELECT is_json(decode(t, 'hex')) FROM unnest(ARRAY[\(list)]) WITH ORDINALITY AS u(t, n)
                ORDER BY n
                """
            ).map { $0[0] == "t" }
        }
        await server.remove()
        return try result.get()
    }

    private func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }
}
