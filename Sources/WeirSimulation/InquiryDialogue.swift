import Weir
import WeirCore
import WeirPostgres
import WeirTesting

/// How a writer finds out about an attempt whose COMMIT was not answered: `AttemptInquiry`, on the
/// model server.
struct InquiryDialogue {
    private enum Phase {
        case asking
        case committing
        case rollingBack(ServerError)
        case rereading
    }

    enum Verdict {
        case committed
        case lost
        /// Two generations later nobody can know.
        case forgotten
        case unknown(isConnected: Bool)
        /// It waited for the attempt's own transaction in vain.
        case waited
    }

    let unresolved: Unresolved
    let attempt: Int
    private var phase = Phase.asking
    private var half = Half.a
    private var roundsLeft = 3
    private var outcome: Int?
    private var generation = 0

    init(_ unresolved: Unresolved, attempt: Int) {
        self.unresolved = unresolved
        self.attempt = attempt
    }

    mutating func start(_ ledger: Ledger) -> Step<Verdict> {
        phase = .asking
        guard roundsLeft > 0 else { return .done(.unknown(isConnected: true)) }
        roundsLeft -= 1
        let attempts = ledger.half.attempts
        return .ask(
            [
                .begin, .insert(.init(attempts, [[attempt, 1]], conflict: .ignore)),
                .select(from: Half.a.attempts, keys: [attempt]),
                .select(from: Half.b.attempts, keys: [attempt]),
                .select(from: .generation, keys: [0]),
            ], endsInSync: true)
    }

    mutating func next(_ exchange: Exchange, _ ledger: inout Ledger) -> Step<Verdict> {
        if exchange.isClosed { return .done(.unknown(isConnected: false)) }
        switch phase {
        case .asking:
            if let failure = exchange.failure {
                phase = .rollingBack(failure.error)
                return .ask([.rollback], endsInSync: true)
            }
            let found = exchange.completions[2...3].flatMap(\.rows)
            outcome = found.map { $0[1] }.min()
            generation = exchange.completions[4].rows.first?[1] ?? .max
            phase = .committing
            return .ask([.commit], endsInSync: true)
        case .committing:
            guard exchange.completions.first?.tag == .commit else {
                return .done(.unknown(isConnected: exchange.failure == nil))
            }
            switch outcome {
            case 0: return .done(.committed)
            case 1:
                let isRemembered = generation <= Int(unresolved.generation) + 1
                return .done(isRemembered ? .lost : .forgotten)
            default: return .done(.unknown(isConnected: true))
            }
        case .rollingBack(let error):
            switch ReplayLedger.refusal(of: .marker, error) {
            case .generationClosed:
                phase = .rereading
                half = ledger.half
                return .ask(Ledger.readGeneration(likely: half), endsInSync: true)
            case .ordinary where error.sqlstate == "55P03": return .done(.waited)
            case .ordinary: return .done(.unknown(isConnected: true))
            case .messageMet, .letterGone, .broken: return .done(.unknown(isConnected: false))
            }
        case .rereading:
            guard exchange.failure == nil else { return .done(.unknown(isConnected: false)) }
            ledger.update(exchange.completions, likely: half)
            return start(ledger)
        }
    }
}
