import Synchronization
package import WeirRecord

/// What the operator says of each table, as it stands when the catalog is read, and the name of the
/// configuration that says it. Shared by all writers, so that a reload reaches whichever of them
/// reads it next.
package final class PolicyStore: Sendable {
    private struct State {
        var policies: [TableName: TablePolicy]
        var configurationHash: String
    }

    private let state: Mutex<State>

    /// A table that is not in `policies` has the default.
    package init(_ policies: [TableName: TablePolicy] = [:], configurationHash: String = "") {
        state = Mutex(State(policies: policies, configurationHash: configurationHash))
    }

    package var policies: [TableName: TablePolicy] {
        get { state.withLock { $0.policies } }
        set { state.withLock { $0.policies = newValue } }
    }

    /// Kept with dead letters: under which settings they were refused.
    package var configurationHash: String {
        get { state.withLock { $0.configurationHash } }
        set { state.withLock { $0.configurationHash = newValue } }
    }
}
