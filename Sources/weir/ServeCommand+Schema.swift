import ArgumentParser
import Logging
import Weir
import WeirMigrations
import WeirPostgres

// Is schema weir as the gateway needs it, before anything is served?
extension ServeCommand {
    /// Migrates where that was asked for, or where the database is the gateway's own; else looks.
    ///
    /// - Throws: an exit code, when the gateway could not serve as it is configured; why stands on
    ///   standard error by then.
    func prepareSchema(
        _ writers: PostgresWriter.Configuration, isOwner: Bool, _ logger: Logger
    ) async throws {
        let isMigrating = migrate || isOwner
        guard isMigrating || writers.replay != .off else { return }
        let migrator = Migrator(writers.conninfo, version: weirVersion)
        do throws(Migrator.Failure) {
            if isMigrating {
                for migration in try await migrator.migrate().done {
                    logger.info("migration applied", metadata: ["name": "\(migration.name)"])
                }
            }
            guard writers.replay != .off else { return }
            for notice in try await migrator.checkServing() { logger.notice("\(notice)") }
        } catch {
            guard error.kind != .unreachable || isMigrating else {
                // As for one that goes away later, the gateway waits for it.
                return logger.warning(
                    "schema weir could not be looked at", metadata: ["reason": "\(error.reason)"])
            }
            complain(
                error.reason
                    + (isMigrating
                        ? "" : "\nOr remember no message IDs in the database: --replay-window off"))
            throw error.exitCode
        }
    }
}
