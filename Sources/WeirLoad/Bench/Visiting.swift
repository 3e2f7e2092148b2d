import Weir
import WeirCore
import WeirPostgres

/// One visit to a cell of a real database.
struct Visiting: Sendable {
    let step: Sweep.Step
    let variedRows: ClosedRange<Int>?
    let writers: [PostgresWriter]
    let supply: RecordSupply
    let scratch: ScratchTable
    let watch: BenchWatch
    let control: BenchControl
    let seed: UInt64

    struct Made: Sendable {
        var visit: Visit
        var log: CommitLog
        /// Attempts that the database ended and that were made again.
        var repeated: Int
    }

    private enum Part: Sendable {
        case work(Int, Shift.Work)
        case sight(BenchWatch.Sight)
        case clock
    }

    /// - Parameter elapsed: seconds after the run's start.
    /// - Returns: `nil` when it was interrupted.
    func make(at elapsed: Double, _ progress: BenchControl.Progress) async throws -> Made? {
        // Every visit begins with the same table: what grows would look like a drift.
        supply.restart()
        try await scratch.empty()
        let shift = Shift(
            step, variedRows: variedRows, supply: supply,
            start: SystemTime().now + .milliseconds(5), seed: seed)
        control.begin(shift, progress)
        defer { control.end() }
        var works = Array(repeating: Shift.Work(), count: writers.count)
        var sight = BenchWatch.Sight()
        await withTaskGroup(of: Part.self) { group in
            for (number, writer) in writers.enumerated() {
                group.addTask { .work(number, await writer.work(number, shift)) }
            }
            group.addTask { .sight(await watch.look(connections: writers.count)) }
            group.addTask {
                await tick(shift)
                return .clock
            }
            var working = writers.count
            for await part in group {
                switch part {
                case .work(let number, let work):
                    works[number] = work
                    working -= 1
                    if working == 0 { group.cancelAll() }
                case .sight(let seen): sight = seen
                case .clock: break
                }
            }
        }
        for work in works {
            switch work.trouble {
            case .lost(let reason):
                throw BenchRun.Failure(
                    .unreachable,
                    "the database went away: \(reason); a scratch table that could not be dropped "
                        + "is dropped by the next run")
            case .refused(let reason): throw BenchRun.Failure(.failure, reason)
            case nil: break
            }
        }
        if control.isInterrupted { return nil }
        try await compare(works)
        let log = CommitLog(connections: works.map(\.commits))
        var visit = Visit(step, at: elapsed, log: log, end: shift.stopped.count)
        visit.waits = sight.waits
        visit.foreign = sight.foreign
        visit.hadVacuum = sight.hadVacuum
        return Made(visit: visit, log: log, repeated: works.reduce(0) { $0 + $1.repeated })
    }

    private func tick(_ shift: Shift) async {
        while !shift.isStopped {
            guard (try? await Task.sleep(for: .milliseconds(2))) != nil else { return }
            let elapsed = (SystemTime().now - shift.start).seconds
            if step.isOver(
                elapsed: elapsed, firstRound: shift.firstRound, commits: shift.commits)
            {
                shift.stop()
            }
        }
    }

    /// The figures are of rows that are there.
    private func compare(_ works: [Shift.Work]) async throws {
        let acknowledged = works.reduce(0) { $0 + $1.rows }
        let found = try await scratch.rowCount()
        guard acknowledged == found else {
            throw BenchRun.Failure(
                .failure,
                "\(grouped(acknowledged)) rows were acknowledged and \(grouped(found)) are in the "
                    + "table: these figures would be of something else")
        }
    }
}
