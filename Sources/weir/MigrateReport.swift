import WeirMigrations
import WeirPostgres
import WeirRecord

/// What `weir migrate` says on standard output, for people and as JSON.
struct MigrateReport {
    private let report: Migrator.Report
    private let script: String?
    private let isStatus: Bool

    init(_ report: Migrator.Report, script: String?, isStatus: Bool) {
        self.report = report
        self.script = script
        self.isStatus = isStatus
    }

    var human: String {
        if let script {
            return script.isEmpty
                ? "-- schema weir is up to date: there is nothing to run\n" : script
        }
        var lines: [String] = []
        if isStatus {
            lines.append("database \(report.database), as \(report.role)")
            lines += report.plan.applied.map {
                "  applied  \($0.name)  \($0.appliedAt)  by weir \($0.version)"
            }
            lines += report.plan.pending.map { "  pending  \($0.name)" }
        } else {
            lines += report.done.map { "applied \($0.name)" }
            if report.done.isEmpty { lines.append("schema weir is up to date") }
            lines += report.grants
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Members are added, never renamed.
    var json: String {
        let applied = report.plan.applied.map { row in
            object([
                ("number", String(row.number)), ("name", string(row.name)),
                ("checksum", string(row.checksum)), ("applied_at", string(row.appliedAt)),
                ("weir_version", string(row.version)),
            ])
        }
        var members = [
            ("database", string(report.database)), ("role", string(report.role)),
            ("applied", array(applied)),
            ("pending", array(report.plan.pending.map { string($0.name) })),
            ("done", array(report.done.map { string($0.name) })),
            ("grants", array(report.grants.map(string))),
            ("notices", array(report.plan.notices.map(string))),
        ]
        if let script { members.append(("script", string(script))) }
        return object(members) + "\n"
    }

    private func object(_ members: [(String, String)]) -> String {
        "{" + members.map { string($0.0) + ":" + $0.1 }.joined(separator: ",") + "}"
    }

    private func array(_ elements: [String]) -> String {
        "[" + elements.joined(separator: ",") + "]"
    }

    private func string(_ text: String) -> String {
        var bytes: [UInt8] = []
        appendJSONString(text, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}
