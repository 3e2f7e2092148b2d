import Foundation
import Testing
import WeirFuzzing

/// What `make fuzz` looks for, for some seconds and always in the same way.
@Suite(.timeLimit(.minutes(1))) struct FuzzTests {
    /// Seeds, and inputs that once were findings.
    static let corpus: [(name: String, bytes: [UInt8])] = {
        let folder = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("fuzz/corpus")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.sorted().compactMap { name in
            FileManager.default.contents(atPath: folder.appendingPathComponent(name).path)
                .map { (name, Array($0)) }
        }
    }()

    @Test func theCorpusHoldsNoFinding() throws {
        #expect(Self.corpus.count > 50)
        for (name, bytes) in Self.corpus {
            let finding = try #require(FuzzInput(bytes)).finding()
            #expect(finding == nil, "\(name)")
        }
    }

    @Test(arguments: FuzzInput.Reader.allCases)
    func damagedInputsHoldNoFinding(_ reader: FuzzInput.Reader) throws {
        var mutator = Mutator(seed: UInt64(reader.rawValue))
        let seeds = Self.corpus.compactMap { FuzzInput($0.bytes) }.filter { $0.reader == reader }
        try #require(!seeds.isEmpty)
        for _ in 0..<10_000 {
            let seed = seeds[mutator.below(seeds.count)]
            let other = seeds[mutator.below(seeds.count)]
            let input = FuzzInput(reader, mutator.mutated(seed.text, with: other.text))
            let finding = input.finding()
            #expect(
                finding == nil, "\(String(decoding: input.bytes, as: UTF8.self).debugDescription)")
        }
    }
}
