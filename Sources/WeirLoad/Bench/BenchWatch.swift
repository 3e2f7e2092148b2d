import Weir
import WeirCore
import WeirPostgres

/// What the server says of itself before, while and after something is measured.
struct BenchWatch: Sendable {
    private let desk: Desk
    /// Application name of the connections that are measured; the harness's own begin with it.
    private let name: String
    private let checkpoints: String

    init(_ desk: Desk, name: String) async throws {
        self.desk = desk
        self.name = name
        let version = try await desk.number("SELECT current_setting('server_version_num')::int")
        checkpoints =
            version ?? 0 >= 170_000
            ? "SELECT num_timed + num_requested FROM pg_catalog.pg_stat_checkpointer"
            : "SELECT checkpoints_timed + checkpoints_req FROM pg_catalog.pg_stat_bgwriter"
    }

    /// Counters of the server as a whole, all since some past.
    struct Gauges: Sendable {
        var walBytes = 0
        var checkpoints = 0
        /// How far the replica that is furthest behind is, in bytes of WAL.
        var lagBytes = 0
    }

    func gauges() async throws -> Gauges {
        // Of replicas a plain role sees that they are there and no more: then their lag is 0.
        let row =
            try await desk.query(
                """
                SELECT pg_catalog.pg_wal_lsn_diff(
                pg_catalog.pg_current_wal_insert_lsn(), '0/0')::int8,
                  (\(checkpoints)),
                  (SELECT max(pg_catalog.pg_wal_lsn_diff(
                     pg_catalog.pg_current_wal_insert_lsn(), replay_lsn))::int8
                   FROM pg_catalog.pg_stat_replication)
                """
            ).first ?? []
        func number(_ place: Int) -> Int {
            row.indices.contains(place) ? row[place].flatMap(Int.init) ?? 0 : 0
        }
        return Gauges(walBytes: number(0), checkpoints: number(1), lagBytes: number(2))
    }

    /// What was seen of backends while something went on.
    struct Sight: Sendable {
        /// By what they were waiting for.
        var waits: [String: Int] = [:]
        var samples = 0
        var foreignSeen = 0
        var hadVacuum = false

        /// Active backends of others, on average.
        var foreign: Double { samples > 0 ? Double(foreignSeen) / Double(samples) : 0 }
    }

    static let sampleEvery = Duration.milliseconds(100)

    /// Looks at `pg_stat_activity` again and again until the task is cancelled.
    ///
    /// - Parameter connections: that are measured now; others of ours rest.
    func look(connections: Int, samplesMax: Int = .max) async -> Sight {
        var sight = Sight()
        while sight.samples < samplesMax, (try? await Task.sleep(for: Self.sampleEvery)) != nil {
            guard let rows = try? await desk.query(sql) else { continue }
            sight.samples += 1
            var busy = 0
            for row in rows {
                guard row.count == 2, let what = row[0], let count = row[1].flatMap(Int.init) else {
                    continue
                }
                switch what {
                case "foreign": sight.foreignSeen += count
                case "vacuum": sight.hadVacuum = sight.hadVacuum || count > 0
                default:
                    busy += count
                    sight.waits[what, default: 0] += count
                }
            }
            if connections > busy { sight.waits["client", default: 0] += connections - busy }
        }
        return sight
    }

    private var sql: String {
        let name = quotedLiteral(name)
        return """
            SELECT CASE WHEN application_name <> \(name) THEN 'foreign'
                        ELSE COALESCE(wait_event_type || ':' || wait_event, 'CPU') END, count(*)
            FROM pg_catalog.pg_stat_activity
            WHERE state = 'active' AND COALESCE(backend_type, 'client backend') = 'client backend'
              AND (application_name = \(name) OR NOT starts_with(application_name, \(name)))
              AND COALESCE(wait_event_type, '') <> 'Client'
            GROUP BY 1
            UNION ALL SELECT 'vacuum', count(*) FROM pg_catalog.pg_stat_progress_vacuum
            """
    }

    /// Transactions a second in all databases, over one second in which the harness asks nothing.
    /// It is what a role sees that may not see what others' sessions do.
    func transactionRate() async throws -> Double {
        let sql =
            "SELECT sum(xact_commit + xact_rollback)::int8 FROM pg_catalog.pg_stat_database"
        let before = try await desk.number(sql) ?? 0
        try await Task.sleep(for: .seconds(1))
        let after = try await desk.number(sql) ?? 0
        return Double(max(0, after - before - 2))
    }
}

extension Desk {
    func number(_ sql: String) throws -> Int? {
        try query(sql).first?.first?.flatMap { $0 }.flatMap(Int.init)
    }

    /// How long each of so many questions took, in seconds, ascending.
    func times(of sql: String, count: Int) throws -> [Double] {
        let time = SystemTime()
        return try (0..<count).map { _ in
            let begun = time.now
            try query(sql)
            return (time.now - begun).seconds
        }.sorted()
    }
}
