import Testing

/// The house style, where a machine can see it.
@Suite struct TidyTests {
    /// Fails once for each place.
    private func expectNone(
        _ violations: [Violation], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for violation in violations {
            Issue.record("\(violation)", sourceLocation: sourceLocation)
        }
    }

    @Test func theRepositoryIsFound() {
        #expect(Repository.sources.count > 50)
        #expect(Repository.swiftFiles.contains { $0.path == "Tests/TidyTests/TidyTests.swift" })
        #expect(Repository.paths.contains("Package.swift"))
        for target in ImportRule.targets.keys {
            #expect(Repository.sources.contains { $0.target == target }, "no files of \(target)")
        }
    }

    @Test func linesAreShort() {
        expectNone(Repository.swiftFiles.flatMap(Rules.longLines))
    }

    @Test func filesAreShort() {
        expectNone(Repository.swiftFiles.flatMap(Rules.longFile))
    }

    @Test func bannedWordsDoNotOccur() {
        expectNone(Repository.swiftFiles.flatMap(Rules.bannedWords))
    }

    @Test func nothingIsLeftUnfinished() {
        expectNone(Repository.swiftFiles.flatMap(Rules.unfinished))
    }

    @Test func nothingIsPublic() {
        expectNone(Repository.sources.flatMap(Rules.publicAccess))
    }

    @Test func concurrencyChecksAreOnWhereNothingElseIsProven() {
        expectNone(Repository.swiftFiles.flatMap(Rules.optOuts))
        expectNone(Rules.needlessOptOuts(Repository.swiftFiles))
    }

    @Test func theCoreReadsNoClock() {
        expectNone(Repository.sources.flatMap(Rules.clockReads))
    }

    @Test func importsPointInward() {
        expectNone(Repository.sources.flatMap(ImportRule.check))
    }

    @Test func everySourceFileSaysWhatItIsAbout() {
        expectNone(Repository.sources.flatMap(Rules.opening))
    }

    @Test func decisionsAreNumbered() {
        expectNone(Repository.paths.flatMap(Rules.decisionName))
        expectNone(Rules.repeatedDecisionNumbers(Repository.paths))
    }

    @Test func textsNameNothingForeign() {
        expectNone(
            Repository.paths.flatMap { path in
                Repository.text(path).map { Rules.foreignWords(path, $0) } ?? []
            })
    }
}
