internal import CLibpq
internal import CPlatform
import Weir
package import WeirCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A caller's own connection, as an application without a gateway has it. It never waits: its owner
/// asks which readiness it needs, and calls `advance` when its socket has it. Used from one thread
/// at a time.
@safe package final class CallConnection {
    package enum State: Sendable, Equatable {
        case connecting
        case idle
        /// Statements are on their way.
        case running
        case closed
    }

    /// What `advance` came to.
    package enum Step: Sendable, Equatable {
        case pending
        /// Connected; or the statement that was sent is done.
        case done
        /// The statement failed; the connection stands.
        case failed(sqlstate: String)
        /// There is no connection, or no more. The SQLSTATE is the server's, where it gave one.
        case lost(sqlstate: String)
    }

    private let connection: OpaquePointer
    package private(set) var state = State.connecting
    private var wantsWrite = true
    private var failure: String?

    deinit {
        unsafe PQfinish(connection)
    }

    /// Begins to connect. libpq resolves host names here, and only here it waits.
    ///
    /// - Throws: `ConnectFailure` when libpq cannot make sense of the parameters.
    package init(_ conninfo: Conninfo) throws {
        let parameters = try conninfo.parameters()
        let made = unsafe withCStrings(parameters.map(\.0)) { keys in
            unsafe withCStrings(parameters.map(\.1)) { values in
                unsafe PQconnectStartParams(keys, values, 1)
            }
        }
        guard let made = unsafe made else { throw ConnectFailure("out of memory") }
        unsafe connection = made
        if unsafe PQstatus(made) == CONNECTION_BAD { state = .closed }
    }

    /// The socket to watch, -1 without one, and whether for writing too.
    package var watched: (descriptor: Int32, forWriting: Bool) {
        (unsafe PQsocket(connection), wantsWrite)
    }

    /// Sends one statement with parameters in text form, each ended by a zero byte; `nil` is NULL.
    ///
    /// - Returns: false when the connection is gone.
    package func send(_ sql: String, _ parameters: [[UInt8]?]) -> Bool {
        failure = nil
        let sent: Int32
        if parameters.isEmpty {
            sent = unsafe PQsendQueryParams(connection, sql, 0, nil, nil, nil, nil, 0)
        } else {
            // One buffer for all, so that each pointer holds while libpq copies.
            var starts: [Int?] = []
            var bytes: [UInt8] = []
            for parameter in parameters {
                starts.append(parameter == nil ? nil : bytes.count)
                bytes += parameter ?? []
            }
            sent = unsafe bytes.withUnsafeBytes { buffer -> Int32 in
                let base = unsafe buffer.bindMemory(to: CChar.self).baseAddress
                let pointers = unsafe starts.map { start in
                    unsafe start.flatMap { start in unsafe base.map { unsafe $0 + start } }
                }
                return unsafe PQsendQueryParams(
                    connection, sql, Int32(starts.count), nil, pointers, nil, nil, 0)
            }
        }
        guard sent == 1 else {
            state = .closed
            return false
        }
        state = .running
        wantsWrite = unsafe PQflush(connection) == 1
        return true
    }

    /// Goes on as far as the socket lets it.
    package func advance() -> Step {
        switch state {
        case .connecting: advanceConnecting()
        case .running: advanceRunning()
        case .idle: unsafe PQconsumeInput(connection) == 1 ? .pending : lose()
        case .closed: lose()
        }
    }

    private func advanceConnecting() -> Step {
        switch unsafe PQconnectPoll(connection) {
        case PGRES_POLLING_READING:
            wantsWrite = false
            return .pending
        case PGRES_POLLING_WRITING:
            wantsWrite = true
            return .pending
        case PGRES_POLLING_OK:
            _ = unsafe PQsetnonblocking(connection, 1)
            unsafe PQsetNoticeReceiver(connection, { _, _ in }, nil)
            wantsWrite = false
            state = .idle
            return .done
        default: return lose()
        }
    }

    private func advanceRunning() -> Step {
        if wantsWrite {
            let left = unsafe PQflush(connection)
            if left < 0 { return lose() }
            wantsWrite = left == 1
        }
        guard unsafe PQconsumeInput(connection) == 1 else { return lose() }
        while unsafe PQisBusy(connection) == 0 {
            guard let handle = unsafe PQgetResult(connection) else {
                if unsafe PQstatus(connection) == CONNECTION_BAD { return lose() }
                state = .idle
                return failure.map { .failed(sqlstate: $0) } ?? .done
            }
            let result = unsafe QueryResult(handle)
            if result.status == PGRES_FATAL_ERROR {
                let error = result.error
                failure = failure ?? error.sqlstate
            }
        }
        return .pending
    }

    private func lose() -> Step {
        state = .closed
        return .lost(sqlstate: failure ?? connectState)
    }

    /// libpq keeps no SQLSTATE of a refused connection. PostgreSQL's two messages for too many of
    /// them are known, as is PgBouncer's.
    private var connectState: String {
        let message = unsafe String(cString: PQerrorMessage(connection))
        let isFull = [
            "too many clients", "too many connections", "remaining connection slots",
            "no more connections allowed",
        ].contains { message.contains($0) }
        return isFull ? "53300" : ""
    }
}

/// Waits until one of several sockets is ready.
package struct SocketPoll {
    private var descriptors: [pollfd] = []

    package init() {}

    package mutating func removeAll() { descriptors.removeAll(keepingCapacity: true) }

    package mutating func add(_ descriptor: Int32, forWriting: Bool) {
        let events = Int16(forWriting ? POLLIN | POLLOUT : POLLIN)
        descriptors.append(pollfd(fd: descriptor, events: events, revents: 0))
    }

    /// - Parameter span: at most; to the microsecond where the system can.
    package mutating func wait(_ span: Nanoseconds) {
        _ = unsafe weir_poll(
            &descriptors, nfds_t(descriptors.count), Int64(max(span.count, 0)))
    }

    /// In the order of adding.
    package func isReady(_ index: Int) -> Bool { descriptors[index].revents != 0 }
}
