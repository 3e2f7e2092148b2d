import Weir
import WeirCore
import WeirPostgres
import WeirRecord
import WeirTesting

// Gateways start and stop, and their writers connect, take batches and report: the loop of
// `BatchWriter.run`, in steps.
extension World {
    func start(_ number: Int) {
        incarnations[number] += 1
        var configuration = plan.machine
        configuration.seed = random.next()
        gateways[number] = Gateway(
            configuration, replayRecordsMax: plan.replayRecordsMax, clock)
        note("gateway \(number) starts")
    }

    func stirAll() {
        for number in gateways.indices { stir(number) }
    }

    /// Something was told to the gateway: its answers go to their callers, and its writers may have
    /// something to do.
    func stir(_ number: Int) {
        guard let gateway = gateways[number] else { return }
        for answer in gateway.mailbox.take() {
            answer.forEach { index, _, fate in told(index, fate) }
        }
        for writer in gateway.writers.indices { gateways[number]?.writers[writer].isParked = false }
        let violations = gateway.coordinator.violations()
        if let first = violations.first { fail(first) }
        if gateway.coordinator.figures().gauges.recordsHeld == 0 {
            gateways[number]?.heldGeneration = .max
        }
    }

    // MARK: One writer

    /// The writer goes on with what it is doing.
    func go(_ number: Int, _ index: Int) {
        guard let writer = gateways[number]?.writers[index] else { return }
        switch writer.work {
        case .offline: connect(number, index)
        case .idle: takeTask(number, index)
        case .connecting, .writing, .asking: read(number, index)
        }
    }

    private func change(_ number: Int, _ index: Int, _ body: (inout Writer) -> Void) {
        guard var writer = gateways[number]?.writers[index] else { return }
        body(&writer)
        gateways[number]?.writers[index] = writer
    }

    private func read(_ number: Int, _ index: Int) {
        guard let writer = gateways[number]?.writers[index], let link = writer.link,
            var exchange = writer.exchange
        else { return }
        while !exchange.isOver, let reply = servers[link.server].model.receive(link.session) {
            exchange.take(reply)
        }
        if !exchange.isOver && writer.deadline <= now {
            // It gives up: the connection is closed from this side.
            note("writer \(number).\(index) waits no longer")
            exchange.take(.closed)
        }
        change(number, index) { $0.exchange = exchange }
        if exchange.isOver { goOn(number, index, exchange) }
    }

    private func goOn(_ number: Int, _ index: Int, _ exchange: Exchange) {
        guard var writer = gateways[number]?.writers[index] else { return }
        switch writer.work {
        case .connecting(let handshake): goOn(number, index, handshake, exchange)
        case .writing(let batch, var dialogue):
            let step = dialogue.next(exchange, &writer.ledger, registry)
            writer.work = .writing(batch, dialogue)
            gateways[number]?.writers[index] = writer
            if case .done = step, dialogue.hasMetClosedGeneration { count(.generationClosed) }
            follow(step, number, index) { finished(number, index, batch, $0) }
        case .asking(let batch, var dialogue):
            let step = dialogue.next(exchange, &writer.ledger)
            writer.work = .asking(batch, dialogue)
            gateways[number]?.writers[index] = writer
            follow(step, number, index) { found(number, index, batch, dialogue, $0) }
        case .offline, .idle: break
        }
    }

    private func follow<Verdict>(
        _ step: Step<Verdict>, _ number: Int, _ index: Int, _ end: (Verdict) -> Void
    ) {
        switch step {
        case .ask(let statements, let endsInSync):
            ask(number, index, statements, endsInSync: endsInSync)
        case .done(let verdict): end(verdict)
        }
    }

    private func ask(
        _ number: Int, _ index: Int, _ statements: [Statement], endsInSync: Bool
    ) {
        guard let link = gateways[number]?.writers[index].link else { return }
        for statement in statements { servers[link.server].model.send(link.session, statement) }
        if endsInSync { servers[link.server].model.sendSync(link.session) }
        change(number, index) {
            $0.exchange = Exchange(statements.count, endsInSync: endsInSync)
        }
    }

    // MARK: Connecting

    private func connect(_ number: Int, _ index: Int) {
        guard let gateway = gateways[number] else { return }
        gateway.coordinator.connecting(WriterID(index))
        var server = primary
        // An address that still names the server that was replaced.
        if !isHealing && servers.count > 1 && random.chance(30) { server -= 1 }
        let isRefused = refusesConnectionsUntil > now || servers[server].isGone
        guard !isRefused, case .success(let session) = servers[server].model.connect() else {
            return lost(number, index, "no connection")
        }
        note("writer \(number).\(index) connects to server \(server): session \(session.number)")
        change(number, index) {
            $0.link = Writer.Link(server: server, session: session)
            $0.work = .connecting(Writer.Handshake())
            $0.deadline = now + .seconds(2)
        }
        ask(number, index, [.identify], endsInSync: true)
    }

    private func goOn(
        _ number: Int, _ index: Int, _ handshake: Writer.Handshake, _ exchange: Exchange
    ) {
        guard exchange.failure == nil, !exchange.isClosed, let gateway = gateways[number],
            let link = gateway.writers[index].link
        else { return lost(number, index, "the connection was lost again at once") }
        guard let identity = handshake.identity else {
            guard let row = exchange.completions.first?.rows.first else { return }
            var handshake = handshake
            handshake.identity = WeirTesting.ServerIdentity(
                system: row[0], timeline: row[1], position: row[2])
            change(number, index) { $0.work = .connecting(handshake) }
            return ask(
                number, index, Ledger.readGeneration(likely: handshake.half), endsInSync: true)
        }
        do {
            try gateway.identities.admit(
                WeirPostgres.ServerIdentity(
                    systemIdentifier: "\(identity.system)", timeline: UInt32(identity.timeline),
                    position: UInt64(identity.position)), by: index)
        } catch {
            count(.oldPrimaryRefused)
            return lost(number, index, "refused: \(error.reason)")
        }
        var ledger = Ledger(number: 0, isOtherEmpty: false)
        ledger.update(exchange.completions, likely: handshake.half)
        change(number, index) {
            $0.work = .idle
            $0.ledger = ledger
            $0.failures = 0
            $0.deadline = .distantFuture
            $0.exchange = nil
        }
        gateways[number]?.view = max(gateway.view ?? 0, link.server)
        gateway.coordinator.writerReady(WriterID(index))
        stir(number)
    }

    /// The writer has no connection any more, and tries again later.
    private func lost(_ number: Int, _ index: Int, _ why: String) {
        note("writer \(number).\(index) is offline: \(why)")
        disconnect(number, index)
        change(number, index) {
            $0.failures += 1
            let wait = Int64(1 + random.below(20 << min($0.failures, 4)))
            $0.work = .offline(until: now + .milliseconds(wait))
            $0.deadline = .distantFuture
        }
    }

    /// Closes the connection from the gateway's side.
    private func disconnect(_ number: Int, _ index: Int) {
        guard let link = gateways[number]?.writers[index].link else { return }
        cut(link, arriving: .max, isNoticed: isHealing || random.chance(80))
        change(number, index) {
            $0.link = nil
            $0.exchange = nil
        }
    }

    // MARK: Tasks

    private func takeTask(_ number: Int, _ index: Int) {
        guard let gateway = gateways[number] else { return }
        let coordinator = gateway.coordinator
        let id = WriterID(index)
        switch coordinator.takeTask(id) {
        case nil: change(number, index) { $0.isParked = true }
        case .write(let batch), .goOn(let batch): begin(number, index, batch)
        case .readCatalog(.look):
            coordinator.catalogConfirmed()
            stir(number)
        case .readCatalog(.load):
            coordinator.catalogLoaded(Gateway.catalog)
            stir(number)
        case .lookUp: preconditionFailure("nobody asks for a message's history here")
        case .deadLetters:
            // How many there are is asked by the gateway itself, for its metrics.
            coordinator.answered(.counts([]))
            stir(number)
        case .check:
            if coordinator.isOutdated(id) {
                count(.oldPrimaryOutdated)
                disconnect(number, index)
            }
            if !isAlive(number, index) && coordinator.writerLost(id) {
                lost(number, index, "the idle connection is gone")
            }
        case .stop: break
        }
    }

    private func isAlive(_ number: Int, _ index: Int) -> Bool {
        guard let link = gateways[number]?.writers[index].link else { return false }
        // Nothing is asked: what has come is the end.
        return !servers[link.server].model.hasReply(link.session)
    }

    private func begin(_ number: Int, _ index: Int, _ batch: WriteBatch) {
        guard let gateway = gateways[number] else { return }
        if gateway.coordinator.isOutdated(WriterID(index)) {
            count(.oldPrimaryOutdated)
            disconnect(number, index)
        }
        guard isAlive(number, index), let link = gateway.writers[index].link else {
            // Nothing has been sent: certainly not written.
            var report = BatchReport(.transient(.connectionLost))
            report.isConnected = false
            return finished(number, index, batch, report)
        }
        change(number, index) { $0.deadline = now + .seconds(1) }
        var ledger = gateway.writers[index].ledger
        if batch.work == .resolve, let unresolved = batch.unresolved {
            let attempt = registry.number(of: unresolved.id)
            note("writer \(number).\(index) asks about attempt \(attempt)")
            var dialogue = InquiryDialogue(unresolved, attempt: attempt)
            let step = dialogue.start(ledger)
            change(number, index) { $0.work = .asking(batch, dialogue) }
            return follow(step, number, index) { found(number, index, batch, dialogue, $0) }
        }
        let attempt = registry.number(of: batch.id)
        let numbers = batch.records.map(messageNumber)
        note("writer \(number).\(index): attempt \(attempt), \(batch.work) of \(numbers)")
        attempts[attempt] = Attempt(
            gateway: number, incarnation: incarnations[number], link: link, messages: numbers,
            beganAt: step,
            generation: numbers.reduce(.max) { min($0, units[messages[$1].unit].generation) })
        let madeAt = batch.id.unixMilliseconds
        for message in numbers
        where messages[message].disownedAt.map({ $0 < madeAt }) ?? false {
            fail("UNKNOWN: message \(message) is tried again when its caller knows of nothing")
        }
        let bad = numbers.firstIndex { messages[$0].isBad }
        let hint = random.chance(70) ? bad : random.chance(30) ? random.below(numbers.count) : nil
        var dialogue = WriteDialogue(batch, attempt: attempt, hint: hint, mutation, ledger)
        let step = dialogue.start(ledger, registry)
        ledger = gateway.writers[index].ledger
        change(number, index) { $0.work = .writing(batch, dialogue) }
        follow(step, number, index) { finished(number, index, batch, $0) }
        // An answer that is lost now is never found out: rare, so it is helped along.
        let isOld = ledger.number + 1 < currentGeneration
        if isOld && !isHealing && random.chance(50) && plan.faults.contains(.cutAfter) {
            cut(link, arriving: .max, isNoticed: true)
        }
    }

    private func messageNumber(_ record: Record) -> Int {
        guard let number = numbers[ObjectIdentifier(record)] else {
            preconditionFailure("every record is some caller's")
        }
        return number
    }

    // MARK: Reports

    private func found(
        _ number: Int, _ index: Int, _ batch: WriteBatch, _ dialogue: InquiryDialogue,
        _ verdict: InquiryDialogue.Verdict
    ) {
        var report = BatchReport(.unknown)
        report.unresolved = batch.unresolved
        let attempt = dialogue.attempt
        switch verdict {
        case .committed:
            report = BatchReport(.committed)
            report.results = batch.unresolved?.results ?? []
        case .lost:
            if let link = attempts[attempt]?.link,
                isUnnoticed(link.session, on: link.server)
            {
                count(.zombieFenced)
            }
            report = BatchReport(.transient(.connectionLost))
        case .forgotten: report = BatchReport(.unknown)
        case .unknown(let isConnected): report.isConnected = isConnected
        case .waited:
            count(.inquiryWaited)
            let waits = gateways[number]?.waits[attempt, default: 0] ?? 0
            gateways[number]?.waits[attempt] = waits + 1
            if waits + 1 >= LostAttempts.waitCountMax, let link = attempts[attempt]?.link,
                link.server == gateways[number]?.writers[index].link?.server
            {
                count(.zombieTerminated)
                servers[link.server].model.terminate(link.session)
            }
        }
        finished(number, index, batch, report)
    }

    private func finished(
        _ number: Int, _ index: Int, _ batch: WriteBatch, _ given: BatchReport
    ) {
        guard let gateway = gateways[number] else { return }
        var report = given
        if batch.work != .resolve {
            if report.outcome == .committed {
                report.unresolved = Unresolved(id: batch.id, results: report.results)
            }
            report.unresolved?.generation = Int64(gateway.writers[index].ledger.number)
        }
        note("writer \(number).\(index): \(report.outcome)\(report.isConnected ? "" : ", lost")")
        tally(batch, report, isOutdated: gateway.coordinator.isOutdated(WriterID(index)))
        if report.isConnected {
            change(number, index) {
                $0.work = .idle
                $0.exchange = nil
                $0.deadline = .distantFuture
            }
        } else {
            lost(number, index, "\(report.outcome)")
        }
        gateway.coordinator.finished(WriterID(index), batch, report)
        stir(number)
    }

    private func tally(_ batch: WriteBatch, _ report: BatchReport, isOutdated: Bool) {
        switch (batch.work, report.outcome) {
        case (_, .committed) where isOutdated: count(.oldPrimaryOutdated)
        case (.resolve, .committed): count(.resolvedCommitted)
        case (.resolve, .transient) where report.isConnected: count(.resolvedLost)
        case (.resolve, .unknown) where report.isConnected && report.unresolved == nil:
            count(.resolvedForgotten)
        case (_, .committed): count(.committed)
        case (_, .unknown) where batch.work != .resolve: count(.unknown)
        default: break
        }
        if batch.work != .resolve, let attempt = registry.known(batch.id) {
            attempts[attempt]?.isUnknown = report.outcome == .unknown
        }
    }
}
