import Synchronization
package import Weir
import WeirCore

/// Which server a connection has reached, and how far its history goes.
package struct ServerIdentity: Equatable, Sendable {
    /// Made by `initdb`; a standby that is promoted keeps it.
    package var systemIdentifier: String
    /// Rises with each promotion.
    package var timeline: UInt32
    /// Where the server's log of changes stood, in bytes.
    package var position: UInt64
    /// When the connection's own process began: with its number, the process's name for good.
    package var backendStart: String

    package init(
        systemIdentifier: String, timeline: UInt32, position: UInt64, backendStart: String = ""
    ) {
        self.systemIdentifier = systemIdentifier
        self.timeline = timeline
        self.position = position
        self.backendStart = backendStart
    }

    /// The timeline stands in the name of a file of the log (PostgreSQL, "WAL Internals"); the
    /// control file has the one of the last checkpoint, which is older than a promotion.
    private static let sql = """
        SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system()), r.is_standby,
            CASE WHEN NOT r.is_standby THEN pg_catalog.pg_walfile_name(
                pg_catalog.pg_current_wal_lsn()) END,
            CASE WHEN NOT r.is_standby THEN
                pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_lsn END,
            (SELECT a.backend_start FROM pg_catalog.pg_stat_activity a
             WHERE a.pid = pg_catalog.pg_backend_pid())
        FROM (SELECT pg_catalog.pg_is_in_recovery() AS is_standby) r
        """

    static func read(
        on session: Session, by deadline: Timestamp
    ) throws(ConnectFailure) -> ServerIdentity {
        let rows: [[String?]]
        do throws(Session.Failure) {
            rows = try session.query(sql, by: deadline)
        } catch {
            switch error {
            case .lost: throw ConnectFailure("the connection was lost again at once")
            case .server(let error):
                throw ConnectFailure("the server does not say which one it is: \(error.message)")
            }
        }
        guard let row = rows.first, row.count == 5, let identifier = row[0] else {
            throw ConnectFailure("the server does not say which one it is")
        }
        guard row[1] == "f" else {
            throw ConnectFailure(
                "the server is a standby, which takes no writes; connect to the primary, or name "
                    + "every host and add target_session_attrs=read-write")
        }
        guard let file = row[2], let timeline = UInt32(file.prefix(8), radix: 16),
            let position = row[3].flatMap({ UInt64($0) })
        else { throw ConnectFailure("the server does not say how far its history goes") }
        return ServerIdentity(
            systemIdentifier: identifier, timeline: timeline, position: position,
            backendStart: row[4] ?? "")
    }
}

/// What all connections of one gateway have seen of their server. Shared by them, and asked by each
/// before it is used: an old primary that came back, or a database restored from a copy, does not
/// hold what callers were told is committed.
package final class IdentityWatch: Sendable {
    /// What a new connection says of the results that are remembered in memory.
    package enum Verdict: Equatable, Sendable {
        /// The server still has all that it said it committed.
        case sameHistory
        /// It may have lost some of it: a standby took over, or the server was set back.
        case otherHistory
    }

    private struct State {
        /// Of the connection before this one.
        var last: ServerIdentity?
        var observer: (@Sendable (_ writer: Int, Verdict) -> Void)?
    }

    private let state = Mutex(State())

    package init() {}

    /// Has `body` called for each connection that is admitted, in the order in which they are.
    package func observe(_ body: @escaping @Sendable (_ writer: Int, Verdict) -> Void) {
        state.withLock { $0.observer = body }
    }

    /// - Parameter writer: whose connection it is.
    /// - Throws: when the server is not to be written to.
    @discardableResult
    package func admit(
        _ identity: ServerIdentity, by writer: Int = 0
    ) throws(ConnectFailure) -> Verdict {
        let result = state.withLock { state in
            let result = Self.judge(identity, after: state.last)
            if case .success(let verdict) = result {
                state.last = identity
                // Inside the lock: of two connections, what the later one found is said last.
                state.observer?(writer, verdict)
            }
            return result
        }
        return try result.get()
    }

    private static func judge(
        _ identity: ServerIdentity, after known: ServerIdentity?
    ) -> Result<Verdict, ConnectFailure> {
        guard let known else { return .success(.sameHistory) }
        guard identity.systemIdentifier == known.systemIdentifier else {
            return .failure(
                ConnectFailure(
                    "this is another database cluster (system identifier "
                        + "\(identity.systemIdentifier), not \(known.systemIdentifier)): it "
                        + "does not hold what was committed before; if that is meant, restart the "
                        + "gateway"))
        }
        guard identity.timeline >= known.timeline else {
            return .failure(
                ConnectFailure(
                    "this server is on timeline \(identity.timeline), and another one has been "
                        + "promoted to timeline \(known.timeline): an old primary, which lacks "
                        + "what was committed since; shut it down, or let the connection string "
                        + "name the new one"))
        }
        let isSame = identity.timeline == known.timeline && identity.position >= known.position
        return .success(isSame ? .sameHistory : .otherHistory)
    }
}
