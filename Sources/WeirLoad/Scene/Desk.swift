import Weir
package import WeirCore
package import WeirPostgres
package import WeirRecord

/// The harness's own connection to the database, apart from those that are measured. It waits on a
/// thread of its own.
package actor Desk {
    private let executor = BlockingExecutor(label: "weir.load.desk")
    private let inspection: Inspection
    /// Transactions of its own, which are not the run's.
    package private(set) var transactions = 0

    nonisolated package var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    /// - Throws: `ConnectFailure` when the database cannot be reached.
    package init(_ conninfo: Conninfo) async throws {
        let made = BlockingExecutor(label: "weir.load.connect")
        inspection = try await Self.connect(conninfo, on: made)
    }

    private static func connect(
        _ conninfo: Conninfo, on executor: BlockingExecutor
    ) async throws -> sending Inspection {
        try await Opener(executor).open(conninfo)
    }

    /// Connecting blocks, and an actor's init runs on its caller's thread.
    private actor Opener {
        private let executor: BlockingExecutor
        nonisolated var unownedExecutor: UnownedSerialExecutor {
            executor.asUnownedSerialExecutor()
        }
        init(_ executor: BlockingExecutor) { self.executor = executor }
        func open(_ conninfo: Conninfo) throws -> sending Inspection {
            try Inspection(conninfo, patience: .seconds(60))
        }
    }

    @discardableResult
    package func query(_ sql: String) throws -> [[String?]] {
        transactions += 1
        return try inspection.query(sql)
    }

    /// The table as the gateway sees it, with the columns of its unique indexes; `nil` when there
    /// is none.
    package func table(_ name: TableName) throws -> (schema: TableSchema, unique: Set<String>)? {
        transactions += 8
        guard let schema = try inspection.catalog(of: [name]).found.first else { return nil }
        let rows = try query(
            """
            SELECT DISTINCT a.attname
            FROM pg_catalog.pg_index i
            JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
            WHERE i.indrelid = \(quotedLiteral(schema.sqlName))::regclass AND i.indisunique
            """)
        return (schema, Set(rows.compactMap { $0[0] }))
    }

    /// For a pooler, which takes no connection string.
    var destination: PgBouncer.Server {
        let (host, port, database, user, password) = inspection.destination
        return PgBouncer.Server(
            host: host, port: port, database: database, user: user, password: password)
    }

    // MARK: What the server counts

    /// The server's own counters, all since some past.
    package struct Figures: Sendable {
        package var transactions: Int
        package var deadlocks: Int
        /// `nil` where the role may not see it.
        package var walBytes: Int?
        package var processor: Nanoseconds?
    }

    /// - Parameter settles: waits until the counters rest: backends hand theirs in up to a second
    ///   late.
    package func figures(settles: Bool = false) async throws -> Figures {
        // Its own ones as well, or what it did just before would count as done meanwhile.
        // PostgreSQL 15 does so when it is told; an older one by itself, after a second.
        if (try? query("SELECT pg_catalog.pg_stat_force_next_flush()")) == nil {
            try await Task.sleep(for: .milliseconds(1_100))
            try query("SELECT 1")
        }
        var last = try counters()
        var rounds = 0
        while settles && rounds < 20 {
            try await Task.sleep(for: .milliseconds(600))
            let now = try counters()
            let isResting = now.total - last.total <= 2 && now.deadlocks == last.deadlocks
            last = now
            rounds += 1
            if isResting && rounds >= 2 { break }
        }
        let wal = try? query(
            "SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::int8"
        )
        return Figures(
            transactions: last.total, deadlocks: last.deadlocks,
            walBytes: wal?.first?.first?.flatMap { $0 }.flatMap(Int.init),
            processor: ProcessTimes.server(ofBackend: inspection.announcedPID))
    }

    private func counters() throws -> (total: Int, deadlocks: Int) {
        let rows = try query(
            """
            SELECT xact_commit, deadlocks FROM pg_catalog.pg_stat_database
            WHERE datname = pg_catalog.current_database()
            """)
        let row = rows.first ?? []
        return (
            row.first.flatMap { $0 }.flatMap(Int.init) ?? 0,
            row.last.flatMap { $0 }.flatMap(Int.init) ?? 0
        )
    }

    // MARK: What it watches and does meanwhile

    /// The other connections to the database.
    package func connections() -> Int {
        let rows = try? query(
            """
            SELECT count(*) FROM pg_catalog.pg_stat_activity
            WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid()
              AND COALESCE(backend_type, 'client backend') = 'client backend'
            """)
        return rows?.first?.first?.flatMap { $0 }.flatMap(Int.init) ?? 0
    }

    /// Ends every connection whose statement names the table, as a failover would.
    ///
    /// - Returns: how many there were.
    package func endWriters(of table: String) throws -> Int {
        let rows = try query(
            """
            SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
            WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid()
              AND usename = current_user AND state <> 'idle'
              AND pg_catalog.strpos(query, \(quotedLiteral(table))) > 0
            """)
        return rows.count
    }
}
