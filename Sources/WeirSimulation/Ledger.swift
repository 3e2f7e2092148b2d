import Weir
import WeirCore
import WeirPostgres
import WeirRecord
import WeirTesting

/// What one connection knows of the replay tables, and how it asks them: `ReplayLedger`, on the
/// model server.
struct Ledger {
    /// How often the halves have been exchanged, as far as this connection knows.
    var number: Int
    /// The other half held nothing.
    var isOtherEmpty: Bool
    private var caution = 0

    init(number: Int, isOtherEmpty: Bool) {
        self.number = number
        self.isOtherEmpty = isOtherEmpty
    }

    var half: Half { Half(generation: number) }

    // MARK: Expecting repetitions

    var expectsRepetitions: Bool { caution > 0 }

    mutating func noteLook(hasFound: Bool) {
        caution = hasFound ? ReplayLedger.cautionMax : max(caution - 1, 0)
    }

    // MARK: Generations

    /// Two statements where the gateway has one: a rotation between them is noticed later, as one
    /// behind them would be.
    static func readGeneration(likely half: Half) -> [Statement] {
        [
            .select(from: .generation, keys: [0]), .probe(half.other.messages),
            .probe(half.messages),
        ]
    }

    mutating func update(_ completions: [Exchange.Completion], likely half: Half) {
        guard completions.count >= 3, let row = completions[0].rows.first else { return }
        number = row[1]
        let probe = self.half == half ? completions[1] : completions[2]
        isOtherEmpty = probe.rows.first == [0]
    }

    // MARK: Statements

    func marker(_ attempt: Int) -> Statement {
        .insert(.init(half.attempts, [[attempt, 0]]))
    }

    /// - Parameter entries: rows of the replay table.
    func gate(_ entries: [[Int]], _ mutation: Mutation?) -> Statement {
        var insert = Statement.Insert(half.messages, entries)
        switch mutation {
        case .oldLook, .entriesApart, .memoryOnly: return entry(entries)
        default: if !isOtherEmpty { insert.failsIfIn = half.other.messages }
        }
        if mutation != .staleGeneration { insert.failsUnless = .init(.generation, [0, number]) }
        return .insert(insert)
    }

    /// Entries that keep nobody out: a mistake.
    func entry(_ entries: [[Int]]) -> Statement {
        .insert(.init(half.messages, entries, conflict: .ignore))
    }

    func look(_ keys: [Int]) -> [Statement] {
        Half.allCases.map { .select(from: $0.messages, keys: keys) }
    }

    /// What the gate stored is put right before COMMIT.
    func corrections(_ effects: [(key: Int, effect: RowEffect)]) -> [Statement] {
        let changed: [Statement] = effects.filter { $0.effect != .notFound }.map { key, effect in
            let change = Statement.Update.Change.set(
                column: Relation.entryOutcome, to: effect.rawValue)
            return .update(.init(half.messages, keys: [key], change))
        }
        let withdrawn = effects.filter { $0.effect == .notFound }.map(\.key)
        guard !withdrawn.isEmpty else { return changed }
        return changed + [.delete(from: half.messages, keys: withdrawn)]
    }

    // MARK: weir.rotate

    /// The statements of `weir.rotate` behind its question whether it is time.
    static func rotation(from number: Int) -> [Statement] {
        let closing = Half(generation: number)
        let opening = closing.other
        return [
            .lock(closing.attempts), .lock(closing.messages), .lock(opening.messages),
            .lock(opening.attempts), .truncate(opening.messages), .truncate(opening.attempts),
            .open(opening.attempts), .open(opening.messages), .close(closing.attempts),
            .close(closing.messages),
            .update(.init(.generation, keys: [0], .set(column: 1, to: number + 1))), .commit,
        ]
    }
}

/// Which messages and attempts are which numbers on the model server.
struct Registry {
    /// By message ID.
    private var messages: [MessageKey.Identity: Int] = [:]
    private var attempts: [UUID7: Int] = [:]
    private(set) var ids: [UUID7] = []

    mutating func add(_ message: MessageKey.Identity, _ number: Int) {
        messages[message] = number
    }

    func number(of message: MessageKey.Identity) -> Int {
        guard let number = messages[message] else {
            preconditionFailure("every message ID is some caller's")
        }
        return number
    }

    mutating func number(of attempt: UUID7) -> Int {
        if let known = attempts[attempt] { return known }
        ids.append(attempt)
        attempts[attempt] = ids.count - 1
        return ids.count - 1
    }

    func known(_ attempt: UUID7) -> Int? { attempts[attempt] }
}
