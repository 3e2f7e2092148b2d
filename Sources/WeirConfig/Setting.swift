package import Weir

/// One scalar of the configuration: what it is called, what it may be, where it is kept. The file,
/// the environment, the flags, `--print-config` and docs/CONFIGURATION.md all go by `Setting.all`.
package struct Setting: Sendable {
    package typealias Field<Value> = any WritableKeyPath<Configuration, Value> & Sendable

    package enum Kind: Sendable {
        case count(Field<Int>, ClosedRange<Int>)
        /// Nothing means that the gateway finds the number by itself.
        case derivedCount(Field<Int?>, ClosedRange<Int>)
        case size(Field<Int>, ClosedRange<Int>)
        case duration(Field<Duration>, ClosedRange<Duration>)
        /// A duration, or `off`.
        case window(Field<ReplaySetting>, ClosedRange<Duration>)
        case address(Field<ListenAddress>)
        case logLevel(Field<String>)
        case path(Field<String?>)
        /// What libpq takes; a password in it is a secret.
        case connection(Field<String?>)
    }

    package let key: String
    package let kind: Kind
    package let flag: String?
    /// What it bounds, and what happens past the bound.
    package let meaning: String

    init(_ key: String, _ kind: Kind, flag: String? = nil, _ meaning: String) {
        self.key = key
        self.kind = kind
        self.flag = flag
        self.meaning = meaning
    }

    /// `WEIR_BATCH_MAX_RECORDS` for `batch.max_records`.
    package var variable: String { variableName(key) }

    package static func named(_ key: String) -> Setting? { all.first { $0.key == key } }

    package static let logLevels = [
        "trace", "debug", "info", "notice", "warning", "error", "critical",
    ]

    package static let all: [Setting] = database + traffic + limits + process

    private static let database = [
        Setting(
            "database.url", .connection(\.database.url), flag: "--db",
            "the database, as libpq takes it; default: libpq's `PG*` variables and `DATABASE_URL`"),
        Setting(
            "database.password_file", .path(\.database.passwordFile),
            "a file that holds the password and nothing else; read for each connection"),
        Setting(
            "database.connections", .derivedCount(\.database.connections, 1...1_000),
            flag: "--connections", "the connection budget; default: derived, see below"),
        Setting(
            "database.statement_timeout",
            .duration(\.database.statementTimeout, .milliseconds(100) ... .seconds(3_600)),
            "for one statement, on the server; a batch is given up after twice as long"),
        Setting(
            "database.lock_timeout",
            .duration(\.database.lockTimeout, .milliseconds(10) ... .seconds(3_600)),
            "for one lock, on the server; the batch is then tried again"),
    ]

    private static let traffic = [
        Setting(
            "listen.api", .address(\.listen.api), flag: "--listen",
            "the data API: `host:port` or `unix:/path`"),
        Setting(
            "listen.admin", .address(\.listen.admin), flag: "--admin",
            "probes and metrics: `host:port` or `unix:/path`"),
        Setting(
            "batch.max_records", .count(\.batch.recordsMax, 1...50_000),
            "records of one transaction; larger groups are refused with `invalid-request`"),
        Setting(
            "batch.max_bytes", .size(\.batch.bytesMax, 1 << 10...256 << 20),
            "bytes of one transaction's records"),
        Setting(
            "batch.max_linger", .duration(\.batch.lingerMax, .zero ... .seconds(10)),
            "how long a record waits for a busy connection before another transaction is opened"),
        Setting(
            "queue.max_records", .count(\.queue.recordsMax, 1...1_000_000),
            "records held from admission to answer; past it 503 `overloaded`"),
        Setting(
            "queue.max_bytes", .size(\.queue.bytesMax, 1 << 10...16 << 30),
            "bytes of them; past it 503 `overloaded`"),
        Setting(
            "queue.timeout", .duration(\.queue.timeout, .milliseconds(1) ... .seconds(86_400)),
            "how long a record waits without `Weir-Timeout`; past it 504 `deadline-exceeded`"),
        // Below an hour a transaction that the server finishes late (twice the statement timeout at
        // most) could outlive the memory of its own attempt. Above a year two generations are more
        // than a table that only grows should hold.
        Setting(
            "replay.window",
            .window(\.replay.window, .seconds(3_600) ... .seconds(365 * 86_400)),
            flag: "--replay-window",
            "how long a message ID is remembered in the database, at least; `off` needs no tables "
                + "of the gateway's own and remembers what is in flight"),
        Setting(
            "replay.memory_records", .count(\.replay.memoryRecords, 0...16_000_000),
            "the newest message IDs that committed, answered from memory (some 160 bytes each); "
                + "others are looked up in the database"),
    ]

    private static let limits = [
        Setting(
            "limits.record_bytes", .size(\.limits.recordBytes, 1 << 10...256 << 20),
            "one record; 413 `body-too-large`"),
        Setting(
            "limits.body_bytes", .size(\.limits.bodyBytes, 1 << 10...1 << 30),
            "one request's body; 413 `body-too-large`"),
        Setting(
            "limits.records_per_request", .count(\.limits.recordsPerRequest, 1...1_000_000),
            "413 `body-too-large`"),
        Setting(
            "limits.header_fields", .count(\.limits.headerFields, 10...10_000),
            "431 `headers-too-large`"),
        Setting(
            "limits.header_bytes", .size(\.limits.headerBytes, 1 << 10...16 << 20),
            "431 `headers-too-large`"),
        Setting(
            "limits.target_bytes", .size(\.limits.targetBytes, 256...1 << 20),
            "the request target; 414 `uri-too-long`"),
        Setting(
            "limits.pipelined_requests", .count(\.limits.pipelinedRequests, 1...10_000),
            "of one connection; past it the connection is read no further until one is answered"),
        Setting(
            "limits.window_records", .count(\.limits.windowRecords, 1...1_000_000),
            "of requests with more than 1,000, on their way at once; the rest of their bodies "
                + "waits; at most half of `queue.max_records`, and shared between `http.threads`"),
        Setting(
            "limits.connections", .count(\.limits.connections, 1...1_000_000),
            "of callers; past it a new one is closed"),
        Setting(
            "limits.request_timeout",
            .duration(\.limits.requestTimeout, .seconds(1) ... .seconds(3_600)),
            "from a request's first byte to its last; 408 `request-timeout`"),
        Setting(
            "limits.idle_timeout",
            .duration(\.limits.idleTimeout, .seconds(1) ... .seconds(86_400)),
            "an idle connection is closed after this"),
        Setting(
            "limits.drain_timeout",
            .duration(\.limits.drainTimeout, .seconds(1) ... .seconds(3_600)),
            "how long a shutdown waits for what is queued; supervisors tend to kill after 30 s"),
    ]

    private static let process = [
        Setting(
            "http.threads", .count(\.httpThreads, 1...64), flag: "--threads",
            "threads that serve the data API; one serves some 50,000 requests a second"),
        Setting(
            "log.level", .logLevel(\.logLevel), flag: "--log-level",
            "what goes to standard error, and what is graver"),
    ]
}

/// The environment's name for a key.
func variableName(_ key: String) -> String {
    "WEIR_"
        + String(
            key.uppercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
}
