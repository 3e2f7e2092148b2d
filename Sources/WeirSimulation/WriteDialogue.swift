import Weir
import WeirCore
import WeirPostgres
import WeirRecord
import WeirTesting

/// What a writer says to its server to write a batch whose messages are remembered:
/// `RememberedWrite`, and `DeadLetterTransaction` where the batch is a dead letter.
struct WriteDialogue {
    private enum Phase {
        case looking
        case transaction(TransactionScript)
        case letter(LetterScript)
        case rereading
        /// A mistake that is built in: what belongs into the batch's transaction follows it.
        case afterthought(BatchReport)
    }

    /// A message that is met here and not found there, or a generation that closes each time: more
    /// than bad luck, and for the batch's own retries.
    private static let roundMax = 3

    let batch: WriteBatch
    let attempt: Int
    let mutation: Mutation?
    /// The position of the record that an error's text would speak of.
    let hint: Int?
    private var decision: ReplayDecision
    private var roundsLeft = roundMax
    private var last = BatchReport(.transient(.serialization))
    private var phase = Phase.looking
    private var half: Half
    private var asked: [Int] = []
    private(set) var hasMetClosedGeneration = false

    init(_ batch: WriteBatch, attempt: Int, hint: Int?, _ mutation: Mutation?, _ ledger: Ledger) {
        self.batch = batch
        self.attempt = attempt
        self.hint = hint
        self.mutation = mutation
        decision = ReplayDecision(batch, entries: [:])
        half = ledger.half
    }

    mutating func start(_ ledger: Ledger, _ registry: Registry) -> Step<BatchReport> {
        let hasMessages = batch.messages.contains { $0 != nil }
        let looksAlways = mutation == .oldLook || mutation == .entriesApart
        if hasMessages && mutation != .memoryOnly && (ledger.expectsRepetitions || looksAlways) {
            return look(ledger, registry)
        }
        return transact(ledger, registry)
    }

    mutating func next(
        _ exchange: Exchange, _ ledger: inout Ledger, _ registry: Registry
    ) -> Step<BatchReport> {
        switch phase {
        case .looking:
            guard exchange.failure == nil, !exchange.isClosed else { return questionLost }
            learn(exchange, &ledger, registry)
            return transact(ledger, registry)
        case .rereading:
            guard exchange.failure == nil, !exchange.isClosed else { return questionLost }
            ledger.update(exchange.completions, likely: half)
            return transact(ledger, registry)
        case .transaction(var script):
            let step = script.next(exchange, ledger, registry, hint: suspect)
            phase = .transaction(script)
            return follow(step, ledger, registry)
        case .letter(var script):
            let step = script.next(exchange, ledger)
            phase = .letter(script)
            return follow(step, ledger, registry)
        case .afterthought(var report):
            if exchange.isClosed { report.isConnected = false }
            return .done(decision.merged(report))
        }
    }

    // MARK: Parts

    private var questionLost: Step<BatchReport> {
        // What could have been written was rolled back before.
        var report = BatchReport(.transient(.connectionLost))
        report.isConnected = false
        return .done(report)
    }

    /// `hint`, where it stands in what is being written.
    private var suspect: Int? {
        hint.flatMap { decision.remaining.firstIndex(of: $0) }
    }

    private mutating func look(_ ledger: Ledger, _ registry: Registry) -> Step<BatchReport> {
        phase = .looking
        asked = batch.messagePositions
        let keys = asked.compactMap { batch.messages[$0] }.map { registry.number(of: $0.identity) }
        return .ask([.begin] + ledger.look(keys) + [.commit], endsInSync: true)
    }

    private mutating func learn(
        _ exchange: Exchange, _ ledger: inout Ledger, _ registry: Registry
    ) {
        var entries: [Int: ReplayEntry] = [:]
        for row in exchange.completions.flatMap(\.rows) {
            for position in asked {
                guard let message = batch.messages[position],
                    registry.number(of: message.identity) == row[0],
                    let effect = RowEffect(world: row[Relation.entryOutcome])
                else { continue }
                let letter = row[Relation.entryLetter]
                entries[position] = ReplayEntry(
                    isSame: Int(truncatingIfNeeded: message.fingerprint)
                        == row[Relation.entryFingerprint],
                    first: FirstResult(
                        effect: effect, batchID: registry.ids[row[Relation.entryAttempt]],
                        deadLetter: effect == .deadLettered ? Int64(letter) : nil))
            }
        }
        ledger.noteLook(hasFound: !entries.isEmpty)
        decision = ReplayDecision(batch, entries: entries)
    }

    private mutating func transact(_ ledger: Ledger, _ registry: Registry) -> Step<BatchReport> {
        let remaining = decision.remaining
        // What is committed elsewhere needs no transaction here.
        guard !remaining.isEmpty else { return .done(decision.merged(BatchReport(.committed))) }
        guard roundsLeft > 0 else { return .done(last) }
        roundsLeft -= 1
        let part = remaining.count == batch.records.count ? batch : batch.keeping(remaining)
        if batch.work == .deadLetter {
            var script = LetterScript(part, attempt: attempt, mutation)
            let step = script.start(ledger, registry)
            phase = .letter(script)
            return follow(step, ledger, registry)
        }
        var script = TransactionScript(part, attempt: attempt, mutation)
        let step = script.start(ledger, registry)
        phase = .transaction(script)
        return follow(step, ledger, registry)
    }

    private mutating func follow(
        _ step: Step<TransactionScript.Verdict>, _ ledger: Ledger, _ registry: Registry
    ) -> Step<BatchReport> {
        switch step {
        case .ask(let statements, let endsInSync):
            return .ask(statements, endsInSync: endsInSync)
        case .done(.committedWithoutEntries(let report)):
            guard case .transaction(let script) = phase else { return .done(report) }
            let entries = script.entries(registry)
            guard !entries.isEmpty else { return .done(decision.merged(report)) }
            phase = .afterthought(report)
            return .ask([.begin, ledger.entry(entries), .commit], endsInSync: true)
        case .done(.report(let report, let refusal)):
            last = decision.merged(report)
            switch refusal {
            case .messageMet: return look(ledger, registry)
            case .generationClosed:
                phase = .rereading
                hasMetClosedGeneration = true
                half = ledger.half
                return .ask(Ledger.readGeneration(likely: half), endsInSync: true)
            case .letterGone, .ordinary, .broken, nil: return .done(last)
            }
        }
    }
}

extension RowEffect {
    /// The number that stands for a dead letter in the replay tables.
    static let worldDeadLetter = 100

    init?(world stored: Int) {
        if stored == Self.worldDeadLetter {
            self = .deadLettered
        } else {
            self.init(rawValue: stored)
        }
    }
}
