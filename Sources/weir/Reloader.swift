import Logging
import Synchronization
import Weir
import WeirAdmin
import WeirConfig
import WeirPostgres
import WeirRecord

/// Takes over a changed configuration while the gateway runs, all of it or nothing.
final class Reloader: Sendable {
    private let current: Mutex<EffectiveConfiguration>
    private let read: @Sendable () throws(ConfigurationError) -> EffectiveConfiguration
    private let level: LogLevel
    private let policies: PolicyStore
    private let coordinator: Coordinator
    private let logger: Logger

    init(
        _ effective: EffectiveConfiguration,
        read: @escaping @Sendable () throws(ConfigurationError) -> EffectiveConfiguration,
        level: LogLevel, policies: PolicyStore, coordinator: Coordinator, logger: Logger
    ) {
        current = Mutex(effective)
        self.read = read
        self.level = level
        self.policies = policies
        self.coordinator = coordinator
        self.logger = logger
    }

    /// What is in force, as JSON and without secrets.
    var json: String { current.withLock { $0.json } }

    /// Names what is in force.
    var hash: String { current.withLock { $0.hash } }

    /// Reads file, environment and flags again. What is wrong, or needs a restart, is logged and
    /// answered, and changes nothing.
    func reload() -> AdminServer.Reload {
        let result = current.withLock { effective -> AdminServer.Reload in
            do {
                let newer = try read()
                let changed = try effective.changes(to: newer)
                effective = newer
                level.set(newer.configuration.logLevel)
                policies.policies = newer.policies
                policies.configurationHash = newer.hash
                return .done(changed: changed)
            } catch let error as ConfigurationError {
                return .refused(error.problems.map(\.description))
            } catch let error as EffectiveConfiguration.NeedsRestart {
                return .refused(
                    error.keys.map { "\($0): a change of it needs a restart; nothing was changed" })
            } catch {
                preconditionFailure("nothing else is thrown here: \(error)")
            }
        }
        switch result {
        case .done(let changed):
            if changed.contains(where: { $0.hasPrefix("tables.") }) { coordinator.refreshCatalog() }
            logger.notice(
                "configuration reloaded",
                metadata: ["changed": "\(changed.joined(separator: ", "))"])
        case .refused(let reasons):
            for reason in reasons {
                logger.error("configuration not reloaded", metadata: ["reason": "\(reason)"])
            }
        }
        return result
    }
}

extension EffectiveConfiguration {
    var policies: [TableName: TablePolicy] {
        var policies: [TableName: TablePolicy] = [:]
        for table in configuration.tables { policies[table.name] = table.policy }
        return policies
    }
}
