import WeirTesting

extension Scenario {
    /// Blocks, errors, pipelines, snapshots.
    static let transactions: [Scenario] = [
        Scenario(
            "a transaction is seen once it has committed",
            [
                .run(.a, .begin, "BEGIN T"),
                .run(.a, .put(.items, [1, 10]), "INSERT 0 1 T"),
                .rows(.items, []),
                .run(.a, .read(.items, 1), "SELECT 1 [1, 10] T"),
                .run(.a, .commit, "COMMIT I"),
                .rows(.items, [[1, 10]]),
            ]),
        Scenario(
            "a transaction that is rolled back leaves nothing",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .run(.a, .rollback, "ROLLBACK I"),
                .rows(.items, []),
            ]),
        Scenario(
            "a whole transaction in one flush",
            [
                .pipeline(
                    .a, [.begin, .put(.items, [1, 10]), .put(.log, [1, 1]), .commit],
                    "BEGIN, INSERT 0 1, INSERT 0 1, COMMIT I"),
                .rows(.items, [[1, 10]]),
                .rows(.log, [[1, 1]]),
            ]),
        Scenario(
            "an error passes over the rest of the flush, COMMIT too",
            [
                .pipeline(
                    .a, [.begin, .put(.items, [1, 10], [1, 11]), .put(.log, [1, 1]), .commit],
                    "BEGIN, 23505 items_pkey, skipped, skipped E"),
                .rows(.items, []),
                .run(.a, .rollback, "ROLLBACK I"),
            ]),
        Scenario(
            "COMMIT of a failed transaction is answered ROLLBACK",
            [
                .run(.a, .begin, "BEGIN T"),
                .run(.a, .put(.ruled, [1, 900]), "23514 ruled_check E"),
                .run(.a, .commit, "ROLLBACK I"),
            ]),
        Scenario(
            "a failed transaction refuses everything but its end",
            [
                .run(.a, .begin, "BEGIN T"),
                .run(.a, .put(.items, [1, 10]), "INSERT 0 1 T"),
                .run(.a, .put(.ruled, [1, 910]), "P0001 E"),
                .run(.a, .put(.items, [2, 10]), "25P02 E"),
                .run(.a, .read(.items, 1), "25P02 E"),
                .run(.a, .begin, "25P02 E"),
                .run(.a, .rollback, "ROLLBACK I"),
                .rows(.items, []),
            ]),
        Scenario(
            "a failed transaction has let go of its locks",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .run(.a, .put(.ruled, [1, 910]), "P0001 E"),
                .run(.b, .put(.items, [1, 20]), "INSERT 0 1 I"),
                .run(.a, .commit, "ROLLBACK I"),
                .rows(.items, [[1, 20]]),
            ]),
        Scenario(
            "COMMIT without a transaction says COMMIT",
            [
                .run(.a, .commit, "COMMIT (warning) I")
            ]),
        Scenario(
            "ROLLBACK without a transaction says ROLLBACK",
            [
                .run(.a, .rollback, "ROLLBACK (warning) I")
            ]),
        Scenario(
            "BEGIN in a transaction changes nothing",
            [
                .pipeline(
                    .a, [.begin, .begin, .put(.items, [1, 1]), .rollback],
                    "BEGIN, BEGIN (warning), INSERT 0 1, ROLLBACK I"),
                .rows(.items, []),
            ]),
        Scenario(
            "statements without BEGIN commit with the sync",
            [
                .pipeline(
                    .a, [.put(.items, [1, 1]), .put(.items, [2, 2])], "INSERT 0 1, INSERT 0 1 I"),
                .rows(.items, [[1, 1], [2, 2]]),
            ]),
        Scenario(
            "statements without BEGIN fail together",
            [
                .pipeline(
                    .a, [.put(.items, [1, 1]), .put(.items, [1, 2]), .put(.items, [3, 3])],
                    "INSERT 0 1, 23505 items_pkey, skipped I"),
                .rows(.items, []),
            ]),
        Scenario(
            "a statement sees what its own transaction did before it",
            [
                .run(.a, .begin, "BEGIN T"),
                .run(.a, .put(.items, [1, 1]), "INSERT 0 1 T"),
                .run(.a, .add(.items, 1), "UPDATE 1 T"),
                .run(.a, .add(.items, 1), "UPDATE 1 T"),
                .run(.a, .read(.items, 1), "SELECT 1 [1, 3] T"),
                .run(.a, .drop(.items, 1), "DELETE 1 T"),
                .run(.a, .put(.items, [1, 9]), "INSERT 0 1 T"),
                .run(.a, .commit, "COMMIT I"),
                .rows(.items, [[1, 9]]),
            ]),
        Scenario(
            "each statement sees what had committed when it began",
            [
                .run(.a, .begin, "BEGIN T"),
                .run(.a, .read(.items, 1), "SELECT 0 T"),
                .run(.b, .put(.items, [1, 1]), "INSERT 0 1 I"),
                .run(.a, .read(.items, 1), "SELECT 1 [1, 1] T"),
                .run(.b, .drop(.items, 1), "DELETE 1 I"),
                .run(.a, .read(.items, 1), "SELECT 0 T"),
                .run(.a, .commit, "COMMIT I"),
            ]),
        Scenario(
            "readers wait for no writer",
            [
                .run(.a, .put(.items, [1, 1]), "INSERT 0 1 I"),
                .pipeline(.a, [.begin, .set(.items, 1, to: 2)], "BEGIN, UPDATE 1 T"),
                .run(.b, .read(.items, 1), "SELECT 1 [1, 1] I"),
                .run(.a, .drop(.items, 1), "DELETE 1 T"),
                .run(.b, .read(.items, 1), "SELECT 1 [1, 1] I"),
                .run(.a, .commit, "COMMIT I"),
                .run(.b, .read(.items, 1), "SELECT 0 I"),
            ]),
        Scenario(
            "an empty transaction commits",
            [
                .pipeline(.a, [.begin, .commit], "BEGIN, COMMIT I"),
                .pipeline(.a, [.begin, .read(.items, 1), .commit], "BEGIN, SELECT 0, COMMIT I"),
            ]),
        Scenario(
            "a session goes on after an error",
            [
                .run(.a, .put(.ruled, [1, 900]), "23514 ruled_check I"),
                .run(.a, .put(.ruled, [1, 1]), "INSERT 0 1 I"),
                .rows(.ruled, [[1, 1]]),
            ]),
        Scenario(
            "one session too many", sessionsMax: 2,
            [
                .run(.a, .begin, "BEGIN T"),
                .run(.b, .begin, "BEGIN T"),
                .run(.c, .begin, "FATAL 53300"),
                .hangUp(.a),
                .run(.c, .begin, "BEGIN T"),
            ]),
    ]

    /// What rows are refused for.
    static let rules: [Scenario] = [
        Scenario(
            "a constraint names itself",
            [
                .run(.a, .put(.ruled, [1, 1], [2, 905], [3, 3]), "23514 ruled_check I"),
                .rows(.ruled, []),
            ]),
        Scenario(
            "a trigger's error has its SQLSTATE",
            [
                .run(.a, .put(.ruled, [1, 915]), "P0001 I"),
                .run(.a, .put(.ruled, [1, 945]), "40001 I"),
            ]),
        Scenario(
            "a trigger leaves a row out and says nothing",
            [
                .run(.a, .put(.ruled, [1, 1], [2, 930], [3, 3]), "INSERT 0 2 I"),
                .rows(.ruled, [[1, 1], [3, 3]]),
            ]),
        Scenario(
            "a trigger leaves an update out",
            [
                .run(.a, .put(.ruled, [1, 1]), "INSERT 0 1 I"),
                .run(.a, .set(.ruled, 1, to: 931), "UPDATE 0 I"),
                .rows(.ruled, [[1, 1]]),
            ]),
        Scenario(
            "an update is checked too",
            [
                .run(.a, .put(.ruled, [1, 1]), "INSERT 0 1 I"),
                .run(.a, .set(.ruled, 1, to: 901), "23514 ruled_check I"),
                .run(.a, .upsert(.ruled, [1, 911]), "P0001 I"),
                .rows(.ruled, [[1, 1]]),
            ]),
        Scenario(
            "a deferred constraint fails at COMMIT",
            [
                .run(.a, .begin, "BEGIN T"),
                .run(.a, .put(.ruled, [1, 920]), "INSERT 0 1 T"),
                .run(.a, .commit, "23503 I"),
                .rows(.ruled, []),
            ]),
        Scenario(
            "a deferred constraint fails a flush at its COMMIT",
            [
                .pipeline(
                    .a, [.begin, .put(.ruled, [1, 920]), .commit], "BEGIN, INSERT 0 1, 23503 I"),
                .run(.a, .put(.ruled, [1, 1]), "INSERT 0 1 I"),
            ]),
        Scenario(
            "a deferred constraint fails at the sync",
            [
                .run(.a, .put(.ruled, [1, 920]), "INSERT 0 1, 23503 I"),
                .rows(.ruled, []),
            ]),
        Scenario(
            "a deferred constraint can be asked for",
            [
                .run(.a, .begin, "BEGIN T"),
                .run(.a, .put(.ruled, [1, 1]), "INSERT 0 1 T"),
                .run(.a, .checkConstraints, "SET CONSTRAINTS T"),
                .run(.a, .put(.ruled, [2, 920]), "23503 E"),
                .run(.a, .commit, "ROLLBACK I"),
                .rows(.ruled, []),
            ]),
        Scenario(
            "the row goes to its constraints before it goes to the index",
            [
                .run(.a, .put(.ruled, [1, 1]), "INSERT 0 1 I"),
                .run(.a, .put(.ruled, [1, 900]), "23514 ruled_check I"),
                .run(.a, .ignore(.ruled, [1, 900]), "23514 ruled_check I"),
                .run(.a, .ignore(.ruled, [1, 910]), "P0001 I"),
                .run(.a, .ignore(.ruled, [1, 930]), "INSERT 0 0 I"),
            ]),
    ]
}
