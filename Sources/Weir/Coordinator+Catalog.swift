import Logging
package import WeirCore
import WeirRecord

// What the catalog brings, and who waits for it.
extension Coordinator {
    /// Calls `resume` once the catalog has been looked at by a question that was put after this
    /// call, so that what it says may be held against a record: with `nil`, or with why the record
    /// can be neither taken nor refused at present. It is called on any thread, once.
    package func confirmCatalog(
        by deadline: Timestamp, _ resume: @escaping @Sendable (Failure?) -> Void
    ) {
        let now = time.now
        act(now) { state, actions in
            let waiter = CatalogWatch.Waiter(since: now, deadline: deadline, resume: resume)
            if !state.catalogWatch.add(waiter) {
                let refusal = Refusal.overloaded(retryAfter: .seconds(1))
                actions.confirmed.append((waiter, Failure(refusal, table: "")))
            }
            return .none
        }
    }

    /// Has a writer read the catalog as soon as one is free: what the operator says of a table has
    /// changed.
    package func refreshCatalog() {
        act(time.now) { state, _ in
            state.catalogWatch.want(.load)
            return .none
        }
    }

    /// Nothing has changed since the catalog was read.
    package func catalogConfirmed() {
        act(time.now) { state, actions in
            actions.confirmed += state.catalogWatch.succeeded().map { ($0, nil) }
            return .none
        }
    }

    package func catalogLoaded(_ catalog: Catalog) {
        let known = catalogStore.catalog
        let difference = catalogStore.replace(with: catalog)
        let now = time.now
        act(now) { state, actions in
            actions.confirmed += state.catalogWatch.succeeded().map { ($0, nil) }
            var effects = Effects.none
            for table in difference.stirred {
                effects.append(state.machine.resume(table.id, now: now))
            }
            return effects
        }
        for number in difference.changed {
            let before = known.flatMap { number < $0.tables.count ? $0.tables[number] : nil }
            report(catalog.tables[number], before: before)
        }
    }

    private func report(_ table: Catalog.Table, before known: Catalog.Table?) {
        switch table {
        case .found(let schema):
            let isNew = if case .found? = known { false } else { true }
            logger.info(
                isNew ? "table exposed" : "table definition changed",
                metadata: [
                    "table": "\(schema.publicName)", "columns": "\(schema.columns.count)",
                ])
        case .missing(let name, let reason):
            // Looked for once a second: one line for each new reason.
            if case .missing(_, reason)? = known { return }
            if let reason {
                logger.error(
                    "table cannot be written as it is configured",
                    metadata: ["table": "\(name)", "reason": "\(reason)"])
            } else {
                logger.warning("table is not in the database", metadata: ["table": "\(name)"])
            }
        }
    }

    func catalogFailed(_ failure: ConnectFailure) {
        logger.warning("cannot read the catalog", metadata: ["reason": "\(failure.reason)"])
        let now = time.now
        act(now) { state, _ in
            state.catalogWatch.failed(now: now)
            return .none
        }
    }
}

extension Coordinator.State {
    /// Tells those who wait for the catalog in vain, and has it read if that is due.
    mutating func tendCatalog(now: Timestamp, _ actions: inout Coordinator.Actions) {
        if !catalogWatch.waiters.isEmpty {
            let gauges = machine.gauges
            if gauges.isDraining || isStopping {
                give(up: .draining, &actions)
            } else if gauges.connections == 0 {
                give(up: .databaseUnavailable(retryAfter: .seconds(1)), &actions)
            }
            let failure = Failure(
                .deadlineExceeded, "the catalog could not be looked at in time; nothing was written"
            )
            actions.confirmed += catalogWatch.expire(now: now).map { ($0, failure) }
        }
        guard !isStopping, catalogWatch.isDue(now: now),
            let writer = isParked.indices.first(where: { isParked[$0] && tasks[$0] == nil }),
            let reading = catalogWatch.begin(now: now)
        else { return }
        _ = wake(writer, .readCatalog(reading), &actions)
    }

    private mutating func give(up refusal: Refusal, _ actions: inout Coordinator.Actions) {
        let failure = Failure(refusal, table: "")
        actions.confirmed += catalogWatch.giveUp().map { ($0, failure) }
    }
}

extension TableSchema {
    /// Names the definition, not the table: a fault of one is none of the definition that takes
    /// its place.
    package var id: TableID { TableID(version) }
}
