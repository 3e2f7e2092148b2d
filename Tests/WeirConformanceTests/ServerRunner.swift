import Weir
import WeirPostgres
import WeirTesting

/// Runs scenarios on PostgreSQL, each in a schema of its own.
actor ServerRunner {
    struct Stuck: Error, CustomStringConvertible {
        let description: String
    }

    private let server: EmbeddedServer
    private let configuration: EmbeddedServer.Configuration
    private let executor = BlockingExecutor(label: "conformance")
    private var monitor: EmbeddedServer.OwnerSession
    private var isArmed = false
    private var count = 0

    private var scenario = Scenario("", [])
    private var wires: [Scenario.Client: Wire] = [:]
    /// In the order in which they came, as the model numbers its sessions.
    private var pids: [Int32] = []
    /// Backends that nobody listens to any more, and that may still be at work.
    private var left: [Int32] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    init(_ server: EmbeddedServer, _ configuration: EmbeddedServer.Configuration) throws {
        self.server = server
        self.configuration = configuration
        monitor = try Self.openMonitor(server)
    }

    /// Waits for no standby, whatever the gateway's own sessions ask for.
    private static func openMonitor(
        _ server: EmbeddedServer
    ) throws -> EmbeddedServer.OwnerSession {
        let session = try server.openSession()
        try session.execute("SET synchronous_commit = local")
        return session
    }

    /// What the steps of `scenario` show.
    func run(_ scenario: Scenario) async throws -> [String] {
        count += 1
        self.scenario = scenario
        wires = [:]
        pids = []
        left = []
        try prepare()
        var shown: [String] = []
        for step in scenario.steps {
            if let line = try await perform(step) { shown.append(line) }
            // One whose wait a step has ended goes on before the next step does.
            for pid in left { try settle(pid) }
        }
        wires = [:]
        return shown
    }

    private var schema: String { "s\(count)" }

    private func prepare() throws {
        try monitor.execute(
            """
            CREATE SCHEMA \(schema);
            SET search_path = \(schema);
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = TG_ARGV[0]; END $$;
            CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RETURN NULL; END $$;
            \(Scenario.tables.map(\.sql).joined(separator: "\n"))
            """)
        let isLimited = scenario.sessionsMax < 50
        guard isLimited else { return }
        // A superuser has no limit.
        try monitor.execute(
            "CREATE ROLE limited\(count) LOGIN CONNECTION LIMIT \(scenario.sessionsMax)")
    }

    // MARK: Steps

    private func perform(_ step: Scenario.Step) async throws -> String? {
        switch step {
        case .pipeline(let client, let list, _):
            do {
                try send(client, list)
            } catch let refusal as Wire.Refusal {
                return "\(client): \(refusal.text)"
            }
            // One that gives up soon is not caught waiting.
            return "\(client): \(try outcome(client, mayWait: client != .x))"
        case .wake(let client, _): return "\(client): \(try outcome(client, mayWait: false))"
        case .rows(let table, _): return "\(try rows(of: table))"
        case .leave(let client, let list):
            try send(client, list, isEnded: false)
            try end(client)
        case .hangUp(let client): try end(client)
        case .terminate(let client): try signal(client, "pg_terminate_backend")
        case .cancel(let client): try signal(client, "pg_cancel_backend")
        case .standbyAnswers:
            try configure("ALTER SYSTEM RESET synchronous_standby_names")
            isArmed = false
        case .crash:
            try await server.kill()
            wires = [:]
            left = []
            try await server.startAgain(configuration)
            monitor = try Self.openMonitor(server)
        }
        return nil
    }

    private func send(
        _ client: Scenario.Client, _ list: [Statement], isEnded: Bool = true
    ) throws {
        if client == .s && !isArmed { try arm() }
        let wire = try wires[client] ?? connect(client)
        wires[client] = wire
        let pids = pids
        wire.send(list.map { $0.sql { pids[$0.number] } }, isEnded: isEnded)
    }

    private func connect(_ client: Scenario.Client) throws -> Wire {
        var options = "-c search_path=\(schema) -c deadlock_timeout=1h"
        if client == .x { options += " -c deadlock_timeout=10ms -c lock_timeout=150ms" }
        if client == .s { options += " -c synchronous_commit=on" }
        var conninfo = server.conninfo + " connect_timeout=10"
        if scenario.sessionsMax < 50 {
            conninfo += " user=limited\(count)"
            options = ""
        }
        let wire = try Wire(conninfo + " options='\(options)'")
        pids.append(wire.pid)
        return wire
    }

    private func outcome(_ client: Scenario.Client, mayWait: Bool) throws -> String {
        guard let wire = wires[client] else { return "closed" }
        for _ in 0..<1_000 {
            if let outcome = wire.outcome(within: 10) { return outcome }
            if mayWait, try isWaiting(wire.pid) { return wire.outcome(within: 0) ?? "waits" }
        }
        throw Stuck(description: "\(scenario.name): \(client) neither answers nor waits")
    }

    private func rows(of table: Relation) throws -> [[Int]] {
        try monitor.query("SELECT * FROM \(schema).\(table.name) ORDER BY k, v")
            .map { $0.map { $0.flatMap { Int($0) } ?? 0 } }
    }

    /// Returns when the backend has done what it was sent, or waits for another.
    private func end(_ client: Scenario.Client) throws {
        guard let wire = wires.removeValue(forKey: client) else { return }
        let pid = wire.pid
        wire.close()
        left.append(pid)
        try settle(pid)
    }

    private func settle(_ pid: Int32) throws {
        for _ in 0..<1_000 {
            if try isWaiting(pid) { return }
            let found = try monitor.query("SELECT FROM pg_stat_activity WHERE pid = \(pid)")
            if found.isEmpty { return }
            try monitor.execute("SELECT pg_sleep(0.005)")
        }
        throw Stuck(description: "\(scenario.name): backend \(pid) does not end")
    }

    private func signal(_ client: Scenario.Client, _ function: String) throws {
        guard let wire = wires[client] else { return }
        try monitor.execute("SELECT \(function)(\(wire.pid))")
        if function == "pg_terminate_backend" { try settle(wire.pid) }
    }

    /// A lock is granted by whoever lets go of it: a backend that has yet to wake waits no more.
    private func isWaiting(_ pid: Int32) throws -> Bool {
        let found = try monitor.query(
            """
            SELECT FROM pg_locks WHERE pid = \(pid) AND NOT granted
            UNION ALL
            SELECT FROM pg_stat_activity WHERE pid = \(pid) AND wait_event = 'SyncRep'
            """)
        return !found.isEmpty
    }

    // MARK: A standby that does not answer

    private func configure(_ statement: String) throws {
        try monitor.execute(statement)
        try monitor.execute("SELECT pg_reload_conf()")
    }

    /// Names a standby that there is not, and returns when commits wait for it.
    private func arm() throws {
        try configure("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        try monitor.execute("CREATE TABLE IF NOT EXISTS public.probe (n int)")
        let options = "options='-c synchronous_commit=on'"
        let probe = try Wire(server.conninfo + " connect_timeout=10 " + options)
        for _ in 0..<1_000 {
            probe.send(["INSERT INTO public.probe VALUES (1)"])
            while probe.outcome(within: 5) == nil {
                guard try isWaiting(probe.pid) else { continue }
                try monitor.execute("SELECT pg_cancel_backend(\(probe.pid))")
                isArmed = true
                return
            }
        }
        throw Stuck(description: "commits wait for no standby")
    }
}
