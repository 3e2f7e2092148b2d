import Foundation
import Testing
import WeirLoad

/// `weir load --from`: real records instead of made-up ones.
@Suite(.serialized, .timeLimit(.minutes(3)), .privateDatabase) struct RecordFileTests {
    private func database() throws -> PrivateDatabase.Running {
        try #require(PrivateDatabase.current)
    }

    /// The path of a file with these lines; the caller removes it.
    private func file(_ lines: String) throws -> String {
        let path = FileManager.default.temporaryDirectory
            .appending(path: "weir-from-\(UUID().uuidString).ndjson").path
        try Data(lines.utf8).write(to: URL(filePath: path))
        return path
    }

    private func load(_ arguments: [String]) throws -> Harness.Output {
        try Harness.run(["load", "--quiet", "--db", try database().conninfo] + arguments)
    }

    private static let records = """
        {"id":1,"note":"first","qty":1}
        {"note":"caf\\u00e9 \\"quoted\\"","qty":null,"id":2}

        {"qty":3}

        """

    private func makeTable() throws {
        try database().execute(
            "DROP TABLE IF EXISTS from_file; CREATE TABLE from_file "
                + "(id bigint PRIMARY KEY, note text DEFAULT 'none', qty int)")
    }

    @Test(arguments: ["direct", "gateway"])
    func recordsAreWrittenInTurnAndAudited(_ mode: String) throws {
        try makeTable()
        let path = try file(Self.records)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let output = try load(
            ["--table", "from_file", "--from", path, "--compare", mode, "-c", "2", "-n", "7"]
                + ["--json", "-"])
        #expect(LoadCommandTests.measured.contains(output.status), "\(output.errors)")
        let result = try #require(try output.modes().first)
        let audit = try #require(result["audit"] as? [String: Any])
        #expect(audit["honest"] as? Bool == true, "\(audit)")
        #expect(audit["acknowledged"] as? Int == 7)
    }

    @Test func whatIsWrittenIsWhatTheFileSays() throws {
        try makeTable()
        let path = try file(Self.records)
        defer { try? FileManager.default.removeItem(atPath: path) }
        // To the table itself, which is looked at while the run still goes on: it cleans up after.
        try database().execute(
            "DROP TABLE IF EXISTS seen; CREATE TABLE seen (note text, qty int);"
                + "CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                + "INSERT INTO seen VALUES (NEW.note, NEW.qty); RETURN NULL; END $$;"
                + "CREATE TRIGGER note_it AFTER INSERT ON from_file "
                + "FOR EACH ROW EXECUTE FUNCTION note_it()")
        defer { try? database().execute("DROP TABLE from_file; DROP FUNCTION note_it()") }
        for mode in ["direct", "gateway"] {
            let output = try load(
                ["--table", "from_file", "--yes", "--from", path, "--compare", mode]
                    + ["-c", "1", "-n", "3"])
            #expect(LoadCommandTests.measured.contains(output.status), "\(output.errors)")
            let seen = try database().query(
                "SELECT coalesce(note, '-') || ' ' || coalesce(qty::text, '-') FROM seen ORDER BY 1"
            )
            #expect(seen.map { $0[0] } == ["café \"quoted\" -", "first 1", "none 3"], "\(mode)")
            try database().execute("TRUNCATE seen")
        }
    }

    @Test(arguments: [
        ("{\"note\":\"a\"}\n{\"nota\":1}\n", ":2: table "),
        ("{\"qty\":\"many\"}\n", ":1: "),
        ("{\"qty\":1\n", ":1: "),
        ("\n \n", "holds no records"),
    ])
    func aLineThatIsNoRecordIsNamedBeforeAnythingIsSent(_ lines: String, _ reason: String) throws {
        try makeTable()
        let path = try file(lines)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let output = try load(["--table", "from_file", "--from", path, "-c", "1", "-n", "1"])
        #expect(output.status == 78)
        #expect(output.errors.contains(path) && output.errors.contains(reason), "\(output.errors)")
    }

    @Test func whatDoesNotGoTogetherIsUsage() throws {
        #expect(try load(["--from", "x.ndjson"]).status == 64)
        #expect(
            try load(["--table", "t", "--from", "x.ndjson", "--shape", "bulk-edit"]).status == 64)
        let missing = try load(["--table", "t", "--from", "/nowhere.ndjson"])
        #expect(missing.status == 78 && missing.errors.contains("/nowhere.ndjson"))
    }
}
