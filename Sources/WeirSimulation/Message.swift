import Weir
import WeirCore
import WeirRecord
import WeirTesting

/// One record that a caller wants written, however often it sends it.
struct Message {
    let number: Int
    /// The number of the message ID that it carries: its own, or that of the message whose ID it
    /// takes by mistake.
    let id: Int?
    let record: Record
    let table: WorldTable
    /// Its values, by column.
    let row: [Int]
    /// The database refuses it, whenever it comes.
    let isBad: Bool
    let unit: Int

    /// What callers know of it.
    enum Standing {
        /// Not answered for good: it is sent again.
        case open
        case stored
        case deadLettered
        case rejected
        /// Nobody sends it again, and nobody knows.
        case givenUp
    }

    var standing = Standing.open
    /// Somebody was not told what became of it, or was told that nobody knows: it may be written.
    var mayBeWritten = false
    /// The server on which its effect was seen when it was told, by its number.
    var seenOn: Int?
    /// And the attempt that brought it about.
    var seenAttempt: Int?
    /// When its caller, without a message ID, was told that nobody knows, in milliseconds: no
    /// attempt that is made later may write it.
    var disownedAt: UInt64?

    var isFinal: Bool { if case .open = standing { false } else { true } }
}

/// What a caller sends in one request.
struct Unit {
    let number: Int
    let members: [Int]
    let isGroup: Bool
    /// The generation that took entries when it was first sent.
    var generation = 0
    var openCount = 0
    /// Sent next when this time has come; `nil` once it is settled.
    var due: Timestamp?
    var sends = 0
    /// It met a table that is paused.
    var isPaused = false
    /// The caller that waits for it.
    let caller: Int
    /// The gateway that it has to be sent to, if any.
    var gateway: Int?
}

/// One sending of one message, which is answered once.
struct Submission {
    enum State {
        case open
        case answered
        /// Its caller has gone, or its gateway has.
        case abandoned
    }

    let message: Int
    let gateway: Int
    /// The gateway's incarnation.
    let incarnation: Int
    /// Its place in the order of admissions; `nil` where it joined another.
    let isFirst: Bool
    /// Sent when its message had been answered for good.
    let isLate: Bool
    let generation: Int
    var state = State.open
    /// Its gateway may still be about it.
    var mayGoOn = true
}

/// Somebody who writes: has a row of its own, which it changes one step at a time, and shares
/// others.
struct Caller {
    /// Its units that are not settled.
    var open: [Int] = []
    /// How many it may have open at a time.
    let window: Int
    /// How far each of its own rows has got: 0 does not exist, 1 does.
    var ownRow = 0
    let ownKey: Int
}
