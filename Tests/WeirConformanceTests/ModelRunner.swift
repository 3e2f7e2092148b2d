import WeirTesting

/// Runs a scenario on the model server: every session goes on for as long as it can after each
/// step.
struct ModelRunner {
    private var server: ModelServer
    private var sessions: [Scenario.Client: SessionID] = [:]
    /// Replies to the pipeline in hand, and how many statements it has.
    private var replies: [Scenario.Client: [Reply]] = [:]
    private var statements: [Scenario.Client: Int] = [:]

    /// What the steps of `scenario` show.
    static func run(_ scenario: Scenario) -> [String] {
        var runner = ModelRunner(sessionsMax: scenario.sessionsMax)
        return scenario.steps.compactMap { runner.perform($0) }
    }

    init(sessionsMax: Int = 50) {
        var configuration = ModelServer.Configuration()
        configuration.sessionsMax = sessionsMax
        server = ModelServer(Scenario.tables, configuration)
        server.isStandbySilent = true
    }

    func isWaiting(_ client: Scenario.Client) -> Bool {
        sessions[client].map { server.isWaiting($0) } ?? false
    }

    func rows(of table: Relation) -> [[Int]] {
        server.rows(of: table).map(\.values).sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// What the step shows, if anything.
    mutating func perform(_ step: Scenario.Step) -> String? {
        defer { settle() }
        switch step {
        case .pipeline(let client, let list, _):
            return "\(client): \(start(client, list) ?? outcome(client))"
        case .wake(let client, _):
            return "\(client): \(outcome(client))"
        case .rows(let table, _):
            return "\(rows(of: table))"
        case .leave(let client, let list):
            _ = start(client, list, isEnded: false)
            end(client)
        case .hangUp(let client): end(client)
        case .terminate(let client): if let id = sessions[client] { server.terminate(id) }
        case .cancel(let client): if let id = sessions[client] { server.cancel(id) }
        case .standbyAnswers: server.isStandbySilent = false
        case .crash:
            server.crash(at: server.survivors.upperBound)
            server.recover()
            sessions = [:]
        }
        return nil
    }

    /// What comes instead of an answer, if anything.
    private mutating func start(
        _ client: Scenario.Client, _ list: [Statement], isEnded: Bool = true
    ) -> String? {
        if sessions[client] == nil {
            switch server.connect(isReplicated: client == .s) {
            case .success(let id): sessions[client] = id
            case .failure(let failure): return text(failure)
            }
        }
        guard let id = sessions[client] else { return nil }
        replies[client] = []
        statements[client] = list.count
        for statement in list { server.send(id, statement) }
        if isEnded { server.sendSync(id) }
        settle()
        if client == .x && server.isWaiting(id) {
            server.isDeadlocked(id) ? server.checkDeadlock(id) : server.expireLock(id)
            settle()
        }
        return nil
    }

    private mutating func end(_ client: Scenario.Client) {
        guard let id = sessions.removeValue(forKey: client) else { return }
        server.cut(id)
    }

    private mutating func settle() {
        while let next = server.live.first(where: { server.isRunnable($0) }) { server.run(next) }
    }

    private mutating func outcome(_ client: Scenario.Client) -> String {
        guard let id = sessions[client] else { return "closed" }
        while let reply = server.receive(id) { replies[client, default: []].append(reply) }
        var parts: [String] = []
        for reply in replies[client] ?? [] {
            switch reply {
            case .complete(let tag, let rows, let hasWarning):
                let shown = rows.sorted { $0.lexicographicallyPrecedes($1) }.map { " \($0)" }
                parts.append("\(tag)" + shown.joined() + (hasWarning ? " (warning)" : ""))
            case .failure(let failure):
                parts.append(text(failure))
            case .ready(let status):
                let missing = max(0, (statements[client] ?? 0) - parts.count)
                parts += Array(repeating: "skipped", count: missing)
                return parts.joined(separator: ", ") + " \(status.rawValue)"
            case .closed:
                return parts.isEmpty ? "closed" : parts.joined(separator: ", ")
            }
        }
        return "waits"
    }

    private func text(_ failure: ServerFailure) -> String {
        (failure.isFatal ? "FATAL " : "") + failure.sqlstate
            + (failure.constraint.map { " \($0)" } ?? "")
    }
}
