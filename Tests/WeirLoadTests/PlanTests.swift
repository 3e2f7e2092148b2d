import Testing
import WeirConfig
import WeirCore
import WeirLoad

@Suite struct ScheduleTests {
    private func plan(_ arrivals: Phase.Arrivals, seconds: Int64 = 10, seed: UInt64 = 1) -> LoadPlan
    {
        var plan = LoadPlan(phases: [
            Phase(name: "p", shape: .steady, duration: .seconds(seconds), arrivals: arrivals)
        ])
        plan.seed = seed
        return plan
    }

    @Test func oneSeedIsOneSchedule() {
        let plan = plan(.poisson(rate: 1_000))
        #expect(Schedule(plan) == Schedule(plan))
        #expect(Schedule(plan).hash == Schedule(plan).hash)
        #expect(Schedule(plan).hash != Schedule(self.plan(.poisson(rate: 1_000), seed: 2)).hash)
    }

    /// Counts of a Poisson process have their mean as variance, and its distances a coefficient of
    /// variation of 1. Over 100 spans of 100 expected arrivals: four standard errors.
    @Test func poissonArrivalsAreIndependent() {
        let schedule = Schedule(plan(.poisson(rate: 1_000)))
        #expect(abs(schedule.arrivals.count - 10_000) < 400)
        var counts = Array(repeating: 0.0, count: 100)
        for arrival in schedule.arrivals { counts[Int(arrival.at / 100_000_000)] += 1 }
        let mean = counts.reduce(0, +) / 100
        let variance = counts.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 99
        #expect(variance / mean > 0.43 && variance / mean < 1.57)
        let gaps = zip(schedule.arrivals, schedule.arrivals.dropFirst()).map {
            Double($1.at - $0.at)
        }
        let gap = gaps.reduce(0, +) / Double(gaps.count)
        let spread = gaps.reduce(0) { $0 + ($1 - gap) * ($1 - gap) } / Double(gaps.count)
        #expect(abs(spread.squareRoot() / gap - 1) < 0.04)
    }

    @Test func constantArrivalsAreEquallyFar() {
        let schedule = Schedule(plan(.constant(rate: 8), seconds: 2))
        #expect(schedule.arrivals.map(\.at) == (0..<16).map { $0 * 125_000_000 })
        #expect(schedule.messageCount == 16)
    }

    @Test func aBurstIsOneMoment() {
        let schedule = Schedule(plan(.bursts(callers: 3, every: .seconds(1)), seconds: 2))
        #expect(
            schedule.arrivals.map(\.at) == [0, 0, 0, 1_000_000_000, 1_000_000_000, 1_000_000_000])
        #expect(schedule.arrivals.map(\.isFollower) == [false, true, true, false, true, true])
        #expect(schedule.arrivals.map(\.message) == [0, 1, 2, 3, 4, 5])
    }

    @Test func repeatedMessagesAreTheSameMessageLater() {
        var plan = plan(.poisson(rate: 500))
        plan.phases[0].repeatedPercent = 20
        plan.phases[0].fanOut = 5
        let schedule = Schedule(plan)
        var first: [UInt32: Int64] = [:]
        var counts: [UInt32: Int] = [:]
        for arrival in schedule.arrivals {
            let start = first[arrival.message, default: arrival.at]
            first[arrival.message] = start
            #expect(arrival.at - start <= 200_000_000)
            counts[arrival.message, default: 0] += 1
        }
        #expect(counts.count == schedule.messageCount)
        #expect(Set(counts.values) == [1, 5])
        let share = Double(counts.values.count { $0 == 5 }) / Double(counts.count)
        #expect(abs(share - 0.2) < 0.03)
        #expect(schedule.arrivals.map(\.at) == schedule.arrivals.map(\.at).sorted())
    }

    @Test func poisonIsDrawnByMessage() {
        var plan = plan(.constant(rate: 10_000), seconds: 2)
        plan.phases[0].poisonPercent = 0.5
        let poisoned = Schedule(plan).arrivals.count { $0.isPoison }
        #expect(abs(poisoned - 100) < 40)
    }

    @Test func aPhaseMovesWithoutChangingOthers() {
        var plan = LoadPlan(
            phases: Phase.phases(of: .spike, .init(duration: .seconds(8), rate: 100)))
        let before = Schedule(plan)
        plan.phases[2].arrivals = .constant(rate: 1)
        let after = Schedule(plan)
        #expect(after.arrivals.filter { $0.phase < 2 } == before.arrivals.filter { $0.phase < 2 })
        let rates = (0..<3).map { phase in before.arrivals.count { $0.phase == phase } }
        #expect(rates[1] > rates[0] * 4, "a spike of three times the rate, twice as long")
        #expect(plan.phase(at: .seconds(1)) == 0 && plan.phase(at: .seconds(3)) == 1)
        #expect(plan.phase(at: .seconds(600)) == 2)
    }

    @Test func impossiblePlansAreToldApart() {
        func problems(_ arrivals: Phase.Arrivals, seconds: Int64 = 10) -> [String] {
            plan(arrivals, seconds: seconds).problems
        }
        #expect(problems(.poisson(rate: 100)) == [])
        #expect(problems(.poisson(rate: 0)).count == 2)
        #expect(problems(.poisson(rate: .nan)).count >= 1)
        #expect(problems(.poisson(rate: 2e6)).count == 2)
        #expect(problems(.constant(rate: 1_000), seconds: 86_400)[0].contains("for the audit"))
        #expect(problems(.bursts(callers: 0, every: .seconds(1))).count >= 1)
        #expect(problems(.closed(callers: 10_001)).count == 1)
        #expect(LoadPlan(phases: []).problems == ["there is no phase"])
    }
}

@Suite struct PhaseFileTests {
    private func read(_ text: String) throws -> [Phase] {
        try PhaseFile.read(
            Array(text.utf8), path: "p.yaml", base: .init(duration: .seconds(5), rate: 100))
    }

    private func problems(_ text: String) -> [String] {
        do {
            _ = try read(text)
            return []
        } catch let error as ConfigurationError {
            return error.problems.map(\.description)
        } catch {
            return ["\(error)"]
        }
    }

    @Test func phasesAreRead() throws {
        let phases = try read(
            """
            phases:
              - {shape: steady, duration: 2s, rate: 50.5, name: warm}
              - shape: bulk-edit
                callers: 20
                every: 500ms
              - {shape: duplicate-storm, repeated: 30, fan_out: 3}
              - {shape: slow-db, delay: 20ms, stall: 1s}
              - {arrivals: constant}
            """)
        #expect(
            phases.map(\.name) == ["warm", "bulk-edit", "duplicate-storm", "slow-db", "steady"])
        #expect(phases[0].arrivals == .poisson(rate: 50.5) && phases[0].duration == .seconds(2))
        #expect(phases[1].arrivals == .bursts(callers: 20, every: .milliseconds(500)))
        #expect(phases[2].repeatedPercent == 30 && phases[2].fanOut == 3)
        #expect(phases[3].delay == .milliseconds(20) && phases[3].stall == .seconds(1))
        #expect(phases[4].arrivals == .constant(rate: 100) && phases[4].duration == .seconds(5))
    }

    @Test(arguments: [
        (
            "phases:\n  - {shape: stedy}\n",
            "p.yaml:2: phases[0].shape: there is no phase \"stedy\"; the nearest is steady"
        ),
        (
            "phases:\n  - {shape: spike, durtion: 1s}\n",
            "p.yaml:2: phases[0].durtion: there is no such key; the nearest is duration"
        ),
        ("phases:\n  - {duration: soon}\n", "p.yaml:2: phases[0].duration: expected a duration"),
        ("phases:\n  - {rate: -1}\n", "p.yaml:2: phases[0].rate: expected a number"),
        ("phases:\n  - {callers: 1.5}\n", "p.yaml:2: phases[0].callers: expected a whole number"),
        ("phases:\n  - {arrivals: rush}\n", "p.yaml:2: phases[0].arrivals: expected poisson"),
        ("phases: []\n", "p.yaml:1: phases: expected a list of phases"),
        ("steps: []\n", "p.yaml:1: steps: there is no such key"),
        ("- a\n", "p.yaml:1: expected phases:"),
        ("", "p.yaml:1: expected phases:"),
        ("phases: [\n", "p.yaml:2: a bracket is not closed"),
    ])
    func mistakesAreSaidWithTheirLine(_ text: String, _ start: String) {
        let problems = problems(text)
        #expect(problems.first?.hasPrefix(start) == true, "\(problems)")
    }
}
