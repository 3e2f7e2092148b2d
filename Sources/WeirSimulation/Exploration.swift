import WeirTesting

/// Many worlds, side by side.
extension World {
    package struct Exploration: Sendable {
        package var seedCount = 0
        package var stepCount = 0
        /// In the order of their seeds.
        package var failures: [(seed: UInt64, text: String)] = []
        /// By `Occurrence.rawValue`.
        package var occurrences = Array(repeating: 0, count: Occurrence.allCases.count)
    }

    /// A bug shows in many seeds; the first few tell as much as all of them.
    private static let failuresMax = 5
    private static let handful: UInt64 = 25

    /// - Parameter workerCount: how many run at a time.
    package static func explore(
        _ seeds: Range<UInt64>, mutation: Mutation? = nil, workerCount: Int = 2
    ) async -> Exploration {
        await withTaskGroup(of: [Report].self) { group in
            var next = seeds.lowerBound
            func add(_ group: inout TaskGroup<[Report]>) {
                guard next < seeds.upperBound else { return }
                let share = next..<min(next + handful, seeds.upperBound)
                next = share.upperBound
                group.addTask { @concurrent in share.map { run(seed: $0, mutation: mutation) } }
            }
            for _ in 0..<workerCount { add(&group) }
            var found = Exploration()
            for await reports in group {
                for report in reports { found.add(report) }
                if found.failures.count < failuresMax { add(&group) }
            }
            found.failures.sort { $0.seed < $1.seed }
            return found
        }
    }
}

extension World.Exploration {
    fileprivate mutating func add(_ report: World.Report) {
        seedCount += 1
        stepCount += report.steps
        if let failure = report.failure { failures.append((report.seed, failure)) }
        for (index, count) in report.occurrences.enumerated() { occurrences[index] += count }
    }
}
