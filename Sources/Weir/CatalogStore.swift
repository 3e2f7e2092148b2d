import Synchronization
import WeirRecord

/// The catalog in force, and what changes when a newer one is read.
package final class CatalogStore: Sendable {
    private let current = Mutex<Catalog?>(nil)

    package init() {}

    /// `nil` until the database has been reached for the first time.
    package var catalog: Catalog? { current.withLock { $0 } }

    /// Takes over what is different in `newer` and returns the numbers of those tables.
    func replace(with newer: Catalog) -> [Int] {
        current.withLock { catalog in
            var changed: [Int] = []
            var tables: [Catalog.Table] = []
            for (number, table) in newer.tables.enumerated() {
                let known = catalog.flatMap { number < $0.tables.count ? $0.tables[number] : nil }
                if case .found(let old)? = known, case .found(let new) = table,
                    old.hasSameDefinition(as: new)
                {
                    tables.append(.found(old))
                } else {
                    tables.append(table)
                    changed.append(number)
                }
            }
            catalog = Catalog(tables)
            return changed
        }
    }
}
