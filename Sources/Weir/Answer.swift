package import WeirCore
package import WeirRecord

/// The fates of one of a waiter's records, or of several in a row.
package struct Answer: Sendable {
    enum Fates: Sendable {
        /// One result for each record.
        case stored(ArraySlice<RowResult>, BatchReceipt)
        /// The same for all.
        case failed(Failure)
    }

    let parcel: Parcel
    let fates: Fates

    package var waiter: any Waiter { parcel.waiter }
    /// The waiter's own number for the record, or for the first of them: the others follow in a
    /// row.
    package var index: Int { parcel.index }
    package var admittedAt: Timestamp { parcel.admittedAt }
    /// Of the first record's minted ID, which those of the others follow; 0 where none was minted.
    package var tick: UInt64 { parcel.tick }
    /// The only record, or the first of several.
    package var record: Record { parcel.cargo.first }

    /// The fate of `record`.
    package var fate: Fate { fate(of: record, at: 0) }

    /// Calls `body` for each record, in order.
    package func forEach(_ body: (_ index: Int, _ record: Record, _ fate: Fate) -> Void) {
        switch parcel.cargo {
        case .one(let record): body(index, record, fate(of: record, at: 0))
        case .pack(let pack):
            for (offset, record) in pack.records.enumerated() {
                body(index + offset, record, fate(of: record, at: offset))
            }
        }
    }

    /// Calls `body` for neighbours that came to the same, as nearly all do, with their places and
    /// the fate of the first of them. Records of a pack have no message IDs, so that what the
    /// database says of the others differs in their keys at most.
    package func forEachRun(_ body: (_ places: Range<Int>, _ fate: Fate) -> Void) {
        guard case .stored(let results, _) = fates else {
            return body(0..<parcel.cargo.count, fate)
        }
        let said = results.span
        var start = 0
        while start < said.count {
            let effect = said[start].effect
            var end = start + 1
            while end < said.count && said[end].effect == effect { end += 1 }
            body(start..<end, fate(at: start))
            start = end
        }
    }

    /// What the database says of the records at these places: of those that it said something of.
    package func forEachResult(
        in places: Range<Int>, _ body: (_ place: Int, _ record: Record, _ result: RowResult) -> Void
    ) {
        guard case .stored(let results, _) = fates else { return }
        switch parcel.cargo {
        case .one(let record): body(0, record, results[results.startIndex])
        case .pack(let pack):
            let records = pack.records.span
            let results = results.span
            for place in places { body(place, records[place], results[place]) }
        }
    }

    /// The fate of the record at this place.
    package func fate(at place: Int) -> Fate { fate(of: record(at: place), at: place) }

    package func record(at place: Int) -> Record {
        switch parcel.cargo {
        case .one(let record): record
        case .pack(let pack): pack.records[place]
        }
    }

    private func fate(of record: Record, at offset: Int) -> Fate {
        switch fates {
        case .failed(let failure): return .failed(failure)
        case .stored(let results, let receipt):
            let result = results[results.startIndex + offset]
            var table: String { record.table.publicName }
            switch result.effect {
            case .inserted, .updated, .deleted, .unchanged, .ignored:
                return .stored(result, receipt)
            case .replayed where result.first?.effect == .deadLettered:
                return .failed(Failure(deadLetter: result, nil, table: table))
            case .replayed: return .stored(result, receipt)
            case .deadLettered:
                let refusal = result.first == nil ? receipt.refusal : nil
                return .failed(Failure(deadLetter: result, refusal, table: table))
            case .notFound: return .failed(Failure(rowMissingFor: record))
            case .messageIDReused: return .failed(Failure(.messageIDReused, table: table))
            }
        }
    }
}

/// Someone who is owed the fate of records. Each is told once.
package protocol Waiter: AnyObject, Sendable {
    /// Where its answers go, many at a time.
    var mailbox: any Mailbox { get }
}

/// Takes the answers of many waiters in one call, for example one hop to their event loop.
package protocol Mailbox: AnyObject, Sendable {
    func deliver(_ answers: [Answer])
}
