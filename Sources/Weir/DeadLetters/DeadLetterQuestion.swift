/// What a writer is asked about dead letters, or told to do with them, and what it says. Each is
/// one small transaction, between two batches.
package enum DeadLetterQuestion: Sendable, Equatable {
    /// Some of those that are chosen, from where the page before ended.
    case page(DeadLetterPage)
    /// The largest groups first.
    case groups(table: String?, past: DeadLetterGroupCursor?, limit: Int)
    /// One, with its body.
    case letter(Int64)
    /// The highest number there is, so that what comes later is left alone.
    case newest
    /// How many there are, by table.
    case counts
    /// Puts something in the record's place, if nobody else has since it was read; `nil` takes it
    /// out again.
    case edit(Int64, edits: Int32, to: [UInt8]?)
    /// Writes down what records met that were sent again in vain.
    case note([RedriveNote])
    /// Removes up to `limit` letters of this table.
    case discard(DeadLetterSelection, table: String, limit: Int)
}

package enum DeadLetterReply: Sendable, Equatable {
    case letters([DeadLetter])
    case groups([DeadLetterGroup])
    /// How many were changed or removed.
    case changed(Int)
    case newest(Int64)
    case counts([(table: String, count: Int64)])
    /// The gateway has no tables of its own.
    case none

    package static func == (left: Self, right: Self) -> Bool {
        switch (left, right) {
        case (.letters(let a), .letters(let b)): a == b
        case (.groups(let a), .groups(let b)): a == b
        case (.changed(let a), .changed(let b)): a == b
        case (.newest(let a), .newest(let b)): a == b
        case (.counts(let a), .counts(let b)): a.elementsEqual(b) { $0 == $1 }
        case (.none, .none): true
        default: false
        }
    }
}

/// Which letters are meant. What is `nil` is not asked about.
package struct DeadLetterSelection: Sendable, Equatable {
    package var numbers: [Int64]?
    package var table: String?
    package var sqlstate: String?
    package var constraint: String?
    package var column: String?
    package var code: String?
    package var fingerprint: Int64?
    /// The caller's message ID.
    package var messageID: String?
    /// Microseconds since 1970; the first one counts, the second one does not.
    package var since: Int64?
    package var until: Int64?
    /// None with a higher number.
    package var numberMax: Int64?

    package static let numbersMax = 1_000

    package init() {}

    package init(numbers: [Int64]) { self.numbers = numbers }

    /// Whether it names nothing.
    package var isEverything: Bool {
        var bare = self
        bare.numberMax = nil
        return bare == DeadLetterSelection()
    }

    /// Whether it chooses by what letters of a group share.
    package var choosesGroups: Bool {
        table != nil || sqlstate != nil || constraint != nil || column != nil || code != nil
    }
}

/// A piece of a list.
package struct DeadLetterPage: Sendable, Equatable {
    package var selection: DeadLetterSelection
    /// Else the oldest first, as they were refused.
    package var isNewestFirst = true
    /// Where the page before ended.
    package var past: DeadLetterCursor?
    package var limit: Int
    package var hasBodies = false

    package static let limitMax = 1_000
    /// With bodies, which may have a megabyte each.
    package static let bodiesMax = 32

    package init(_ selection: DeadLetterSelection, limit: Int) {
        self.selection = selection
        self.limit = limit
    }

    /// A span of time is read along its index, and everything else by number.
    package var isByTime: Bool { selection.since != nil || selection.until != nil }
}

/// A place in a list of letters. As text it is meant for nobody to read.
package struct DeadLetterCursor: Sendable, Equatable {
    package var at: Int64
    package var number: Int64

    package init(at: Int64, number: Int64) {
        self.at = at
        self.number = number
    }

    package init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let at = Int64(parts[0]), let number = Int64(parts[1]) else {
            return nil
        }
        self.init(at: at, number: number)
    }

    package var text: String { "\(at).\(number)" }
}

/// A place in the list of groups.
package struct DeadLetterGroupCursor: Sendable, Equatable {
    package var count: Int64
    package var fingerprint: Int64

    package init(count: Int64, fingerprint: Int64) {
        self.count = count
        self.fingerprint = fingerprint
    }

    package init?(_ text: String) {
        guard let cursor = DeadLetterCursor(text) else { return nil }
        self.init(count: cursor.at, fingerprint: cursor.number)
    }

    package var text: String { "\(count).\(fingerprint)" }
}

/// What a record met when it was sent again.
package struct RedriveNote: Sendable, Equatable {
    package var letter: Int64
    package var code: String
    package var reason: String

    package init(letter: Int64, code: String, reason: String) {
        self.letter = letter
        self.code = code
        self.reason = reason
    }
}
