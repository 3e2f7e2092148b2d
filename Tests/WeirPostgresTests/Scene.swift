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
    private static let ids = IDGenerator()

    let database: Database
    let schema: String
    let writer: PostgresWriter
    let catalog: Catalog
    let configuration: PostgresWriter.Configuration

    struct Options: Sendable {
        var user = "weir"
        var statementTimeout = Duration.seconds(10)
        var lockTimeout = Duration.seconds(5)
        /// In place of all tables of the schema.
        var tables: [String]?
        /// With the replay tables, which all scenes of a server share.
        var remembers = false
        /// The operator's, for every table.
        var policy = TablePolicy()
        /// How long the writer waits; by default twice what the server allows.
        var patience: Duration?
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
        configuration = try Self.configuration(
            database, schema, options, tables: options.tables ?? tables)
        if options.remembers {
            let owner = try Conninfo(
                database.server.conninfo, statementTimeout: .seconds(10), lockTimeout: .seconds(5))
            _ = try await Migrator(owner, version: "1").migrate(
                grantTo: options.user == "weir" ? nil : options.user)
        }
        let writer = PostgresWriter(configuration, number: 0)
        try await writer.connect()
        self.database = database
        self.schema = schema
        self.writer = writer
        catalog = try await writer.loadCatalog()
    }

    /// A second writer for the tables of another scene.
    init(another scene: Scene) async throws {
        configuration = scene.configuration
        let writer = PostgresWriter(configuration, number: 1)
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
        if let patience = options.patience {
            configuration.statementTimeout = patience / 2
            configuration.inquiryTimeout = .milliseconds(50)
        }
        configuration.origin = GatewayName(instance: schema, version: "1.2")
        configuration.policies.configurationHash = "c0ffee"
        configuration.policies.policies = Dictionary(
            uniqueKeysWithValues: configuration.tables.map { ($0, options.policy) })
        if options.remembers { configuration.replay = .on(window: .seconds(7 * 86_400)) }
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
        with newer: Catalog? = nil, id: UUID7? = nil
    ) async throws -> BatchReport {
        await writer.write(
            try batch(rows, groups: groups, isIsolated: isIsolated, with: newer, id: id))
    }

    func batch(
        _ rows: [Row], groups: [Range<Int>] = [], isIsolated: Bool = false,
        with newer: Catalog? = nil, id: UUID7? = nil
    ) throws -> WriteBatch {
        let records = try rows.map { row in
            try row.record(for: Self.table(row.table, schema, newer ?? catalog))
        }
        let messages = records.map { record in
            record.message.map { print in
                MessageKey(
                    identity: .init(high: print.high, low: print.low),
                    fingerprint: print.fingerprint)
            }
        }
        return WriteBatch(
            id: id ?? Self.ids.next(unixNanoseconds: 1_700_000_000_000_000_000),
            number: BatchNumber(1), attempt: 1, records: records, groups: groups,
            isIsolated: isIsolated, messages: messages.contains { $0 != nil } ? messages : [])
    }

    /// An attempt's name that nobody else has.
    static func newID() -> UUID7 { ids.next(unixNanoseconds: 1_700_000_000_000_000_000) }
}

/// One record, as a line of `/v1/bulk` would have it.
struct Row: Sendable {
    var options: WriteOptions
    var table: String
    var key: String?
    var data: String
    var message: String?
    /// What the message says, where that is not what the row says.
    var fingerprint: UInt64?
    var orderKey: String?
    var origin: RecordOrigin?
    var source: RecordSource?
    /// Minted where the table declares IDs.
    var minting: UUID7?
    /// The dead letter that is sent again.
    var redriven: Redriven?

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

    /// With this message ID; `nil` with none.
    func message(_ id: String?) -> Row {
        var row = self
        row.message = id
        return row
    }

    /// To be ordered by this besides its row.
    func ordered(by key: String) -> Row {
        var row = self
        row.orderKey = key
        return row
    }

    private func changed(_ change: (inout WriteOptions) -> Void) -> Row {
        var row = self
        change(&row.options)
        return row
    }

    func record(for table: TableSchema) throws -> Record {
        var options = options
        if options.mayMeetRow { options.versionColumn = table.versionColumn }
        return try Record.decoded(
            data, for: table, options, key: key,
            envelope: Envelope(
                messageID: message, fingerprint: fingerprint,
                orderKey: try orderKey.map(OrderKey.init), origin: origin, source: source,
                redriven: redriven), minting: minting)
    }
}

extension BatchReport {
    var effects: [RowEffect] { results.map(\.effect) }
    var keys: [String?] { results.map { $0.key.map { String(decoding: $0, as: UTF8.self) } } }
    /// What was told first of those that are repeated.
    var first: [RowEffect?] { results.map { $0.first?.effect } }
    var rows: [String?] { results.map { $0.row.map { String(decoding: $0, as: UTF8.self) } } }
}

/// Everything that shares one server. Tests run one after the other, so that each finds it calm.
@Suite(.privateServer, .serialized, .timeLimit(.minutes(2))) struct PostgresTests {}
