import Testing
import WeirConfig
import WeirCore
import Yams

/// The part of YAML that is read, what is refused, and that what is read means the same to Yams.
@Suite struct YAMLReaderTests {
    /// A tree as text: `{key: [a, b], other: }`.
    static func text(_ node: YAMLNode) -> String {
        switch node.content {
        case .scalar(let text): "<\(text)>"
        case .empty: "<>"
        case .list(let items): "[" + items.map(text).joined(separator: ", ") + "]"
        case .map(let members):
            "{" + members.map { "<\($0.key)>: " + text($0.value) }.joined(separator: ", ") + "}"
        }
    }

    static func text(_ node: Yams.Node) -> String {
        switch node {
        case .scalar(let scalar):
            scalar.style == .plain && ["~", "null", "Null", "NULL"].contains(scalar.string)
                ? "<>" : "<\(scalar.string)>"
        case .sequence(let items): "[" + items.map { text($0) }.joined(separator: ", ") + "]"
        case .mapping(let members):
            "{" + members.map { text($0) + ": " + text($1) }.joined(separator: ", ") + "}"
        case .alias: "alias"
        }
    }

    static func read(_ yaml: String) throws(YAMLDefect) -> String {
        try YAMLReader.read(Array(yaml.utf8)).root.map(text) ?? ""
    }

    static let samples: [(yaml: String, tree: String)] = [
        ("", ""), ("# only this\n\n", ""), ("---\n", ""),
        ("a: 1", "{<a>: <1>}"), ("\u{FEFF}a: 1\r\nb: 2\r\n", "{<a>: <1>, <b>: <2>}"),
        (
            "a:\n  b: no\n  c: \"x # y\" # z\nd: 'it''s'\n",
            "{<a>: {<b>: <no>, <c>: <x # y>}, <d>: <it's>}"
        ),
        ("a: {b: 1, c: [x, \"y, z\"], d: {}}\n", "{<a>: {<b>: <1>, <c>: [<x>, <y, z>], <d>: {}}}"),
        (
            "a: [one,\n    two, # why\n    three\n   ]\nb: 1\n",
            "{<a>: [<one>, <two>, <three>], <b>: <1>}"
        ),
        (
            "a:\n- x\n- y\nb:\n  - k: 1\n    l: 2\n  -\n    z\n",
            "{<a>: [<x>, <y>], <b>: [{<k>: <1>, <l>: <2>}, <z>]}"
        ),
        ("a: postgres:///app?x=1&y=2\n", "{<a>: <postgres:///app?x=1&y=2>}"),
        (
            "listen: {api: 127.0.0.1:8432, admin: 'unix:/x'}",
            "{<listen>: {<api>: <127.0.0.1:8432>, <admin>: <unix:/x>}}"
        ),
        ("a:\nb: ~\nc: null\nd: ''\n", "{<a>: <>, <b>: <>, <c>: <>, <d>: <>}"),
        (#"a: "tab\tquote\" slash\\ \u00e9""#, "{<a>: <tab\tquote\" slash\\ é>}"),
        ("--- # start\na b c: d e\n", "{<a b c>: <d e>}"),
        ("'q': x\n\"r\": y\n", "{<q>: <x>, <r>: <y>}"),
        (
            "a: -1\nb: -x\nc: a-b\nd: 'x'#y\n".replacing("d: 'x'#y\n", with: ""),
            "{<a>: <-1>, <b>: <-x>, <c>: <a-b>}"
        ),
        ("a: b#c\nd: e #f\n", "{<a>: <b#c>, <d>: <e>}"),
        ("- - x\n  - y\n- z\n", "[[<x>, <y>], <z>]"),
        ("{a: 1, b}", "{<a>: <1>, <b>: <>}"),
        ("a: [x, , y]".replacing(", ,", with: ","), "{<a>: [<x>, <y>]}"),
    ]

    @Test(arguments: samples) func whatIsReadIsWhatStandsThere(_ yaml: String, _ tree: String)
        throws
    {
        #expect(try Self.read(yaml) == tree)
    }

    @Test(
        arguments: [
            ("a: 1\n\tb: 2\n", 2, "a tab stands in the indentation"),
            ("a:\n  b: &x 1\n", 2, "anchors (&) and aliases (*)"), ("a: *x\n", 1, "anchors (&)"),
            ("&x a: 1", 1, "anchors"), ("a: [*x]", 1, "anchors"), ("<<: *x", 1, "anchors"),
            ("a: !!int 5\n", 1, "tags (!)"), ("a: |\n  text\n", 1, "block texts"),
            ("a: >\n x", 1, "block texts"),
            ("? a\n: b\n", 1, "? cannot begin a text"), ("a: @x", 1, "put it into quotes"),
            ("a: `x`", 1, "quotes"),
            ("%YAML 1.2\n---\n", 1, "quotes"), ("a: 1\n---\nb: 2\n", 2, "a second document"),
            ("a: 1\n...\n", 2, "a second document"), ("a: b: c\n", 1, "a map may not begin"),
            ("a: one\n  two\n", 2, "indented further"), ("a: 1\n  b: 2\n", 2, "indented further"),
            ("a:\n    b: 1\n  c: 2\n", 3, "indented further"),
            ("  a: 1\nb: 2\n", 2, "indented less"),
            ("a: 'x\n", 1, "a quote is not closed"), ("a: \"x\ny\"\n", 1, "a quote is not closed"),
            ("a: \"\\x41\"", 1, "backslash"), ("a: \"\\ud800\"", 1, "backslash"),
            ("a: 'x' y\n", 1, "more text follows"),
            ("a: [x\nb: 1", 2, "expected a comma"), ("a: [x", 1, "a bracket is not closed"),
            ("a: {x: 1", 1, "not closed"),
            ("a: [x] y\n", 1, "more text follows"), ("a: ]\n", 1, "cannot stand here"),
            ("just text\nb: 1\n", 2, "indented less"),
            ("a\n", 1, ""), ("- x\ny: 1\n", 2, "indented less"),
            ("a: 1\nb\n", 2, "a colon and a space"),
            ("a:1\nb: 2\n", 2, "indented less"), ("a: x\u{0}y", 1, "control character"),
            ("a: 1\nb: \u{7F}", 2, "control"),
            (": x\n", 1, ": cannot begin a text"), ("a: - x\n", 1, "a list may not begin"),
            ("a: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}", 1, "levels inside each other"),
            ("a: 1\rb: 2\n", 1, "control character"), ("a: -\nb: 1\n", 1, "a list may not begin"),
            ("a: [x,:y]", 1, ": cannot begin"), ("a: {b:[x]}", 1, "belongs a space"),
            ("~: 1", 1, "may not be empty"),
            ("a: [x,, y]", 1, ", cannot stand here"), ("a:\tx", 1, "a tab stands between"),
            ("a: x\ty", 1, "a tab stands in the text"),
            ("--- a: 1", 1, "more text follows"), ("a: [x,#y\n]", 1, "# cannot begin"),
            (String(repeating: "[", count: 100_000), 1, "levels inside each other"),
            (String(repeating: "- ", count: 100_000), 1, "levels inside each other"),
            (String(repeating: "#", count: 300_000), 1, "larger than 256 KiB"),
        ] as [(String, Int, String)])
    func theRestIsRefusedWithItsLine(_ yaml: String, _ line: Int, _ reason: String) {
        do throws(YAMLDefect) {
            let tree = try Self.read(yaml)
            // Text alone is YAML too; that the file is a map is another's to say.
            #expect(reason.isEmpty, "read as \(tree)")
        } catch {
            #expect(error.line == line, "\(error)")
            #expect(error.text.contains(reason), "\(error)")
        }
    }

    @Test func textThatIsNotUTF8IsRefusedWithItsLine() {
        let found = #expect(throws: YAMLDefect.self) {
            try YAMLReader.read(Array("a: 1\nb: ".utf8) + [0xFF, 0x0A])
        }
        #expect(found?.line == 2)
        #expect(found?.text.contains("UTF-8") == true)
    }

    @Test func keysThatStandTwiceAreAllFound() throws {
        let yaml = "a: 1\nb: {x: 1, x: 2}\na: 3\nb:\n"
        let found = try YAMLReader.read(Array(yaml.utf8)).repeatedKeys
        #expect(found.map(\.line) == [2, 3, 4])
        #expect(found[1].text == "\"a\" stands twice, here and in line 1")
    }

    @Test func linesAreThoseOfTheFile() throws {
        let yaml = "# 1\n\na: # 3\n  b: 4\n  c: [x,\n    y]\nd: 7\n"
        let root = try #require(try YAMLReader.read(Array(yaml.utf8)).root)
        guard case .map(let members) = root.content, case .map(let inner) = members[0].value.content
        else { return #expect(Bool(false), "no maps") }
        #expect(members.map(\.line) == [3, 7])
        #expect(inner.map(\.line) == [4, 5])
    }

    // MARK: Beside Yams

    @Test(arguments: samples.filter { !$0.yaml.hasPrefix("\u{FEFF}") })
    func yamsReadsTheSame(_ yaml: String, _ tree: String) throws {
        let node = try Yams.compose(yaml: yaml)
        #expect(
            node.map { Self.text($0) } ?? "" == (tree.isEmpty ? (node == nil ? "" : "<>") : tree))
    }

    /// Changed at random: what this reader takes, Yams takes, and to the same effect.
    @Test func whatIsReadMeansTheSameToYams() throws {
        var random = SplitMix64(seed: 8)
        let alphabet = Array("ab1:-#,[]{}'\"\\ \n\n  &*!|>%@`?~.x\r\t")
        var accepted = 0
        for round in 0..<6_000 {
            var text = Array(
                Self.samples[round % Self.samples.count].yaml.filter { $0 != "\u{FEFF}" })
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0...text.count, using: &random)
                let sign = alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
                switch Int.random(in: 0..<3, using: &random) {
                case 0: text.insert(sign, at: place)
                case 1 where place < text.count: text[place] = sign
                default: if place < text.count { text.remove(at: place) }
                }
            }
            let yaml = String(text)
            guard let (root, repeated) = try? YAMLReader.read(Array(yaml.utf8)), repeated.isEmpty
            else { continue }
            accepted += 1
            let ours = root.map(Self.text) ?? ""
            do {
                let node = try Yams.compose(yaml: yaml)
                let theirs = node.map { Self.text($0) } ?? ""
                #expect(
                    ours == theirs || ours.isEmpty && theirs == "<>", "\(yaml.debugDescription)")
            } catch {
                Issue.record("Yams refuses \(yaml.debugDescription): \(error)")
            }
        }
        #expect(accepted > 500)
    }
}
