import CLibpq

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A connection that waits for nothing by itself: a pipeline is sent, and asked now and then whether
/// its answers are complete.
final class Wire {
    /// What the server said instead of letting us in.
    struct Refusal: Error {
        let text: String
    }

    private let connection: OpaquePointer
    private var parts: [String] = []
    private var hasWarning = false
    private var isDone = true
    private var isClosed = false

    init(_ conninfo: String) throws {
        guard let connection = PQconnectdb(conninfo) else { throw Refusal(text: "out of memory") }
        self.connection = connection
        guard PQstatus(connection) == CONNECTION_OK else {
            // Before it is in, libpq gives the text of an error and not its SQLSTATE.
            let text = String(cString: PQerrorMessage(connection))
            let isFull = text.contains("too many connections")
            throw Refusal(text: isFull ? "FATAL 53300" : text)
        }
        PQenterPipelineMode(connection)
        let context = Unmanaged.passUnretained(self).toOpaque()
        PQsetNoticeReceiver(
            connection,
            { context, result in
                guard let context, let result, sqlstate(result).hasPrefix("01") || isWarning(result)
                else { return }
                Unmanaged<Wire>.fromOpaque(context).takeUnretainedValue().hasWarning = true
            }, context)
    }

    deinit {
        close()
    }

    func close() {
        if !isClosed { PQfinish(connection) }
        isClosed = true
    }

    var pid: Int32 { PQbackendPID(connection) }

    func send(_ statements: [String], isEnded: Bool = true) {
        parts = []
        isDone = false
        for sql in statements {
            PQsendQueryParams(connection, sql, 0, nil, nil, nil, nil, 0)
        }
        if isEnded { PQpipelineSync(connection) }
        while PQflush(connection) == 1 {}
    }

    /// What came back, once it is complete.
    func outcome(within milliseconds: Int32) -> String? {
        var descriptor = pollfd(fd: PQsocket(connection), events: Int16(POLLIN), revents: 0)
        if PQisBusy(connection) == 1 {
            poll(&descriptor, 1, milliseconds)
            PQconsumeInput(connection)
        }
        while !isDone && PQisBusy(connection) == 0 {
            guard let result = PQgetResult(connection) else {
                if PQstatus(connection) == CONNECTION_BAD { isDone = true }
                continue
            }
            read(result)
            PQclear(result)
        }
        guard isDone else { return nil }
        return parts.isEmpty ? "closed" : parts.joined(separator: ", ") + status
    }

    private func read(_ result: OpaquePointer) {
        switch PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK:
            let warning = hasWarning ? " (warning)" : ""
            hasWarning = false
            parts.append(String(cString: PQcmdStatus(result)) + rows(of: result) + warning)
        case PGRES_FATAL_ERROR:
            let state = sqlstate(result)
            // libpq's own report of a connection that ended has none.
            guard !state.isEmpty else { return }
            let severity = field(result, weir_diag_severity()) == "FATAL" ? "FATAL " : ""
            let constraint = field(result, weir_diag_constraint()).map { " \($0)" } ?? ""
            parts.append(severity + state + constraint)
        case PGRES_PIPELINE_ABORTED: parts.append("skipped")
        case PGRES_PIPELINE_SYNC: isDone = true
        default: parts.append("?")
        }
    }

    private func rows(of result: OpaquePointer) -> String {
        let rows = (0..<PQntuples(result)).map { row in
            (0..<PQnfields(result)).map { Int(String(cString: PQgetvalue(result, row, $0))) ?? 0 }
        }
        return rows.sorted { $0.lexicographicallyPrecedes($1) }.map { " \($0)" }.joined()
    }

    private var status: String {
        guard PQstatus(connection) == CONNECTION_OK else { return "" }
        switch PQtransactionStatus(connection) {
        case PQTRANS_IDLE: return " I"
        case PQTRANS_INTRANS: return " T"
        case PQTRANS_INERROR: return " E"
        default: return " ?"
        }
    }
}

private func field(_ result: OpaquePointer, _ code: Int32) -> String? {
    PQresultErrorField(result, code).map { String(cString: $0) }
}

private func sqlstate(_ result: OpaquePointer) -> String {
    field(result, weir_diag_sqlstate()) ?? ""
}

private func isWarning(_ result: OpaquePointer) -> Bool {
    field(result, weir_diag_severity()) == "WARNING"
}
