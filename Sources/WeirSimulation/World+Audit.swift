import Weir
import WeirCore
import WeirRecord
import WeirTesting

// When everything has come to its end: is what callers were told what the database holds?
extension World {
    /// No more faults, and what they have left behind is put right.
    func repair() {
        unitsLeft = 0
        refusesConnectionsUntil = .zero
        for number in gateways.indices { gateways[number]?.frozenUntil = .zero }
        application.leave(&servers)
        for server in servers.indices {
            for zombie in servers[server].unnoticed {
                servers[server].model.hangUp(zombie.session)
            }
            servers[server].unnoticed = []
            // An old primary that came back would be shut down by somebody.
            if server != primary {
                servers[server].isGone = true
                for session in servers[server].model.live {
                    servers[server].model.terminate(session)
                }
            }
        }
    }

    /// Everybody has a final answer, and nothing is held any more.
    var isQuiet: Bool {
        unitsLeft == 0 && callers.allSatisfy(\.open.isEmpty)
            && !submissions.contains { $0.state == .open } && gateways.allSatisfy(isQuiet)
    }

    private func isQuiet(_ gateway: Gateway?) -> Bool {
        guard let gateway else { return false }
        let gauges = gateway.coordinator.figures().gauges
        return gauges.recordsHeld == 0 && gauges.connections == gateway.writers.count
            && gauges.batchesUnresolved == 0
    }

    /// What there still is, for who reads of a world that does not come to its end.
    var unrest: String {
        let open = submissions.indices.filter { submissions[$0].state == .open }
        let units = callers.flatMap(\.open)
        let held = gateways.map { $0?.coordinator.figures().gauges.recordsHeld ?? -1 }
        return "no end: submissions \(open), units \(units), held \(held)"
    }

    func audit() {
        for server in servers.indices { catchUp(server) }
        for message in messages { audit(message) }
        for unit in units where unit.isGroup { audit(unit) }
        auditVersions()
        auditCounts()
        for gateway in gateways.indices where failure == nil { probe(gateway) }
        for gateway in gateways {
            let halvings = gateway?.coordinator.figures().metrics.halvings ?? 0
            occurrences[Occurrence.halved.rawValue] += halvings
        }
    }

    private func audit(_ message: Message) {
        let truth = servers[primary].truth
        let isThere = message.table.isAppendOnly && truth.rows[message.number] != nil
        switch message.standing {
        case .stored where message.seenOn == primary && message.table.isAppendOnly:
            if !isThere { fail("LOST: message \(message.number) is called stored and is gone") }
        case .deadLettered where message.seenOn == primary:
            if truth.letters[message.number] == nil {
                fail("DEAD: message \(message.number) is called kept and is gone")
            }
        case .rejected where !message.mayBeWritten:
            if isThere { fail("ABORTED: message \(message.number) was rejected and is there") }
        case .stored where message.table.isAppendOnly && !isThere: count(.commitLostByFailover)
        case .open: fail("LIVE: message \(message.number) has no answer")
        default: break
        }
    }

    /// All of a group or none, in one transaction.
    private func audit(_ unit: Unit) {
        let truth = servers[primary].truth
        let places = unit.members.map { truth.rows[$0]?.transaction }
        if Set(places).count > 1 { fail("ATOMIC: the group \(unit.members) is torn: \(places)") }
    }

    /// No newer version was overwritten by an older one.
    private func auditVersions() {
        let truth = servers[primary].truth
        var newest: [Int: Int] = [:]
        for message in messages where message.table == .rows && message.row[0] >= 2_000 {
            guard let entry = truth.entries[message.number], entry.outcome == 1 else { continue }
            newest[message.row[0]] = max(newest[message.row[0]] ?? 0, message.row[1])
        }
        for (key, version) in newest.sorted(by: { $0.key < $1.key }) {
            let row = servers[primary].model.row(WorldTable.rows.relation, key)
            if row?[WorldTable.version] != version {
                fail("UPSERT: row \(key) is \(row ?? []), and version \(version) was written")
            }
        }
    }

    /// What each gateway counted is what its callers were told.
    private func auditCounts() {
        for (number, gateway) in gateways.enumerated() {
            guard let gateway else { continue }
            let metrics = gateway.coordinator.figures().metrics
            let counted = metrics.effects.reduce(0, +) + metrics.failures.values.reduce(0, +)
            if counted != gateway.answeredCount {
                fail(
                    "RECON: gateway \(number) counts \(counted) answers and gave "
                        + "\(gateway.answeredCount)")
            }
        }
    }

    /// A fresh record is written by each gateway.
    private func probe(_ gateway: Int) {
        let message = addProbe(at: gateway)
        for _ in 0..<5_000 where failure == nil {
            if case .stored = messages[message].standing { return }
            turn()
        }
        fail("LIVE: a fresh record is not written by gateway \(gateway)")
    }
}
