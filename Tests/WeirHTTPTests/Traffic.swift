import Foundation
import Synchronization
import Testing
import WeirPostgres

/// Callers that never stop: each sends a record again until it is stored, one by one or many in a
/// request, and takes any other answer than "stored" and "come again" for a failure of the test.
final class Traffic: Sendable {
    private struct Tally {
        var stored: [Int] = []
        /// How many of them say what is right only after the change.
        var afterCount = 0
        var pausedCount = 0
        var hasChanged = false
        var isOver = false
    }

    private let path: String
    private let before: @Sendable (Int) -> String
    private let after: @Sendable (Int) -> String
    private let tally = Mutex(Tally())

    /// - Parameters:
    ///   - before: the record with this `id`, until the change.
    ///   - after: the same, from the change on.
    init(
        table: String, before: @escaping @Sendable (Int) -> String,
        after: @escaping @Sendable (Int) -> String
    ) {
        path = "/v1/tables/\(table)/records"
        self.before = before
        self.after = after
    }

    /// Runs the callers beside `body`, which they stop after.
    func run(_ gateway: Gateway, _ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup { tasks in
            for caller in 0..<6 {
                let client = try gateway.client()
                tasks.addTask { try await self.call(client, caller, size: caller < 4 ? 1 : 20) }
            }
            let result: Result<Void, any Error>
            do {
                result = .success(try await body())
            } catch {
                result = .failure(error)
            }
            tally.withLock { $0.isOver = true }
            try await tasks.waitForAll()
            try result.get()
        }
    }

    /// From now on the callers send what the change has made right.
    func change() { tally.withLock { $0.hasChanged = true } }

    /// How many times callers have been told that the table is paused.
    var pausedCount: Int { tally.withLock { $0.pausedCount } }

    /// Returns once so many more records have been stored: after the change, of the new ones.
    func reach(_ more: Int) async throws {
        func count() -> Int {
            tally.withLock { $0.hasChanged ? $0.afterCount : $0.stored.count }
        }
        let start = count()
        try await eventually { count() >= start + more }
    }

    /// Every stored record is there once, as it was sent, and nothing else is.
    func expectStored(in database: Database, _ holds: String, isAfter: String) throws {
        let final = tally.withLock { $0 }
        let ids = try database.query("SELECT id FROM items").compactMap { $0[0].flatMap(Int.init) }
        #expect(ids.sorted() == final.stored.sorted())
        #expect(
            try database.query("SELECT * FROM items WHERE (\(holds)) IS NOT TRUE LIMIT 5") == [])
        let after = try database.query("SELECT count(*) FROM items WHERE \(isAfter)")
        #expect(isAfter == "true" || after == [["\(final.afterCount)"]])
    }

    // MARK: One caller

    private func call(_ client: Client, _ caller: Int, size: Int) async throws {
        for round in 0..<1_000_000 {
            let (isOver, isAfter) = tally.withLock { ($0.isOver, $0.hasChanged) }
            if isOver { return }
            let first = caller * 10_000_000 + round * size
            var waiting = Array(first..<(first + size))
            while !waiting.isEmpty {
                let bodies = waiting.map(isAfter ? after : before)
                let stored =
                    size == 1
                    ? try await one(client, bodies[0]) : try await many(client, bodies)
                guard let stored else { return }
                let done = zip(waiting, stored).filter(\.1).map(\.0)
                waiting = zip(waiting, stored).filter { !$0.1 }.map(\.0)
                tally.withLock { tally in
                    tally.stored += done
                    if isAfter { tally.afterCount += done.count }
                }
            }
        }
    }

    /// Whether it was stored; `nil` when it was refused for good.
    private func one(_ client: Client, _ body: String) async throws -> [Bool]? {
        let answer = try await client.request("POST", path, body)
        if answer.status == 201 { return [true] }
        return isPause(answer.status, answer.body) && answer.headers["retry-after"] != nil
            ? [false] : nil
    }

    private func many(_ client: Client, _ bodies: [String]) async throws -> [Bool]? {
        let answer = try await client.request(
            "POST", path, bodies.joined(separator: "\n"),
            headers: ["Content-Type": "application/x-ndjson"])
        if answer.status == 503 {
            return isPause(503, answer.body) ? bodies.map { _ in false } : nil
        }
        let json = try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any]
        let items = try #require(json?["items"] as? [[String: Any]], "\(answer.body)")
        var stored: [Bool] = []
        for item in items {
            let status = item["status"] as? Int ?? 0
            guard status == 201 || isPause(status, "\(item)") else { return nil }
            stored.append(status == 201)
        }
        return stored
    }

    /// Whether this is "the table is paused, nothing was written, come again".
    private func isPause(_ status: Int, _ text: String) -> Bool {
        let isPause = status == 503 && text.contains("table-paused") && text.contains("no")
        if isPause {
            tally.withLock { $0.pausedCount += 1 }
        } else {
            Issue.record("a caller was told \(status): \(text)")
        }
        return isPause
    }
}
