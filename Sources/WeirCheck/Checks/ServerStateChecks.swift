import WeirPostgres

/// Can the server be written at all?
struct RecoveryCheck: Check {
    let codes = ["in-recovery"]

    func sql(_ subject: Subject) -> String? { "SELECT pg_is_in_recovery()" }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        guard rows.first?.isTrue(0) == true else { return [] }
        return [
            Finding(
                "in-recovery", .error, .init(.server, "PostgreSQL \(subject.version)"),
                what: "The server is a standby: it replays another one's log.",
                why: "Every write fails, and is repeated until its deadline.",
                fix: "Name the primary in --db, or let libpq find it: "
                    + "target_session_attrs=read-write")
        ]
    }
}

/// Does COMMIT survive a crash of the server?
struct DurabilityCheck: Check {
    let codes = ["fsync-off", "full-page-writes-off"]

    func sql(_ subject: Subject) -> String? {
        "SELECT current_setting('fsync'), current_setting('full_page_writes')"
    }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        guard let row = rows.first else { return [] }
        var findings: [Finding] = []
        if row.text(0) == "off" {
            findings.append(
                finding(
                    "fsync-off", "fsync",
                    why: "Callers are told that their records are committed. After a crash of the "
                        + "machine the whole cluster may be unreadable."))
        }
        if row.text(1) == "off" {
            findings.append(
                finding(
                    "full-page-writes-off", "full_page_writes",
                    why: "A page that was half written when the machine crashed stays half "
                        + "written: committed records are lost or mangled without a word."))
        }
        return findings
    }

    private func finding(_ code: String, _ setting: String, why: String) -> Finding {
        Finding(
            code, .error, .init(.setting, setting), what: "\(setting) is off.", why: why,
            fix: "ALTER SYSTEM SET \(setting) = on;\nSELECT pg_reload_conf();")
    }
}

/// Do the gateway's own settings hold on its connections? A pooler may have taken them away.
struct SettingsCheck: Check {
    let codes = ["setting-not-applied", "synchronous-commit-off"]

    func sql(_ subject: Subject) -> String? {
        guard subject.manner == .gateway else { return nil }
        let names = subject.settingsWanted.keys.sorted().map { "'\($0)'" }.joined(separator: ", ")
        return "SELECT name, setting FROM pg_settings WHERE name IN (\(names)) ORDER BY name"
    }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        rows.compactMap { row in
            let (name, value) = (row.text(0), row.text(1))
            guard let wanted = subject.settingsWanted[name], !isSame(name, wanted, value) else {
                return nil
            }
            let fix = "ALTER ROLE \(subject.roleName) SET \(name) = '\(wanted)';"
            if name == "synchronous_commit" {
                return Finding(
                    "synchronous-commit-off", .error, .init(.setting, name),
                    what: "synchronous_commit is \(value) on the gateway's connections, although "
                        + "it asks for on.",
                    why: "COMMIT is answered before it is on disk: a crash of the server loses "
                        + "records that callers were told are committed.", fix: fix)
            }
            return Finding(
                "setting-not-applied", .error, .init(.setting, name),
                what: "\(name) is \(value) on the gateway's connections; it asked for \(wanted).",
                why: "What stands between took the setting away. A timeout that differs cuts "
                    + "batches or lets them hang; another format changes what values mean.",
                fix: fix)
        }
    }

    /// `DateStyle` says the order of day and month too, which ISO output does not use.
    private func isSame(_ name: String, _ wanted: String, _ value: String) -> Bool {
        if name == "DateStyle" { return value.hasPrefix(wanted) }
        return value == wanted
    }
}

/// Which of the role's or the database's own settings does the gateway replace?
struct DefaultsCheck: Check {
    let codes = ["default-overridden", "default-read-only"]
    let manner = Conninfo.Manner.plain

    func sql(_ subject: Subject) -> String? {
        """
        SELECT name, setting FROM pg_settings
        WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout',
                       'synchronous_commit', 'default_transaction_read_only')
        ORDER BY name
        """
    }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        rows.compactMap { row in
            let (name, value) = (row.text(0), row.text(1))
            if name == "default_transaction_read_only" {
                return value == "on" ? readOnly(subject) : nil
            }
            guard let wanted = subject.settingsWanted[name] else { return nil }
            if name == "synchronous_commit" {
                guard ["off", "local", "remote_write"].contains(value) else { return nil }
            } else {
                // Longer ones, and none at all, would have cut nothing.
                guard let own = Int(value), own > 0, own < subject.millisecondsWanted(name) else {
                    return nil
                }
            }
            let unit = name.hasSuffix("timeout") ? " ms" : ""
            return Finding(
                "default-overridden", .note, .init(.setting, name),
                what: "\(name) is \(value)\(unit) for this role and database; the gateway sets "
                    + "\(wanted)\(unit) on its own connections.",
                why: name == "synchronous_commit"
                    ? "A committed answer is a promise, so the gateway waits for the disk. Other "
                        + "writers of this database do not."
                    : "A batch does the work of many statements, and a limit meant for one would "
                        + "cut it. Whoever set the limit should know that it does not hold here.",
                fix: "ALTER ROLE \(subject.roleName) SET \(name) = '\(wanted)';")
        }
    }

    private func readOnly(_ subject: Subject) -> Finding {
        Finding(
            "default-read-only", .warning, .init(.setting, "default_transaction_read_only"),
            what: "default_transaction_read_only is on for this role and database.",
            why: "Somebody wants no writes here. The gateway asks for READ WRITE in each "
                + "transaction, so it writes all the same.",
            fix: "ALTER ROLE \(subject.roleName) SET default_transaction_read_only = off;")
    }
}

/// Which limits in time does the gateway not set, and would they cut its batches or connections?
struct TimeoutCheck: Check {
    let codes = ["idle-session-timeout", "transaction-timeout"]

    func sql(_ subject: Subject) -> String? {
        """
        SELECT name, setting FROM pg_settings
        WHERE name IN ('transaction_timeout', 'idle_session_timeout') ORDER BY name
        """
    }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        rows.compactMap { row in
            guard let value = row.integer(1), value > 0 else { return nil }
            let fix = "ALTER ROLE \(subject.roleName) SET \(row.text(0)) = 0;"
            switch row.text(0) {
            case "transaction_timeout":
                // The gateway gives a whole batch twice the limit of one statement.
                let needed = subject.millisecondsWanted("statement_timeout") * 2
                guard value < needed else { return nil }
                return Finding(
                    "transaction-timeout", .error, .init(.setting, "transaction_timeout"),
                    what: "transaction_timeout is \(value) ms; a batch may take \(needed) ms.",
                    why: "The server ends the session in the middle of a batch. Where COMMIT was "
                        + "on its way, every caller of the batch is told that the outcome is "
                        + "unknown.", fix: fix)
            default:
                return Finding(
                    "idle-session-timeout", .warning, .init(.setting, "idle_session_timeout"),
                    what: "idle_session_timeout is \(value) ms.",
                    why: "The server closes the gateway's connections when there is nothing to "
                        + "write; the next record waits for a new one.", fix: fix)
            }
        }
    }
}
