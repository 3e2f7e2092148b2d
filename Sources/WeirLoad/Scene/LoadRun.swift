import Synchronization
package import Weir
import WeirCore
package import WeirPostgres
package import WeirRecord

/// Carries a plan out, mode by mode: prepares the table, sends, reads back, cleans up.
package struct LoadRun: Sendable {
    package struct Options: Sendable {
        package var plan: LoadPlan
        package var modes: [Mode] = [.gateway]
        /// As the command line has it, for the processes that are started.
        package var database: String
        /// How the harness itself connects.
        package var conninfo: Conninfo
        /// What the scratch table is to be like, or the real table.
        package var table: TableName?
        package var usesRealTable = false
        /// What is inserted; `nil` makes records up.
        package var records: RecordFile?
        /// One that runs; `nil` starts one for the run.
        package var gateway: ListenAddress?
        /// This program, to start a gateway with.
        package var executable = ""
        package var gatewayArguments: [String] = []
        /// Made for the run: the gateway may keep tables of its own in it.
        package var ownsDatabase = false
        package var connectionsMax = 4_096
        package var threads = 1
        package var poolSize = 20
        /// Leads through a pooler that runs; `nil` starts PgBouncer.
        package var pooler: String?
        package var version = ""

        package init(plan: LoadPlan, database: String, conninfo: Conninfo) {
            self.plan = plan
            self.database = database
            self.conninfo = conninfo
        }
    }

    package struct Failure: Error {
        package enum Kind: Sendable {
            case unreachable
            case configuration
            /// Others are at work: another time.
            case busy
            case failure
        }
        package let kind: Kind
        package let reason: String

        package init(_ kind: Kind, _ reason: String) {
            self.kind = kind
            self.reason = reason
        }
    }

    package let options: Options
    let control: Control

    package init(_ options: Options, control: Control) {
        self.options = options
        self.control = control
    }

    /// What the one who runs it can do meanwhile: ask for the end, and look.
    package final class Control: Sendable {
        private struct State {
            var isInterrupted = false
            var current: (mode: Mode, job: Job)?
        }
        private let state = Mutex(State())

        package init() {}

        package func interrupt() {
            state.withLock {
                $0.isInterrupted = true
                $0.current?.job.interrupt()
            }
        }

        package var isInterrupted: Bool { state.withLock { $0.isInterrupted } }

        /// What is being measured now.
        package var current: (mode: Mode, job: Job)? { state.withLock { $0.current } }

        func begin(_ mode: Mode, _ job: Job) {
            state.withLock {
                $0.current = (mode, job)
                if $0.isInterrupted { job.interrupt() }
            }
        }

        func end() { state.withLock { $0.current = nil } }
    }

    /// - Throws: `Failure`. Nothing of the run is left in the database then either.
    package func run() async throws -> RunReport {
        let desk = try await desk()
        let hand = try await self.desk()
        let version = try await ask(desk, "SHOW server_version")
        var report = RunReport(
            plan: options.plan, scheduleHash: Schedule(options.plan).hash, table: "",
            isScratch: !options.usesRealTable, serverVersion: version, version: options.version,
            startedUnixSeconds: SystemTime().unixNanoseconds / 1_000_000_000)
        for mode in options.modes where !control.isInterrupted {
            let (result, table, remarks) = try await measure(mode, desk, hand)
            report.table = table
            report.remarks += remarks.filter { !report.remarks.contains($0) }
            report.results.append(result)
        }
        report.isInterrupted = control.isInterrupted
        return report
    }

    private func desk() async throws -> Desk {
        do {
            return try await Desk(options.conninfo)
        } catch {
            let reason = (error as? ConnectFailure)?.reason ?? "\(error)"
            throw Failure(.unreachable, "the database cannot be reached: \(reason)")
        }
    }

    func ask(_ desk: Desk, _ sql: String) async throws -> String {
        do {
            return try await desk.query(sql).first?.first?.flatMap { $0 } ?? ""
        } catch {
            throw Self.failure(error)
        }
    }

    /// What PostgreSQL said, on one line, with the kind that its exit code follows from.
    ///
    /// - Parameter mayUseReal: whether there is a way without a scratch table.
    static func failure(_ error: any Error, mayUseReal: Bool = true) -> Failure {
        if let failure = error as? Failure { return failure }
        if let failure = error as? Inspection.Failure {
            if failure.sqlstate.isEmpty { return Failure(.unreachable, failure.reason) }
            let isPrivilege = failure.sqlstate == "42501"
            let advice =
                isPrivilege
                ? "; the harness needs CREATE on the schema for its scratch table, and SELECT on "
                    + "the table that it copies"
                    + (mayUseReal ? "; or --yes to write to the real one" : "") : ""
            return Failure(
                isPrivilege ? .configuration : .failure,
                "\(failure.sqlstate) \(failure.reason)\(advice)")
        }
        if let failure = error as? ConnectFailure { return Failure(.unreachable, failure.reason) }
        if let failure = error as? GatewayDriver.Unreachable {
            return Failure(.unreachable, "no gateway answers: \(failure.reason)")
        }
        if let failure = error as? GatewayProcess.Failure {
            return Failure(.failure, failure.reason)
        }
        if let unfit = error as? Target.Unfit { return Failure(.configuration, unfit.reason) }
        return Failure(.failure, "\(error)")
    }
}
