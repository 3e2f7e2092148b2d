import Logging
import Weir
import WeirCore
import WeirPostgres
import WeirRecord
import WeirTesting

/// A gateway process of the world: the real coordinator with the real core in it, and writers whose
/// connections lead to model servers.
struct Gateway {
    let coordinator: Coordinator
    let mailbox = WorldMailbox()
    let identities: IdentityWatch
    var writers: [Writer]
    /// Something has happened that a writer may have been woken for.
    var isStirred = true
    /// Waits for an attempt's own transaction, by attempt.
    var waits: [Int: Int] = [:]
    /// The server with the highest timeline that it has been connected to.
    var view: Int?
    /// The oldest generation in which a message was first sent that it may still hold.
    var heldGeneration = Int.max
    /// Records that were refused at the door, and that were answered.
    var refusedCount = 0
    var answeredCount = 0
    /// It does nothing until then.
    var frozenUntil = Timestamp.zero

    init(_ configuration: Machine.Configuration, replayRecordsMax: Int, _ clock: WorldClock) {
        let logger = Logger(label: "world") { _ in SwiftLogNoOpLogHandler() }
        let coordinator = Coordinator(
            machine: configuration, time: clock, ids: IDGenerator(seed: configuration.seed),
            replayRecordsMax: replayRecordsMax, historyMax: 16, logger: logger)
        self.coordinator = coordinator
        identities = IdentityWatch()
        identities.observe { writer, verdict in
            coordinator.connected(WriterID(writer), isOtherHistory: verdict == .otherHistory)
        }
        writers = (0..<configuration.writersMax).map { _ in Writer() }
    }

    static let catalog = Catalog(WorldTable.allCases.map { .found($0.table) })
}

/// One writer of a gateway, and what it is in the middle of.
struct Writer {
    enum Work {
        /// Connects next when this time has come.
        case offline(until: Timestamp)
        case connecting(Handshake)
        case idle
        case writing(WriteBatch, WriteDialogue)
        case asking(WriteBatch, InquiryDialogue)
    }

    /// Which server it is, and which generation takes entries.
    struct Handshake {
        var identity: WeirTesting.ServerIdentity?
        var half = Half.a
    }

    struct Link {
        let server: Int
        let session: SessionID
    }

    var work = Work.offline(until: .zero)
    var link: Link?
    var exchange: Exchange?
    var ledger = Ledger(number: 0, isOtherEmpty: false)
    var failures = 0
    /// Has asked for a task and there was none.
    var isParked = false
    /// When it gives up waiting for the server.
    var deadline = Timestamp.distantFuture
}
