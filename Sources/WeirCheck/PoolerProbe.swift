import Weir
import WeirPostgres

/// Whether a pooler stands between, and whether it hands one backend to several clients.
///
/// A pooler announces a process ID of its own making, where PostgreSQL announces the backend's. One
/// in transaction mode is caught in the act: two of its clients, both connected, meet the same
/// backend, or one client meets two.
package struct PoolerProbe {
    static let codes = ["pooler-session-mode", "pooler-transaction-mode"]

    /// What was seen.
    package enum Sight: Sendable, Equatable {
        /// Two connections with a backend each, and their own names for them.
        case direct
        /// Somebody else's name, but each connection keeps its backend.
        case session
        /// A backend changed hands between two transactions.
        case transaction
        /// A transaction of several statements was refused.
        case statement
    }

    private let conninfo: Conninfo
    private let patience: Duration
    /// An idle pooler shows itself in the first round; a busy one may need luck.
    private static let rounds = 5
    private static let askPID = "SELECT pg_catalog.pg_backend_pid()"

    init(_ conninfo: Conninfo, _ patience: Duration) {
        self.conninfo = conninfo
        self.patience = patience
    }

    func run(_ main: Inspection) -> [Finding] {
        Self.finding(look(main)).map { [$0] } ?? []
    }

    private func look(_ main: Inspection) -> Sight {
        guard let first = pid(main) else { return .direct }
        let unseen: Sight = first == main.announcedPID ? .direct : .session
        // Its own pair: whoever is not let through here has to be closed.
        guard let one = try? Inspection(conninfo, patience: patience),
            let other = try? Inspection(conninfo, patience: patience)
        else { return unseen }
        for _ in 0..<Self.rounds {
            guard let before = pid(one) else { return unseen }
            do {
                try other.query("BEGIN")
            } catch {
                // Refused; or the pool has no more, and then a lone SELECT waits too.
                let isServed = pid(try? Inspection(conninfo, patience: patience)) != nil
                return unseen == .session && isServed ? .statement : unseen
            }
            guard let held = pid(other) else { return unseen }
            if held == before { return .transaction }
            guard let after = pid(one) else { return unseen }
            if after != before { return .transaction }
            guard (try? other.query("ROLLBACK")) != nil else { return unseen }
        }
        return unseen
    }

    private func pid(_ session: Inspection?) -> Int32? {
        (try? session?.query(Self.askPID))?.first?.first?.flatMap { Int32($0) }
    }

    package static func finding(_ sight: Sight) -> Finding? {
        switch sight {
        case .direct: nil
        case .session:
            Finding(
                "pooler-session-mode", .note, .init(.connection, "pooler"),
                what: "A pooler stands between; each connection keeps its backend.",
                why: "It works, and costs a hop: the gateway already holds few connections and "
                    + "keeps them. A connection that waits in the pooler looks like a slow "
                    + "database.",
                fix: "Give --db the address of PostgreSQL itself.")
        case .transaction, .statement:
            Finding(
                "pooler-transaction-mode", .error, .init(.connection, "pooler"),
                what: sight == .transaction
                    ? "A pooler in transaction mode stands between: two connections met the same "
                        + "backend."
                    : "A pooler in statement mode stands between: it refused BEGIN.",
                why: "Prepared statements and settings belong to a backend. The gateway's batches "
                    + "would meet backends that lack its statements, and its timeouts and "
                    + "synchronous_commit would not hold.",
                fix: "Give --db the address of PostgreSQL itself, or in pgbouncer.ini:\n"
                    + "pool_mode = session")
        }
    }
}
