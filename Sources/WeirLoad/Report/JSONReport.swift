import Histogram
import WeirCore

/// A run as JSON. Times are in milliseconds, spans of the run in seconds.
package enum JSONReport {
    /// Rises with every change that a reader could trip over.
    static let schemaVersion = 1

    package static func text(_ report: RunReport) -> String {
        JSON.object([
            ("schema_version", .int(schemaVersion)), ("weir", .string(report.version)),
            ("started_unix", .int(Int(report.startedUnixSeconds))),
            ("interrupted", .bool(report.isInterrupted)),
            ("plan", plan(report)), ("server", .string(report.serverVersion)),
            ("table", .string(report.table)), ("scratch", .bool(report.isScratch)),
            ("remarks", .array(report.remarks.map { .string($0) })),
            (
                "thresholds",
                .array(
                    report.thresholds.map {
                        .object([
                            ("text", .string($0.text)), ("kept", .bool($0.isKept)),
                            ("values", .array($0.values.map { .string($0) })),
                        ])
                    })
            ),
            ("modes", .array(report.results.map { mode($0, report.plan) })),
        ]).text + "\n"
    }

    private static func plan(_ report: RunReport) -> JSON {
        let plan = report.plan
        return .object([
            ("loop", .string(plan.isClosed ? "closed" : "open")),
            ("operation", .string(plan.operation.rawValue)),
            ("rows_per_call", .int(plan.rowsPerCall)), ("hot_keys", .int(plan.hotKeys)),
            ("seed", .string(String(plan.seed))),
            ("schedule", .string(String(report.scheduleHash, radix: 16))),
            (
                "phases",
                .array(
                    plan.phases.map {
                        .object([
                            ("name", .string($0.name)), ("shape", .string($0.shape.rawValue)),
                            ("seconds", .number($0.duration.seconds)),
                            ("expected", JSON($0.messagesExpected)),
                        ])
                    })
            ),
        ])
    }

    private static func mode(_ result: ModeResult, _ plan: LoadPlan) -> JSON {
        .object([
            ("mode", .string(result.mode.rawValue)),
            ("verdict", .string(result.verdict.isVoid ? "void" : "valid")),
            ("reasons", .array(result.verdict.reasons.map { .string($0) })),
            ("seconds", .number(result.seconds)), ("acknowledged_per_s", .number(result.rate)),
            ("total", tally(result.total)), ("audit", audit(result)),
            ("transactions", JSON(result.transactions)), ("deadlocks", JSON(result.deadlocks)),
            ("refused_connections", .int(result.refusedConnections)),
            ("rows", .int(result.rowsWritten)), ("wal_bytes", JSON(result.walBytes)),
            ("connections_peak", .int(result.connectionsPeak)),
            ("calls_in_flight_peak", .int(result.measured.inFlightMax)),
            ("killed", .int(result.killed)),
            ("postgres_cpu_ms_per_1000_rows", JSON(result.per1000Rows(result.databaseProcessor))),
            ("gateway_cpu_ms_per_1000_rows", JSON(result.per1000Rows(result.middleProcessor))),
            ("generator_cpu_share", JSON(result.measured.processorShare)),
            ("recovery_s", recovery(result.recovery)),
            (
                "phases",
                .array(
                    zip(plan.phases, result.measured.tallies).map {
                        .object([("name", .string($0.name)), ("figures", tally($1))])
                    })
            ),
            ("series", series(result.measured.series)),
        ])
    }

    private static func recovery(_ recovery: ModeResult.Recovery?) -> JSON {
        guard case .after(let span)? = recovery else { return .null }
        return .number(span.seconds)
    }

    private static func audit(_ result: ModeResult) -> JSON {
        guard let audit = result.audit else {
            return .object([("failure", JSON(result.auditFailure))])
        }
        return .object([
            ("honest", .bool(result.breaches.isEmpty)),
            ("acknowledged", .int(audit.acknowledged)), ("missing", .int(audit.missing)),
            ("twice", .int(audit.twice)), ("in_part", .int(audit.torn)),
            ("altered", .int(audit.altered)),
            ("denied_but_present", .int(audit.deniedButPresent)),
            ("unacknowledged_but_present", .int(audit.unacknowledgedButPresent)),
            ("unknown_present", .int(audit.unknownPresent)),
            ("unknown_absent", .int(audit.unknownAbsent)), ("foreign", .int(audit.foreign)),
        ])
    }

    static func tally(_ tally: Tally) -> JSON {
        .object([
            ("calls", .int(tally.calls)), ("acknowledged", .int(tally.acknowledged)),
            ("rejected", .int(tally.rejected)), ("refused", .int(tally.refused)),
            ("unknown", .int(tally.unknown)),
            (
                "errors",
                .object(tally.errors.sorted { $0.key < $1.key }.map { ($0.key, .int($0.value)) })
            ),
            ("response_ms", percentiles(tally.latency.response)),
            ("service_ms", percentiles(tally.latency.service)),
            ("failed_ms", percentiles(tally.latency.failed)),
            ("lag_ms", percentiles(tally.latency.lag)),
            ("fan_out_ms", percentiles(tally.latency.fanOut)),
            (
                "batch_sizes",
                .object(
                    tally.batchSizes.sorted { $0.key < $1.key }.map {
                        (String($0.key), .int($0.value))
                    })
            ),
        ])
    }

    private static func percentiles(_ values: LatencyRecorder.Values) -> JSON {
        var members: [(String, JSON)] = [("count", .int(Int(values.totalCount)))]
        for at in Percentiles.shown where values.totalCount >= at.samplesMin {
            members.append((at.name, JSON(values.span(atPercentile: at.value)?.milliseconds)))
        }
        members.append(("max", JSON(values.highestSpan?.milliseconds)))
        members.append(("mean", JSON(values.meanSpan?.milliseconds)))
        return .object(members)
    }

    private static func series(_ series: TimeSeries) -> JSON {
        .object([
            ("width_s", .number(series.width.seconds)),
            (
                "bins",
                .array(
                    series.used.map { bin in
                        .array([
                            .int(bin.sent), .int(bin.acknowledged), .int(bin.failed),
                            .int(bin.inFlight),
                            JSON(bin.response.map { Double($0.valueAtPercentile(50)) / 1e6 }),
                            JSON(bin.response.map { Double($0.valueAtPercentile(99)) / 1e6 }),
                        ])
                    })
            ),
            (
                "columns",
                .array(
                    ["sent", "acknowledged", "failed", "in_flight", "p50_ms", "p99_ms"]
                        .map { .string($0) })
            ),
        ])
    }
}

/// The percentiles that are told, each from so many samples on: fewer say nothing of it.
enum Percentiles {
    static let shown: [(name: String, value: Double, samplesMin: UInt64)] = [
        ("p50", 50, 1), ("p90", 90, 10), ("p95", 95, 20), ("p99", 99, 100),
        ("p99.9", 99.9, 10_000), ("p99.99", 99.99, 100_000),
    ]
}
