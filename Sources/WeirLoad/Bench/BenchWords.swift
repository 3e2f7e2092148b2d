import WeirCore

/// What a benchmark has to say, in sentences that the terminal and the page share.
struct BenchWords {
    let report: BenchReport

    var headline: String {
        let table = report.table.isEmpty ? "a table of its own" : "a copy of \(report.table)"
        return "inserts into \(table) (\(report.recordBytes) bytes a row) · PostgreSQL "
            + "\(report.facts.version) · \(fixed(report.seconds, 0)) s · "
            + "\(report.walBytes >> 20) MiB of WAL · seed \(report.plan.seed)"
    }

    /// What to do, on one line.
    var verdict: String {
        guard let findings = report.findings else { return "nothing was measured" }
        guard let told = findings.recommendation else {
            switch findings.verdict {
            case .found: return "nothing is recommended"
            case .unstable: return "UNSTABLE: nothing is recommended"
            case .undecided: return "UNDECIDED: nothing is recommended"
            case .partial: return "PARTIAL: ended before it was done; nothing is recommended"
            }
        }
        let numbers = range(told.interval, around: told.connections)
        let rows = range(told.rowsInterval, around: told.rows)
        return "\(grouped(told.connections)) connections\(numbers), batches of at most "
            + "\(grouped(told.rows)) rows\(rows)"
    }

    private func range(_ interval: ClosedRange<Int>, around value: Int) -> String {
        interval.lowerBound == interval.upperBound
            ? "" : " (\(grouped(interval.lowerBound)) to \(grouped(interval.upperBound)))"
    }

    /// Title and text, each a line or a few.
    var remarks: [(title: String, text: String)] {
        guard let findings = report.findings, let sweep = report.sweep else { return [] }
        var list: [(String, String)] = []
        if !findings.reasons.isEmpty {
            let title = findings.recommendation == nil ? "because" : "note"
            list.append((title, findings.reasons.joined(separator: "; besides, ")))
        }
        if let told = findings.recommendation {
            let shares = told.distribution.map { "\($0.connections): \(percent($0.share))" }
            var text =
                "least number that reaches 95 % of the best: \(shares.joined(separator: ", "))"
            text += "; none above \(told.ceiling) reaches more than 1 % more"
            list.append(("knee", text))
            if told.isAtEnd {
                list.append(
                    (
                        "end",
                        "throughput still rises at \(told.connections) connections, the most that "
                            + "were tried: a limit, not a knee (\(report.facts.budget))"
                    ))
            }
            list += wrong(told, findings, sweep)
            list += sizes(told, sweep)
        }
        if let cost = sweep.cost {
            var text = "\(model(cost)) alone"
            if let held = sweep.held, let hold = sweep.visits.last(where: { $0.phase == .hold }) {
                text += "; \(model(held)) at \(hold.cell.connections) connections"
                let rows = held.rows(whereFixedIs: 0.1)
                if rows.isFinite { text += ": a tenth of it fixed at \(grouped(Int(rows))) rows" }
            }
            list.append(("a batch", text))
        }
        list.append(("checks", checks(findings)))
        if let scalability = scalability(findings) { list.append(("why", scalability)) }
        if let limit = harnessLimit(findings) { list.append(("harness", limit)) }
        list.append(("server", server))
        list.append(("not in it", report.notCovered.joined(separator: "; ")))
        return list
    }

    private func model(_ model: CostModel) -> String {
        "\(span(model.fixed)) and \(span(model.perRow)) a row"
    }

    func span(_ seconds: Double) -> String { Nanoseconds(Int64(seconds * 1e9)).text }

    func percent(_ share: Double) -> String { "\(fixed(share * 100, 0)) %" }

    private func signed(_ share: Double) -> String {
        (share < 0 ? "" : "+") + fixed(share * 100, 0) + " %"
    }

    // MARK: Costs of being wrong

    private func wrong(
        _ told: Findings.Recommendation, _ findings: Findings, _ sweep: Sweep
    ) -> [(String, String)] {
        guard let own = findings.rows.first(where: { $0.connections == told.connections }) else {
            return []
        }
        func compare(_ other: Findings.Row) -> String {
            "\(other.connections) connections: \(signed(other.rate.value / own.rate.value - 1)) "
                + "rows/s, \(signed(other.p50 / own.p50 - 1)) batch time"
        }
        let more = findings.rows.first { $0.connections >= told.connections * 2 }
        let fewer = findings.rows.last { $0.connections * 2 <= told.connections }
        let words = [fewer, more].compactMap { $0.map(compare) }
        return words.isEmpty ? [] : [("if wrong", words.joined(separator: "; "))]
    }

    /// Whether the two numbers can be told apart.
    private func sizes(
        _ told: Findings.Recommendation, _ sweep: Sweep
    ) -> [(String, String)] {
        func rate(_ cell: Cell) -> Double? {
            let rates = sweep.visits.filter { $0.phase == .sizes && $0.cell == cell }.map(\.rate)
            return rates.isEmpty ? nil : rates.reduce(0, +) / Double(rates.count)
        }
        let base = Cell(connections: told.connections, rows: sweep.rows)
        guard let own = rate(base) else { return [] }
        let cells = Set(sweep.visits.filter { $0.phase == .sizes }.map(\.cell)).sorted {
            ($0.connections, $0.rows) < ($1.connections, $1.rows)
        }
        let words = cells.filter { $0 != base }.compactMap { cell in
            rate(cell).map {
                "\(cell.connections) × \(grouped(cell.rows)): \(signed($0 / own - 1))"
            }
        }
        guard !words.isEmpty else { return [] }
        var text =
            "rows/s against \(base.connections) × \(grouped(base.rows)) rows: "
            + words.joined(separator: ", ")
        // Larger batches may want another number of connections.
        if let many = cells.last(where: { $0.connections == told.connections }),
            many.rows > base.rows, let whole = rate(many)
        {
            func other(_ connections: Int) -> Double? {
                rate(Cell(connections: connections, rows: many.rows)).map { $0 / whole }
            }
            let half = max(1, told.connections / 2)
            if half < told.connections, let share = other(half), share >= Decision.share {
                text += ". With \(grouped(many.rows)) rows \(half) connections are enough"
            } else if let share = other(told.connections * 2), share >= 1.1 {
                text +=
                    ". With \(grouped(many.rows)) rows twice the connections give "
                    + "\(signed(share - 1))"
            }
        }
        return [("sizes", text)]
    }

    // MARK: Whether to believe it

    private func checks(_ findings: Findings) -> String {
        func mark(_ isGood: Bool) -> String { isGood ? "ok" : "NOT OK" }
        var words = ["drift \(percent(findings.drift.change)) \(mark(!findings.drift.isUnstable))"]
        if let busy = findings.busyShare {
            words.append(
                "X·R/L \(fixed(busy, 2)) "
                    + mark(abs(busy - 1) <= Findings.busyTolerance))
        }
        words.append("visits to one cell differ by \(fixed(findings.noise * 100, 1)) %")
        let visits = report.sweep?.visits ?? []
        words.append("every acknowledged row found")
        let short = visits.count(where: \.isShort)
        if short > 0 { words.append("\(short) visits with few batches") }
        let checkpoints = visits.count(where: \.hadCheckpoint)
        if checkpoints > 0 { words.append("\(checkpoints) visits beside a checkpoint") }
        if report.repeated > 0 { words.append("\(report.repeated) attempts repeated") }
        return words.joined(separator: " · ")
    }

    private func scalability(_ findings: Findings) -> String? {
        guard let sigma = findings.sigma, let kappa = findings.kappa else { return nil }
        var text =
            "contention σ \(fixed(sigma.value, 3)) (\(fixed(sigma.low, 3)) to "
            + "\(fixed(sigma.high, 3))), "
        text +=
            kappa.low <= 1e-9
            ? "coherency κ not distinguishable from 0: a plateau, no fall was seen"
            : "coherency κ \(fixed(kappa.value, 5)) (\(fixed(kappa.low, 5)) to "
                + "\(fixed(kappa.high, 5))): more connections take from each other"
        return text + " (a diagnosis; nothing is recommended from it)"
    }

    /// Backends that wait for the harness at the number found, or at the most.
    private func harnessLimit(_ findings: Findings) -> String? {
        let row =
            findings.rows.first { $0.connections == findings.recommendation?.connections }
            ?? findings.rows.last
        guard let row, let client = row.waits.first(where: { $0.name == "client" })?.share,
            client > 0.5
        else { return nil }
        return
            "at \(row.connections) connections backends were idle \(percent(client)) of the "
            + "time, while the harness or the network was at work: what bends the curve may be "
            + "this machine. Run it where the gateway will run"
    }

    private var server: String {
        let facts = report.facts
        var words = ["round trip \(span(facts.roundTrip))"]
        if let cost = facts.syncCost { words.append("a COMMIT waits \(span(cost)) for the disk") }
        let shown = ["fsync", "full_page_writes", "max_wal_size", "shared_buffers"]
        words += facts.settings.filter { shown.contains($0.name) }
            .map { "\($0.name) \($0.value)" }
        return words.joined(separator: " · ")
    }

    /// What goes into the configuration; `nil` where nothing is recommended.
    var snippet: String? {
        guard let told = report.findings?.recommendation else { return nil }
        return """
            database:
              connections: \(told.connections)
            batch:
              max_records: \(told.rows)

            """
    }

    /// A number of connections, and what it gave.
    func row(_ row: Findings.Row) -> [String] {
        let waits = row.waits.filter { $0.share >= 0.1 }.prefix(2)
            .map { "\($0.name) \(percent($0.share))" }
        return [
            short(row.rate.value), "\(short(row.rate.low))–\(short(row.rate.high))",
            percent(row.share), "≥ " + percent(row.lowerShare),
            "\(span(row.p50)) / \(span(row.p99))" + (row.isShort ? " *" : ""),
            waits.joined(separator: ", "),
        ]
    }

    static let columns = ["rows/s", "95 %", "of best", "surely", "batch p50 / p99", "waits for"]

    /// Three digits.
    private func short(_ rate: Double) -> String {
        let (size, unit) = rate >= 1e6 ? (1e6, "M") : rate >= 1e4 ? (1e3, "k") : (1, "")
        let scaled = rate / size
        return fixed(scaled, size == 1 || scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2) + unit
    }
}
