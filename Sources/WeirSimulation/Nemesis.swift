import Weir
import WeirCore
import WeirTesting

// What goes wrong. A fault that finds nothing to break does nothing, and is not counted.
extension World {
    func strike(_ fault: Fault) {
        guard let occurrence = Occurrence(rawValue: fault.rawValue) else { return }
        if strikes(fault) {
            note("fault: \(fault)")
            count(occurrence)
        }
    }

    private func strikes(_ fault: Fault) -> Bool {
        switch fault {
        case .cutBefore:
            return cutSomebody { .init(random.below($0.messages + 1)) }
        case .cutAfter: return cutSomebody { _ in .max }
        case .cutUnnoticed:
            let arrivesWhole = random.chance(50)
            return cutSomebody(isNoticed: false) {
                // Mostly all but COMMIT.
                arrivesWhole ? .max : max(0, $0.messages - 1 - random.below(3))
            }
        case .terminate:
            return withBusySession { servers[$0.server].model.terminate($0.session) }
        case .cancel: return withBusySession { servers[$0.server].model.cancel($0.session) }
        case .serializationFailure: return inject(ServerFailure("40001"))
        case .outOfMemory: return inject(ServerFailure("53200"))
        case .tableRefused: return inject(ServerFailure("42501"))
        case .rolledBackUnseen:
            guard let link = random.element(of: busyLinks) else { return false }
            return servers[link.server].model.failUnseen(link.session)
        case .serverCrash: return crash()
        case .failover: return failOver()
        case .gatewayKill: return kill()
        case .gatewayFreeze:
            let number = random.below(gateways.count)
            guard gateways[number] != nil else { return false }
            gateways[number]?.frozenUntil = now + .milliseconds(Int64(1 + random.below(100)))
            return true
        case .rotation: return rotate()
        case .tableLock: return application.begin(random.below(2) == 0, primary, &servers, now)
        case .connectionsRefused:
            refusesConnectionsUntil = now + .milliseconds(Int64(1 + random.below(50)))
            return true
        }
    }

    // MARK: Connections

    /// Of writers that are in the middle of something.
    private var busyLinks: [Writer.Link] {
        gateways.flatMap { gateway in
            (gateway?.writers ?? []).compactMap { writer in
                switch writer.work {
                case .writing, .asking: writer.link
                case .offline, .connecting, .idle: nil
                }
            }
        }
    }

    private func withBusySession(_ body: (Writer.Link) -> Void) -> Bool {
        guard let link = random.element(of: busyLinks) else { return false }
        body(link)
        return true
    }

    private func inject(_ failure: ServerFailure) -> Bool {
        withBusySession { servers[$0.server].model.inject(failure, $0.session) }
    }

    private func cutSomebody(
        isNoticed: Bool = true, _ arriving: ((messages: Int, replies: Int)) -> Int
    ) -> Bool {
        let links = gateways.flatMap { ($0?.writers ?? []).compactMap(\.link) }
        guard let link = random.element(of: busyLinks.isEmpty ? links : busyLinks) else {
            return false
        }
        let count = arriving(servers[link.server].model.traffic(link.session))
        cut(link, arriving: count, isNoticed: isNoticed)
        return true
    }

    /// - Parameter count: of the messages on their way to the server, how many arrive.
    func cut(_ link: Writer.Link, arriving count: Int, isNoticed: Bool) {
        servers[link.server].model.cut(link.session, messages: count, isNoticed: isNoticed)
        if !isNoticed && !servers[link.server].model.isEnded(link.session) {
            let until = now + .milliseconds(Int64(1 + random.below(2_000)))
            servers[link.server].unnoticed.append((link.session, until))
        }
    }

    /// The server finds out that clients are gone.
    func noticeGoneClients() {
        for server in servers.indices {
            for (session, until) in servers[server].unnoticed where until <= now {
                servers[server].model.hangUp(session)
            }
            let time = now
            servers[server].unnoticed.removeAll { $0.until <= time }
        }
    }

    // MARK: Servers

    private func crash() -> Bool {
        guard servers[primary].downUntil == nil else { return false }
        let survivors = servers[primary].model.survivors
        let position = survivors.lowerBound + random.below(survivors.count)
        servers[primary].model.crash(at: position)
        servers[primary].downUntil = now + .milliseconds(Int64(1 + random.below(50)))
        reread(primary)
        return true
    }

    /// What is committed is another list now.
    private func reread(_ server: Int) {
        servers[server].truth = Truth()
        servers[server].unnoticed = []
        servers[server].waits = []
        if maintainer?.server == server { maintainer = nil }
        application.forget(server)
        catchUp(server)
    }

    /// A standby takes over, without what it had not received. The old primary may live on.
    private func failOver() -> Bool {
        guard servers.count < 4, servers[primary].downUntil == nil else { return false }
        let old = primary
        let durable = servers[old].model.survivors.lowerBound
        let position = max(schemaEnd, durable - random.below(40))
        var standby = Server(model: servers[old].model.promotedStandby(at: position))
        standby.truth = Truth()
        hasFailedOver = true
        if random.chance(50) {
            servers[old].isGone = true
            for session in servers[old].model.live { servers[old].model.terminate(session) }
        }
        servers.append(standby)
        reread(primary)
        forgetWhatIsLost(old)
        return true
    }

    /// What callers were told of commits that the new server lacks is void.
    private func forgetWhatIsLost(_ old: Int) {
        let truth = servers[primary].truth
        for number in messages.indices where messages[number].seenOn == old {
            let isThere: Bool
            switch messages[number].standing {
            case .stored where messages[number].table.isAppendOnly:
                isThere = truth.rows[number] != nil
            case .deadLettered: isThere = truth.letters[number] != nil
            default: isThere = messages[number].id.map { truth.entries[$0] != nil } ?? false
            }
            messages[number].seenOn = isThere ? primary : nil
            if !isThere { messages[number].mayBeWritten = true }
        }
    }

    // MARK: Gateways

    private func kill() -> Bool {
        let number = random.below(gateways.count)
        guard let gateway = gateways[number] else { return false }
        for writer in gateway.writers {
            guard let link = writer.link else { continue }
            let traffic = servers[link.server].model.traffic(link.session)
            cut(link, arriving: random.below(traffic.messages + 1), isNoticed: random.chance(70))
        }
        gateways[number] = nil
        restarts[number] = now + .milliseconds(Int64(1 + random.below(50)))
        for index in submissions.indices
        where submissions[index].gateway == number && submissions[index].state == .open {
            abandon(index)
        }
        return true
    }

    // MARK: Memory

    /// Forgets the older generation of message IDs, if nothing can come that is as old: the
    /// shortest window is longer than anything can be under way.
    private func rotate() -> Bool {
        guard maintainer == nil, servers[primary].downUntil == nil else { return false }
        let number = currentGeneration
        let isOpen = callers.flatMap(\.open).contains { units[$0].generation < number }
        let isHeld = gateways.contains { ($0?.heldGeneration ?? .max) < number }
        let live = Set(servers[primary].model.live)
        let isUnderWay = attempts.values.contains {
            $0.generation < number && $0.link.server == primary && live.contains($0.link.session)
                && !isIdle($0.link)
        }
        // No server that was replaced is written to for as long as that.
        let isSplit = gateways.contains { gateway in
            guard let gateway else { return false }
            return gateway.writers.contains { ($0.link?.server ?? primary) != primary }
                || hasFailedOver && gateway.coordinator.figures().gauges.batchesUnresolved > 0
        }
        guard !isOpen, !isHeld, !isUnderWay, !isSplit,
            case .success(let session) = servers[primary].model.connect()
        else { return false }
        maintainer = Maintainer(server: primary, session: session, number: number)
        var statements = Ledger.rotation(from: number)
        statements.insert(.begin, at: 0)
        for statement in statements { servers[primary].model.send(session, statement) }
        servers[primary].model.sendSync(session)
        servers[primary].model.hangUp(session)
        // Counted when it is done.
        return false
    }

    private func isIdle(_ link: Writer.Link) -> Bool {
        gateways.contains { gateway in
            (gateway?.writers ?? []).contains { writer in
                guard let other = writer.link, other.server == link.server,
                    other.session == link.session
                else { return false }
                if case .idle = writer.work { return true } else { return false }
            }
        }
    }

    func goOnWithMaintainer() {
        guard let one = maintainer else { return }
        while let reply = servers[one.server].model.receive(one.session) {
            if case .closed = reply { maintainer = nil }
        }
        if maintainer == nil && one.server == primary && currentGeneration > one.number {
            note("generation \(currentGeneration) begins")
            count(.rotation)
        }
    }
}

/// Who forgets old message IDs: `weir.rotate`.
struct Maintainer {
    let server: Int
    let session: SessionID
    let number: Int
}

/// Somebody else who uses the database: locks two tables for a while, in one order or the other.
struct Application {
    private(set) var server = 0
    private(set) var session: SessionID?
    private(set) var until = Timestamp.distantFuture
    private var hasLeft = false

    mutating func begin(
        _ isForward: Bool, _ server: Int, _ servers: inout [World.Server], _ now: Timestamp
    ) -> Bool {
        guard session == nil, servers[server].downUntil == nil,
            case .success(let session) = servers[server].model.connect()
        else { return false }
        self.server = server
        self.session = session
        until = now + .milliseconds(80)
        let tables = [WorldTable.appended.relation, WorldTable.rows.relation]
        for statement: Statement in [.begin]
            + (isForward ? tables : tables.reversed()).map(Statement.lock)
        {
            servers[server].model.send(session, statement)
            servers[server].model.sendSync(session)
        }
        return true
    }

    func canGoOn(_ servers: [World.Server], _ now: Timestamp) -> Bool {
        session != nil && until <= now
    }

    mutating func leave(_ servers: inout [World.Server]) {
        if let session { servers[server].model.hangUp(session) }
        session = nil
        until = .distantFuture
    }

    mutating func forget(_ server: Int) {
        guard server == self.server else { return }
        session = nil
        until = .distantFuture
    }
}

extension World {
    func goOnWithApplication() {
        note("the application leaves")
        application.leave(&servers)
    }
}
