package import WeirMigrations

/// What is to be applied to a database, from what this program knows and what was applied before.
package struct MigrationPlan: Equatable, Sendable {
    /// A row of `weir.migration`.
    package struct Applied: Equatable, Sendable {
        package let number: Int
        package let name: String
        package let checksum: String
        /// RFC 3339, as the server says it.
        package let appliedAt: String
        /// Of the program that applied it.
        package let version: String

        package init(
            number: Int, name: String, checksum: String, appliedAt: String, version: String
        ) {
            self.number = number
            self.name = name
            self.checksum = checksum
            self.appliedAt = appliedAt
            self.version = version
        }

        /// From a row of `WeirSchema.appliedSQL`.
        package init(_ row: [String?]) {
            let text = { (index: Int) in index < row.count ? row[index] ?? "" : "" }
            self.init(
                number: Int(text(0)) ?? 0, name: text(1), checksum: text(2), appliedAt: text(3),
                version: text(4))
        }
    }

    /// Why nothing can be said of the database, so that nothing is done to it.
    package enum Fault: Error, Equatable, Sendable, CustomStringConvertible {
        /// The file is another one now than it was when it was applied.
        case changed(Applied)
        /// A later migration was applied, and this one was not.
        case skipped(number: Int)

        package var description: String {
            switch self {
            case .changed(let applied):
                "migration \(applied.name) was applied at \(applied.appliedAt) by weir "
                    + "\(applied.version) with other content than this program has; nothing was "
                    + "changed. Use the program that applied it, or a released one; never edit a "
                    + "migration that has been applied."
            case .skipped(let number):
                "migration \(number) was not applied, though later ones were; nothing was changed. "
                    + "Somebody has removed its row from weir.migration: put that back."
            }
        }
    }

    /// In their order.
    package let applied: [Applied]
    package let pending: [Migration]
    /// What a later program applied: this one can do without it, as long as it only adds.
    package let unknown: [Applied]

    package init(known: [Migration], applied: [Applied]) throws(Fault) {
        let rows = applied.sorted { $0.number < $1.number }
        let numberMax = known.last?.number ?? 0
        for migration in known {
            guard let row = rows.first(where: { $0.number == migration.number }) else {
                if let last = rows.last, last.number > migration.number {
                    throw .skipped(number: migration.number)
                }
                continue
            }
            guard row.checksum == migration.checksum else { throw .changed(row) }
        }
        self.applied = rows
        pending = known.filter { migration in !rows.contains { $0.number == migration.number } }
        unknown = rows.filter { $0.number > numberMax }
    }

    /// What the operator should know, though nothing is wrong.
    package var notices: [String] {
        guard let first = unknown.first else { return [] }
        let names = unknown.map(\.name).joined(separator: ", ")
        return [
            "the database is newer than this program: weir \(first.version) applied \(names). All "
                + "that this program knows is there and unchanged, so it can be used."
        ]
    }
}
