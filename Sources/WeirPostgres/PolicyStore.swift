import Synchronization
package import WeirRecord

/// The operator's rules for each table, as they stand when the catalog is read. Shared by all
/// writers, so that a reload reaches whichever of them reads it next.
package final class PolicyStore: Sendable {
    private let current: Mutex<[TableName: TablePolicy]>

    /// A table that is not in `policies` has the default.
    package init(_ policies: [TableName: TablePolicy] = [:]) {
        current = Mutex(policies)
    }

    package var policies: [TableName: TablePolicy] {
        get { current.withLock { $0 } }
        set { current.withLock { $0 = newValue } }
    }
}
