import Synchronization
import WeirRecord

/// The catalog in force, and what changes when a newer one is read.
package final class CatalogStore: Sendable {
    /// How a newer catalog differs from the one before.
    struct Difference {
        /// Numbers of tables with another definition.
        var changed: [Int] = []
        /// Tables with the definition they had, of which something else has changed: who may write
        /// them, perhaps.
        var stirred: [TableSchema] = []
    }

    private let current = Mutex<Catalog?>(nil)

    package init() {}

    /// `nil` until the database has been reached for the first time.
    package var catalog: Catalog? { current.withLock { $0 } }

    /// Takes over what is different in `newer`.
    func replace(with newer: Catalog) -> Difference {
        current.withLock { catalog in
            var difference = Difference()
            var tables: [Catalog.Table] = []
            for (number, table) in newer.tables.enumerated() {
                let known = catalog.flatMap { number < $0.tables.count ? $0.tables[number] : nil }
                if case .found(let old)? = known, case .found(let new) = table,
                    old.hasSameDefinition(as: new)
                {
                    tables.append(.found(old))
                    if catalog?.stamp(number) != newer.stamp(number) {
                        difference.stirred.append(old)
                    }
                } else {
                    tables.append(table)
                    difference.changed.append(number)
                }
            }
            catalog = Catalog(tables, stamps: newer.stamps)
            return difference
        }
    }
}
