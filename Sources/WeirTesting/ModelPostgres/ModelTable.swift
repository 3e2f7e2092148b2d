/// A table of the model server: row versions as PostgreSQL keeps them, and what it refuses.
package struct ModelTable: Sendable {
    /// What a table does with rows that have certain values: poison is a function of the payload.
    package struct Rule: Sendable {
        package enum Action: Equatable, Sendable {
            /// A CHECK constraint of the table.
            case check
            /// A BEFORE trigger raises this SQLSTATE.
            case raise(String)
            /// A deferred constraint trigger raises it: at COMMIT.
            case raiseDeferred(String)
            /// A BEFORE trigger returns NULL: the row is left out, without an error.
            case skip
        }
        package var column: Int
        package var values: ClosedRange<Int>
        package var action: Action

        package init(_ action: Action, column: Int, _ values: ClosedRange<Int>) {
            self.column = column
            self.values = values
            self.action = action
        }

        func applies(to row: [Int]) -> Bool { values.contains(row[column]) }
    }

    package struct Definition: Sendable {
        package var name: String
        package var columns: [String]
        /// Whether the first column is a primary key.
        package var isUnique: Bool
        package var rules: [Rule]

        package init(
            _ name: String, columns: [String], isUnique: Bool = true, rules: [Rule] = []
        ) {
            self.name = name
            self.columns = columns
            self.isUnique = isUnique
            self.rules = rules
        }

        package var keyConstraint: String { name + "_pkey" }
        package var checkConstraint: String { name + "_check" }
    }

    package static let closedConstraint = "weir_generation_closed"

    /// A version of a row.
    struct Tuple: Sendable {
        let values: [Int]
        /// Who made it, and by which statement of that transaction.
        let xmin: Int
        let command: Int
        /// Who deleted or replaced it; 0 for nobody.
        var xmax = 0
        /// The version that replaced it, or -1.
        var next = -1
        /// Who locked it and left it as it is.
        var locker = 0
    }

    /// A change of the definition counts unless its transaction was aborted: nobody else can look
    /// at the table before that transaction ends.
    struct Change<Value: Sendable>: Sendable {
        let xid: Int
        let value: Value
    }

    let definition: Definition
    var tuples: [Tuple] = []
    /// The versions with a key, oldest first.
    private var positions: [Int: [Int]] = [:]
    var closings: [Change<Bool>] = []
    /// TRUNCATE: versions before this one are gone, for old snapshots too.
    var truncations: [Change<Int>] = []

    init(_ definition: Definition) {
        self.definition = definition
    }

    @discardableResult
    mutating func append(_ tuple: Tuple) -> Int {
        tuples.append(tuple)
        positions[tuple.values[0], default: []].append(tuples.count - 1)
        return tuples.count - 1
    }

    func versions(of key: Int) -> [Int] { positions[key] ?? [] }

    func isClosed(_ transactions: ModelTransactions) -> Bool {
        closings.last { transactions.states[$0.xid] != .aborted }?.value ?? false
    }

    /// The first version that no TRUNCATE has taken away.
    func start(_ transactions: ModelTransactions) -> Int {
        truncations.isEmpty
            ? 0 : truncations.last { transactions.states[$0.xid] != .aborted }?.value ?? 0
    }
}
