import WeirTesting

extension Scenario {
    /// Who waits in a unique index, and what comes of it.
    static let uniqueness: [Scenario] = [
        Scenario(
            "an insert waits for an open one and sees it commit",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .run(.b, .put(.items, [1, 20]), "waits"),
                .run(.a, .commit, "COMMIT I"),
                .wake(.b, "23505 items_pkey I"),
                .rows(.items, [[1, 10]]),
            ]),
        Scenario(
            "an insert waits for an open one and sees it roll back",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .run(.b, .put(.items, [1, 20]), "waits"),
                .run(.a, .rollback, "ROLLBACK I"),
                .wake(.b, "INSERT 0 1 I"),
                .rows(.items, [[1, 20]]),
            ]),
        Scenario(
            "DO NOTHING waits and does nothing",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .run(.b, .ignore(.items, [1, 20], [2, 20]), "waits"),
                .run(.a, .commit, "COMMIT I"),
                .wake(.b, "INSERT 0 1 [2] I"),
                .rows(.items, [[1, 10], [2, 20]]),
            ]),
        Scenario(
            "DO NOTHING waits and inserts",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .run(.b, .ignore(.items, [1, 20]), "waits"),
                .run(.a, .rollback, "ROLLBACK I"),
                .wake(.b, "INSERT 0 1 [1] I"),
            ]),
        Scenario(
            "DO NOTHING does nothing for a row that is there",
            [
                .run(.a, .put(.items, [1, 10]), "INSERT 0 1 I"),
                .run(.b, .ignore(.items, [1, 20], [2, 20]), "INSERT 0 1 [2] I"),
            ]),
        Scenario(
            "DO NOTHING takes the first of two alike",
            [
                .run(.a, .ignore(.items, [1, 10], [1, 11], [2, 20]), "INSERT 0 2 [1] [2] I"),
                .rows(.items, [[1, 10], [2, 20]]),
            ]),
        Scenario(
            "an insert that waited keeps what it wrote before",
            [
                .pipeline(.a, [.begin, .put(.items, [2, 10])], "BEGIN, INSERT 0 1 T"),
                .run(.b, .put(.items, [1, 20], [2, 20], [3, 20]), "waits"),
                .run(.c, .ignore(.items, [1, 30]), "waits"),
                .run(.a, .commit, "COMMIT I"),
                .wake(.b, "23505 items_pkey I"),
                .wake(.c, "INSERT 0 1 [1] I"),
                .rows(.items, [[1, 30], [2, 10]]),
            ]),
        Scenario(
            "three in line: only one gets in",
            [
                .pipeline(.a, [.begin, .ignore(.items, [1, 10])], "BEGIN, INSERT 0 1 [1] T"),
                .pipeline(.b, [.begin, .ignore(.items, [1, 20])], "waits"),
                .run(.a, .rollback, "ROLLBACK I"),
                .wake(.b, "BEGIN, INSERT 0 1 [1] T"),
                .run(.c, .ignore(.items, [1, 30]), "waits"),
                .run(.b, .commit, "COMMIT I"),
                .wake(.c, "INSERT 0 0 I"),
                .rows(.items, [[1, 20]]),
            ]),
        Scenario(
            "a deleted key is free once that has committed",
            [
                .run(.a, .put(.items, [1, 10]), "INSERT 0 1 I"),
                .pipeline(.a, [.begin, .drop(.items, 1)], "BEGIN, DELETE 1 T"),
                .run(.b, .put(.items, [1, 20]), "waits"),
                .run(.a, .commit, "COMMIT I"),
                .wake(.b, "INSERT 0 1 I"),
                .rows(.items, [[1, 20]]),
            ]),
        Scenario(
            "a deleted key is taken if that rolls back",
            [
                .run(.a, .put(.items, [1, 10]), "INSERT 0 1 I"),
                .pipeline(.a, [.begin, .drop(.items, 1)], "BEGIN, DELETE 1 T"),
                .run(.b, .put(.items, [1, 20]), "waits"),
                .run(.a, .rollback, "ROLLBACK I"),
                .wake(.b, "23505 items_pkey I"),
            ]),
        Scenario(
            "DO NOTHING waits for an update of the row",
            [
                .run(.a, .put(.items, [1, 10]), "INSERT 0 1 I"),
                .pipeline(.a, [.begin, .set(.items, 1, to: 11)], "BEGIN, UPDATE 1 T"),
                .run(.b, .ignore(.items, [1, 20]), "waits"),
                .run(.a, .commit, "COMMIT I"),
                .wake(.b, "INSERT 0 0 I"),
            ]),
        Scenario(
            "without a unique index nobody waits",
            [
                .pipeline(.a, [.begin, .put(.log, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .run(.b, .put(.log, [1, 20]), "INSERT 0 1 I"),
                .run(.a, .commit, "COMMIT I"),
                .rows(.log, [[1, 10], [1, 20]]),
            ]),
        Scenario(
            "the next statement sees whose row was in the way",
            [
                .pipeline(.a, [.begin, .ignore(.items, [1, 10])], "BEGIN, INSERT 0 1 [1] T"),
                .pipeline(
                    .b, [.begin, .ignore(.items, [1, 20]), .read(.items, 1), .commit], "waits"),
                .run(.a, .commit, "COMMIT I"),
                .wake(.b, "BEGIN, INSERT 0 0, SELECT 1 [1, 10], COMMIT I"),
            ]),
    ]

    /// INSERT … ON CONFLICT DO UPDATE, UPDATE and DELETE on rows that others have in hand.
    static let rowLocks: [Scenario] = [
        Scenario(
            "an upsert inserts and updates",
            [
                .run(.a, .upsert(.items, [1, 10]), "INSERT 0 1 [1] I"),
                .run(.a, .upsert(.items, [1, 11], [2, 20]), "INSERT 0 2 [1] [2] I"),
                .rows(.items, [[1, 11], [2, 20]]),
            ]),
        Scenario(
            "an upsert waits for an insert and updates its row",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .run(.b, .upsert(.items, [1, 20]), "waits"),
                .run(.a, .commit, "COMMIT I"),
                .wake(.b, "INSERT 0 1 [1] I"),
                .rows(.items, [[1, 20]]),
            ]),
        Scenario(
            "an upsert meets no row twice",
            [
                .run(.a, .upsert(.items, [1, 10], [1, 11]), "21000 I"),
                .run(.a, .put(.items, [2, 20]), "INSERT 0 1 I"),
                .run(.a, .upsert(.items, [2, 21], [2, 22]), "21000 I"),
                .pipeline(
                    .a, [.begin, .upsert(.items, [2, 21]), .upsert(.items, [2, 22]), .commit],
                    "BEGIN, INSERT 0 1 [2], INSERT 0 1 [2], COMMIT I"),
                .rows(.items, [[2, 22]]),
            ]),
        Scenario(
            "an older version is ignored",
            [
                .run(.a, .put(.items, [1, 10]), "INSERT 0 1 I"),
                .run(.a, .upsertNewer(.items, [1, 9], [2, 9]), "INSERT 0 1 [2] I"),
                .run(.a, .upsertNewer(.items, [1, 10]), "INSERT 0 0 I"),
                .run(.a, .upsertNewer(.items, [1, 11]), "INSERT 0 1 [1] I"),
                .rows(.items, [[1, 11], [2, 9]]),
            ]),
        Scenario(
            "a row whose older version was ignored is locked",
            [
                .run(.a, .put(.items, [1, 10]), "INSERT 0 1 I"),
                .pipeline(.a, [.begin, .upsertNewer(.items, [1, 9])], "BEGIN, INSERT 0 0 T"),
                .run(.b, .set(.items, 1, to: 20), "waits"),
                .run(.c, .ignore(.items, [1, 30]), "INSERT 0 0 I"),
                .run(.a, .commit, "COMMIT I"),
                .wake(.b, "UPDATE 1 I"),
            ]),
        Scenario(
            "an update waits, and counts from what it finds then",
            [
                .run(.a, .put(.items, [1, 10]), "INSERT 0 1 I"),
                .pipeline(.a, [.begin, .add(.items, 1)], "BEGIN, UPDATE 1 T"),
                .run(.b, .add(.items, 1), "waits"),
                .run(.a, .commit, "COMMIT I"),
                .wake(.b, "UPDATE 1 I"),
                .rows(.items, [[1, 12]]),
            ]),
        Scenario(
            "an update waits, and counts from what was there",
            [
                .run(.a, .put(.items, [1, 10]), "INSERT 0 1 I"),
                .pipeline(.a, [.begin, .add(.items, 1)], "BEGIN, UPDATE 1 T"),
                .run(.b, .add(.items, 1), "waits"),
                .run(.a, .rollback, "ROLLBACK I"),
                .wake(.b, "UPDATE 1 I"),
                .rows(.items, [[1, 11]]),
            ]),
        Scenario(
            "an update meets a row that was deleted meanwhile",
            [
                .run(.a, .put(.items, [1, 10]), "INSERT 0 1 I"),
                .pipeline(.a, [.begin, .drop(.items, 1)], "BEGIN, DELETE 1 T"),
                .run(.b, .add(.items, 1), "waits"),
                .run(.a, .commit, "COMMIT I"),
                .wake(.b, "UPDATE 0 I"),
            ]),
        Scenario(
            "an update does not see a row that came after it began",
            [
                .run(.a, .put(.items, [1, 10]), "INSERT 0 1 I"),
                .pipeline(
                    .a, [.begin, .drop(.items, 1), .put(.items, [1, 50])],
                    "BEGIN, DELETE 1, INSERT 0 1 T"),
                .run(.b, .add(.items, 1), "waits"),
                .run(.a, .commit, "COMMIT I"),
                .wake(.b, "UPDATE 0 I"),
                .rows(.items, [[1, 50]]),
            ]),
        Scenario(
            "a delete waits and deletes what it finds then",
            [
                .run(.a, .put(.items, [1, 10]), "INSERT 0 1 I"),
                .pipeline(.a, [.begin, .set(.items, 1, to: 11)], "BEGIN, UPDATE 1 T"),
                .run(.b, .drop(.items, 1), "waits"),
                .run(.a, .commit, "COMMIT I"),
                .wake(.b, "DELETE 1 I"),
                .rows(.items, []),
            ]),
        Scenario(
            "rows that are not there are not updated",
            [
                .run(.a, .add(.items, 1, 2), "UPDATE 0 I"),
                .run(.a, .drop(.items, 1), "DELETE 0 I"),
            ]),
        Scenario(
            "updates in line on one row add up",
            [
                .run(.a, .put(.items, [1, 0]), "INSERT 0 1 I"),
                .pipeline(.a, [.begin, .add(.items, 1)], "BEGIN, UPDATE 1 T"),
                .run(.b, .add(.items, 1), "waits"),
                .run(.c, .add(.items, 1), "waits"),
                .run(.a, .commit, "COMMIT I"),
                .wake(.b, "UPDATE 1 I"),
                .wake(.c, "UPDATE 1 I"),
                .rows(.items, [[1, 3]]),
            ]),
    ]

    /// Table locks, timeouts and deadlocks.
    static let waits: [Scenario] = [
        Scenario(
            "a lock that is not released is given up",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .run(.x, .put(.items, [1, 20]), "55P03 I"),
                .run(.a, .commit, "COMMIT I"),
                .rows(.items, [[1, 10]]),
            ]),
        Scenario(
            "a lock that is given up fails the transaction",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .pipeline(
                    .x, [.begin, .put(.log, [1, 1]), .ignore(.items, [1, 20]), .commit],
                    "BEGIN, INSERT 0 1, 55P03, skipped E"),
                .run(.x, .commit, "ROLLBACK I"),
                .rows(.log, []),
            ]),
        Scenario(
            "two that update in opposite order",
            [
                .run(.a, .put(.items, [1, 0], [2, 0]), "INSERT 0 2 I"),
                .pipeline(.a, [.begin, .add(.items, 1)], "BEGIN, UPDATE 1 T"),
                .pipeline(.x, [.begin, .add(.items, 2)], "BEGIN, UPDATE 1 T"),
                .run(.a, .add(.items, 2), "waits"),
                .run(.x, .add(.items, 1), "40P01 E"),
                .wake(.a, "UPDATE 1 T"),
                .run(.x, .commit, "ROLLBACK I"),
                .run(.a, .commit, "COMMIT I"),
                .rows(.items, [[1, 1], [2, 1]]),
            ]),
        Scenario(
            "two that insert in opposite order",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 0])], "BEGIN, INSERT 0 1 T"),
                .pipeline(.x, [.begin, .put(.items, [2, 0])], "BEGIN, INSERT 0 1 T"),
                .run(.a, .ignore(.items, [2, 1]), "waits"),
                .run(.x, .ignore(.items, [1, 1]), "40P01 E"),
                .wake(.a, "INSERT 0 1 [2] T"),
                .run(.a, .commit, "COMMIT I"),
                .rows(.items, [[1, 0], [2, 1]]),
            ]),
        Scenario(
            "three in a ring",
            [
                .run(.a, .put(.items, [1, 0], [2, 0], [3, 0]), "INSERT 0 3 I"),
                .pipeline(.a, [.begin, .add(.items, 1)], "BEGIN, UPDATE 1 T"),
                .pipeline(.b, [.begin, .add(.items, 2)], "BEGIN, UPDATE 1 T"),
                .pipeline(.x, [.begin, .add(.items, 3)], "BEGIN, UPDATE 1 T"),
                .run(.a, .add(.items, 2), "waits"),
                .run(.b, .add(.items, 3), "waits"),
                .run(.x, .add(.items, 1), "40P01 E"),
                .wake(.b, "UPDATE 1 T"),
                .run(.b, .commit, "COMMIT I"),
                .wake(.a, "UPDATE 1 T"),
                .run(.a, .commit, "COMMIT I"),
                .rows(.items, [[1, 1], [2, 2], [3, 1]]),
            ]),
        Scenario(
            "a table lock waits for writers and makes others wait",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 1])], "BEGIN, INSERT 0 1 T"),
                .pipeline(.b, [.begin, .lock(.items)], "waits"),
                .run(.c, .put(.items, [2, 2]), "waits"),
                .run(.x, .read(.items, 1), "55P03 I"),
                .run(.a, .put(.items, [3, 3]), "INSERT 0 1 T"),
                .run(.a, .commit, "COMMIT I"),
                .wake(.b, "BEGIN, LOCK TABLE T"),
                .run(.b, .commit, "COMMIT I"),
                .wake(.c, "INSERT 0 1 I"),
                .rows(.items, [[1, 1], [2, 2], [3, 3]]),
            ]),
        Scenario(
            "a table lock that is given up lets others through",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 1])], "BEGIN, INSERT 0 1 T"),
                .pipeline(.x, [.begin, .lock(.items)], "BEGIN, 55P03 E"),
                .run(.c, .put(.items, [2, 2]), "INSERT 0 1 I"),
            ]),
        Scenario(
            "two that want the whole table",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 1])], "BEGIN, INSERT 0 1 T"),
                .pipeline(.x, [.begin, .put(.items, [2, 2])], "BEGIN, INSERT 0 1 T"),
                .run(.a, .lock(.items), "waits"),
                .run(.x, .lock(.items), "40P01 E"),
                .wake(.a, "LOCK TABLE T"),
                .run(.a, .rollback, "ROLLBACK I"),
                .rows(.items, []),
            ]),
    ]
}
