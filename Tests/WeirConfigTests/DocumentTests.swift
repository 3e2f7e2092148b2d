import Foundation
import Testing
import WeirConfig
import WeirRecord

/// What is written about the configuration agrees with it.
@Suite struct DocumentTests {
    private static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    private static let begin = "<!-- settings: written by DocumentTests -->\n"
    private static let end = "<!-- end of settings -->\n"

    /// With UPDATE_REFERENCE=1 the reference is written; without, it is compared.
    @Test func theReferenceIsThatOfTheCode() throws {
        let file = Self.root.appending(path: "docs/CONFIGURATION.md")
        var text = try String(contentsOf: file, encoding: .utf8)
        let start = try #require(text.range(of: Self.begin)).upperBound
        let end = try #require(text.range(of: Self.end)).lowerBound
        let written = String(text[start..<end])
        if ProcessInfo.processInfo.environment["UPDATE_REFERENCE"] == "1" {
            text.replaceSubrange(start..<end, with: ConfigurationReference.markdown)
            try text.write(to: file, atomically: true, encoding: .utf8)
        } else {
            #expect(written == ConfigurationReference.markdown, "run it with UPDATE_REFERENCE=1")
        }
    }

    @Test func theExampleIsAConfiguration() throws {
        let file = Self.root.appending(path: "deploy/weir.yaml")
        let loaded = try load(try String(contentsOf: file, encoding: .utf8)).get().configuration
        #expect(loaded.tables.map(\.name.publicName) == ["customers", "inventory.stock", "orders"])
        // It shows defaults, but for what it names.
        var expected = Configuration()
        expected.database.url = "postgres:///app"
        expected.database.connections = 8
        expected.tables = loaded.tables
        #expect(loaded == expected)
    }
}
