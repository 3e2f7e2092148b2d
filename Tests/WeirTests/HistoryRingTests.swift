import Testing
import Weir
import WeirCore
import WeirRecord

@Suite struct HistoryRingTests {
    private func identity(_ number: UInt64) -> MessageKey.Identity {
        .init(high: number, low: number)
    }

    private func entry(
        _ identity: MessageKey.Identity? = nil, tick: UInt64 = 0, count: Int = 1, at moment: Int64 = 0
    ) -> HistoryRing.Entry {
        HistoryRing.Entry(
            identity: identity, tick: tick, count: count, outcome: .stored(.inserted), table: 0,
            receivedAt: Timestamp(nanoseconds: moment), endedAt: Timestamp(nanoseconds: moment),
            ticket: Ticket(slot: 0, generation: 0))
    }

    private func moment(_ entry: HistoryRing.Entry?) -> Int64? { entry?.endedAt.nanoseconds }

    @Test func anEmptyOneKnowsNothing() {
        let ring = HistoryRing(entriesMax: 4)
        #expect(ring.find(identity(1)) == nil)
        #expect(ring.find(minted: 1, countMax: 10) == nil)
    }

    @Test func theNewestEntryOfAMessageCounts() {
        var ring = HistoryRing(entriesMax: 8)
        ring.insert(entry(identity(1), at: 1))
        ring.insert(entry(identity(2), at: 2))
        ring.insert(entry(identity(1), at: 3))
        #expect(moment(ring.find(identity(1))) == 3)
        #expect(moment(ring.find(identity(2))) == 2)
        #expect(ring.find(identity(3)) == nil)
    }

    @Test func theOldestEntryMakesRoom() {
        var ring = HistoryRing(entriesMax: 4)
        for number in 1...10 { ring.insert(entry(identity(UInt64(number)), at: Int64(number))) }
        let known = (1...10).filter { ring.find(identity(UInt64($0))) != nil }
        #expect(known == [7, 8, 9, 10])
    }

    /// 16 places for entries that all fall into one: chains are told apart by what they hold.
    @Test func messagesThatShareAPlaceAreToldApart() {
        var ring = HistoryRing(entriesMax: 4)
        let places = [UInt64(5), 5 + 1 << 40, 5 + 2 << 40, 5 + 3 << 40].map {
            MessageKey.Identity(high: $0, low: 5)
        }
        for (moment, identity) in places.enumerated() { ring.insert(entry(identity, at: Int64(moment))) }
        #expect(places.map { moment(ring.find($0)) } == [0, 1, 2, 3])
        ring.insert(entry(places[0], at: 9))
        #expect(places.map { moment(ring.find($0)) } == [9, 1, 2, 3])
        ring.insert(entry(identity(7)))
        #expect(places.map { moment(ring.find($0)) } == [9, nil, 2, 3])
    }

    @Test func eachIDOfAPackIsFound() {
        var ring = HistoryRing(entriesMax: 8)
        let start = UInt64(1_772_368_496_789) << 12 + 4_000
        ring.insert(entry(tick: start, count: 10_000, at: 1))
        ring.insert(entry(tick: start + 10_000, at: 2))
        for offset in [0, 1, 95, 96, 97, 4_191, 4_192, 9_999] as [UInt64] {
            #expect(moment(ring.find(minted: start + offset, countMax: 10_000)) == 1, "\(offset)")
        }
        #expect(moment(ring.find(minted: start + 10_000, countMax: 10_000)) == 2)
        #expect(ring.find(minted: start - 1, countMax: 10_000) == nil)
        #expect(ring.find(minted: start + 10_001, countMax: 10_000) == nil)
    }

    @Test func aPartOfAPackThatEndedLaterCounts() {
        var ring = HistoryRing(entriesMax: 8)
        let start = UInt64(1_000) << 12 + 4_090
        ring.insert(entry(tick: start, count: 100, at: 1))
        // It hangs in the chain of another millisecond than the pack.
        ring.insert(entry(tick: start + 50, at: 2))
        #expect(moment(ring.find(minted: start + 50, countMax: 100)) == 2)
        #expect(moment(ring.find(minted: start + 51, countMax: 100)) == 1)
    }

    @Test func aThousandRoundsForgetInOrder() {
        var ring = HistoryRing(entriesMax: 100)
        for number in UInt64(0)..<1_000 {
            ring.insert(entry(identity(number &* 0x9E37_79B9_7F4A_7C15), at: Int64(number)))
            let oldest = number < 100 ? 0 : number - 99
            #expect(moment(ring.find(identity(oldest &* 0x9E37_79B9_7F4A_7C15))) == Int64(oldest))
            if oldest > 0 { #expect(ring.find(identity((oldest - 1) &* 0x9E37_79B9_7F4A_7C15)) == nil) }
        }
    }
}

@Suite struct MintedRangeTests {
    @Test func IDsThatAreReservedRiseAndAreKnownAgain() {
        let ids = IDGenerator(seed: 7)
        let first = ids.reserve(1_000, unixNanoseconds: 1_772_368_496_789_000_000)
        let after = ids.next(unixNanoseconds: 1_772_368_496_789_000_000)
        #expect(ids.tick(of: after) == first + 1_000)
        #expect(ids.tick(of: ids.id(tick: first + 999)) == first + 999)
        #expect(ids.id(tick: first).unixMilliseconds == 1_772_368_496_789)
    }

    @Test func anIDOfAnotherProcessIsNotKnown() {
        let other = IDGenerator(seed: 8).next(unixNanoseconds: 1_772_368_496_789_000_000)
        #expect(IDGenerator(seed: 7).tick(of: other) == nil)
        #expect(IDGenerator(seed: 8).tick(of: other) != nil)
    }
}
