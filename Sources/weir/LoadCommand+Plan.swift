import ArgumentParser
import Weir
import WeirConfig
import WeirCore
import WeirLoad
import WeirPostgres
import WeirRecord

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

// From flags to a plan; what is wrong is said before anything is started.
extension LoadCommand {
    func validate() throws {
        if embedded && db != nil { throw ValidationError("--embedded brings its own --db") }
        if phases != nil && shape != nil {
            throw ValidationError("--phases and --shape exclude each other")
        }
        if rate != nil && clients != nil {
            throw ValidationError(
                "--rate is an open loop and -c a closed one: they exclude each other")
        }
        if requests != nil && clients == nil {
            throw ValidationError("-n goes with -c; an open loop has --rate and -z")
        }
        if from != nil && table == nil { throw ValidationError("--from needs --table: which one?") }
        if yes && table == nil { throw ValidationError("--yes needs --table: which one?") }
        if gateway != nil && !yes {
            throw ValidationError(
                "a gateway that runs exposes no scratch table: name one that it does, with --table "
                    + "and --yes; or leave --gateway out, and one is started")
        }
        for (name, value, range) in [
            ("--threads", threads, 1...64), ("--connections", connections, 1...60_000),
            ("--pool", pool, 1...10_000), ("--hot-keys", hotKeys, 1...1_000_000),
            ("--rows-per-call", rowsPerCall ?? 1, 1...100), ("-n", requests ?? 1, 1...20_000_000),
        ] where !range.contains(value) {
            throw ValidationError(
                "\(name) takes a number from \(range.lowerBound) to \(range.upperBound)")
        }
        for (name, text) in [("-z", duration), ("--every", every), ("--timeout", timeout)]
        where Duration(configured: text) == nil {
            throw ValidationError("\(name) takes a duration such as 500ms, 10s or 2m")
        }
    }

    private func span(_ text: String) -> Nanoseconds {
        Duration(configured: text).map { Nanoseconds($0) } ?? .zero
    }

    func parsedThresholds() throws -> [Threshold] {
        try threshold.map { text in
            do throws(Threshold.Malformed) {
                return try Threshold(text)
            } catch {
                throw ValidationError("--threshold \(text): \(error.reason)")
            }
        }
    }

    func parsedModes() throws -> [Mode] {
        guard let compare else { return [.gateway] }
        let names = compare.split(separator: ",").map { $0.filter { $0 != " " } }
        let modes = try names.map { name in
            guard let mode = Mode(rawValue: name) else {
                throw ValidationError(
                    "--compare \(name): there is "
                        + Mode.allCases.map(\.rawValue).joined(separator: ", "))
            }
            return mode
        }
        guard !modes.isEmpty, Set(modes).count == modes.count else {
            throw ValidationError("--compare takes each mode once, with commas between")
        }
        return modes
    }

    func loadPlan() throws -> LoadPlan {
        let name = shape ?? (phases == nil ? "steady" : "")
        let shape = Phase.Shape(rawValue: name)
        if shape == nil && phases == nil {
            let names = Phase.Shape.allCases.map(\.rawValue)
            throw ValidationError(
                "--shape \(name): there is \(names.joined(separator: ", ")); the nearest is "
                    + (nearestName(to: name, among: names) ?? ""))
        }
        var base = Phase.Base(
            duration: span(duration), rate: rate ?? 500, callers: callers, every: span(every))
        base.isConstant = constant
        base.closedCallers = clients
        var plan = LoadPlan(phases: [])
        if let phases {
            plan.phases = try readPhases(phases, base)
        } else if let shape {
            plan.phases = Phase.phases(of: shape, base)
        }
        let isEdit = plan.phases.contains { $0.shape == .bulkEdit }
        guard
            let operation = LoadPlan.Operation(rawValue: op ?? (isEdit ? "patch" : "insert"))
        else { throw ValidationError("--op takes insert, upsert or patch") }
        if yes && operation != .insert {
            throw ValidationError(
                "edits are made on a scratch copy only: without --yes; of a real table the audit "
                    + "could not tell whose they were")
        }
        if from != nil && operation != .insert {
            throw ValidationError("--from inserts records: without --op, and not with bulk-edit")
        }
        plan.operation = operation
        plan.rowsPerCall = rowsPerCall ?? (isEdit ? 2 : 1)
        plan.hotKeys = hotKeys
        plan.seed = seed
        plan.timeout = span(timeout)
        plan.sendsMessageIDs = messageIDs
        plan.callsMax = requests
        if yes, plan.phases.contains(where: { $0.slowsDatabase || $0.killEvery != nil }) {
            throw ValidationError("slow-db, kill and recover need a scratch table: without --yes")
        }
        if let problem = plan.problems.first { throw ValidationError(problem) }
        return plan
    }

    private func readPhases(_ path: String, _ base: Phase.Base) throws -> [Phase] {
        do {
            let bytes = try SmallFile.read(path, byteCountMax: YAMLReader.byteCountMax)
            return try PhaseFile.read(bytes, path: path, base: base)
        } catch let failure as FileFailure {
            complain("--phases: \(path): \(failure.reason)")
        } catch let error as ConfigurationError {
            for problem in error.problems { complain("\(problem)") }
        }
        throw ExitCode.configuration
    }

    private func readRecords(_ path: String) throws -> RecordFile {
        do throws(FileFailure) {
            return RecordFile(
                try SmallFile.read(path, byteCountMax: RecordFile.byteCountMax), path: path)
        } catch {
            complain("--from: \(path): \(error.reason)")
            throw ExitCode.configuration
        }
    }

    func options(_ plan: LoadPlan, conninfo: String?) throws -> LoadRun.Options {
        let text = conninfo ?? db ?? ""
        let info: Conninfo
        do {
            info = try Conninfo(
                text, statementTimeout: .seconds(120), lockTimeout: .seconds(10))
        } catch {
            complain("--db: \(error.reason)")
            throw ExitCode.configuration
        }
        var options = LoadRun.Options(plan: plan, database: text, conninfo: info)
        options.table = table.map { TableName($0) }
        options.usesRealTable = yes
        options.records = try from.map(readRecords)
        options.ownsDatabase = embedded
        if let gateway {
            guard let address = ListenAddress(gateway) else {
                throw ValidationError("--gateway takes host:port or unix:/path")
            }
            options.gateway = address
        }
        options.executable = Self.executable
        options.gatewayArguments = gatewayArguments.split(separator: " ").map(String.init)
        options.connectionsMax = min(connections, raisedFileLimit() - 64)
        options.threads = threads
        options.poolSize = pool
        options.pooler = pooler
        options.version = weirVersion
        return options
    }

    /// This program's file.
    private static var executable: String {
        #if os(Linux)
            var path = [UInt8](repeating: 0, count: Int(PATH_MAX))
            let count = path.withUnsafeMutableBytes { bytes in
                bytes.assumingMemoryBound(to: CChar.self).baseAddress.map {
                    readlink("/proc/self/exe", $0, bytes.count)
                } ?? 0
            }
            if count > 0 { return String(decoding: path.prefix(count), as: UTF8.self) }
        #endif
        return CommandLine.arguments[0]
    }

    /// Each connection is an open file; the soft limit is often 1,024.
    private func raisedFileLimit() -> Int {
        var limit = rlimit()
        #if canImport(Glibc)
            let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        #else
            let kind = RLIMIT_NOFILE
        #endif
        guard getrlimit(kind, &limit) == 0 else { return 1_024 }
        let wanted = rlim_t(min(Int(limit.rlim_max & 0x7FFF_FFFF), connections + 1_024))
        if limit.rlim_cur < wanted {
            limit.rlim_cur = wanted
            _ = setrlimit(kind, &limit)
            getrlimit(kind, &limit)
        }
        return Int(limit.rlim_cur & 0x7FFF_FFFF)
    }
}
