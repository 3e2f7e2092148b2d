import Testing
import Weir
import WeirPostgres

/// The groups of dead letters, as the tables themselves keep them.
@Suite(.privateServer, .serialized, .timeLimit(.minutes(1))) struct DeadLetterTableTests {
    private func migrated() async throws -> MigrationScene {
        let scene = try await MigrationScene()
        _ = try await Migrator(try scene.conninfo(), version: "1").migrate()
        return scene
    }

    /// Rows of these groups.
    private func insert(_ fingerprints: [Int]) -> String {
        let values = fingerprints.map { "(\($0), 'orders', 'insert', 'code-\($0)', 'why', '{}')" }
        return """
            INSERT INTO weir.dead_letter (fingerprint, table_name, operation, code, reason, raw)
            VALUES \(values.joined(separator: ", "))
            """
    }

    private let groups = """
        SELECT fingerprint, code, count, sample FROM weir.dead_letter_group ORDER BY fingerprint
        """

    /// What counting says.
    private let counted = """
        SELECT fingerprint, min(code), count(*), min(id) FROM weir.dead_letter GROUP BY 1 ORDER BY 1
        """

    @Test func groupsAreWhatCountingWouldSay() async throws {
        let scene = try await migrated()
        // Sessions of their own: each counts in its own shard.
        for step in [
            insert([1, 2, 1]), insert([3, 1]), insert([2]),
            "DELETE FROM weir.dead_letter WHERE id IN (1, 2)",
            "UPDATE weir.dead_letter SET fingerprint = 9, code = 'code-9' WHERE id = 4",
            "UPDATE weir.dead_letter SET edited = 'x'",
            "DELETE FROM weir.dead_letter WHERE fingerprint = 9",
            "BEGIN; DELETE FROM weir.dead_letter; ROLLBACK",
            insert(Array(repeating: 5, count: 100) + [1]),
        ] {
            try await scene.execute(step)
            #expect(try await scene.query(groups) == scene.query(counted), "\(step)")
        }
        #expect(try await scene.query("SELECT sum(count) FROM weir.dead_letter_group") == [["104"]])
        try await scene.execute("TRUNCATE weir.dead_letter")
        #expect(try await scene.query(groups).isEmpty)
        #expect(try await scene.query("SELECT count(*) FROM weir.dead_letter_count") == [["0"]])
    }

    @Test func nobodyWaitsForAnotherSessionsDeadLetterOfTheSameGroup() async throws {
        let scene = try await migrated()
        let first = try scene.session()
        try first.execute("BEGIN; " + insert([1]))
        let own = try first.query("SELECT shard FROM weir.dead_letter_count")
        var others: [EmbeddedServer.OwnerSession] = []
        var isShardOther = false
        // Shards go by the backend's number; the next sessions have others.
        for _ in 0..<4 where !isShardOther {
            let second = try scene.session()
            others.append(second)
            isShardOther = try second.query("SELECT pg_backend_pid() % 16") != own
        }
        #expect(isShardOther)
        try others[others.count - 1].execute("SET lock_timeout = '100ms'; " + insert([1]))
        try first.execute("COMMIT")
        #expect(try await scene.query(groups) == scene.query(counted))
    }

    @Test func theReasonIsBounded() async throws {
        let scene = try await migrated()
        await #expect(throws: EmbeddedServer.Failure.self) {
            try await scene.execute(
                """
                INSERT INTO weir.dead_letter (fingerprint, table_name, operation, code, reason, raw)
                VALUES (1, 't', 'insert', 'c', repeat('é', 513), '')
                """)
        }
    }
}
