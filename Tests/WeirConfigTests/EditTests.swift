import Testing
import WeirConfig

/// Two settings are changed, and every other byte stays.
@Suite struct EditTests {
    private func edit(_ text: String) throws(ConfigurationEdit.Refusal) -> String {
        let changes = [("database.connections", "6"), ("batch.max_records", "500")]
        let bytes = try ConfigurationEdit.apply(
            changes.map { (key: $0.0, value: $0.1) }, to: Array(text.utf8))
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func valuesChangeInTheirPlaces() throws {
        let text = """
            # ours
            batch: {max_bytes: 4MiB, max_records: 5000, max_linger: 5ms}   # connections: 9
            tables:
              orders:    # max_records: 1

            database:
              url: postgres:///app            # connections: 7 in the url's comment
              "connections":   8              # left out, it is derived
            """
        #expect(
            try edit(text)
                == text.replacing("max_records: 5000", with: "max_records: 500")
                .replacing("\"connections\":   8 ", with: "\"connections\":   6 "))
    }

    @Test(arguments: [
        ("", "database:\n  connections: 6\n\nbatch:\n  max_records: 500\n"),
        ("# empty\n", "# empty\n\ndatabase:\n  connections: 6\n\nbatch:\n  max_records: 500\n"),
        (
            "batch:\n    max_bytes: 1MiB\ndatabase:\n",
            "batch:\n    max_records: 500\n    max_bytes: 1MiB\ndatabase:\n  connections: 6\n"
        ),
        (
            "batch: {}\ndatabase: {url: x}\n",
            "batch: {max_records: 500}\ndatabase: {connections: 6, url: x}\n"
        ),
        (
            "database: {\n  connections: 8\n}\nbatch:\n  max_records: '9'\n",
            "database: {\n  connections: 6\n}\nbatch:\n  max_records: 500\n"
        ),
        (
            "database:\r\n  connections: 8\r\nbatch:\r\n  max_records: 9\r\n",
            "database:\r\n  connections: 6\r\nbatch:\r\n  max_records: 500\r\n"
        ),
    ])
    func whatIsMissingIsAdded(_ text: String, _ wanted: String) throws {
        #expect(try edit(text) == wanted)
    }

    @Test(arguments: [
        ("{database: {connections: 8}}", "it is written in a way that cannot be changed safely"),
        ("database:\n\tconnections: 8\n", "line 2: a tab stands in the indentation"),
        ("database: 5\n", "it is written in a way that cannot be changed safely"),
        ("database:\n  connections: 8\n...\n", "line 3: a second document begins here"),
        ("batch:\nbatch:\n", "line 2: \"batch\" stands twice"),
    ])
    func whatCannotBeChangedSafelyIsLeftAlone(_ text: String, _ reason: String) {
        do {
            let changed = try edit(text)
            Issue.record("changed to \(changed)")
        } catch {
            #expect(error.reason.hasPrefix(reason), "\(error.reason)")
        }
    }
}
