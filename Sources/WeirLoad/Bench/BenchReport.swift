/// What a benchmark came to.
package struct BenchReport: Sendable {
    package var plan: BenchPlan
    package var version: String
    package var startedUnixSeconds: UInt64
    package var facts = ServerFacts()
    /// The table whose copy was written; empty for the harness's own.
    package var table = ""
    /// Bytes of a record, on average.
    package var recordBytes = 0
    package var sweep: Sweep?
    package var findings: Findings?
    /// Why it ended before its time.
    package var ending: String?
    package var failure: LoadRun.Failure?
    package var isInterrupted = false
    package var seconds = 0.0
    package var walBytes = 0
    /// Attempts that the database ended and that were made again.
    package var repeated = 0

    /// How many times as long as planned it may take, before it gives up.
    static let secondsMaxFactor = 3.0

    package init(plan: BenchPlan, version: String, startedUnixSeconds: UInt64) {
        self.plan = plan
        self.version = version
        self.startedUnixSeconds = startedUnixSeconds
    }

    mutating func conclude(isInterrupted: Bool) {
        self.isInterrupted = isInterrupted
        guard let sweep else { return }
        let why = failure.map { "it failed: \($0.reason)" } ?? ending
        findings = Findings(sweep, isInterrupted: isInterrupted, ending: why)
    }

    /// What no figure here speaks of.
    package var notCovered: [String] {
        var list: [String] = []
        if !table.isEmpty { list.append("foreign keys and triggers, which a copy does not have") }
        list += [
            "updates and upserts", "message IDs that are remembered",
            "other writers and readers", "tables and indexes that do not fit into memory",
        ]
        if seconds < 300 {
            list += ["checkpoints, vacuum and burst credits (--thorough sees more of them)"]
        }
        return list
    }
}
