import WeirCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What a benchmark found, and whether it can be believed.
package struct Findings: Sendable {
    package enum Verdict: String, Sendable {
        /// The curve bends, and where.
        case found
        /// The database changed meanwhile, or the harness was what was measured.
        case unstable
        /// Noise leaves no number that is certain enough.
        case undecided
        /// Ended before everything was measured.
        case partial
    }

    /// One number of connections, at the batch size of the sweep.
    package struct Row: Sendable {
        package var connections: Int
        /// Rows a second.
        package var rate: Interval
        /// Relative to the best.
        package var share: Double
        package var lowerShare: Double
        /// Batch times in seconds: the middle of those of the visits.
        package var p50: Double
        package var p99: Double
        package var waits: [(name: String, share: Double)]
        package var visits: Int
        package var isShort: Bool
    }

    package struct Recommendation: Sendable {
        package var connections: Int
        package var interval: ClosedRange<Int>
        /// Share of the replicates in which it is the least that reaches the share.
        package var confidence: Double
        package var distribution: [(connections: Int, share: Double)]
        /// From here on more connections give nothing.
        package var ceiling: Int
        /// A limit ended the sweep, not the curve.
        package var isAtEnd: Bool
        package var rows: Int
        package var rowsInterval: ClosedRange<Int>
        /// What a batch costs at this number of connections: what a gateway can hold its own
        /// batch times against.
        package var model: CostModel
        /// Rows a second.
        package var rate: Double
    }

    package let verdict: Verdict
    /// Why nothing is recommended, or what is to be kept in mind.
    package let reasons: [String]
    package let recommendation: Recommendation?
    package let rows: [Row]
    package let drift: Drift
    /// X·R/L, the middle of the visits.
    package let busyShare: Double?
    package let scalability: Scalability?
    /// Of contention and coherency.
    package let sigma: Interval?
    package let kappa: Interval?
    /// Standard deviation between visits to one cell, relative.
    package let noise: Double

    /// Little's law holds within this; else the harness is part of what was measured.
    package static let busyTolerance = 0.03

    package init(_ sweep: Sweep, isInterrupted: Bool, ending: String?) {
        let seed = mixed(sweep.plan.seed, 0x66_696E_64)
        let curve = sweep.curve(replicates: Sweep.replicates)
        noise = curve?.noiseBetween ?? 0
        drift = Drift(sweep.visits.filter { $0.phase == .anchor }, noise: noise, seed: seed)
        let visits = sweep.visits.filter {
            $0.cell.rows == sweep.rows && ($0.phase == .sweep || $0.phase == .pairs)
        }
        let busy = visits.map(\.busyShare).sorted()
        busyShare = busy.isEmpty ? nil : quantile(busy, 0.5)
        rows = curve.map { Self.rows($0, visits) } ?? []
        let usl = curve.map(Self.scalability)
        (scalability, sigma, kappa) = (usl?.model, usl?.sigma, usl?.kappa)

        let decision = curve.map { Decision($0, most: sweep.most) }
        var reasons: [String] = []
        if let ending { reasons.append(ending) }
        if isInterrupted { reasons.append("it was interrupted") }
        let isPartial = isInterrupted || ending != nil || !sweep.isComplete
        if drift.isUnstable { reasons += Self.causes(of: drift, sweep.visits) }
        var isUnstable = drift.isUnstable
        if let busyShare, abs(busyShare - 1) > Self.busyTolerance {
            isUnstable = true
            reasons.append(
                "X·R/L is \(fixed(busyShare, 2)), not 1: the database waited for the harness "
                    + "between batches; run it on a machine with more room")
        }
        let foreign = sweep.visits.map(\.foreign).max() ?? 0
        if foreign > max(1, sweep.plan.foreignMax) {
            isUnstable = true
            reasons.append(
                "up to \(fixed(foreign, 1)) backends of others were active meanwhile")
        }
        if decision?.connections == nil && !isPartial {
            reasons.append(
                "visits to one cell differ by \(fixed(noise * 100, 1)) %: no number of connections "
                    + "is certain to reach 95 %; run it longer (--thorough) or when less goes on")
        }
        if decision?.connections != nil && !isPartial && !sweep.isDecided {
            reasons.append("time was up before the pairs had decided; longer (-z) would narrow it")
        }
        verdict =
            isPartial
            ? .partial
            : isUnstable ? .unstable : decision?.connections == nil ? .undecided : .found
        self.reasons = reasons
        recommendation =
            verdict == .found
            ? Self.recommendation(sweep, curve, decision) : nil
    }

    private static func recommendation(
        _ sweep: Sweep, _ curve: Curve?, _ decision: Decision?
    ) -> Recommendation? {
        guard let curve, let decision, let connections = decision.connections,
            let model = sweep.held ?? sweep.cost,
            let place = curve.connections.firstIndex(of: connections)
        else { return nil }
        let rows = sweep.plan.rows(for: model)
        let others = sweep.heldReplicates.map { sweep.plan.rows(for: $0) }.sorted()
        let low = others.isEmpty ? rows : min(rows, others[others.count / 20])
        let high = others.isEmpty ? rows : max(rows, others[others.count - 1 - others.count / 20])
        return Recommendation(
            connections: connections, interval: decision.interval,
            confidence: decision.distribution.first { $0.connections == connections }?.share ?? 0,
            distribution: decision.distribution,
            ceiling: max(decision.ceiling, connections), isAtEnd: decision.isAtEnd, rows: rows,
            rowsInterval: low...high, model: model, rate: curve.rates[place])
    }

    private static func rows(_ curve: Curve, _ visits: [Visit]) -> [Row] {
        let (shares, lower) = (curve.shares, curve.lowerShares)
        return curve.connections.indices.compactMap { index in
            let own = visits.filter { $0.cell.connections == curve.connections[index] }
            guard !own.isEmpty else { return nil }
            return Row(
                connections: curve.connections[index], rate: curve.interval(at: index),
                share: shares[index], lowerShare: lower[index],
                p50: quantile(own.map(\.batchP50).sorted(), 0.5),
                p99: quantile(own.map(\.batchP99).sorted(), 0.5), waits: waits(own),
                visits: own.count, isShort: own.contains(where: \.isShort))
        }
    }

    /// What backends were seen waiting for, the most frequent first.
    package static func waits(_ visits: [Visit]) -> [(name: String, share: Double)] {
        var counts: [String: Int] = [:]
        for visit in visits { counts.merge(visit.waits) { $0 + $1 } }
        let sum = Double(counts.values.reduce(0, +))
        return counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            .map { ($0.key, Double($0.value) / max(sum, 1)) }
    }

    private static func scalability(
        _ curve: Curve
    ) -> (model: Scalability?, sigma: Interval?, kappa: Interval?) {
        func fit(_ rates: [Double]) -> Scalability? {
            Scalability(zip(curve.connections, rates).map { ($0, $1) })
        }
        guard let model = fit(curve.rates) else { return (nil, nil, nil) }
        // As many as an interval needs; the fit is slower than the rest.
        let others = curve.replicates.prefix(200).compactMap { fit($0.map { exp($0) }) }
        return (
            model, Interval(model.sigma, of: others.map(\.sigma)),
            Interval(model.kappa, of: others.map(\.kappa))
        )
    }

    private static func causes(of drift: Drift, _ visits: [Visit]) -> [String] {
        var causes: [String] = []
        if visits.contains(where: \.hadCheckpoint) { causes.append("a checkpoint ran") }
        if visits.contains(where: \.hadVacuum) { causes.append("autovacuum ran") }
        if visits.contains(where: { $0.foreign >= 0.5 }) {
            causes.append("other backends were active")
        }
        let anchors = visits.filter { $0.phase == .anchor }.map(\.rate)
        let isFalling = zip(anchors, anchors.dropFirst()).allSatisfy { $0 > $1 }
        if causes.isEmpty && anchors.count > 2 && isFalling {
            causes.append("it only fell: burst credits of the machine or its disk may be used up")
        }
        let why =
            causes.isEmpty
            ? "nothing that PostgreSQL shows explains it" : causes.joined(separator: ", ")
        return [
            "one and the same cell differed by \(fixed(drift.change * 100, 0)) % between the "
                + "beginning, the middle and the end (\(why))"
        ]
    }
}
