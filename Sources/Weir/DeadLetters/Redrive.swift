import Synchronization
import WeirCore
import WeirRecord

/// Sends dead letters again: through the lanes, as a caller's records go, so that they keep the
/// order of their keys; the oldest first, and no more a second than was asked for.
///
/// A letter goes with its record's effect, in one transaction, so that it takes effect once, also
/// where this ends in the middle. Of letters that share a key, one that is refused holds back the
/// later ones: they would overtake it.
package struct Redrive: Sendable {
    package struct Order: Sendable, Equatable {
        package var selection: DeadLetterSelection
        /// Letters a second.
        package var rate = 100
        /// Write, look, and roll back; nothing is noted.
        package var isDryRun = false

        package static let rateMax = 10_000

        package init(_ selection: DeadLetterSelection) {
            self.selection = selection
        }
    }

    private static let recordTimeout = Nanoseconds.seconds(30)

    private let coordinator: Coordinator
    private let order: Order
    package private(set) var summary: RedriveSummary
    /// The next letters; `nil` before the first ones.
    private var page: DeadLetterPage?
    /// When the next ones may go.
    private var due = Timestamp.zero
    /// Of letters that were refused, or may yet take effect.
    private var refusedKeys: Set<UInt64> = []

    package init(_ order: Order, _ coordinator: Coordinator) {
        self.order = order
        self.coordinator = coordinator
        summary = RedriveSummary(isDryRun: order.isDryRun)
    }

    /// Sends the next letters, and tells what became of them; `nil` when there are no more, or when
    /// what stopped one would stop all.
    package mutating func next() async throws -> [RedriveLine]? {
        guard summary.stopped == nil else { return nil }
        if page == nil { page = try await firstPage() }
        guard var page else { return nil }
        guard case .letters(let letters) = try await coordinator.ask(.page(page)) else {
            throw Failure.noDeadLetters
        }
        guard let last = letters.last else { return nil }
        page.past = last.cursor
        self.page = page
        let wait = due - coordinator.time.now
        if wait > .zero { try await coordinator.time.sleep(for: wait) }
        due =
            coordinator.time.now
            + Nanoseconds(Int64(letters.count) * 1_000_000_000 / Int64(order.rate))
        let lines = await send(letters)
        for line in lines { summary.count(line) }
        if !order.isDryRun {
            for line in lines { coordinator.countRedrive(line.result) }
            let notes = lines.compactMap(\.note)
            if !notes.isEmpty { _ = try await coordinator.ask(.note(notes)) }
        }
        return lines
    }

    private func firstPage() async throws -> DeadLetterPage {
        guard case .newest(let newest) = try await coordinator.ask(.newest) else {
            throw Failure.noDeadLetters
        }
        // Few at a time, so that they are spread over a second.
        let count = min(max(order.rate / 10, 1), DeadLetterPage.bodiesMax)
        var page = DeadLetterPage(order.selection, limit: count)
        page.selection.numberMax = newest
        page.isNewestFirst = false
        page.hasBodies = true
        return page
    }

    // MARK: Sending

    private struct Ready {
        let place: Int
        let record: Record
        let keys: [UInt64]
    }

    /// Sends some letters, those that share a key one after the other.
    private mutating func send(_ letters: [DeadLetter]) async -> [RedriveLine] {
        var lines: [RedriveLine?] = Array(repeating: nil, count: letters.count)
        var waiting: [Ready] = []
        for (place, letter) in letters.enumerated() {
            switch ready(letter, place) {
            case .success(let ready): waiting.append(ready)
            case .failure(let failure): lines[place] = RedriveLine(letter, failure)
            }
        }
        while !waiting.isEmpty {
            var taken: Set<UInt64> = []
            var now: [Ready] = []
            var later: [Ready] = []
            for ready in waiting {
                if !order.isDryRun, ready.keys.contains(where: refusedKeys.contains) {
                    lines[ready.place] = RedriveLine(blocked: letters[ready.place])
                } else if ready.keys.contains(where: taken.contains) {
                    later.append(ready)
                } else {
                    now.append(ready)
                }
                taken.formUnion(ready.keys)
            }
            for (ready, fate) in zip(now, await fates(of: now.map(\.record))) {
                let line = RedriveLine(letters[ready.place], fate, ready.record, order.isDryRun)
                if !line.isDone { refusedKeys.formUnion(ready.keys) }
                lines[ready.place] = line
            }
            waiting = later
        }
        return lines.compactMap { $0 }
    }

    private func ready(_ letter: DeadLetter, _ place: Int) -> Result<Ready, Failure> {
        guard let catalog = coordinator.catalogStore.catalog else {
            return .failure(Failure(.databaseUnavailable(retryAfter: .seconds(1)), table: ""))
        }
        guard case .found(let table)? = catalog.find(letter.table) else {
            return .failure(
                Failure(
                    .unknownTable, "table \(letter.table) is not exposed here, or is not there",
                    table: letter.table))
        }
        do throws(Defect) {
            let time = coordinator.time
            let record = try letter.record(
                for: table, isDryRun: order.isDryRun,
                minting: coordinator.ids.next(unixNanoseconds: time.unixNanoseconds))
            return .success(
                Ready(
                    place: place, record: record,
                    keys: [record.orderHash, record.orderKeyHash].compactMap { $0 }))
        } catch {
            return .failure(Failure(error, table: letter.table))
        }
    }

    private func fates(of records: [Record]) async -> [Fate] {
        guard !records.isEmpty else { return [] }
        let box = FateBox(count: records.count)
        let deadline = coordinator.time.now + Self.recordTimeout
        let submissions = records.enumerated().map { index, record in
            Coordinator.Submission(record: record, waiter: box, index: index, deadline: deadline)
        }
        for (index, failure) in coordinator.submit(submissions) {
            box.put(index, .failed(failure))
        }
        return await box.fates()
    }
}

/// Gathers the fates of some records.
private final class FateBox: Waiter, Mailbox {
    private struct State {
        var fates: [Fate?]
        var missing: Int
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state: Mutex<State>

    init(count: Int) {
        state = Mutex(State(fates: Array(repeating: nil, count: count), missing: count))
    }

    var mailbox: any Mailbox { self }

    func deliver(_ answers: [Answer]) {
        for answer in answers { answer.forEach { index, _, fate in put(index, fate) } }
    }

    func put(_ index: Int, _ fate: Fate) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if state.fates[index] == nil { state.missing -= 1 }
            state.fates[index] = fate
            guard state.missing == 0 else { return nil }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    func fates() async -> [Fate] {
        await withCheckedContinuation { continuation in
            let isComplete = state.withLock { state in
                if state.missing > 0 { state.waiter = continuation }
                return state.missing == 0
            }
            if isComplete { continuation.resume() }
        }
        return state.withLock { $0.fates.compactMap { $0 } }
    }
}

extension Failure {
    /// The gateway keeps no dead letters.
    package static let noDeadLetters = Failure(
        .notFound, "this gateway keeps no dead letters: it runs with --replay-window off")
}
