import WeirRecord
import WeirTesting

/// The tables of a world: the gateway's own, as the model server has them, and those that callers
/// write, as the gateway's catalog has them too.
package enum WorldTable: Int, CaseIterable, Sendable {
    /// Records are added and never changed; what has a bad value is refused.
    case appended
    /// The same, and what is refused becomes a dead letter.
    case kept
    /// The same, and what is refused holds back what stands behind it.
    case strict
    /// The same, and a trigger leaves some rows out.
    case filtered
    /// Rows with a primary key, which are inserted, changed and deleted.
    case rows

    /// How many tables of its own the gateway has before these.
    private static let firstNumber = 6

    var relation: Relation { Relation(Self.firstNumber + rawValue) }

    init?(_ relation: Relation) {
        self.init(rawValue: relation.number - Self.firstNumber)
    }

    /// Columns of all but `rows`: an ordering key, the message's number, a value.
    static let message = 1
    static let value = 2
    /// Columns of `rows`: the key, a version, the number of the last message that wrote it.
    static let version = 1
    static let writer = 2

    var isAppendOnly: Bool { self != .rows }

    /// The column with the message's number.
    var messageColumn: Int { isAppendOnly ? Self.message : Self.writer }

    private var definition: ModelTable.Definition {
        guard isAppendOnly else {
            return .init("\(self)", columns: ["id", "version", "m"])
        }
        var rules: [ModelTable.Rule] = [
            .init(.check, column: Self.value, BadValue.check.values),
            .init(.raiseDeferred("23503"), column: Self.value, BadValue.deferred.values),
        ]
        if self == .filtered {
            rules.append(.init(.raise("P0001"), column: Self.value, BadValue.raised.values))
            rules.append(.init(.skip, column: Self.value, BadValue.left.values))
        }
        return .init("\(self)", columns: ["k", "m", "v"], isUnique: false, rules: rules)
    }

    private var policy: TablePolicy {
        var policy = TablePolicy()
        if isAppendOnly { policy.orderKey = "k" }
        if self == .kept { policy.onReject = .deadLetter }
        if self == .strict { policy.order = .strict }
        return policy
    }

    /// As the gateway's catalog has it.
    private var schema: TableSchema {
        TableSchema(
            number: rawValue, version: rawValue + 1, name: "\(self)",
            columns: definition.columns.map {
                Column(
                    name: $0, type: .int8, typeName: "bigint", isNullable: false,
                    hasDefault: $0 != definition.columns[0])
            },
            primaryKey: isAppendOnly ? [] : [0], mayDropRows: self == .filtered, policy: policy)
    }

    private static let schemas = allCases.map(\.schema)

    var table: TableSchema { Self.schemas[rawValue] }

    static let definitions: [ModelTable.Definition] =
        Half.allCases.map { .init("attempt_\($0)", columns: ["id", "outcome"]) }
        + Half.allCases.map {
            .init("replay_\($0)", columns: ["id", "attempt", "fingerprint", "outcome", "letter"])
        } + [
            .init("generation", columns: ["singleton", "number"]),
            .init("dead_letter", columns: ["m", "attempt"], isUnique: false),
        ] + allCases.map(\.definition)
}

/// What the database refuses, by the value of a record.
enum BadValue: Int, CaseIterable {
    /// A CHECK constraint.
    case check
    /// A constraint trigger, at COMMIT.
    case deferred
    /// A BEFORE trigger raises an error.
    case raised
    /// A BEFORE trigger leaves the row out.
    case left

    var values: ClosedRange<Int> { (900 + rawValue * 10)...(909 + rawValue * 10) }
}

/// One of the two generations of the gateway's memory; the other one is frozen.
enum Half: Int, CaseIterable {
    case a
    case b

    init(generation: Int) { self = generation % 2 == 0 ? .a : .b }

    var other: Half { self == .a ? .b : .a }
    var attempts: Relation { Relation(rawValue) }
    var messages: Relation { Relation(2 + rawValue) }
}

extension Relation {
    static let generation = Relation(4)
    static let deadLetters = Relation(5)

    /// Columns of `replay_a` and `replay_b`.
    static let entryAttempt = 1
    static let entryFingerprint = 2
    static let entryOutcome = 3
    static let entryLetter = 4
}

extension ModelServer {
    /// A server on which `weir migrate` has run.
    static func forWorld() -> ModelServer {
        var server = ModelServer(WorldTable.definitions)
        guard case .success(let session) = server.connect() else {
            preconditionFailure("an empty server takes a connection")
        }
        for statement: Statement in [
            .insert(.init(.generation, [[0, 0]])), .close(Half.b.attempts),
            .close(Half.b.messages),
        ] {
            server.send(session, statement)
        }
        server.sendSync(session)
        server.hangUp(session)
        while server.isRunnable(session) { server.run(session) }
        precondition(server.row(.generation, 0) == [0, 0], "the schema is in place")
        return server
    }
}
