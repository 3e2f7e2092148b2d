package import Logging
package import Weir
import WeirCore
import WeirRecord

/// What every connection of the data listener works with.
package struct DataPlane: Sendable {
    let coordinator: Coordinator
    let configuration: ServerConfiguration
    let logger: Logger

    package init(coordinator: Coordinator, configuration: ServerConfiguration, logger: Logger) {
        self.coordinator = coordinator
        self.configuration = configuration
        self.logger = logger
    }

    var time: any TimeSource { coordinator.time }

    func mint() -> UUID7 {
        coordinator.ids.next(unixNanoseconds: time.unixNanoseconds)
    }

    func deadline(_ timeout: Nanoseconds?) -> Timestamp {
        time.now + (timeout ?? Nanoseconds(configuration.queueTimeout))
    }

    /// How a record is to be carried out, if the table exposes it.
    func options(
        _ operation: WeirRecord.Operation, _ preferences: Preferences, _ table: TableSchema
    ) throws(Defect) -> WriteOptions {
        var options = WriteOptions(operation)
        options.onConflict = preferences.onConflict ?? table.policy.onConflict
        options.returnsRow = preferences.returnsRow
        options.isDryRun = preferences.isDryRun
        try table.policy.check(options, table: table.publicName)
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
