import Weir
import WeirCore
package import WeirPostgres

/// Sends a job's calls straight to a database or a pooler, as applications without a gateway do.
package struct DatabaseDriver: Sendable {
    /// Whose connections they are.
    package enum Manner: Sendable {
        /// Each call opens one and closes it.
        case perCall
        /// So many are open; a call waits for one that is free.
        case pool(Int)
    }

    private let conninfo: Conninfo
    private let manner: Manner

    package init(_ conninfo: Conninfo, _ manner: Manner) {
        self.conninfo = conninfo.connecting(.plain)
        self.manner = manner
    }

    /// Returns when every call was answered or given up.
    package func run(_ job: Job) async throws -> Measured {
        let before = ProcessTimes.own
        let records = try await withThrowingTaskGroup(of: LoopRecord.self) { group in
            let loops = (0..<job.loops).map { number in
                Loop(job, number: number, conninfo: conninfo, manner: share(number, job.loops))
            }
            for loop in loops { try await loop.connect() }
            job.begin(at: SystemTime().now + .milliseconds(5))
            for loop in loops { group.addTask { await loop.run() } }
            return try await group.reduce(into: [LoopRecord]()) { $0.append($1) }
        }
        let used = Nanoseconds(ProcessTimes.own.count - before.count)
        return Measured(job, records, processor: used)
    }

    private func share(_ number: Int, _ loops: Int) -> Manner {
        guard case .pool(let count) = manner else { return .perCall }
        return .pool(max(1, count / loops + (number < count % loops ? 1 : 0)))
    }

    /// One thread of calls, which polls its sockets.
    private actor Loop {
        private let executor: BlockingExecutor
        private let calls: CallLoop

        nonisolated var unownedExecutor: UnownedSerialExecutor {
            executor.asUnownedSerialExecutor()
        }

        init(_ job: Job, number: Int, conninfo: Conninfo, manner: Manner) {
            executor = BlockingExecutor(label: "weir.load.calls.\(number)")
            calls = CallLoop(job, number: number, conninfo: conninfo, manner: manner)
        }

        func connect() throws { try calls.connect() }
        func run() -> LoopRecord { calls.run() }
    }
}
