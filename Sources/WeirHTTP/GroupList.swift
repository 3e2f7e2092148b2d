import DequeModule
import Weir
import WeirRecord

/// The atomic groups of one request, in the order in which they were first named.
struct GroupList {
    struct Group {
        let number: Int
        var members: [Coordinator.Submission] = []
        /// Members that were refused before they could be submitted: none is written.
        var refused: [Refused] = []
    }

    /// A member that its table refuses.
    struct Refused {
        let index: Int
        let failure: Failure
        let message: Message?
    }

    private var numbers: [String: Int] = [:]
    private var groups = Deque<Group>()
    private var popped = 0

    var isEmpty: Bool { groups.isEmpty }

    mutating func add(_ submission: Coordinator.Submission, to name: String) {
        let place = place(of: name)
        var submission = submission
        submission.group = groups[place].number
        groups[place].members.append(submission)
    }

    mutating func add(_ refused: Refused, to name: String) {
        groups[place(of: name)].refused.append(refused)
    }

    /// The next group, unless it has more members than there is room for; one that is alone always
    /// fits.
    mutating func popFirst(fitting room: Int) -> Group? {
        guard let first = groups.first else { return nil }
        if first.members.count > room && room < 256 { return nil }
        popped += 1
        return groups.removeFirst()
    }

    private mutating func place(of name: String) -> Int {
        if let number = numbers[name] { return number - 1 - popped }
        // 0 is no group.
        let number = numbers.count + 1
        numbers[name] = number
        groups.append(Group(number: number))
        return groups.count - 1
    }
}

/// Finds the group of a line that could not be taken: the other members have to be told.
enum BulkGroupName {
    static func find(_ input: Span<UInt8>, _ range: Range<Int>) -> String? {
        var cursor = JSONCursor(range)
        do {
            try cursor.expect(UInt8(ascii: "{"), input)
            repeat {
                cursor.skipWhitespace(input)
                let name = try cursor.text(input)
                try cursor.expect(UInt8(ascii: ":"), input)
                cursor.skipWhitespace(input)
                if name == "group" { return try cursor.text(input) }
                try cursor.skipValue(input)
            } while cursor.take(UInt8(ascii: ","), input)
        } catch {
            // Not JSON up to here: the line names no group.
        }
        return nil
    }
}

/// A line that belongs to a group and cannot be taken.
struct GroupMemberFailure: Error {
    let group: String
    let failure: Failure
}
