// What must hold after every step, and what the outside may read of the state.
extension Machine {
    /// Figures for gauges; a copy, so that nothing is counted under the caller's lock twice.
    package struct Gauges: Equatable, Sendable {
        package var recordsHeld = 0
        package var recordsMax = 0
        package var bytesHeld = 0
        package var bytesMax = 0
        package var batchesInFlight = 0
        package var batchesResting = 0
        /// Of which nobody knows yet whether they committed; those are in flight or at rest too.
        package var batchesUnresolved = 0
        package var connections = 0
        package var connectionsMax = 0
        package var isDraining = false
        package init() {}
    }

    package var gauges: Gauges {
        var gauges = Gauges()
        gauges.recordsHeld = admission.records
        gauges.recordsMax = admission.limits.records
        gauges.bytesHeld = admission.bytes
        gauges.bytesMax = admission.limits.bytes
        gauges.batchesInFlight = busyCount
        gauges.batchesResting = resting.count
        gauges.batchesUnresolved = resting.count { $0.work == .resolve }
        for case .busy(let run) in writers where run.work == .resolve {
            gauges.batchesUnresolved += 1
        }
        gauges.connections = connectedCount
        gauges.connectionsMax = writers.count
        gauges.isDraining = isDraining
        return gauges
    }

    private var runs: [BatchRun] {
        resting + writers.compactMap { if case .busy(let run) = $0 { run } else { nil } }
    }

    /// Whether something may still need what the ticket stands for.
    package func holds(_ ticket: Ticket) -> Bool { slots.slot(of: ticket) != nil }

    /// Broken invariants, by their numbers in docs/ARCHITECTURE.md; empty when all is well.
    /// For tests and the simulator: it looks at everything.
    package mutating func violations(now: Timestamp) -> [String] {
        var found: [String] = []
        func check(_ holds: Bool, _ text: String) {
            if !holds { found.append(text) }
        }
        let runs = runs
        let busyLanes = runs.flatMap(\.lanes)
        check(Set(busyLanes).count == busyLanes.count, "2: a lane is in two batches")
        let members = runs.flatMap(\.members)
        let known = Set(members)
        check(known.count == members.count, "1: a record is in two batches")
        check(busyCount <= connectedCount, "3: more batches in flight than connections")
        check(connectedCount <= writers.count, "3: more connections than the budget")
        let large = writers.count { if case .busy(let run) = $0 { run.isLarge } else { false } }
        check(largeCount == large, "3: large batches are counted wrongly")

        var held = 0
        var bytes = 0
        var liveQueuedBytes = 0
        var isAwaited = false
        var hasDeadline = false
        for slot in 0..<slots.count where slots[slot].state != .free {
            isAwaited = isAwaited || !slots[slot].isAnswered
            hasDeadline =
                hasDeadline
                || !slots[slot].isAnswered && slots[slot].deadline < .distantFuture
            held += slots[slot].recordCount
            bytes += slots[slot].byteCount
            if slots[slot].state == .queued { liveQueuedBytes += slots[slot].byteCount }
        }
        check(held == admission.records && held <= admission.limits.records, "4: records held")
        check(bytes == admission.bytes && bytes <= admission.limits.bytes, "4: bytes held")
        check(liveQueuedBytes == queuedBytes, "4: bytes queued")
        for run in runs {
            // What stands behind an attempt that may have committed has not been sent.
            for slot in run.current {
                let isUnresolved = slots[slot].state == .unresolved
                check(isUnresolved == (run.work == .resolve), "2: the states of a batch differ")
            }
            for slot in run.members {
                let state = slots[slot].state
                let isHeld = state == .assigned || state == .resting || state == .unresolved
                check(isHeld, "1: a record of a batch is \(state)")
            }
        }
        for slot in 0..<slots.count where slots[slot].state == .unresolved {
            check(known.contains(slot), "7: a record that may be written is in no batch")
        }
        let hasTimer = nextDeadline(now: now) != nil
        check(!hasDeadline || hasTimer, "10: a deadline and no timer")
        // The end of an attempt wakes what waits, and so does a connection when there was none.
        let isWoken = busyCount > 0 || connectedCount == 0 || hasTimer
        check(!isAwaited || isWoken, "10: records held and nothing will wake them")
        let isLazy = !idle.isEmpty && busyCount == 0 && resting.isEmpty
        check(!isLazy || lanes.front() == nil, "10: an idle gateway holds back a record")
        return found
    }
}
