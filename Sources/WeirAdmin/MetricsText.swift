import Weir
import WeirCore
import WeirRecord

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The gateway's figures in Prometheus' text format, version 0.0.4.
struct MetricsText {
    private(set) var text = ""

    init(_ coordinator: Coordinator, version: String) {
        let (metrics, gauges, budget) = coordinator.figures()
        family("weir_build_info", "gauge", "Constant 1, with the version.")
        sample("weir_build_info", [("version", version)], 1)
        append(metrics)
        appendDeadLetters(metrics, coordinator.deadLetterCounts)
        append(gauges, budget: budget)
        appendProcess()
    }

    private mutating func append(_ metrics: Metrics) {
        family("weir_records_total", "counter", "Records by what their callers were told.")
        for effect in RowEffect.allCases where effect.isTold {
            sample(
                "weir_records_total", [("result", effect.name)], metrics.effects[effect.rawValue])
        }
        for code in ProblemCode.allCases {
            if let count = metrics.failures[code] {
                sample("weir_records_total", [("result", code.rawValue)], count)
            }
        }
        family("weir_db_transactions_total", "counter", "Transactions by how they ended.")
        sample("weir_db_transactions_total", [("outcome", "committed")], metrics.transactions)
        sample("weir_db_transactions_total", [("outcome", "failed")], metrics.rolledBack)
        family("weir_db_statements_total", "counter", "Statements that completed.")
        sample("weir_db_statements_total", [], metrics.statements)
        family("weir_batch_rows", "histogram", "Records in a committed batch.")
        var cumulative = 0
        for (bound, count) in zip(Metrics.batchSizeBounds, metrics.batchSizeCounts) {
            cumulative += count
            sample("weir_batch_rows_bucket", [("le", "\(bound)")], cumulative)
        }
        sample("weir_batch_rows_bucket", [("le", "+Inf")], metrics.transactions)
        sample("weir_batch_rows_sum", [], metrics.batchSizeSum)
        sample("weir_batch_rows_count", [], metrics.transactions)
        family("weir_db_retries_total", "counter", "Attempts that were repeated, by reason.")
        for reason in TransientReason.allCases {
            sample(
                "weir_db_retries_total", [("reason", reason.rawValue)], metrics.retries[reason] ?? 0
            )
        }
        family("weir_db_errors_total", "counter", "Errors of the database, by SQLSTATE.")
        for (state, count) in metrics.errors.sorted(by: { $0.key < $1.key }) {
            sample("weir_db_errors_total", [("sqlstate", state)], count)
        }
        family("weir_bisections_total", "counter", "Batches halved to find a bad record.")
        sample("weir_bisections_total", [], metrics.halvings)
        family("weir_partings_total", "counter", "Batches that went on without a locked table.")
        sample("weir_partings_total", [], metrics.partings)
        family(
            "weir_isolated_records_total", "counter",
            "Records tried alone because an error seemed to speak of them.")
        sample("weir_isolated_records_total", [], metrics.suspicions)
        appendOutcomes(metrics)
        appendMessages(metrics)
    }

    private mutating func appendOutcomes(_ metrics: Metrics) {
        family("weir_unresolved_batches_total", "counter", "Batches whose COMMIT was not answered.")
        sample("weir_unresolved_batches_total", [], metrics.unresolved)
        family(
            "weir_resolved_batches_total", "counter", "Those of them about which no more is asked.")
        sample(
            "weir_resolved_batches_total", [("outcome", "committed")], metrics.resolvedCommitted)
        sample("weir_resolved_batches_total", [("outcome", "lost")], metrics.resolvedLost)
        sample(
            "weir_resolved_batches_total", [("outcome", "forgotten")], metrics.resolvedForgotten)
        family("weir_inquiries_total", "counter", "Questions put to the database about them.")
        sample("weir_inquiries_total", [], metrics.inquiries)
    }

    private mutating func appendMessages(_ metrics: Metrics) {
        family(
            "weir_idempotent_replays_total", "counter",
            "Repetitions told their first result, by where it was remembered.")
        let replayed = metrics.effects[RowEffect.replayed.rawValue]
        sample("weir_idempotent_replays_total", [("kind", "memory")], metrics.replays)
        sample("weir_idempotent_replays_total", [("kind", "database")], replayed - metrics.replays)
        family(
            "weir_idempotency_conflicts_total", "counter",
            "Message IDs sent again with another payload.")
        sample(
            "weir_idempotency_conflicts_total", [], metrics.failures[.messageIDReused] ?? 0)
        family(
            "weir_message_lookups_total", "counter",
            "Messages that the database was asked about, by whether it knew them.")
        sample("weir_message_lookups_total", [("found", "true")], metrics.lookUpsFound)
        sample(
            "weir_message_lookups_total", [("found", "false")],
            metrics.lookUps - metrics.lookUpsFound)
    }

    private mutating func appendDeadLetters(
        _ metrics: Metrics, _ counts: [(table: String, count: Int64)]
    ) {
        family(
            "weir_dead_letters", "gauge",
            "Dead letters in the database, from all gateways, as counted a few seconds ago.")
        for (table, count) in counts {
            sample("weir_dead_letters", [("table", table)], Int(count))
        }
        family(
            "weir_dead_letters_redriven_total", "counter",
            "Dead letters sent again, by what became of them.")
        for outcome in RedriveLine.Result.allCases where outcome != .passes {
            sample(
                "weir_dead_letters_redriven_total", [("outcome", outcome.rawValue)],
                metrics.redrives[outcome] ?? 0)
        }
        family("weir_dead_letters_added_total", "counter", "Dead letters written.")
        for (kind, count) in metrics.deadLetters.sorted(by: { $0.key < $1.key }) {
            sample(
                "weir_dead_letters_added_total",
                [("table", kind.table), ("sqlstate", kind.sqlstate)], count)
        }
    }

    private mutating func append(_ gauges: Machine.Gauges, budget: Int) {
        family("weir_db_connections", "gauge", "Open connections, by what they do.")
        sample("weir_db_connections", [("state", "active")], gauges.batchesInFlight)
        sample(
            "weir_db_connections", [("state", "idle")], gauges.connections - gauges.batchesInFlight)
        family("weir_db_connections_limit", "gauge", "The connection budget.")
        sample("weir_db_connections_limit", [], budget)
        family("weir_queue_rows", "gauge", "Records held, from admission to answer.")
        sample("weir_queue_rows", [], gauges.recordsHeld)
        family("weir_queue_rows_limit", "gauge", "Records that may be held.")
        sample("weir_queue_rows_limit", [], gauges.recordsMax)
        family("weir_queue_bytes", "gauge", "Bytes that the records held take.")
        sample("weir_queue_bytes", [], gauges.bytesHeld)
        family("weir_queue_bytes_limit", "gauge", "Bytes that may be held.")
        sample("weir_queue_bytes_limit", [], gauges.bytesMax)
        family("weir_batches_resting", "gauge", "Batches that wait for their next attempt.")
        sample("weir_batches_resting", [], gauges.batchesResting)
        family("weir_database_up", "gauge", "1 while there is a connection.")
        sample("weir_database_up", [], gauges.connections > 0 ? 1 : 0)
        family("weir_draining", "gauge", "1 while shutting down.")
        sample("weir_draining", [], gauges.isDraining ? 1 : 0)
    }

    private mutating func appendProcess() {
        var usage = rusage()
        // RUSAGE_SELF is 0 wherever there is a getrusage; its type differs.
        getrusage(.init(0), &usage)
        let seconds =
            Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
        family("process_cpu_seconds_total", "counter", "User and system CPU time.")
        text += "process_cpu_seconds_total \(seconds)\n"
        guard let resident = Self.residentBytes() else { return }
        family("process_resident_memory_bytes", "gauge", "Resident memory.")
        sample("process_resident_memory_bytes", [], resident)
    }

    /// From /proc, where there is one.
    private static func residentBytes() -> Int? {
        guard let file = fopen("/proc/self/statm", "r") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        guard fgets(&line, Int32(line.count), file) != nil else { return nil }
        let bytes = line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else { return nil }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    private mutating func family(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    private mutating func sample(_ name: String, _ labels: [(String, String)], _ value: Int) {
        let list = labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
        text += list.isEmpty ? "\(name) \(value)\n" : "\(name){\(list)} \(value)\n"
    }

    /// Most label values come from closed sets of names; a table's may hold anything.
    private static func escaped(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            .replacing("\n", with: "\\n")
    }
}
