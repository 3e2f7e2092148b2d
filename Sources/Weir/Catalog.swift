package import WeirRecord

/// The exposed tables as they were when the catalog was last read. Position is the table's number.
package struct Catalog: Sendable {
    package enum Table: Sendable {
        case found(TableSchema)
        /// Exposed, but not in the database, or not as its settings need it: writes wait for it.
        ///
        /// - reason: what is wrong with a table that is there; `nil` when there is none.
        case missing(name: String, reason: String? = nil)
    }

    package let tables: [Table]
    /// By number: changes with anything that the catalog says of the table. `nil`: nobody asked.
    package let stamps: [String?]
    private let numbers: [String: Int]

    package init(_ tables: [Table], stamps: [String?] = []) {
        self.tables = tables
        self.stamps = stamps
        var numbers: [String: Int] = [:]
        for (number, table) in tables.enumerated() {
            switch table {
            case .found(let schema):
                numbers[schema.publicName] = number
                numbers[schema.schemaName + "." + schema.name] = number
            case .missing(let name, _):
                numbers[name] = number
            }
        }
        self.numbers = numbers
    }

    package func find(_ name: String) -> Table? {
        numbers[name].map { tables[$0] }
    }

    func stamp(_ number: Int) -> String? { number < stamps.count ? stamps[number] : nil }

    /// What callers call the table with this number.
    package func publicName(_ number: Int) -> String {
        switch tables[number] {
        case .found(let schema): schema.publicName
        case .missing(let name, _): name
        }
    }

    package var found: [TableSchema] {
        tables.compactMap { if case .found(let schema) = $0 { schema } else { nil } }
    }

    package var missing: [String] {
        tables.compactMap { if case .missing(let name, _) = $0 { name } else { nil } }
    }
    /// What is wrong with exposed tables that are there, one line for each.
    package var troubles: [String] {
        tables.compactMap {
            if case .missing(let name, let reason?) = $0 { "table \(name): \(reason)" } else { nil }
        }
    }
}
