import Testing
import WeirTesting

/// A script for several sessions, with what each of its steps must show: on the model server and
/// on PostgreSQL alike.
struct Scenario: CustomTestStringConvertible, Sendable {
    enum Client: String, CaseIterable, Sendable {
        case a, b, c
        /// Waits for no lock for long, and is the first to look for a deadlock.
        case x
        /// Its commits wait for a standby, which does not answer.
        case s
    }

    enum Step: Sendable {
        /// Statements and a sync, in one flush. Shows what came back, or that the session waits.
        case pipeline(Client, [Statement], String)
        /// The session's pipeline, which waited, ends now.
        case wake(Client, String)
        /// What a new session sees, by key.
        case rows(Relation, [[Int]])
        /// Sends statements without a sync, and closes the connection behind them.
        case leave(Client, [Statement])
        /// Closes the connection.
        case hangUp(Client)
        case terminate(Client)
        case cancel(Client)
        case standbyAnswers
        /// All sessions end, and the server starts again.
        case crash

        static func run(_ client: Client, _ statement: Statement, _ shown: String) -> Step {
            .pipeline(client, [statement], shown)
        }
    }

    let name: String
    let sessionsMax: Int
    let steps: [Step]

    init(_ name: String, sessionsMax: Int = 50, _ steps: [Step]) {
        self.name = name
        self.sessionsMax = sessionsMax
        self.steps = steps
    }

    var testDescription: String { name }

    var crashes: Bool {
        steps.contains { if case .crash = $0 { true } else { false } }
    }

    /// What the steps are to show, one line for each step that shows anything.
    var expectation: [String] {
        steps.compactMap { step in
            switch step {
            case .pipeline(let client, _, let shown), .wake(let client, let shown):
                "\(client): \(shown)"
            case .rows(_, let rows): "\(rows)"
            default: nil
            }
        }
    }

    /// The tables of each scenario.
    static let tables: [ModelTable.Definition] = [
        .init("items", columns: ["k", "v"]),
        .init("log", columns: ["k", "v"], isUnique: false),
        .init(
            "ruled", columns: ["k", "v"],
            rules: [
                .init(.check, column: 1, 900...909), .init(.raise("P0001"), column: 1, 910...919),
                .init(.raiseDeferred("23503"), column: 1, 920...929),
                .init(.skip, column: 1, 930...939), .init(.raise("40001"), column: 1, 940...949),
            ]),
        .init("older", columns: ["k", "v"]),
        .init("newer", columns: ["k", "v"]),
    ]
}

extension Relation {
    static let items = Relation(0)
    static let log = Relation(1)
    static let ruled = Relation(2)
    static let older = Relation(3)
    static let newer = Relation(4)
}

extension Statement {
    static func put(_ table: Relation, _ rows: [Int]...) -> Statement {
        .insert(Insert(table, rows))
    }
    static func ignore(_ table: Relation, _ rows: [Int]...) -> Statement {
        .insert(Insert(table, rows, conflict: .ignore, returnsKeys: true))
    }
    static func upsert(_ table: Relation, _ rows: [Int]...) -> Statement {
        .insert(Insert(table, rows, conflict: .update(ifNewer: nil), returnsKeys: true))
    }
    static func upsertNewer(_ table: Relation, _ rows: [Int]...) -> Statement {
        .insert(Insert(table, rows, conflict: .update(ifNewer: 1), returnsKeys: true))
    }
    /// What the gateway asks the replay tables.
    static func gate(_ rows: [Int]...) -> Statement {
        .insert(
            Insert(.newer, rows, conflict: .ignore, unlessIn: .older, returnsKeys: true))
    }
    /// As the gateway has it: fails where a key is known.
    static func strictGate(_ rows: [Int]...) -> Statement {
        .insert(Insert(.newer, rows, failsIfIn: .older))
    }
    /// As the gate has it, too: fails where the generation is another one.
    static func entry(_ key: Int, generation: Int) -> Statement {
        .insert(
            Insert(.newer, [[key, 0]], failsUnless: .init(.older, [1, generation])))
    }
    static func add(_ table: Relation, _ keys: Int..., amount: Int = 1) -> Statement {
        .update(Update(table, keys: keys, .add(column: 1, amount)))
    }
    static func set(_ table: Relation, _ keys: Int..., to value: Int) -> Statement {
        .update(Update(table, keys: keys, .set(column: 1, to: value)))
    }
    static func drop(_ table: Relation, _ keys: Int...) -> Statement {
        .delete(from: table, keys: keys)
    }
    static func read(_ table: Relation, _ keys: Int...) -> Statement {
        .select(from: table, keys: keys)
    }
}
