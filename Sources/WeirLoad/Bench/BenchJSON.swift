/// A benchmark as JSON. Times are in milliseconds, spans of the run in seconds.
package enum BenchJSON {
    /// Rises with every change that a reader could trip over.
    static let schemaVersion = 1

    package static func text(_ report: BenchReport) -> String {
        let findings = report.findings
        return JSON.object([
            ("schema_version", .int(schemaVersion)), ("weir", .string(report.version)),
            ("started_unix", .int(Int(report.startedUnixSeconds))),
            ("verdict", .string(findings?.verdict.rawValue ?? "partial")),
            ("interrupted", .bool(report.isInterrupted)),
            ("decided", .bool(report.sweep?.isDecided ?? false)),
            ("failure", JSON(report.failure?.reason)),
            ("reasons", .array((findings?.reasons ?? []).map { .string($0) })),
            ("recommendation", recommendation(report)),
            ("seconds", .number(report.seconds)), ("wal_bytes", .int(report.walBytes)),
            ("seed", .string(String(report.plan.seed))), ("table", .string(report.table)),
            ("record_bytes", .int(report.recordBytes)),
            ("batch_rows", JSON(report.sweep?.rows)),
            ("connections", .array((findings?.rows ?? []).map(row))),
            ("cost_alone", model(report.sweep?.cost)), ("cost_held", model(report.sweep?.held)),
            ("checks", checks(report)), ("server", server(report.facts)),
            ("not_covered", .array(report.notCovered.map { .string($0) })),
            ("visits", .array((report.sweep?.visits ?? []).map(visit))),
        ]).text + "\n"
    }

    private static func recommendation(_ report: BenchReport) -> JSON {
        guard let told = report.findings?.recommendation else { return .null }
        return .object([
            ("connections", .int(told.connections)),
            ("connections_low", .int(told.interval.lowerBound)),
            ("connections_high", .int(told.interval.upperBound)),
            ("confidence", .number(told.confidence)),
            (
                "distribution",
                .object(told.distribution.map { ("\($0.connections)", .number($0.share)) })
            ),
            ("ceiling", .int(told.ceiling)), ("at_end", .bool(told.isAtEnd)),
            ("rows", .int(told.rows)), ("rows_low", .int(told.rowsInterval.lowerBound)),
            ("rows_high", .int(told.rowsInterval.upperBound)),
            ("rows_per_s", .number(told.rate)), ("fixed_ms", .number(told.model.fixed * 1e3)),
            ("per_row_us", .number(told.model.perRow * 1e6)),
        ])
    }

    private static func row(_ row: Findings.Row) -> JSON {
        .object([
            ("connections", .int(row.connections)), ("rows_per_s", interval(row.rate)),
            ("share", .number(row.share)), ("share_lower", .number(row.lowerShare)),
            ("batch_p50_ms", .number(row.p50 * 1e3)), ("batch_p99_ms", .number(row.p99 * 1e3)),
            ("visits", .int(row.visits)), ("few_batches", .bool(row.isShort)),
            ("waits", .object(row.waits.map { ($0.name, .number($0.share)) })),
        ])
    }

    static func interval(_ interval: Interval?) -> JSON {
        guard let interval else { return .null }
        return .object([
            ("value", .number(interval.value)), ("low", .number(interval.low)),
            ("high", .number(interval.high)),
        ])
    }

    private static func model(_ model: CostModel?) -> JSON {
        guard let model else { return .null }
        return .object([
            ("fixed_ms", .number(model.fixed * 1e3)), ("per_row_us", .number(model.perRow * 1e6)),
        ])
    }

    private static func checks(_ report: BenchReport) -> JSON {
        guard let findings = report.findings else { return .null }
        return .object([
            ("drift", .number(findings.drift.change)),
            ("drift_ok", .bool(!findings.drift.isUnstable)), ("little", JSON(findings.busyShare)),
            ("noise_between_visits", .number(findings.noise)),
            ("usl_sigma", interval(findings.sigma)), ("usl_kappa", interval(findings.kappa)),
            ("attempts_repeated", .int(report.repeated)),
        ])
    }

    private static func server(_ facts: ServerFacts) -> JSON {
        .object([
            ("version", .string(facts.version)),
            ("settings", .object(facts.settings.map { ($0.name, .string($0.value)) })),
            ("round_trip_ms", .number(facts.roundTrip * 1e3)),
            ("sync_ms", JSON(facts.syncCost.map { $0 * 1e3 })),
            ("connection_budget", .string(facts.budget)),
            ("foreign_backends", .number(facts.foreign)),
        ])
    }

    private static func visit(_ visit: Visit) -> JSON {
        .object([
            ("phase", .string(visit.phase.rawValue)), ("block", JSON(visit.block)),
            ("at_s", .number(visit.at)), ("seconds", .number(visit.seconds)),
            ("connections", .int(visit.cell.connections)), ("rows", .int(visit.cell.rows)),
            ("rows_per_s", .number(visit.rate)), ("commits", .int(visit.commits)),
            ("batch_mean_ms", .number(visit.batchMean * 1e3)),
            ("batch_p50_ms", .number(visit.batchP50 * 1e3)),
            ("batch_p99_ms", .number(visit.batchP99 * 1e3)),
            ("little", .number(visit.busyShare)), ("wal_bytes", JSON(visit.walBytes)),
            ("checkpoint", .bool(visit.hadCheckpoint)),
            ("foreign_backends", .number(visit.foreign)),
            (
                "waits",
                .object(
                    visit.waits.sorted { $0.key < $1.key }.map { ($0.key, .int($0.value)) })
            ),
        ])
    }
}
