import Logging
import Synchronization
package import WeirCore

/// What is known of each writer's connection: whether it leads to the database that the newest one
/// leads to, and whether another one was lost since it was begun.
struct ConnectionMarks: Sendable {
    /// How often a connection was found to lead to a database that may lack what had committed, and
    /// for each writer how often before its own was admitted. What an older one says of a COMMIT is
    /// not so in the database that the others write.
    private var epoch = 0
    private var epochs: [Int]
    /// Connections lost so far, and how many there were when each writer's was begun.
    private var losses = 0
    private var lossesBefore: [Int]

    init(writers: Int) {
        epochs = Array(repeating: 0, count: writers)
        lossesBefore = Array(repeating: 0, count: writers)
    }

    mutating func begin(_ writer: WriterID) { lossesBefore[writer.number] = losses }

    mutating func lose() { losses += 1 }

    mutating func admit(_ writer: WriterID, isOtherHistory: Bool) {
        if isOtherHistory { epoch += 1 }
        epochs[writer.number] = epoch
    }

    func isOutdated(_ writer: WriterID) -> Bool { epochs[writer.number] != epoch }

    /// Whether no connection was lost since this one was begun: what it says of the database is
    /// newer than the last loss.
    func isNewerThanLosses(_ writer: WriterID) -> Bool { lossesBefore[writer.number] == losses }
}

// Connections that come and go.
extension Coordinator {
    /// The writer begins to connect. What is lost from now on, its connection knows nothing of.
    package func connecting(_ writer: WriterID) {
        state.withLock { state in
            state.inline.remove(writer)
            state.connections.begin(writer)
        }
    }

    /// The writer's connection leads to a database that may be written to.
    ///
    /// - Parameter isOtherHistory: it may lack what others had committed before, so that is
    ///   forgotten, and what connections that were admitted earlier still report of a COMMIT does
    ///   not count.
    package func connected(_ writer: WriterID, isOtherHistory: Bool) {
        state.withLock { state in
            if isOtherHistory { state.window.clear() }
            state.connections.admit(writer, isOtherHistory: isOtherHistory)
            // After a loss the next connection that is begun has the word: this one may lead to the
            // server that has just been replaced.
            if state.connections.isNewerThanLosses(writer) { state.window.resume() }
        }
    }

    /// Whether the writer's connection leads to a database that others have left.
    package func isOutdated(_ writer: WriterID) -> Bool {
        state.withLock { $0.connections.isOutdated(writer) }
    }

    /// - Parameter inline: the writer, if it may write on the threads of its callers, too.
    package func writerReady(_ writer: WriterID, inline: (any BatchWriter)? = nil) {
        let now = time.now
        act(now) { state, _ in
            state.inline.add(writer, inline)
            if catalogStore.catalog == nil { state.catalogWatch.want(.load) }
            state.lastFailure = nil
            return state.machine.writerReady(writer, now: now)
        }
    }

    /// An idle writer found its connection gone. False when a batch was handed to it meanwhile,
    /// which will find that out for itself.
    package func writerLost(_ writer: WriterID) -> Bool {
        logger.warning("lost an idle connection", metadata: ["writer": "\(writer.number)"])
        return state.withLock { state in
            state.loseConnection()
            guard state.pending[writer.number] == nil else { return false }
            state.machine.writerLost(writer)
            return true
        }
    }
}

extension Coordinator.State {
    /// Until another connection has been found to lead to the same database, what is remembered is
    /// not told.
    mutating func loseConnection() {
        connections.lose()
        window.suspend()
    }
}
