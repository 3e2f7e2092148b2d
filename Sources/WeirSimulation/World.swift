import Weir
import WeirCore
import WeirPostgres
import WeirRecord
import WeirTesting

/// Gateways, their callers and a database in one thread, with faults in it: the real coordinator
/// and core, the batch protocol statement by statement, and a model of PostgreSQL. A seed decides
/// everything, so that it is a reproduction. docs/SIMULATION.md says what is in it and what has to
/// hold.
package final class World {
    package struct Report: Sendable {
        package let seed: UInt64
        package let steps: Int
        /// The first broken promise, with seed and step.
        package let failure: String?
        /// By `Occurrence.rawValue`.
        package let occurrences: [Int]
        /// What happened, newest last; empty unless traced.
        package let history: [String]
        /// Changes with anything that happened.
        package let digest: UInt64
    }

    /// A database server of the world: a primary, or what one has become.
    struct Server {
        var model: ModelServer
        var truth = Truth()
        /// It takes connections again when this time has come.
        var downUntil: Timestamp?
        /// Nobody can reach it any more.
        var isGone = false
        /// Sessions that wait for a lock, and since when.
        var waits: [(session: SessionID, since: Timestamp, isChecked: Bool)] = []
        /// Sessions of clients that are gone, of which the server does not know yet.
        var unnoticed: [(session: SessionID, until: Timestamp)] = []
    }

    struct Attempt {
        let gateway: Int
        let incarnation: Int
        let link: Writer.Link
        let messages: [Int]
        let beganAt: Int
        /// The oldest generation in which one of its messages was first sent.
        let generation: Int
        var isUnknown = false
    }

    let seed: UInt64
    let plan: WorldPlan
    let mutation: Mutation?
    let isTraced: Bool
    var random: SplitMix64
    let clock = WorldClock()
    var servers: [Server]
    /// Position in the log at which the schema is complete.
    let schemaEnd: Int
    var gateways: [Gateway?] = []
    var incarnations: [Int] = []
    /// When a gateway that was killed starts again.
    var restarts: [Timestamp] = []
    var registry = Registry()
    /// By the registry's number.
    var attempts: [Int: Attempt] = [:]
    var messages: [Message] = []
    /// By record: the message's number. Records live as long as the world.
    var numbers: [ObjectIdentifier: Int] = [:]
    var units: [Unit] = []
    var submissions: [Submission] = []
    /// By message ID, or by message where there is none: its submissions.
    var sendings: [Int: [Int]] = [:]
    /// By submission: what to cancel it with.
    var tickets: [Ticket?] = []
    var callers: [Caller] = []
    /// By gateway, table and key: where the rows of its newest answer stand.
    var newest: [OrderKey: (submission: Int, place: Truth.Place)] = [:]
    var unitsLeft: Int
    var application = Application()
    var maintainer: Maintainer?
    var refusesConnectionsUntil = Timestamp.zero
    var isHealing = false
    var hasFailedOver = false
    var occurrences = Array(repeating: 0, count: Occurrence.allCases.count)
    var step = 0
    var history: [String] = []
    var failure: String?
    var digest: UInt64 = 0xCBF2_9CE4_8422_2325

    struct OrderKey: Hashable {
        let gateway: Int
        let incarnation: Int
        let table: Int
        let key: Int
        let server: Int
    }

    private init(seed: UInt64, mutation: Mutation?, isTraced: Bool) {
        self.seed = seed
        self.mutation = mutation
        self.isTraced = isTraced
        random = SplitMix64(seed: seed)
        plan = WorldPlan(random: &random)
        servers = [Server(model: .forWorld())]
        schemaEnd = servers[0].model.survivors.lowerBound
        unitsLeft = plan.unitCount
        for number in 0..<plan.callerCount {
            callers.append(Caller(window: 1 + random.below(3), ownKey: number))
        }
        for number in 0..<plan.gatewayCount {
            gateways.append(nil)
            incarnations.append(0)
            restarts.append(.zero)
            start(number)
        }
    }

    /// Runs the history of `seed` from the first connection until everything is settled again.
    package static func run(
        seed: UInt64, mutation: Mutation? = nil, isTraced: Bool = false
    ) -> Report {
        let world = World(seed: seed, mutation: mutation, isTraced: isTraced)
        world.live()
        world.heal()
        return Report(
            seed: seed, steps: world.step, failure: world.failure,
            occurrences: world.occurrences, history: world.history, digest: world.digest)
    }

    var primary: Int { servers.count - 1 }
    var now: Timestamp { clock.now }

    // MARK: Turns

    private static let stepsMax = 20_000

    /// Callers send while faults come.
    private func live() {
        while failure == nil && step < Self.stepsMax {
            if unitsLeft == 0 && callers.allSatisfy(\.open.isEmpty) { break }
            // What is left is for the healing.
            if unitsLeft == 0 && random.chance(1) { break }
            if random.below(1_000) < plan.faultRate, let fault = random.element(of: plan.faults) {
                strike(fault)
            }
            if plan.isForgetful && random.chance(3) { strike(.rotation) }
            turn()
        }
    }

    /// No more faults: everything must come to its end.
    private func heal() {
        guard failure == nil else { return }
        note("healing")
        isHealing = true
        repair()
        let limit = step + Self.stepsMax
        while failure == nil && !isQuiet {
            guard step < limit else {
                return fail("LIVE: \(unrest)")
            }
            // A table that refused too much is paused until something commits.
            if step % 1_000 == 0 {
                for gateway in gateways.indices { addProbe(.kept, at: gateway) }
            }
            turn()
        }
        if failure == nil { audit() }
    }

    private enum Action {
        case session(Int, SessionID)
        case writer(Int, Int)
        case caller(Int)
        case application
        case maintainer
    }

    /// One of those who can go on does; where nobody can, time passes.
    func turn() {
        step += 1
        clock.advance(to: now + Nanoseconds(Int64(random.below(100_000))))
        tend()
        let actions = actions()
        guard let action = random.element(of: actions) else { return pass() }
        switch action {
        case .session(let server, let session): run(session, on: server)
        case .writer(let gateway, let writer): go(gateway, writer)
        case .caller(let caller): act(caller)
        case .application: goOnWithApplication()
        case .maintainer: goOnWithMaintainer()
        }
        if let fault = servers.lazy.compactMap(\.truth.failure).first { fail(fault) }
    }

    private func actions() -> [Action] {
        var actions: [Action] = []
        for server in servers.indices {
            for session in servers[server].model.live
            where servers[server].model.isRunnable(session) {
                actions.append(.session(server, session))
            }
        }
        for gateway in gateways.indices {
            guard let one = gateways[gateway], one.frozenUntil <= now else { continue }
            for writer in one.writers.indices where canGoOn(one.writers[writer]) {
                actions.append(.writer(gateway, writer))
            }
        }
        for caller in callers.indices where canAct(caller) { actions.append(.caller(caller)) }
        if application.canGoOn(servers, now) { actions.append(.application) }
        if let maintainer, servers[maintainer.server].model.hasReply(maintainer.session) {
            actions.append(.maintainer)
        }
        return actions
    }

    private func canGoOn(_ writer: Writer) -> Bool {
        switch writer.work {
        case .offline(let until): return until <= now
        case .idle: return !writer.isParked
        case .connecting, .writing, .asking:
            guard let link = writer.link else { return true }
            return writer.deadline <= now || servers[link.server].model.hasReply(link.session)
        }
    }

    /// Timers, and waits that have lasted long enough.
    private func tend() {
        noticeGoneClients()
        while clock.fireOne() { stirAll() }
        for gateway in gateways.indices where gateways[gateway] == nil && restarts[gateway] <= now {
            start(gateway)
        }
        for server in servers.indices {
            if let until = servers[server].downUntil, until <= now {
                servers[server].downUntil = nil
                servers[server].model.recover()
                note("server \(server) is up again")
            }
            tendWaits(server)
        }
    }

    private func tendWaits(_ server: Int) {
        let old = servers[server].waits
        var waits: [(session: SessionID, since: Timestamp, isChecked: Bool)] = []
        for session in servers[server].model.live where servers[server].model.isWaiting(session) {
            waits.append(old.first { $0.session == session } ?? (session, now, false))
        }
        servers[server].waits = waits
        for index in servers[server].waits.indices {
            let (session, since, isChecked) = servers[server].waits[index]
            if !isChecked && since + .milliseconds(2) <= now {
                servers[server].waits[index].isChecked = true
                if servers[server].model.isDeadlocked(session) {
                    count(.deadlock)
                    servers[server].model.checkDeadlock(session)
                }
            } else if since + plan.lockTimeout <= now {
                count(.lockTimeout)
                servers[server].model.expireLock(session)
            }
        }
    }

    /// Until something is due.
    private func pass() {
        var due = clock.nextDue
        for gateway in gateways.indices {
            guard let one = gateways[gateway] else {
                due = min(due, restarts[gateway])
                continue
            }
            if one.frozenUntil > now { due = min(due, one.frozenUntil) }
            for writer in one.writers {
                if case .offline(let until) = writer.work { due = min(due, until) }
                due = min(due, writer.deadline)
            }
        }
        for server in servers {
            due = min(due, server.downUntil ?? .distantFuture)
            for zombie in server.unnoticed { due = min(due, zombie.until) }
            for wait in server.waits {
                due = min(due, wait.since + (wait.isChecked ? plan.lockTimeout : .milliseconds(2)))
            }
        }
        for unit in callers.lazy.flatMap(\.open) {
            due = min(due, units[unit].due ?? .distantFuture)
        }
        due = min(due, application.until)
        guard due < .distantFuture else { return }
        clock.advance(to: due)
    }

    private func run(_ session: SessionID, on server: Int) {
        let before = servers[server].model.committed.count
        for _ in 0...random.below(4) where servers[server].model.isRunnable(session) {
            servers[server].model.run(session, rows: plan.rowsPerStep)
        }
        guard servers[server].model.committed.count != before else { return }
        catchUp(server)
        noteZombie(session, server)
    }

    func catchUp(_ server: Int) {
        let isPrimary = server == primary
        servers[server].truth.catchUp(with: servers[server].model, isPrimary: isPrimary) { number in
            number < messages.count ? messages[number] : nil
        }
    }

    /// Its client is gone, and the server does not know.
    func isUnnoticed(_ session: SessionID, on server: Int) -> Bool {
        servers[server].unnoticed.contains { $0.session == session }
    }

    /// A transaction that committed when its client was gone.
    private func noteZombie(_ session: SessionID, _ server: Int) {
        if isUnnoticed(session, on: server) { count(.zombieCommitted) }
    }

    // MARK: Telling

    func count(_ occurrence: Occurrence) { occurrences[occurrence.rawValue] += 1 }

    func note(_ text: @autoclosure () -> String) {
        guard isTraced else { return }
        history.append("\(step) @\(now.nanoseconds / 1_000)us \(text())")
    }

    /// Adds to what tells two histories apart.
    func mix(_ number: Int) {
        digest = (digest ^ UInt64(truncatingIfNeeded: number)) &* 0x100_0000_01B3
    }

    func fail(_ text: String) {
        guard failure == nil else { return }
        failure = "seed \(seed), step \(step): \(text)"
        note("BROKEN \(text)")
    }
}
