import Synchronization
import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord
import WeirTesting

/// One test's schema, and a writer for its tables.
struct Scene: Sendable {
    private static let count = Atomic<Int>(0)

    let database: Database
    let schema: String
    let writer: PostgresWriter
    let catalog: Catalog

    struct Options: Sendable {
        var user = "weir"
        var statementTimeout = Duration.seconds(10)
        var lockTimeout = Duration.seconds(5)
        /// In place of all tables of the schema.
        var tables: [String]?
    }

    /// - Parameter sql: makes the tables; all of them are exposed, in the order of their making.
    init(_ sql: String, _ change: (inout Options) -> Void = { _ in }) async throws {
        var options = Options()
        change(&options)
        let database = try #require(Database.current, "the suite has no private server")
        let schema = "t\(Self.count.wrappingAdd(1, ordering: .relaxed).newValue)"
        try await database.execute(
            """
            CREATE SCHEMA \(schema); GRANT USAGE ON SCHEMA \(schema) TO PUBLIC;
            SET search_path TO \(schema), public; \(sql)
            """)
        let tables =
            try await database.query(
                """
                SELECT relname FROM pg_class
                WHERE relnamespace = '\(schema)'::regnamespace AND relkind IN ('r', 'p', 'v')
                  AND NOT relispartition ORDER BY oid
                """
            ).compactMap { $0[0] }
        let writer = PostgresWriter(
            try Self.configuration(
                database, schema, options, tables: options.tables ?? tables), number: 0)
        try await writer.connect()
        self.database = database
        self.schema = schema
        self.writer = writer
        catalog = try await writer.loadCatalog()
    }

    /// A second writer for the tables of another scene.
    init(another scene: Scene) async throws {
        let writer = PostgresWriter(
            try Self.configuration(
                scene.database, scene.schema, Options(),
                tables: scene.catalog.found.map(\.name)), number: 1)
        try await writer.connect()
        database = scene.database
        schema = scene.schema
        catalog = scene.catalog
        self.writer = writer
    }

    /// Connections of this scene's writers bear the schema's name.
    private static func configuration(
        _ database: Database, _ schema: String, _ options: Options, tables: [String]
    ) throws -> PostgresWriter.Configuration {
        let info = database.server.conninfo.replacing("user=weir", with: "user=\(options.user)")
        var configuration = PostgresWriter.Configuration(
            conninfo: try Conninfo(
                "\(info) application_name=\(schema)", statementTimeout: options.statementTimeout,
                lockTimeout: options.lockTimeout),
            tables: tables.map { TableName("\(schema).\($0)") })
        configuration.statementTimeout = options.statementTimeout
        return configuration
    }

    // MARK: SQL

    func execute(_ sql: String) async throws {
        try await database.execute("SET search_path TO \(schema), public; \(sql)")
    }

    func rows(_ sql: String) async throws -> [[String?]] {
        try await database.query("SET search_path TO \(schema), public; \(sql)")
    }

    /// Ends this scene's sessions as an administrator would, and waits until they are gone.
    func terminateSessions() async throws {
        try await database.execute(
            """
            SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
            WHERE application_name = '\(schema)'
            """)
    }

    /// Condition: one of this scene's sessions waits for a lock.
    var isWaitingForLock: String {
        """
        EXISTS (SELECT FROM pg_stat_activity
                WHERE application_name = '\(schema)' AND wait_event_type = 'Lock')
        """
    }

    // MARK: Writing

    func table(_ name: String) throws -> TableSchema {
        try Self.table(name, schema, catalog)
    }

    private static func table(
        _ name: String, _ schema: String, _ catalog: Catalog
    ) throws -> TableSchema {
        guard case .found(let table)? = catalog.find("\(schema).\(name)") else {
            throw ConnectFailure("the catalog has no table \(name)")
        }
        return table
    }

    /// One batch of these records, over the scene's own connection.
    @discardableResult
    func write(_ rows: Row..., groups: [Range<Int>] = []) async throws -> BatchReport {
        try await write(rows, groups: groups)
    }

    @discardableResult
    func write(
        _ rows: [Row], groups: [Range<Int>] = [], isIsolated: Bool = false,
        with newer: Catalog? = nil
    ) async throws -> BatchReport {
        let records = try rows.map { row in
            try row.record(for: Self.table(row.table, schema, newer ?? catalog))
        }
        return await writer.write(
            WriteBatch(
                id: IDGenerator().next(unixNanoseconds: 0),
                number: BatchNumber(1), attempt: 1, records: records, groups: groups,
                isIsolated: isIsolated))
    }
}

/// One record, as a line of `/v1/bulk` would have it.
struct Row: Sendable {
    var options: WriteOptions
    var table: String
    var key: String?
    var data: String

    static func insert(_ table: String, _ data: String) -> Row {
        Row(options: WriteOptions(.insert), table: table, data: data)
    }

    static func upsert(_ table: String, _ data: String) -> Row {
        Row(options: WriteOptions(.upsert), table: table, data: data)
    }

    static func patch(_ table: String, _ key: String, _ data: String) -> Row {
        Row(options: WriteOptions(.patch), table: table, key: key, data: data)
    }

    static func delete(_ table: String, _ key: String) -> Row {
        Row(options: WriteOptions(.delete), table: table, key: key, data: "{}")
    }

    var ignoringConflicts: Row { changed { $0.onConflict = .ignore } }
    var mergingConflicts: Row { changed { $0.onConflict = .merge } }
    var returningRow: Row { changed { $0.returnsRow = true } }
    var dryRun: Row { changed { $0.isDryRun = true } }

    private func changed(_ change: (inout WriteOptions) -> Void) -> Row {
        var row = self
        change(&row.options)
        return row
    }

    func record(for table: TableSchema) throws -> Record {
        try Record.decoded(data, for: table, options, key: key)
    }
}

extension BatchReport {
    var effects: [RowEffect] { results.map(\.effect) }
    var keys: [String?] { results.map { $0.key.map { String(decoding: $0, as: UTF8.self) } } }
    var rows: [String?] { results.map { $0.row.map { String(decoding: $0, as: UTF8.self) } } }
}

/// Everything that shares one server. Tests run one after the other, so that each finds it calm.
@Suite(.privateServer, .serialized, .timeLimit(.minutes(2))) struct PostgresTests {}
