import Histogram
package import WeirCore

/// What one loop of the generator knows: which call is next, and what became of those before.
/// Used by that loop's thread only.
struct LoopRecord: Sendable {
    /// A call that is under way.
    struct Call: Sendable {
        var message: Int
        var phase: Int
        var isPoison: Bool
        var isFollower = false
        var intended: Timestamp
        var sent = Timestamp.zero
    }

    let number: Int
    private let job: Job
    private(set) var tallies: [Tally]
    private(set) var series: TimeSeries
    /// Open loop: by message. Closed loop: by message / loops.
    private(set) var fates: [UInt8]
    /// Closed loop: which of its messages were of the kind that is refused.
    private(set) var poisoned: [Int] = []
    private var next: Int
    private var sentCount = 0
    private(set) var inFlight = 0
    private(set) var inFlightMax = 0
    private let isClosed: Bool

    init(_ job: Job, number: Int) {
        self.job = job
        self.number = number
        tallies = job.plan.phases.map { _ in Tally() }
        series = TimeSeries(duration: job.plan.duration)
        isClosed = job.plan.isClosed
        fates = Array(repeating: 0, count: isClosed ? 0 : job.schedule.messageCount)
        next = isClosed ? 0 : number
    }

    // MARK: What is next

    /// When the next call of the schedule is due; `nil` when there is none left.
    var nextDue: Timestamp? {
        guard !isClosed, next < job.schedule.arrivals.count else { return nil }
        return job.start + Nanoseconds(job.schedule.arrivals[next].at)
    }

    /// The next call of the schedule, if it is due.
    mutating func takeDue(_ now: Timestamp) -> Call? {
        guard let due = nextDue, due <= now else { return nil }
        let arrival = job.schedule.arrivals[next]
        next += job.loops
        return Call(
            message: Int(arrival.message), phase: Int(arrival.phase), isPoison: arrival.isPoison,
            isFollower: arrival.isFollower, intended: due)
    }

    /// Callers of a closed loop that belong to this one, in a phase.
    func closedCallers(phase: Int) -> Int {
        guard case .closed(let callers) = job.plan.phases[phase].arrivals else { return 0 }
        return callers / job.loops + (number < callers % job.loops ? 1 : 0)
    }

    /// A closed loop's next call, for a caller that has its answer; `nil` when the run is over.
    mutating func takeClosed(_ now: Timestamp) -> Call? {
        let elapsed = now - job.start
        guard elapsed < job.plan.duration, !job.isInterrupted else { return nil }
        let message = next * job.loops + number
        guard message < LoadPlan.messagesMax,
            job.plan.callsMax.map({ message < $0 }) ?? true
        else { return nil }
        next += 1
        let phase = job.plan.phase(at: elapsed)
        let isPoison = job.plan.phases[phase].isPoison(message, seed: job.plan.seed)
        if isPoison { poisoned.append(message) }
        return Call(message: message, phase: phase, isPoison: isPoison, intended: now)
    }

    /// Whether a closed loop has made all the calls that were asked for.
    var isExhausted: Bool {
        job.plan.callsMax.map { next * job.loops + number >= $0 } ?? false
    }

    // MARK: What happened

    mutating func sent(_ call: inout Call, at now: Timestamp) {
        call.sent = now
        sentCount += 1
        inFlight += 1
        inFlightMax = max(inFlightMax, inFlight)
        series.sent(now - job.start, inFlight: inFlight)
    }

    mutating func waitsForConnection(_ call: Call) { tallies[call.phase].waitedForConnection += 1 }

    mutating func finished(_ call: Call, _ answer: Answer, at now: Timestamp) {
        inFlight -= 1
        note(call.message, answer.fate)
        tallies[call.phase].record(
            answer, intended: call.intended, sent: call.sent, done: now,
            isFollower: call.isFollower)
        series.finished(
            now - job.start, isAcknowledged: answer.kind == .acknowledged,
            response: now - call.intended)
    }

    private mutating func note(_ message: Int, _ fate: Fate) {
        let place = isClosed ? message / job.loops : message
        while place >= fates.count { fates.append(0) }
        fates[place] = max(fates[place], fate.rawValue)
    }

    /// Calls of the schedule that were not made.
    var unsent: Int {
        isClosed || next >= job.schedule.arrivals.count
            ? 0 : (job.schedule.arrivals.count - next + job.loops - 1) / job.loops
    }

    func publish(_ now: Timestamp) {
        var figures = Progress.Figures()
        figures.sent = sentCount
        figures.inFlight = inFlight
        for tally in tallies {
            figures.acknowledged += tally.acknowledged
            figures.failed += tally.failed
        }
        let bins = series.used
        // The last whole one.
        if bins.count > 1 {
            figures.p99 = bins[bins.count - 2].response?.valueAtPercentile(99) ?? 0
        }
        job.progress.publish(number, figures)
    }
}

/// What all loops of a run came to.
package struct Measured: Sendable {
    /// By phase.
    package var tallies: [Tally]
    package var series: TimeSeries
    package var ledger: Ledger
    package var inFlightMax: Int
    package var unsent: Int
    /// From the first call's time to the last answer.
    package var elapsed: Nanoseconds
    /// CPU time of the process meanwhile, over wall time and loops.
    package var processorShare: Double?

    init(_ job: Job, _ records: [LoopRecord], processor: Nanoseconds) {
        tallies = job.plan.phases.map { _ in Tally() }
        series = TimeSeries(duration: job.plan.duration)
        inFlightMax = 0
        unsent = 0
        var ledger = Ledger(
            messageCount: job.schedule.messageCount, rowsPerCall: job.plan.rowsPerCall)
        for arrival in job.schedule.arrivals where arrival.isPoison {
            ledger.markPoison(Int(arrival.message))
        }
        for record in records {
            for (index, tally) in record.tallies.enumerated() { tallies[index].add(tally) }
            series.add(record.series)
            inFlightMax += record.inFlightMax
            unsent += record.unsent
            for (place, fate) in record.fates.enumerated() where fate > 0 {
                let message = job.plan.isClosed ? place * job.loops + record.number : place
                ledger.told(message, Fate(rawValue: fate) ?? .unknown)
            }
            for message in record.poisoned { ledger.markPoison(message) }
        }
        self.ledger = ledger
        let last = tallies.compactMap(\.last).max() ?? job.start
        elapsed = last - job.start
        let threads = Double(elapsed.count) * Double(job.loops)
        processorShare = threads > 0 ? Double(processor.count) / threads : nil
    }

    package var total: Tally {
        tallies.reduce(into: Tally()) { $0.add($1) }
    }

    /// Acknowledged calls a second, over the planned time or until the last answer if that was
    /// later.
    package func rate(_ plan: LoadPlan, isInterrupted: Bool) -> Double {
        let seconds = spanSeconds(plan, isInterrupted: isInterrupted)
        return seconds > 0 ? Double(total.acknowledged) / seconds : 0
    }

    package func spanSeconds(_ plan: LoadPlan, isInterrupted: Bool) -> Double {
        let isShort = isInterrupted || plan.callsMax != nil
        return isShort ? elapsed.seconds : max(elapsed.seconds, plan.duration.seconds)
    }
}
