package import Weir
import WeirCore

/// What the replay tables hold of one message ID.
package struct ReplayEntry: Equatable {
    /// Table, operation and payload are those of the record that carries the ID now.
    package var isSame: Bool
    package var first: FirstResult

    package init(isSame: Bool, first: FirstResult) {
        self.isSame = isSame
        self.first = first
    }
}

/// Which records of a batch are not to be written, and what their callers are told instead: the
/// whole rule, without a database.
package struct ReplayDecision {
    /// By position; `nil` is written.
    private(set) var told: [RowResult?]

    /// - Parameter entries: by position of the batch, what is stored of the record's message.
    package init(_ batch: WriteBatch, entries: [Int: ReplayEntry]) {
        told = batch.records.indices.map { entries[$0].map(Self.result) }
        for group in batch.groups where group.contains(where: { entries[$0] != nil }) {
            // A group that committed did so as a whole, and is sent again as a whole.
            let members = group.filter { batch.messages[$0] != nil }
            let isRepetition = members.allSatisfy { entries[$0]?.isSame == true }
            for member in group {
                guard isRepetition else {
                    told[member] = RowResult(.messageIDReused)
                    continue
                }
                if entries[member] == nil, let mate = members.first.flatMap({ entries[$0] }) {
                    // A member without an ID committed with those that have one.
                    told[member] = RowResult(
                        .replayed,
                        first: FirstResult(
                            effect: .implied(by: batch.records[member]),
                            batchID: mate.first.batchID))
                }
            }
        }
    }

    private static func result(_ entry: ReplayEntry) -> RowResult {
        guard entry.isSame else { return RowResult(.messageIDReused) }
        return RowResult(.replayed, first: entry.first, deadLetter: entry.first.deadLetter)
    }

    /// Positions of the records that are written.
    package var remaining: [Int] { told.indices.filter { told[$0] == nil } }

    /// The report of the whole batch, from that of the records that were written.
    package func merged(_ report: BatchReport) -> BatchReport {
        let remaining = remaining
        guard remaining.count < told.count else { return report }
        var merged = report
        merged.results = expanded(report.results)
        if case .recordError(let culprit) = report.outcome {
            merged.outcome = .recordError(culprit: culprit.map { remaining[$0] })
        }
        merged.suspect = report.suspect.map { remaining[$0] }
        merged.unresolved?.results = expanded(report.unresolved?.results ?? [])
        return merged
    }

    private func expanded(_ results: [RowResult]) -> [RowResult] {
        guard !results.isEmpty || remaining.isEmpty else { return [] }
        var next = results.makeIterator()
        return told.compactMap { $0 ?? next.next() }
    }
}

extension WriteBatch {
    /// The same attempt with these records only. They have to hold each group whole, or not at all.
    package func keeping(_ positions: [Int]) -> WriteBatch {
        var places: [Int: Int] = [:]
        for (place, position) in positions.enumerated() { places[position] = place }
        return WriteBatch(
            id: id, number: number, attempt: attempt, work: work,
            records: positions.map { records[$0] },
            groups: groups.compactMap { group in
                places[group.lowerBound].map { $0..<($0 + group.count) }
            },
            isIsolated: isIsolated,
            messages: messages.isEmpty ? [] : positions.map { messages[$0] },
            unresolved: unresolved, refusal: refusal)
    }
}
