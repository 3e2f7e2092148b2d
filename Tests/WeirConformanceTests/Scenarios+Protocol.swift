import WeirTesting

extension Scenario {
    /// Definitions that change: how a generation of the replay table is closed.
    static let definitions: [Scenario] = [
        Scenario(
            "a closed table refuses rows and says why",
            [
                .run(.a, .put(.newer, [1, 1]), "INSERT 0 1 I"),
                .run(.a, .close(.newer), "ALTER TABLE I"),
                .run(.b, .put(.newer, [2, 2]), "23514 weir_generation_closed I"),
                .run(.b, .ignore(.newer, [1, 2]), "23514 weir_generation_closed I"),
                .run(.b, .set(.newer, 1, to: 5), "23514 weir_generation_closed I"),
                .run(.b, .read(.newer, 1), "SELECT 1 [1, 1] I"),
                .run(.b, .drop(.newer, 1), "DELETE 1 I"),
                .run(.a, .open(.newer), "ALTER TABLE I"),
                .run(.b, .put(.newer, [2, 2]), "INSERT 0 1 I"),
            ]),
        Scenario(
            "a table is closed and opened once",
            [
                .run(.a, .open(.newer), "42704 I"),
                .run(.a, .close(.newer), "ALTER TABLE I"),
                .run(.a, .close(.newer), "42710 I"),
            ]),
        Scenario(
            "closing waits for those who write, and those who come wait for it",
            [
                .pipeline(.a, [.begin, .put(.newer, [1, 1])], "BEGIN, INSERT 0 1 T"),
                .pipeline(.b, [.begin, .close(.newer)], "waits"),
                .run(.c, .put(.newer, [2, 2]), "waits"),
                .run(.a, .commit, "COMMIT I"),
                .wake(.b, "BEGIN, ALTER TABLE T"),
                .run(.b, .commit, "COMMIT I"),
                .wake(.c, "23514 weir_generation_closed I"),
                .rows(.newer, [[1, 1]]),
            ]),
        Scenario(
            "a closing that is rolled back closes nothing",
            [
                .pipeline(.a, [.begin, .close(.newer)], "BEGIN, ALTER TABLE T"),
                .run(.b, .put(.newer, [1, 1]), "waits"),
                .run(.a, .rollback, "ROLLBACK I"),
                .wake(.b, "INSERT 0 1 I"),
            ]),
        Scenario(
            "a truncation takes all rows, once it commits",
            [
                .run(.a, .put(.older, [1, 1], [2, 2]), "INSERT 0 2 I"),
                .pipeline(.a, [.begin, .truncate(.older)], "BEGIN, TRUNCATE TABLE T"),
                .run(.a, .read(.older, 1), "SELECT 0 T"),
                .run(.a, .put(.older, [1, 9]), "INSERT 0 1 T"),
                .run(.a, .rollback, "ROLLBACK I"),
                .rows(.older, [[1, 1], [2, 2]]),
                .run(.a, .truncate(.older), "TRUNCATE TABLE I"),
                .rows(.older, []),
                .run(.a, .put(.older, [1, 3]), "INSERT 0 1 I"),
            ]),
        Scenario(
            "a gate fails where the older table has one of its keys",
            [
                .run(.a, .put(.older, [1, 1]), "INSERT 0 1 I"),
                .run(.b, .strictGate([1, 2]), "42P01 I"),
                .run(.b, .strictGate([2, 2], [1, 3]), "42P01 I"),
                .run(.b, .strictGate([2, 2], [3, 3]), "INSERT 0 2 I"),
                .run(.b, .strictGate([2, 4]), "23505 newer_pkey I"),
                .rows(.newer, [[2, 2], [3, 3]]),
            ]),
        Scenario(
            "a gate sees what was committed while it waited for its own table",
            [
                .pipeline(
                    .a, [.begin, .lock(.newer), .put(.older, [1, 1])],
                    "BEGIN, LOCK TABLE, INSERT 0 1 T"),
                .run(.b, .strictGate([1, 2]), "waits"),
                .run(.a, .commit, "COMMIT I"),
                .wake(.b, "42P01 I"),
            ]),
        Scenario(
            "an entry fails where the generation is another one",
            [
                .run(.b, .entry(1, generation: 5), "INSERT 0 1 I"),
                .run(.a, .put(.older, [1, 5]), "INSERT 0 1 I"),
                .run(.b, .entry(2, generation: 5), "INSERT 0 1 I"),
                .run(.b, .entry(3, generation: 4), "42P01 I"),
                .run(.b, .probe(.older), "SELECT 1 [1] I"),
                .run(.b, .probe(.items), "SELECT 1 [0] I"),
                .rows(.newer, [[1, 0], [2, 0]]),
            ]),
        Scenario(
            "an entry behind a marker that waited for a rotation sees the generation that it made",
            [
                .run(.a, .put(.older, [1, 5]), "INSERT 0 1 I"),
                .pipeline(
                    .a, [.begin, .lock(.newer), .set(.older, 1, to: 6)],
                    "BEGIN, LOCK TABLE, UPDATE 1 T"),
                .pipeline(
                    .b, [.begin, .put(.newer, [1, 0]), .entry(2, generation: 5), .commit], "waits"),
                .run(.a, .commit, "COMMIT I"),
                .wake(.b, "BEGIN, INSERT 0 1, 42P01, skipped E"),
                .rows(.newer, []),
            ]),
        Scenario(
            "readers wait for a truncation",
            [
                .run(.a, .put(.older, [1, 1]), "INSERT 0 1 I"),
                .pipeline(.a, [.begin, .truncate(.older)], "BEGIN, TRUNCATE TABLE T"),
                .run(.b, .read(.older, 1), "waits"),
                .run(.a, .commit, "COMMIT I"),
                .wake(.b, "SELECT 0 I"),
            ]),
    ]

    /// The batch protocol itself, in small.
    static let protocols: [Scenario] = [
        Scenario(
            "the gate lets a message through once",
            [
                .pipeline(
                    .a, [.begin, .gate([1, 7], [2, 7]), .put(.log, [1, 1], [2, 2]), .commit],
                    "BEGIN, INSERT 0 2 [1] [2], INSERT 0 2, COMMIT I"),
                .run(.b, .gate([1, 8], [3, 8]), "INSERT 0 1 [3] I"),
                .rows(.newer, [[1, 7], [2, 7], [3, 8]]),
            ]),
        Scenario(
            "the gate knows the older generation",
            [
                .run(.a, .put(.older, [1, 7]), "INSERT 0 1 I"),
                .run(.b, .gate([1, 8], [2, 8]), "INSERT 0 1 [2] I"),
            ]),
        Scenario(
            "a gate in a closed generation refuses what is new only",
            [
                .run(.a, .put(.older, [1, 7]), "INSERT 0 1 I"),
                .run(.a, .close(.newer), "ALTER TABLE I"),
                .run(.b, .gate([1, 8]), "INSERT 0 0 I"),
                .run(.b, .gate([1, 8], [2, 8]), "23514 weir_generation_closed I"),
            ]),
        Scenario(
            "two gateways with the same message: the second waits and knows the first",
            [
                .pipeline(.a, [.begin, .gate([1, 7])], "BEGIN, INSERT 0 1 [1] T"),
                .pipeline(.b, [.begin, .gate([1, 7], [2, 7])], "waits"),
                .pipeline(.a, [.put(.log, [1, 1]), .commit], "INSERT 0 1, COMMIT I"),
                .wake(.b, "BEGIN, INSERT 0 1 [2] T"),
                .run(.b, .read(.newer, 1), "SELECT 1 [1, 7] T"),
                .pipeline(.b, [.put(.log, [2, 2]), .commit], "INSERT 0 1, COMMIT I"),
                .rows(.log, [[1, 1], [2, 2]]),
            ]),
        Scenario(
            "a fence behind a commit finds it",
            [
                .pipeline(
                    .a, [.begin, .put(.items, [100, 0]), .put(.log, [1, 1]), .commit],
                    "BEGIN, INSERT 0 1, INSERT 0 1, COMMIT I"),
                .pipeline(
                    .b, [.begin, .ignore(.items, [100, 1]), .read(.items, 100), .commit],
                    "BEGIN, INSERT 0 0, SELECT 1 [100, 0], COMMIT I"),
            ]),
        Scenario(
            "a fence stops an attempt that runs late",
            [
                .pipeline(
                    .b, [.begin, .ignore(.items, [100, 1]), .read(.items, 100), .commit],
                    "BEGIN, INSERT 0 1 [100], SELECT 1 [100, 1], COMMIT I"),
                .pipeline(
                    .a, [.begin, .put(.items, [100, 0]), .put(.log, [1, 1]), .commit],
                    "BEGIN, 23505 items_pkey, skipped, skipped E"),
                .hangUp(.a),
                .rows(.log, []),
            ]),
        Scenario(
            "a fence waits for a zombie, and gives up in time",
            [
                .pipeline(.a, [.begin, .put(.items, [100, 0])], "BEGIN, INSERT 0 1 T"),
                .pipeline(.x, [.begin, .ignore(.items, [100, 1])], "BEGIN, 55P03 E"),
                .run(.x, .rollback, "ROLLBACK I"),
                .pipeline(
                    .b, [.begin, .ignore(.items, [100, 1]), .read(.items, 100), .commit], "waits"),
                .hangUp(.a),
                .wake(.b, "BEGIN, INSERT 0 1 [100], SELECT 1 [100, 1], COMMIT I"),
            ]),
        Scenario(
            "a fence that is rolled back stops nobody",
            [
                .pipeline(.b, [.begin, .ignore(.items, [100, 1])], "BEGIN, INSERT 0 1 [100] T"),
                .pipeline(
                    .a, [.begin, .put(.items, [100, 0]), .put(.log, [1, 1]), .commit], "waits"),
                .hangUp(.b),
                .wake(.a, "BEGIN, INSERT 0 1, INSERT 0 1, COMMIT I"),
                .rows(.log, [[1, 1]]),
            ]),
        Scenario(
            "the generations change places while a batch is open",
            [
                .run(.a, .put(.older, [9, 1]), "INSERT 0 1 I"),
                .run(.a, .close(.older), "ALTER TABLE I"),
                .pipeline(.a, [.begin, .gate([1, 7])], "BEGIN, INSERT 0 1 [1] T"),
                .pipeline(
                    .b, [.begin, .truncate(.older), .open(.older), .close(.newer), .commit],
                    "waits"),
                .pipeline(.a, [.put(.log, [1, 1]), .commit], "INSERT 0 1, COMMIT I"),
                .wake(.b, "BEGIN, TRUNCATE TABLE, ALTER TABLE, ALTER TABLE, COMMIT I"),
                .run(.a, .gate([2, 7]), "23514 weir_generation_closed I"),
                .run(.a, .put(.older, [2, 7]), "INSERT 0 1 I"),
                .rows(.newer, [[1, 7]]),
                .rows(.older, [[2, 7]]),
            ]),
    ]

    static let all =
        transactions + rules + uniqueness + rowLocks + waits + sessions + standby + definitions
        + protocols
}
