import Weir
import WeirCore
import WeirPostgres

/// What the figures depend on and the benchmark does not vary.
package struct ServerFacts: Sendable {
    package var version = ""
    /// Name and value, as the gateway's connections have them.
    package var settings: [(name: String, value: String)] = []
    /// Of a question that needs no work, in seconds: the middle one of 200.
    package var roundTrip = 0.0
    /// What a COMMIT waits for the disk, in seconds: the middle one of 30 with less the middle one
    /// of 30 without `synchronous_commit`. `nil` where the role may not write the message that this
    /// takes.
    package var syncCost: Double?
    /// Active backends of others before it began, on average.
    package var foreign = 0.0
    package var foreignTransactions = 0.0
    /// One line of how many connections may be used.
    package var budget = ""
    package var connections = 1

    package init() {}

    static func read(_ desk: Desk, _ watch: BenchWatch, most: Int) async throws -> ServerFacts {
        var facts = ServerFacts()
        let names = [
            "server_version", "synchronous_commit", "fsync", "full_page_writes", "wal_level",
            "commit_delay", "shared_buffers", "max_wal_size", "max_connections",
        ]
        let settings = names.map { "pg_catalog.current_setting('\($0)')" }
        let row =
            try await desk.query("SELECT " + settings.joined(separator: ", ")).first ?? []
        for (name, value) in zip(names, row) { facts.settings.append((name, value ?? "")) }
        facts.version = facts.settings.first?.value ?? ""
        facts.settings.removeFirst(min(1, facts.settings.count))
        facts.foreign = await watch.look(connections: 0, samplesMax: 10).foreign
        facts.foreignTransactions = try await watch.transactionRate()
        guard
            let figures = try await desk.query(ConnectionBudget.sql).first
                .flatMap(ConnectionBudget.Figures.init)
        else { throw LoadRun.Failure(.failure, "the server's connection limits cannot be read") }
        let budget = ConnectionBudget(figures, most: most)
        (facts.connections, facts.budget) = (budget.connections, budget.derivation)
        facts.roundTrip = quantile(try await desk.times(of: "SELECT 1", count: 200), 0.5)
        // A message in the WAL that nobody reads: a transaction that writes, and leaves nothing.
        let message = "SELECT pg_catalog.pg_logical_emit_message(true, 'weir', '')"
        if let slow = try? await desk.times(of: message, count: 30) {
            try await desk.query("SET synchronous_commit = off")
            let fast = try await desk.times(of: message, count: 30)
            try await desk.query("RESET synchronous_commit")
            facts.syncCost = max(0, quantile(slow, 0.5) - quantile(fast, 0.5))
        }
        return facts
    }

    /// Why it must not begin, if so.
    func refusal(foreignMax: Double) -> String? {
        // A role that may not see what others do sees how many transactions they make.
        let transactionsMax = 100 * max(1, foreignMax)
        guard foreign > foreignMax || foreignTransactions > transactionsMax else { return nil }
        return "others are at work on this server: \(fixed(foreign, 1)) active backends on "
            + "average, \(fixed(foreignTransactions, 0)) transactions a second. A benchmark would "
            + "slow them, and they would spoil it; come back when less goes on, or say --beside "
            + "\(Int(max(foreign, foreignTransactions / 100).rounded(.up)))"
    }
}
