package import Weir

/// Bounds and times of the data listener. Each bound has a refusal of its own, named beside it.
package struct ServerConfiguration: Sendable {
    package var address = ListenAddress.tcp(host: "127.0.0.1", port: 8432)
    /// One is enough for some 50,000 requests a second, and cheaper per request than two.
    package var threads = 1
    /// 413 `body-too-large`.
    package var bodyByteCountMax = 8 << 20
    /// 413 `body-too-large`.
    package var recordByteCountMax = 1 << 20
    /// 413 `body-too-large`.
    package var recordsPerRequestMax = 10_000
    /// 414 `uri-too-long`.
    package var targetByteCountMax = 8 << 10
    /// 431 `headers-too-large`.
    package var headerByteCountMax = 64 << 10
    /// 431 `headers-too-large`.
    package var headerFieldCountMax = 100
    /// Requests of one connection that wait for their answers; past it the connection is read no
    /// further.
    package var pipelinedMax = 64
    /// Records of requests with more than 1,000 that are on their way at once; the rest of their
    /// bodies waits. Shared between the threads, and twice as many have to fit into the queue.
    package var windowRecordsMax = 10_000
    /// 503 past it, at once, and the connection is closed.
    package var connectionsMax = 20_000
    /// 408 `request-timeout`: from a request's first byte to its last.
    package var requestTimeout: Duration = .seconds(15)
    /// An idle connection is closed after this.
    package var idleTimeout: Duration = .seconds(300)
    /// How long a record may wait when its caller does not say: 504 `deadline-exceeded`.
    package var queueTimeout: Duration = .seconds(5)
    /// How long a shutdown waits for what is queued: less than the 30 s after which supervisors
    /// kill.
    package var drainTimeout: Duration = .seconds(25)
    package var version = "0"

    package init() {}
}
