package import Logging
import ServiceLifecycle
package import Weir
import WeirCore
import WeirRecord

/// The actor pool: as many writers as the connection budget says, each with its own connection,
/// from the first attempt to reach the database until shutdown.
package final class PostgresPool: Service {
    private let configuration: PostgresWriter.Configuration
    /// `nil` derives the budget from the server.
    private let connections: Int?
    private let coordinator: Coordinator
    private let logger: Logger

    package init(
        _ configuration: PostgresWriter.Configuration, connections: Int?, coordinator: Coordinator,
        logger: Logger
    ) {
        self.configuration = configuration
        self.connections = connections
        self.coordinator = coordinator
        self.logger = logger
        configuration.identities.observe { writer, verdict in
            coordinator.connected(WriterID(writer), isOtherHistory: verdict == .otherHistory)
        }
    }

    package func run() async throws {
        await withTaskCancellationOrGracefulShutdownHandler {
            // Cancellation cuts the waits between attempts to connect.
            await cancelWhenGracefulShutdown { await self.serve() }
        } onCancelOrGracefulShutdown: {
            self.coordinator.stop()
        }
    }

    private func serve() async {
        guard let budget = await self.budget() else { return coordinator.markStarted() }
        coordinator.setBudget(budget.connections)
        logger.info("connections: \(budget.derivation)")
        let writers = (0..<budget.connections).map { PostgresWriter(configuration, number: $0) }
        let openCount = await open(writers)
        // Not before all are open: a writer takes up what it is given once it runs.
        for (number, writer) in writers.prefix(openCount).enumerated() {
            coordinator.writerReady(WriterID(number), inline: writer)
        }
        coordinator.markStarted()
        await withDiscardingTaskGroup { tasks in
            for (number, writer) in writers.enumerated() {
                tasks.addTask {
                    await writer.run(
                        WriterID(number), for: self.coordinator, isReady: number < openCount)
                }
            }
        }
    }

    /// The budget, once the server can be asked; `nil` when shutdown comes first.
    private func budget() async -> ConnectionBudget? {
        if let connections { return ConnectionBudget(configured: connections) }
        var failures = 0
        var random = SplitMix64(seed: coordinator.ids.next(unixNanoseconds: 0).low)
        let backoff = Backoff(min: .milliseconds(100), max: .seconds(2))
        // Asked by an actor of its own: the question blocks.
        let prober = PostgresWriter(configuration, number: -1)
        while !coordinator.isStopping {
            do {
                return try await prober.deriveBudget()
            } catch {
                failures += 1
                coordinator.connectFailed(WriterID(0), error, failures: failures)
                coordinator.markStarted()
                let delay = backoff.delay(attempt: failures, using: &random)
                try? await coordinator.time.sleep(for: delay)
            }
        }
        return nil
    }

    /// Opens the connections and reads the catalog before anybody is served. Returns how many of
    /// the writers have one, the first ones.
    private func open(_ writers: [PostgresWriter]) async -> Int {
        for (number, writer) in writers.enumerated() {
            coordinator.connecting(WriterID(number))
            do {
                try await writer.connect()
                if coordinator.catalogStore.catalog == nil {
                    coordinator.catalogLoaded(try await writer.loadCatalog())
                }
            } catch {
                // Each writer tries again by itself; waiting here for all would hold up the
                // listener.
                coordinator.connectFailed(WriterID(number), error, failures: 1)
                return number
            }
        }
        return writers.count
    }
}
