import Testing

/// Each rule on a sample that breaks it and on one that does not: a rule that cannot fail says
/// nothing.
@Suite struct RuleTests {
    private func file(_ text: String, at path: String = "Sources/Weir/Sample.swift") -> SourceFile {
        SourceFile(path: path, text: text)
    }

    // MARK: Lines

    @Test func codeAndCommentsAreToldApart() {
        let lines = file(
            #"""
            let a = "print(1)" // print(2)
            /* try! /* nested */ still */ let b = 1
            let c = "\(f("x", (1)))" + #"a "quoted" \n"# + "\"//\\"
            let d = """
                // no comment, "no" string
                \(g("y"))
                """
            """#
        ).lines
        #expect(
            lines.map(\.code) == [
                #"let a = "" "#, " let b = 1", #"let c = "f("", (1))" + "" + """#, #"let d = ""#,
                "", #"g("")"#, "\"",
            ])
        #expect(lines[0].comment == "// print(2)")
        #expect(lines[1].comment == "/* try! /* nested */ still */")
        #expect(lines[4].comment.isEmpty)
        #expect(lines.map(\.text).joined(separator: "\n").contains(#"\(f("x", (1)))"#))
    }

    @Test func aFileKeepsItsLines() {
        #expect(file("").lines.isEmpty)
        #expect(file("a\n\nb").lines.map(\.text) == ["a", "", "b"])
        #expect(file("a\n").lines.count == 1)
    }

    @Test func everyFileHereIsUnderstood() {
        // What looks like an open string would hide the code behind it.
        for file in Repository.swiftFiles { #expect(file.isUnderstood, "\(file.path)") }
        #expect(file("let a = \"b\" /* c */\n").isUnderstood)
        for text in ["let a = \"b\n", "/* a", "let a = \"\"\"\nb", "let a = \"\\(b"] {
            #expect(!file(text).isUnderstood)
        }
    }

    // MARK: Size

    @Test func aLongLineIsFound() {
        let fits = String(repeating: "é", count: Rules.columnsMax)
        #expect(Rules.longLines(file(fits)).isEmpty)
        #expect(
            Rules.longLines(file("a\n\(fits)x\n")) == [
                Violation(
                    path: "Sources/Weir/Sample.swift", line: 2,
                    reason: "\(Rules.columnsMax + 1) columns; at most \(Rules.columnsMax)")
            ])
    }

    @Test func aLongFileIsFound() {
        let fits = String(repeating: "a\n", count: Rules.linesMax)
        #expect(Rules.longFile(file(fits)).isEmpty)
        #expect(Rules.longFile(file(fits + "a")).count == 1)
    }

    @Test func aViolationNamesItsPlace() {
        #expect(
            Violation(path: "a/b.swift", line: 3, reason: "why").description == "a/b.swift:3: why")
        #expect(
            Violation(path: "a/b.swift", line: 0, reason: "why").description == "a/b.swift: why")
    }

    // MARK: Words

    @Test(arguments: [
        "Task { await x() }", "Task<Void, Never> { }", "let t = Task(priority: .high) { }",
        "Task.detached { }", "let s = AsyncStream<Int> { _ in }",
        "AsyncThrowingStream<Int, any Error>()", "@testable import Weir", "let x = try! f()",
        "print(\"x\")", "debugPrint(x)", "dump(x)", "fatalError()", "f(\"\\(try! g())\")",
    ])
    func aBannedWordIsFound(_ code: String) {
        #expect(Rules.bannedWords(file("// why\n\(code)\n")).map(\.line) == [2])
        #expect(!Rules.bannedWords(file(code, at: "Tests/WeirTests/Sample.swift")).isEmpty)
    }

    @Test(arguments: [
        "// Task { }, AsyncStream, try! and fatalError are words here",
        "let x = \"print(1); Task { }\"", "fingerprint(x)", "tasks.addTask { }",
        "func nextTask() -> WriterTask {", "Task.isCancelled", "try? f()",
        "try await Task.sleep(for: x)", "record.print", "AsyncParsableCommand",
    ])
    func aWordThatResemblesOneIsNot(_ code: String) {
        #expect(Rules.bannedWords(file(code)).isEmpty)
    }

    @Test func theCommandLineMayPrint() {
        #expect(Rules.bannedWords(file("print(1)", at: "Sources/weir/Weir.swift")).isEmpty)
        #expect(Rules.bannedWords(file("print(1)", at: "Sources/weirdo/Weir.swift")).count == 1)
        #expect(Rules.bannedWords(file("try! f()", at: "Sources/weir/Weir.swift")).count == 1)
    }

    @Test func unfinishedWorkIsFound() {
        for comment in ["// TODO: x", "/// FIXME", "a() // XXX", "/* TODO */"] {
            #expect(Rules.unfinished(file(comment)).count == 1)
        }
        #expect(Rules.unfinished(file("let todo = \"// TODO\" // what is to do")).isEmpty)
    }

    @Test func publicAccessIsFound() {
        #expect(Rules.publicAccess(file("public struct A {}")).count == 1)
        #expect(Rules.publicAccess(file("    public import Logging")).count == 1)
        #expect(Rules.publicAccess(file("let publicName = \"public\" // public")).isEmpty)
    }

    @Test func anOptOutIsFound() {
        for code in ["final class A: @unchecked Sendable {}", "nonisolated(unsafe) var a = 1"] {
            #expect(Rules.optOuts(file(code)).count == 1)
            for path in Rules.optOuts.keys { #expect(Rules.optOuts(file(code, at: path)).isEmpty) }
        }
        #expect(Rules.optOuts(file("nonisolated func a() {} // @unchecked Sendable")).isEmpty)
        #expect(Rules.needlessOptOuts([]).count == Rules.optOuts.count)
    }

    // MARK: The core

    @Test(arguments: [
        "let c = ContinuousClock()", "any Clock", "clock_gettime(CLOCK_MONOTONIC, &t)",
        "gettimeofday(&t, nil)", "DispatchTime.now()", "Date()", "SuspendingClock().now",
    ])
    func aClockInTheCoreIsFound(_ code: String) {
        #expect(Rules.clockReads(file(code, at: "Sources/WeirCore/Sample.swift")).count == 1)
        #expect(Rules.clockReads(file(code, at: "Sources/Weir/Sample.swift")).isEmpty)
    }

    @Test func timeAsAnArgumentIsNoClock() {
        let code = "func submit(now: Timestamp) { if decision == .now { update(now) } } // a clock"
        #expect(Rules.clockReads(file(code, at: "Sources/WeirCore/Sample.swift")).isEmpty)
    }

    @Test(arguments: [
        ("WeirCore", "import Foundation"), ("WeirCore", "import Synchronization"),
        ("WeirCore", "import WeirRecord"), ("WeirRecord", "import Foundation"),
        ("WeirRecord", "internal import FoundationEssentials"), ("WeirRecord", "import WeirCore"),
        ("Weir", "import WeirPostgres"), ("Weir", "package import WeirHTTP"),
        ("Weir", "import NIOCore"), ("Weir", "import CLibpq"), ("WeirHTTP", "import WeirPostgres"),
        ("WeirHTTP", "    import CLibpq"), ("WeirHTTP", "import Hummingbird"),
        ("WeirPostgres", "import WeirHTTP"), ("WeirPostgres", "import NIOPosix"),
        ("WeirAdmin", "@preconcurrency import WeirPostgres"),
        ("WeirTesting", "import WeirPostgres"), ("weir", "import CLibpq"),
        ("WeirCore", "import struct Foundation.Date"),
    ])
    func anImportInTheWrongDirectionIsFound(_ target: String, code: String) {
        let sample = file("// why\n\(code)\n", at: "Sources/\(target)/Sample.swift")
        #expect(ImportRule.check(sample).map(\.line) == [2])
    }

    @Test(arguments: [
        ("WeirCore", "import DequeModule"), ("WeirRecord", "internal import Crypto"),
        ("Weir", "import WeirCore"), ("WeirPostgres", "internal import CLibpq"),
        ("WeirHTTP", "import NIOCore"), ("weir", "import WeirHTTP"),
        ("WeirCore", "// import Foundation"), ("WeirCore", "let x = \"import Foundation\""),
        ("WeirCore", "func important(import: Int)"),
    ])
    func anImportInTheRightDirectionPasses(_ target: String, code: String) {
        #expect(ImportRule.check(file(code, at: "Sources/\(target)/Sample.swift")).isEmpty)
    }

    @Test func aTargetWithoutARuleIsFound() {
        #expect(ImportRule.check(file("", at: "Sources/WeirNew/Sample.swift")).count == 1)
        #expect(
            ImportRule.check(file("import Foundation", at: "Tests/WeirCoreTests/A.swift")).isEmpty)
    }

    // MARK: Openings and names

    @Test(arguments: [
        "struct A {}", "import X\n\nstruct A {}\n/// late", "@main\nstruct A {}",
        "#if x\nimport X\n#endif\nlet a = 1",
    ])
    func aFileThatDoesNotIntroduceItselfIsFound(_ text: String) {
        #expect(Rules.opening(file(text)).count == 1)
    }

    @Test(arguments: [
        "/// What A is.\nstruct A {}", "import X\n\n/// What A is.\nstruct A {}",
        "// Why.\nimport X\nstruct A {}",
        "#if canImport(X)\n    import X\n#else\n    import Y\n#endif\n\n// What.\nextension A {}",
        "@preconcurrency import X // why\npackage import Y\n/// What.\n@main struct A {}",
        "@_spi(X) import Y\n/// What.\nvar a: Int",
    ])
    func aFileThatIntroducesItselfPasses(_ text: String) {
        #expect(Rules.opening(file(text)).isEmpty)
    }

    @Test(arguments: [
        "1-a.md", "0001.md", "0001-.md", "0001-Title.md", "0001_a.md", "a-0001.md", "0001-a b.md",
        "00001-a.md",
    ])
    func aDecisionWithAnotherNameIsFound(_ name: String) {
        #expect(Rules.decisionName("docs/decisions/" + name).count == 1)
    }

    @Test func aDecisionHasANumberOfItsOwn() {
        #expect(Rules.decisionName("docs/decisions/0001-dependencies.md").isEmpty)
        #expect(Rules.decisionName("docs/guide.md").isEmpty)
        let paths = [
            "docs/decisions/0001-a.md", "docs/decisions/0001-b.md", "docs/decisions/0002-c.md",
        ]
        #expect(Rules.repeatedDecisionNumbers(paths).map(\.path) == ["docs/decisions/0001-b.md"])
    }

    @Test func foreignWordsAreFound() {
        for word in Rules.foreignWords.keys {
            #expect(Rules.foreignWords("README.md", "a\nsee \(word)12\n").map(\.line) == [2])
        }
        #expect(Rules.foreignWords("README.md", "framework/ and homework, an issue").isEmpty)
    }
}
