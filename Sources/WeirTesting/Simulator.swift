import WeirCore

/// Does the machine keep its promises in any history? A seed decides everything: bounds, arrivals,
/// outcomes, lost connections and the passing of time. After each event the machine's invariants
/// are checked, and every effect is held against a model of the database.
///
/// Neither a clock nor the order of a `Dictionary` or `Set` plays a part: a seed is a reproduction.
package struct Simulator {
    /// A bug put in on purpose, to show that it would be found.
    package enum Sabotage: CaseIterable, Sendable {
        /// The database applies a committed batch a second time.
        case applyTwice
        /// The database applies a batch from its end.
        case applyReversed
        /// A batch is called committed and was not.
        case loseCommit
        /// A batch is called transient and was applied.
        case applyOnTransient
        /// A batch with a bad record commits.
        case commitPoison
        /// The first half of a group stays when the group is rolled back.
        case tearGroup
        /// A ticket is resolved a second time.
        case repeatResolution
        /// A ticket is never resolved.
        case loseResolution
        /// One record is rejected in place of another.
        case rejectInnocent
        /// A batch is handed out again while it is in flight.
        case repeatAssignment
        /// A batch that committed unheard is called lost when somebody asks.
        case denyCommit
        /// A record that a strict table holds back is not told so.
        case loseBlocked
    }

    /// How often each kind of thing happened: a simulator that never halves a batch proves nothing
    /// of halving.
    package struct Occurrences: Equatable, Sendable {
        package var assignments = 0
        package var commits = 0
        package var halvings = 0
        package var partings = 0
        package var isolations = 0
        package var retries = 0
        package var joins = 0
        package var groupJoins = 0
        package var reusedMessages = 0
        package var pauses = 0
        package var unknownsApplied = 0
        package var unknownsLost = 0
        package var unresolved = 0
        package var inquiries = 0
        package var resolvedCommitted = 0
        package var resolvedLost = 0
        package var resolvedForgotten = 0
        package var droppedAsUnknown = 0
        package var abandons = 0
        package var deadLetters = 0
        package var deadLettersRefused = 0
        package var breakers = 0
        package var suspicions = 0
        package var blocked = 0
        package var groups = 0
        package var packs = 0
        package var unpackings = 0
        package var rolledBack = 0
        package var rejected = 0
        package var exclusives = 0
        package var cancels = 0
        package var overloads = 0
        package var expiredQueued = 0
        package var expiredInFlight = 0
        package var exhausted = 0
        package var lostConnections = 0
        package var drains = 0
    }

    package struct Report: Sendable {
        package let seed: UInt64
        /// Events until the end or the failure.
        package let steps: Int
        /// The first broken promise, with seed and step.
        package let failure: String?
        package let occurrences: Occurrences
        /// What happened, newest last; empty unless traced.
        package let history: [String]
    }

    struct Attempt {
        let assignment: Assignment
        let records: [Int]
    }

    enum Writer {
        case disconnected
        case idle
        case busy(Attempt)
    }

    struct Waiter {
        enum State: Equatable {
            case open
            case cancelled
            case resolved(Verdict)
            /// The records of a pack have waiters of their own now.
            case unpacked
        }
        let ticket: Ticket
        /// The first of its records, which are numbered in a row.
        let record: Int
        /// More than one for a pack.
        var recordCount = 1
        let deadline: Timestamp
        let isJoined: Bool
        var state = State.open

        var records: Range<Int> { record..<(record + recordCount) }
    }

    let seed: UInt64
    let sabotage: Sabotage?
    let isTraced: Bool
    let plan: SimulationPlan
    var random: SplitMix64
    var machine: Machine
    var database: ModelDatabase
    var now = Timestamp.zero
    var writers: [Writer]
    var waiters: [Waiter] = []
    /// The newest waiter on each of the machine's slots.
    var waiterOfSlot: [Int] = []
    /// The waiter that each record was queued with.
    var waiterOfRecord: [Int] = []
    var groups: [[Int]] = []
    var recordOfMessage: [MessageKey.Identity: Int] = [:]
    var messageCount: UInt64 = 0
    /// Batches whose COMMIT was not answered, and whether they are written.
    var unresolved: [BatchNumber: (attempt: Attempt, isApplied: Bool)] = [:]
    var newestBatch = BatchNumber(0)
    var isDraining = false
    var isDrained = false
    var isAbandoned = false
    var occurrences = Occurrences()
    var history: [String] = []
    var step = 0
    var failure: String?

    private init(seed: UInt64, sabotage: Sabotage?, isTraced: Bool) {
        self.seed = seed
        self.sabotage = sabotage
        self.isTraced = isTraced
        random = SplitMix64(seed: seed)
        plan = SimulationPlan(random: &random)
        machine = Machine(plan.configuration)
        database = ModelDatabase(tableCount: plan.tableCount)
        writers = Array(repeating: .disconnected, count: plan.configuration.writersMax)
    }

    /// Runs the history of `seed` from the first connection to the end of the drain.
    package static func run(
        seed: UInt64, sabotage: Sabotage? = nil, isTraced: Bool = false
    ) -> Report {
        var simulator = Simulator(seed: seed, sabotage: sabotage, isTraced: isTraced)
        simulator.live()
        simulator.close()
        return Report(
            seed: seed, steps: simulator.step, failure: simulator.failure,
            occurrences: simulator.occurrences, history: simulator.history)
    }

    /// The part of the history in which records come.
    private mutating func live() {
        connectSomething()
        for _ in 0..<plan.steps where failure == nil {
            passTime()
            switch random.below(100) {
            case 0..<22: submit(makeEntry())
            case 22..<30: submitPack()
            case 30..<38: submitGroup()
            case 38..<44: repeatMessage()
            case 44..<46: repeatGroup()
            case 46..<48: submitMixture()
            case 48..<53: cancelSomething()
            case 53..<80: finishSomething()
            case 80..<89: connectSomething()
            case 89..<91: loseSomething()
            case 91..<93: turnTable()
            default: awaitTimer()
            }
            examine()
        }
    }

    /// Drains. Whatever is held must leave, with a database or without one.
    private mutating func close() {
        guard failure == nil else { return }
        if plan.endsWithoutDatabase { cutConnections() }
        isDraining = true
        note("drain")
        handle(machine.drain(now: now))
        examine()
        // A few attempts at each of a few dozen records, and as many timers: what needs more than
        // this has stopped moving.
        var stepsLeft = 5_000
        while failure == nil && !isDrained {
            stepsLeft -= 1
            if stepsLeft == 0 { fail("records are left and nothing moves") }
            let isHopeless = stepsLeft == 4_000 && plan.endsWithoutDatabase && !unresolved.isEmpty
            if isHopeless || (plan.isAbandoned && stepsLeft == 4_990) { abandon() }
            if isAbandoned && plan.endsWithoutDatabase && !unresolved.isEmpty { break }
            passTime()
            switch random.below(10) {
            case 0: random.chance(50) ? submit(makeEntry()) : submitPack()
            case 1..<6: finishSomething()
            case 6..<8 where !plan.endsWithoutDatabase: connectSomething()
            default: awaitTimer()
            }
            examine()
        }
        examineEnd()
    }

    private mutating func abandon() {
        note("the drain is abandoned")
        isAbandoned = true
        occurrences.abandons += 1
        handle(machine.abandon(now: now))
        for waiter in waiters where waiter.state == .open {
            fail("1: \(waiter.ticket) was not told that the drain is over")
        }
    }

    private mutating func cutConnections() {
        for number in writers.indices {
            if case .busy = writers[number] { finish(number, staysConnected: false) }
        }
        for number in writers.indices {
            if case .busy = writers[number] { finish(number, staysConnected: false) }
            guard case .idle = writers[number] else { continue }
            lose(number)
        }
    }

    mutating func note(_ text: @autoclosure () -> String) {
        step += 1
        if isTraced { history.append("\(step) @\(now.nanoseconds / 1_000)us \(text())") }
    }

    mutating func fail(_ text: String) {
        if failure == nil { failure = "seed \(seed), step \(step): \(text)" }
    }
}
