import WeirMigrations
import WeirPostgres

/// Are the gateway's own tables there, as this program needs them, and do they outlive a crash?
struct SchemaCheck: Check {
    let codes = ["weir-schema-altered", "weir-schema-missing", "weir-schema-unlogged"]

    func sql(_ subject: Subject) -> String? {
        subject.isReplaying ? WeirSchema.unloggedSQL : nil
    }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        guard subject.isReplaying else { return [] }
        return missing(subject) + rows.map { unlogged($0.text(0)) }
    }

    private func missing(_ subject: Subject) -> [Finding] {
        var names = subject.lacking
        if let applied = subject.applied {
            do throws(MigrationPlan.Fault) {
                let plan = try MigrationPlan(known: Migrations.all, applied: applied)
                // An object that is there says nothing of what later migrations changed in it.
                if names.isEmpty { names = plan.pending.map(\.name) }
            } catch {
                return [altered(error)]
            }
        }
        guard !names.isEmpty else { return [] }
        return [
            Finding(
                "weir-schema-missing", .error, .init(.schema, "weir"),
                what: "Schema weir lacks \(names.joined(separator: ", ")).",
                why: "Message IDs, attempts and dead letters are kept there. Without it weir serve "
                    + "does not start, unless replay.window is off.",
                fix: "weir migrate --grant-to \(subject.role)")
        ]
    }

    private func altered(_ fault: MigrationPlan.Fault) -> Finding {
        Finding(
            "weir-schema-altered", .error, .init(.table, "weir.migration"),
            what: "What was applied is not what this program knows: \(fault)",
            why: "Nobody can say what the tables are like, so weir serve does not start, unless "
                + "replay.window is off.",
            fix: "Use the program that applied it: SELECT name, weir_version FROM weir.migration;")
    }

    private func unlogged(_ name: String) -> Finding {
        Finding(
            "weir-schema-unlogged", .error, .init(.table, name), what: "\(name) is UNLOGGED.",
            why: "A crash of the server empties it: a record that was committed and is sent again "
                + "would be written again.", fix: "ALTER TABLE \(name) SET LOGGED;")
    }
}
