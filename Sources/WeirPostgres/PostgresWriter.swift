import CLibpq
package import Weir
import WeirCore
package import WeirRecord

/// One connection to PostgreSQL and the thread that waits on it.
package actor PostgresWriter: BatchWriter {
    package struct Configuration: Sendable {
        package var conninfo: Conninfo
        package var tables: [TableName]
        package var policies = PolicyStore()
        package var connectTimeout: Duration = .seconds(5)
        /// For one statement, on the server. The client waits twice as long for the whole batch.
        package var statementTimeout: Duration = .seconds(10)

        package init(conninfo: Conninfo, tables: [TableName]) {
            self.conninfo = conninfo
            self.tables = tables
        }
    }

    private let configuration: Configuration
    private let executor: BlockingExecutor
    private var session: Session?
    private var cache = StatementCache()
    private var parameters: [ArrayParameter] = []

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe executor.asUnownedSerialExecutor()
    }

    package init(_ configuration: Configuration, number: Int) {
        self.configuration = configuration
        executor = BlockingExecutor(label: "weir.writer.\(number)")
    }

    package func connect() throws(ConnectFailure) {
        guard !isAlive() else { return }
        disconnect()
        let deadline = SystemTime().now + Nanoseconds(configuration.connectTimeout)
        let session = try Session.connect(configuration.conninfo, by: deadline)
        do {
            try session.prepareTransactionCommands(by: deadline)
        } catch {
            throw ConnectFailure("the connection was lost again at once")
        }
        self.session = session
    }

    package func disconnect() {
        session = nil
        cache.removeAll()
    }

    package func isAlive() -> Bool {
        session?.isAlive() ?? false
    }

    package func write(_ batch: WriteBatch) -> BatchReport {
        let begun = SystemTime().now
        guard let session, session.isAlive() else {
            // Nothing has been sent: certainly not written.
            disconnect()
            var report = BatchReport(.transient(.connectionLost))
            report.isConnected = false
            return report
        }
        let limit = Nanoseconds(configuration.statementTimeout * 2)
        var transaction = BatchTransaction(batch, session: session, deadline: begun + limit)
        var report = transaction.run(&cache, &parameters)
        report.databaseTime = SystemTime().now - begun
        if !report.isConnected { disconnect() }
        return report
    }

    func deriveBudget() throws(ConnectFailure) -> ConnectionBudget {
        try ConnectionBudget.derive(configuration)
    }

    package func loadCatalog() throws(ConnectFailure) -> Catalog {
        guard let session else { throw ConnectFailure("not connected") }
        let deadline = SystemTime().now + Nanoseconds(configuration.statementTimeout)
        let policies = configuration.policies.policies
        return try CatalogQuery(tables: configuration.tables, policies: policies)
            .run(on: session, by: deadline)
    }
}
