import Testing
import WeirCore

@Suite struct ReplayWindowTests {
    private func message(_ low: UInt64, high: UInt64 = 0, _ fingerprint: UInt64 = 7) -> MessageKey {
        MessageKey(identity: .init(high: high, low: low), fingerprint: fingerprint)
    }

    private func window(_ recordsMax: Int) -> ReplayWindow<Int> {
        var window = ReplayWindow<Int>(recordsMax: recordsMax)
        window.resume()
        return window
    }

    @Test func aMessageIsToldWhatItWasToldFirst() {
        var window = window(4)
        window.insert(message(1), 10)
        window.insert(message(1), 11)
        #expect(window.found(message(1)) == 10)
        #expect(window.found(message(2)) == nil)
        #expect(window.count == 1)
    }

    @Test func anotherPayloadIsToldApart() {
        var window = window(4)
        window.insert(message(1), 10)
        guard case .reused = window.match(message(1, 8)) else {
            Issue.record("another payload was not noticed")
            return
        }
    }

    @Test func theOldestIsForgottenForTheNewest() {
        var window = window(3)
        for id in UInt64(1)...5 { window.insert(message(id), Int(id)) }
        #expect((UInt64(1)...5).map { window.found(message($0)) } == [nil, nil, 3, 4, 5])
        #expect(window.count == 3)
    }

    @Test func aSuspendedWindowKnowsNothingAndForgetsNothing() {
        var window = ReplayWindow<Int>(recordsMax: 3)
        #expect(window.isSuspended)
        window.insert(message(1), 1)
        #expect(window.found(message(1)) == nil)
        window.resume()
        #expect(window.found(message(1)) == 1)
        window.suspend()
        #expect(window.found(message(1)) == nil)
    }

    @Test func aClearedWindowIsEmpty() {
        var window = window(2)
        for id in UInt64(1)...3 { window.insert(message(id), 0) }
        window.clear()
        #expect((UInt64(1)...3).allSatisfy { window.found(message($0)) == nil })
        for id in UInt64(1)...3 { window.insert(message(id), 1) }
        #expect((UInt64(1)...3).map { window.found(message($0)) } == [nil, 1, 1])
    }

    @Test(arguments: [0, -1])
    func aWindowOfNothingRemembersNothing(_ recordsMax: Int) {
        var window = window(recordsMax)
        window.insert(message(1), 1)
        #expect(window.found(message(1)) == nil)
    }

    /// Identities whose places collide, against a window that is looked through from end to end.
    @Test(arguments: [1, 2, 7, 33, 100])
    func itIsAsGoodAsAList(_ recordsMax: Int) {
        var window = window(recordsMax)
        var list: [(MessageKey, Int)] = []
        var random = SplitMix64(seed: UInt64(recordsMax))
        for step in 0..<2_000 {
            let draw = random.next()
            let key = message(draw % 5 << 20 | draw % 3, high: draw >> 8 % 64)
            if list.contains(where: { $0.0 == key }) {
                #expect(window.found(key) == list.first { $0.0 == key }?.1)
            } else {
                #expect(window.found(key) == nil)
                list.append((key, step))
                if list.count > recordsMax { list.removeFirst() }
            }
            window.insert(key, step)
            #expect(window.count == list.count)
        }
        #expect(list.allSatisfy { window.found($0.0) == $0.1 })
    }
}

extension ReplayWindow {
    fileprivate func found(_ message: MessageKey) -> First? {
        if case .same(let first) = match(message) { first } else { nil }
    }
}
