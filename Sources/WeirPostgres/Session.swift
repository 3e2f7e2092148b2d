internal import CLibpq
internal import CPlatform
import Weir
import WeirCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// One connection to PostgreSQL, over libpq in non-blocking mode: every wait is a `poll` with a
/// deadline. Its owner's executor lets one thread at a time touch it, which is what libpq asks for
/// (libpq, "Behavior in Threaded Programs").
@safe final class Session {
    /// Why a call did not end well.
    enum Failure: Error {
        /// The server said so; the connection stands.
        case server(ServerError)
        /// The connection is gone, or said nothing in time: it must be closed.
        case lost(String)
    }

    private let connection: OpaquePointer

    private init(_ connection: OpaquePointer) {
        unsafe self.connection = connection
    }

    deinit {
        unsafe PQfinish(connection)
    }

    // MARK: Connecting

    static func connect(_ conninfo: Conninfo, by deadline: Timestamp) throws(ConnectFailure)
        -> Session
    {
        let parameters = try conninfo.parameters()
        let connection = unsafe withCStrings(parameters.map(\.0)) { keys in
            unsafe withCStrings(parameters.map(\.1)) { values in
                unsafe PQconnectStartParams(keys, values, 1)
            }
        }
        guard let connection = unsafe connection else { throw ConnectFailure("out of memory") }
        let session = unsafe Session(connection)
        guard unsafe PQstatus(connection) != CONNECTION_BAD else {
            throw ConnectFailure(session.errorText)
        }
        var wanted = Int32(POLLOUT)
        while true {
            guard session.wait(for: wanted, by: deadline) else {
                throw ConnectFailure("no answer within the connect timeout")
            }
            switch unsafe PQconnectPoll(connection) {
            case PGRES_POLLING_READING: wanted = Int32(POLLIN)
            case PGRES_POLLING_WRITING: wanted = Int32(POLLOUT)
            case PGRES_POLLING_OK:
                guard unsafe PQsetnonblocking(connection, 1) == 0 else {
                    throw ConnectFailure(session.errorText)
                }
                // PostgreSQL's notices quote rows; they go nowhere.
                unsafe PQsetNoticeReceiver(connection, { _, _ in }, nil)
                return session
            default: throw ConnectFailure(session.errorText)
            }
        }
    }

    /// libpq's message on one line. It names hosts, roles and databases, never a password.
    private var errorText: String {
        let text = unsafe String(cString: PQerrorMessage(connection))
        return text.split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    // MARK: Simple statements

    /// Runs statements without parameters and returns the last one's rows, in text form.
    @discardableResult
    func query(_ sql: String, by deadline: Timestamp) throws(Failure) -> [[String?]] {
        guard unsafe PQsendQuery(connection, sql) == 1 else { throw .lost(errorText) }
        try flush(by: deadline)
        var rows: [[String?]] = []
        var failure: ServerError?
        while let result = try nextResult(by: deadline) {
            switch result.status {
            case PGRES_TUPLES_OK:
                rows = (0..<result.rowCount).map { row in
                    (0..<result.columnCount).map { result.text(row, $0) }
                }
            case PGRES_FATAL_ERROR: failure = failure ?? result.error
            default: break
            }
        }
        if let failure { throw failure.isFatal ? .lost(failure.message) : .server(failure) }
        return rows
    }

    /// `weir_begin`, `weir_commit` and `weir_rollback`: parsed once, by the protocol, since SQL's
    /// own PREPARE takes no utility statements. The transaction's modes are the connection's own
    /// (`Conninfo`).
    func prepareTransactionCommands(by deadline: Timestamp) throws(Failure) {
        try enterPipeline()
        try sendPrepare("weir_begin", "BEGIN", parameterOIDs: [])
        try sendPrepare("weir_commit", "COMMIT", parameterOIDs: [])
        try sendPrepare("weir_rollback", "ROLLBACK", parameterOIDs: [])
        try sendSync()
        try flush(by: deadline)
        for _ in 0..<3 {
            guard let result = try nextResult(by: deadline), result.status == PGRES_COMMAND_OK
            else {
                throw .lost(errorText)
            }
            _ = try nextResult(by: deadline)
        }
        guard let end = try nextResult(by: deadline), end.status == PGRES_PIPELINE_SYNC else {
            throw .lost(errorText)
        }
        try exitPipeline()
    }

    // MARK: COPY

    /// Sends statements without parameters, outside a pipeline.
    func sendQuery(_ sql: String) throws(Failure) {
        guard unsafe PQsendQuery(connection, sql) == 1 else { throw .lost(errorText) }
    }

    /// Sends the next part of what a COPY FROM STDIN takes.
    func sendCopyData(_ data: WireBuffer, by deadline: Timestamp) throws(Failure) {
        while true {
            let taken = unsafe PQputCopyData(connection, data.start, Int32(data.count))
            if taken == 1 { return try flush(by: deadline) }
            guard taken == 0 else { throw .lost(errorText) }
            try flush(by: deadline)
        }
    }

    func endCopy(by deadline: Timestamp) throws(Failure) {
        while true {
            let taken = unsafe PQputCopyEnd(connection, nil)
            if taken == 1 { return try flush(by: deadline) }
            guard taken == 0 else { throw .lost(errorText) }
            try flush(by: deadline)
        }
    }

    // MARK: Pipeline

    func enterPipeline() throws(Failure) {
        guard unsafe PQenterPipelineMode(connection) == 1 else { throw .lost(errorText) }
    }

    func exitPipeline() throws(Failure) {
        guard unsafe PQexitPipelineMode(connection) == 1 else { throw .lost(errorText) }
    }

    /// Sends a statement without parameters or rows.
    func sendCommand(_ sql: String) throws(Failure) {
        guard unsafe PQsendQueryParams(connection, sql, 0, nil, nil, nil, nil, 0) == 1 else {
            throw .lost(errorText)
        }
    }

    func sendPrepare(_ name: String, _ sql: String, parameterOIDs: [UInt32]) throws(Failure) {
        let sent = unsafe PQsendPrepare(
            connection, name, sql, Int32(parameterOIDs.count), parameterOIDs)
        guard sent == 1 else { throw .lost(errorText) }
    }

    /// Sends a prepared statement with binary parameters; its rows come in text form.
    func sendExecute(_ name: String, _ parameters: [ArrayParameter]) throws(Failure) {
        // The buffers outlive the call, which copies them into libpq's output buffer.
        let sent = withExtendedLifetime(parameters) {
            unsafe sendExecute(name, parameters.count) { place in
                let bytes = parameters[place].bytes
                return unsafe (bytes.start, bytes.count)
            }
        }
        guard sent else { throw .lost(errorText) }
    }

    /// The same for values of any kind.
    func sendExecute(_ name: String, _ parameters: ParameterList) throws(Failure) {
        let start = unsafe parameters.bytes.start
        let sent = withExtendedLifetime(parameters) {
            unsafe sendExecute(name, parameters.places.count) { place in
                guard let range = parameters.places[place] else { return (nil, 0) }
                return unsafe (start + range.lowerBound, range.count)
            }
        }
        guard sent else { throw .lost(errorText) }
    }

    /// - Parameter value: where a parameter's bytes start, and how many they are.
    private func sendExecute(
        _ name: String, _ count: Int, _ value: (Int) -> (start: UnsafePointer<CChar>?, count: Int)
    ) -> Bool {
        // On the stack: a statement for one record costs little more than this.
        unsafe withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: count) {
            pointers in
            unsafe withUnsafeTemporaryAllocation(of: Int32.self, capacity: count * 2) { numbers in
                for place in 0..<count {
                    let (start, byteCount) = unsafe value(place)
                    unsafe pointers.initializeElement(at: place, to: start)
                    unsafe numbers.initializeElement(at: place, to: Int32(byteCount))
                    // In binary form.
                    unsafe numbers.initializeElement(at: count + place, to: 1)
                }
                return unsafe PQsendQueryPrepared(
                    connection, name, Int32(count), pointers.baseAddress, numbers.baseAddress,
                    numbers.baseAddress.map { unsafe $0 + count }, 0) == 1
            }
        }
    }

    /// Ends the pipeline: what fails before it skips the rest up to it.
    func sendSync() throws(Failure) {
        guard unsafe PQpipelineSync(connection) == 1 else { throw .lost(errorText) }
    }

    /// Asks the server to answer what it has so far, without ending the pipeline.
    func sendFlushRequest() throws(Failure) {
        guard unsafe PQsendFlushRequest(connection) == 1 else { throw .lost(errorText) }
    }

    /// Sends everything that is buffered, reading meanwhile, so that neither side waits for the
    /// other.
    func flush(by deadline: Timestamp) throws(Failure) {
        while true {
            let left = unsafe PQflush(connection)
            if left == 0 { return }
            guard left == 1 else { throw .lost(errorText) }
            guard wait(for: Int32(POLLIN | POLLOUT), by: deadline) else {
                throw .lost("the database took no data in time")
            }
            guard unsafe PQconsumeInput(connection) == 1 else { throw .lost(errorText) }
        }
    }

    /// Whether the next result, or that there is none, is known by `limit`.
    func hasResult(by limit: Timestamp) throws(Failure) -> Bool {
        while unsafe PQisBusy(connection) == 1 {
            guard wait(for: Int32(POLLIN), by: limit) else { return false }
            guard unsafe PQconsumeInput(connection) == 1 else { throw .lost(errorText) }
        }
        return true
    }

    /// Waits for the next result without going to sleep from `begin` on, and no longer than `end`.
    func watch(from begin: Timestamp, until end: Timestamp) throws(Failure) {
        var now = SystemTime().now
        while unsafe PQisBusy(connection) == 1, now < end {
            if now < begin {
                var descriptor = pollfd(
                    fd: unsafe PQsocket(connection), events: Int16(POLLIN), revents: 0)
                _ = unsafe weir_poll(&descriptor, 1, (begin - now).count)
            } else {
                // Whoever needs this core, the server's process perhaps, has it first.
                sched_yield()
            }
            guard unsafe PQconsumeInput(connection) == 1 else { throw .lost(errorText) }
            now = SystemTime().now
        }
    }

    /// The next result; `nil` separates the statements of a pipeline.
    func nextResult(by deadline: Timestamp) throws(Failure) -> QueryResult? {
        guard try hasResult(by: deadline) else {
            throw .lost("the database did not answer in time")
        }
        guard let result = unsafe PQgetResult(connection) else { return nil }
        return unsafe QueryResult(result)
    }

    /// The session's end as libpq reports it, once it is over.
    var isBad: Bool { unsafe PQstatus(connection) == CONNECTION_BAD }

    /// Whether nothing is asked of the server and no transaction is open.
    var isIdle: Bool { unsafe PQtransactionStatus(connection) == PQTRANS_IDLE }

    /// Whether the server has said goodbye, or closed the socket, while nothing was asked of it.
    func isAlive() -> Bool {
        guard !isBad else { return false }
        var descriptor = pollfd(fd: unsafe PQsocket(connection), events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&descriptor, 1, 0) > 0 else { return true }
        guard unsafe PQconsumeInput(connection) == 1, !isBad else { return false }
        // A notice or a parameter change is no goodbye; a closed socket is readable and empty.
        var byte: UInt8 = 0
        let peeked = unsafe recv(
            PQsocket(connection), &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
        return peeked != 0
    }

    /// What the connection string and libpq's defaults came to.
    var place: ConnectedPlace {
        func text(_ pointer: UnsafeMutablePointer<CChar>?) -> String {
            unsafe pointer.map { unsafe String(cString: $0) } ?? ""
        }
        return unsafe ConnectedPlace(
            host: text(PQhost(connection)), port: text(PQport(connection)),
            database: text(PQdb(connection)))
    }

    /// As libpq resolved it.
    var destination: (host: String, port: String, database: String, user: String, password: String)
    {
        func text(_ value: UnsafePointer<CChar>?) -> String {
            unsafe value.map { unsafe String(cString: $0) } ?? ""
        }
        return unsafe (
            text(PQhost(connection)), text(PQport(connection)), text(PQdb(connection)),
            text(PQuser(connection)), text(PQpass(connection))
        )
    }

    var backendPID: Int32 { unsafe PQbackendPID(connection) }

    private func wait(for events: Int32, by deadline: Timestamp) -> Bool {
        while true {
            let left = deadline - SystemTime().now
            guard left > .zero else { return false }
            var descriptor = pollfd(
                fd: unsafe PQsocket(connection), events: Int16(events), revents: 0)
            // Rounded up: a wait of less than a millisecond must not spin.
            let milliseconds = Int32(clamping: (left.count + 999_999) / 1_000_000)
            let ready = unsafe poll(&descriptor, 1, milliseconds)
            if ready > 0 { return true }
            if ready < 0 && errno != EINTR { return false }
        }
    }
}

/// Calls `body` with a null-terminated array of C strings.
func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
) -> Result {
    let copies = unsafe strings.map { unsafe strdup($0) }
    defer { unsafe copies.forEach { unsafe free($0) } }
    let pointers = unsafe copies.map { unsafe UnsafePointer<CChar>($0) } + [nil]
    return unsafe pointers.withUnsafeBufferPointer { buffer -> Result in
        guard let start = buffer.baseAddress else { preconditionFailure("never empty") }
        return unsafe body(start)
    }
}
