/// One thing that is wrong, or worth knowing, between the gateway, its role and the database. It
/// names definitions and settings, and never holds a row's data.
package struct Finding: Sendable, Equatable {
    /// How bad it is; the most severe first.
    package enum Severity: String, Sendable, CaseIterable, Comparable {
        /// A promise of the gateway does not hold, or writes fail.
        case error
        /// It works, but not as one would expect, or not for long.
        case warning
        /// Worth knowing.
        case note

        package static func < (left: Severity, right: Severity) -> Bool {
            left.rank < right.rank
        }

        private var rank: Int {
            switch self {
            case .error: 0
            case .warning: 1
            case .note: 2
            }
        }
    }

    /// What the finding is about.
    package struct Object: Sendable, Equatable {
        package enum Kind: String, Sendable {
            case server, database, role, connection, setting, table, column, index, constraint
            case trigger, rule, collation, sequence, schema, function
        }

        package let kind: Kind
        /// As SQL spells it, with its schema where it has one; a column stands behind its table.
        package let name: String

        package init(_ kind: Kind, _ name: String) {
            self.kind = kind
            self.name = name
        }
    }

    /// Stable, in kebab-case; docs/CHECKS.md lists them.
    package let code: String
    package let severity: Severity
    package let object: Object
    /// What is so.
    package let what: String
    /// Why that matters for a gateway that writes in batches.
    package let why: String
    /// Ready to be pasted: SQL, or a line of a configuration; or one sentence where neither helps.
    package let fix: String

    package init(
        _ code: String, _ severity: Severity, _ object: Object, what: String, why: String,
        fix: String
    ) {
        self.code = code
        self.severity = severity
        self.object = object
        self.what = what
        self.why = why
        self.fix = fix
    }
}
