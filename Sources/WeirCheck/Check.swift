package import WeirPostgres

/// One question to the database, and what its answer means. The meaning is a pure function of the
/// rows, so that it can be tried without a server in the state in question.
package protocol Check: Sendable {
    /// The codes of the findings that it may come to.
    var codes: [String] { get }

    /// The connection that is asked: as the gateway's, or with the role's own settings.
    var manner: Conninfo.Manner { get }

    /// The query, in which names of pg_catalog need no schema; `nil` if the subject says enough.
    func sql(_ subject: Subject) -> String?

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding]
}

extension Check {
    package var manner: Conninfo.Manner { .gateway }
}

/// A row of an answer, in text form.
package struct Row: Sendable {
    private let values: [String?]

    package init(_ values: [String?]) {
        self.values = values
    }

    /// A value, empty for NULL.
    package func text(_ index: Int) -> String { optional(index) ?? "" }
    package func optional(_ index: Int) -> String? {
        values.indices.contains(index) ? values[index] : nil
    }
    package func isTrue(_ index: Int) -> Bool { optional(index) == "t" }
    package func integer(_ index: Int) -> Int? { optional(index).flatMap { Int($0) } }
    package func number(_ index: Int) -> Double? { optional(index).flatMap { Double($0) } }

    /// The row as it came, for those who know its shape.
    package var all: [String?] { values }
}

/// Every check, in the order in which they run.
package enum Checks {
    package static let all: [any Check] = [
        EncodingCheck(), RecoveryCheck(), DurabilityCheck(), SettingsCheck(), DefaultsCheck(),
        TimeoutCheck(), ConnectionLimitCheck(), RoleCheck(), MissingTableCheck(), RelationCheck(),
        PrivilegeCheck(), SchemaCheck(), KeyCheck(), CounterKeyCheck(), IntegerKeyCheck(),
        TextKeyCheck(),
        KeyCollationCheck(), CollationMismatchCheck(), CollationVersionCheck(), TriggerCheck(),
        RuleCheck(), RowSecurityCheck(),
    ]

    /// Every code that a finding may have.
    package static var codes: [String] {
        (all.flatMap(\.codes) + Examination.codes).sorted()
    }
}
