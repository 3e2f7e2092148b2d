import Logging
package import WeirCore

/// Something that owns one connection and writes batches over it, one at a time, on an executor of
/// its own that may block: it waits there for the database, and for the next batch.
package protocol BatchWriter: Actor {
    /// Connects, within a bound of its own, and says so to the coordinator: `connected`. Throws why
    /// it could not.
    func connect() throws(ConnectFailure)
    /// Writes the batch in one transaction, within a bound of its own.
    func write(_ batch: WriteBatch) -> BatchReport
    /// The same on the thread that calls, while the writer's own waits for a task: a batch of one
    /// record, and no longer than `limit`. Returns the report of an attempt that has committed, and
    /// `nil` where there is more to do than that: the writer's own thread is to go on.
    nonisolated func writeInline(_ batch: WriteBatch, within limit: Nanoseconds) -> BatchReport?
    /// Writes the batch, from where `writeInline` has left it.
    func goOn(_ batch: WriteBatch) -> BatchReport
    /// Whether the idle connection still stands.
    func isAlive() -> Bool
    /// Whether the database may hold other definitions of the exposed tables than `known`.
    func mayDiffer(from known: Catalog) throws(ConnectFailure) -> Bool
    /// Reads the definitions of the exposed tables.
    func loadCatalog() throws(ConnectFailure) -> Catalog
    /// What the database needs from time to time; called about once a second, between batches, on
    /// one writer or another. Returns what is worth a line in the log.
    func maintain() throws(ConnectFailure) -> String?
    /// What the database remembers of messages, in the order of the question: `nil` for one that it
    /// does not know.
    func lookUp(_ messages: [MessageKey.Identity]) throws(ConnectFailure) -> [StoredMessage?]
    /// Answers a question about dead letters, or does what it says.
    func answer(_ question: DeadLetterQuestion) throws(ConnectFailure) -> DeadLetterReply
    func disconnect()
}

extension BatchWriter {
    /// Leaves everything to the writer's own thread.
    package nonisolated func writeInline(
        _ batch: WriteBatch, within limit: Nanoseconds
    ) -> BatchReport? { nil }

    package func goOn(_ batch: WriteBatch) -> BatchReport { write(batch) }

    package func maintain() throws(ConnectFailure) -> String? { nil }

    /// Remembers nothing.
    package func lookUp(
        _ messages: [MessageKey.Identity]
    ) throws(ConnectFailure) -> [StoredMessage?] {
        Array(repeating: nil, count: messages.count)
    }

    /// Keeps none.
    package func answer(
        _ question: DeadLetterQuestion
    ) throws(ConnectFailure) -> DeadLetterReply { .none }
}

/// Why there is no connection, in words that carry no secret.
package struct ConnectFailure: Error, Equatable, Sendable {
    package var reason: String
    package init(_ reason: String) { self.reason = reason }
}

/// What a parked writer is woken for.
package enum WriterTask: Sendable {
    case write(WriteBatch)
    /// The same, where another thread may have begun.
    case goOn(WriteBatch)
    case readCatalog(CatalogWatch.Reading)
    case lookUp([MessageKey.Identity])
    case deadLetters(DeadLetterQuestion)
    /// See whether the connection is still there.
    case check
    case stop
}

extension BatchWriter {
    /// Connects, writes what the coordinator hands out, and connects again when the connection is
    /// lost, until the coordinator says stop.
    ///
    /// - Parameter isReady: it is connected, and the coordinator has been told.
    package func run(_ id: WriterID, for coordinator: Coordinator, isReady: Bool = false) async {
        var failures = 0
        var random = SplitMix64(seed: UInt64(id.number) &* 0x9E37_79B9_7F4A_7C15 ^ coordinator.seed)
        let backoff = Backoff(min: .milliseconds(100), max: .seconds(2))
        if isReady { serve(id, coordinator) }
        while !coordinator.isStopping {
            coordinator.connecting(id)
            do {
                try connect()
                failures = 0
            } catch {
                failures += 1
                coordinator.connectFailed(id, error, failures: failures)
                // Cut short by cancellation only, which `isStopping` comes with.
                let delay = backoff.delay(attempt: failures, using: &random)
                try? await coordinator.time.sleep(for: delay)
                continue
            }
            coordinator.writerReady(id, inline: self)
            serve(id, coordinator)
        }
        disconnect()
    }

    /// Carries out tasks until the connection is lost or the coordinator says stop.
    private func serve(_ id: WriterID, _ coordinator: Coordinator) {
        while true {
            switch coordinator.nextTask(for: id) {
            case .write(let batch):
                var report = BatchReport(.transient(.connectionLost))
                report.isConnected = false
                if coordinator.isOutdated(id) { disconnect() } else { report = write(batch) }
                coordinator.finished(id, batch, report)
                if !report.isConnected { return }
            case .goOn(let batch):
                let report = goOn(batch)
                coordinator.finished(id, batch, report)
                if !report.isConnected { return }
            case .readCatalog(let reading):
                do {
                    let known = reading == .look ? coordinator.catalogStore.catalog : nil
                    if let known, try !mayDiffer(from: known) {
                        coordinator.catalogConfirmed()
                    } else {
                        coordinator.catalogLoaded(try loadCatalog())
                    }
                } catch {
                    coordinator.catalogFailed(error)
                    if isLost(id, coordinator) { return }
                }
                if isLostMaintaining(id, coordinator) { return }
            case .lookUp(let messages):
                do {
                    coordinator.lookedUp(try lookUp(messages))
                } catch {
                    coordinator.lookUpFailed(error)
                    if isLost(id, coordinator) { return }
                }
            case .deadLetters(let question):
                do {
                    coordinator.answered(try answer(question))
                } catch {
                    coordinator.askFailed(error)
                    if isLost(id, coordinator) { return }
                }
            case .check:
                if isLost(id, coordinator) { return }
            case .stop:
                return
            }
        }
    }

    /// Whether the connection was lost over what is due now.
    private func isLostMaintaining(_ id: WriterID, _ coordinator: Coordinator) -> Bool {
        do {
            if let news = try maintain() { coordinator.logger.info("\(news)") }
            return false
        } catch {
            coordinator.logger.warning(
                "maintenance failed", metadata: ["reason": "\(error.reason)"])
            return isLost(id, coordinator)
        }
    }

    /// Whether the connection is gone and no batch has been handed over meanwhile, which would find
    /// out.
    private func isLost(_ id: WriterID, _ coordinator: Coordinator) -> Bool {
        if coordinator.isOutdated(id) { disconnect() }
        return !isAlive() && coordinator.writerLost(id)
    }
}
