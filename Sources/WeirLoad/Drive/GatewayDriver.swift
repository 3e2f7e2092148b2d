import NIOCore
import NIOPosix
package import Weir
import WeirCore

/// Sends a job's calls to a gateway over HTTP/1.1: keep-alive connections on event loops, one call
/// at a time on each, as independent callers have it. More connections are opened while calls are
/// due, up to a bound; a call that finds none free waits, and is counted.
package struct GatewayDriver: Sendable {
    package struct Unreachable: Error {
        package let reason: String
    }

    private let address: ListenAddress
    private let connectionsMax: Int

    /// - Parameter connectionsMax: of all loops together.
    package init(_ address: ListenAddress, connectionsMax: Int) {
        self.address = address
        self.connectionsMax = connectionsMax
    }

    /// Returns when every call was answered or given up.
    ///
    /// - Throws: `Unreachable` when nobody listens.
    package func run(_ job: Job) async throws -> Measured {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: job.loops)
        do {
            let before = ProcessTimes.own
            let records = try await run(job, on: group)
            let used = Nanoseconds(ProcessTimes.own.count - before.count)
            try await group.shutdownGracefully()
            return Measured(job, records, processor: used)
        } catch {
            try await group.shutdownGracefully()
            throw Unreachable(reason: "\(error)")
        }
    }

    private func run(
        _ job: Job, on group: MultiThreadedEventLoopGroup
    ) async throws -> [LoopRecord] {
        let share = max(1, connectionsMax / job.loops)
        var loops: [NIOLoopBound<GatewayLoop>] = []
        for (number, loop) in group.makeIterator().enumerated() {
            let bound = try await loop.submit {
                NIOLoopBound(
                    GatewayLoop(
                        job, number: number, address: address, connectionsMax: share, loop: loop),
                    eventLoop: loop)
            }.get()
            loops.append(bound)
        }
        // Connections first, so that the first calls meet an open door.
        for loop in loops {
            try await loop.eventLoop.flatSubmit { loop.value.warmUp() }.get()
        }
        job.begin(at: SystemTime().now + .milliseconds(5))
        let futures = loops.map { loop in
            loop.eventLoop.flatSubmit { loop.value.run() }
        }
        var records: [LoopRecord] = []
        for future in futures { records.append(try await future.get()) }
        return records
    }
}
