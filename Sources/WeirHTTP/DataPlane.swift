package import Logging
package import Weir
import WeirCore
import WeirRecord

/// What every connection of the data listener works with.
package final class DataPlane: Sendable {
    let coordinator: Coordinator
    let configuration: ServerConfiguration
    let logger: Logger
    private let queueTimeout: Nanoseconds

    package init(coordinator: Coordinator, configuration: ServerConfiguration, logger: Logger) {
        self.coordinator = coordinator
        self.configuration = configuration
        queueTimeout = Nanoseconds(configuration.queueTimeout)
        self.logger = logger
    }

    var time: any TimeSource { coordinator.time }

    /// The ID that a record without one was given when it was admitted.
    func minted(_ tick: UInt64) -> UUID7 { coordinator.ids.id(tick: tick) }

    /// By what the caller of a record without an ID may ask later what became of it.
    func nameToAsk(_ failure: Failure, _ tick: UInt64) -> String? {
        let isWorthwhile = failure.code == .outcomeUnknown || failure.deadLetter != nil
        return isWorthwhile && tick != 0 ? minted(tick).typeID("msg") : nil
    }

    func mint() -> UUID7 {
        coordinator.ids.next(unixNanoseconds: time.unixNanoseconds)
    }

    func deadline(_ timeout: Nanoseconds?) -> Timestamp {
        time.now + (timeout ?? queueTimeout)
    }

    /// How a record is to be carried out, if the table exposes it.
    ///
    /// - Parameter isOneOfMany: other lines of the request may do something else, so that what it
    ///   prefers holds for those that it can hold for.
    func options(
        _ operation: WeirRecord.Operation, _ preferences: Preferences, _ table: TableSchema,
        isOneOfMany: Bool = false
    ) throws(Defect) -> WriteOptions {
        var options = WriteOptions(operation)
        options.onConflict = preferences.onConflict ?? table.policy.onConflict
        options.isConflictRuleSaid = preferences.onConflict != nil
        options.returnsRow = preferences.returnsRow
        options.isDryRun = preferences.isDryRun
        try table.policy.check(options, table: table.publicName)
        guard options.mayMeetRow else {
            guard preferences.versionColumn == nil || isOneOfMany else {
                throw Defect(
                    .invalidRequest,
                    "version_column goes with upserts, patches and inserts that merge duplicates",
                    table: table.publicName)
            }
            return options
        }
        options.versionColumn = table.versionColumn
        if let name = preferences.versionColumn {
            options.versionColumn = try table.versionColumn(named: name)
            options.isVersionColumnSaid = true
        }
        return options
    }

    /// The definition of an exposed table.
    func table(_ name: String) throws(Failure) -> TableSchema {
        guard let catalog = coordinator.catalogStore.catalog else {
            throw Failure(
                .databaseUnavailable, "the database has not been reached yet; nothing was written",
                retryAfter: .seconds(1))
        }
        switch catalog.find(name) {
        case .found(let schema)?:
            return schema
        case .missing(_, let reason)?:
            var failure = Failure(.tablePaused(retryAfter: .seconds(1)), table: name)
            if let reason { failure.detail = "table \(name): \(reason); nothing was written" }
            throw failure
        case nil:
            let names = catalog.tables.indices.prefix(20).map { catalog.publicName($0) }
            throw Failure(
                .unknownTable,
                "no table \"\(name.prefix(80))\" is exposed here; "
                    + "there is \(names.joined(separator: ", "))"
            )
        }
    }
}
