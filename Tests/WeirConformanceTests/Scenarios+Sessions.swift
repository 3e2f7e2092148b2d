import WeirTesting

extension Scenario {
    /// Sessions that end, or whose clients do.
    static let sessions: [Scenario] = [
        Scenario(
            "a client that leaves rolls back",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .run(.b, .ignore(.items, [1, 20]), "waits"),
                .hangUp(.a),
                .wake(.b, "INSERT 0 1 [1] I"),
                .rows(.items, [[1, 20]]),
            ]),
        Scenario(
            "a zombie commits what it was sent",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .pipeline(
                    .b, [.begin, .put(.log, [1, 1]), .ignore(.items, [1, 20]), .commit], "waits"),
                .hangUp(.b),
                .rows(.log, []),
                .run(.a, .rollback, "ROLLBACK I"),
                .run(.c, .ignore(.items, [1, 30]), "INSERT 0 0 I"),
                .rows(.items, [[1, 20]]),
                .rows(.log, [[1, 1]]),
            ]),
        Scenario(
            "a zombie that was not sent COMMIT rolls back",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .pipeline(.b, [.begin, .put(.log, [1, 1]), .ignore(.items, [1, 20])], "waits"),
                .hangUp(.b),
                .run(.a, .rollback, "ROLLBACK I"),
                .run(.c, .ignore(.items, [1, 30]), "INSERT 0 1 [1] I"),
                .rows(.log, []),
            ]),
        Scenario(
            "a cut behind COMMIT commits",
            [
                .leave(.a, [.begin, .put(.items, [1, 10]), .commit]),
                .rows(.items, [[1, 10]]),
            ]),
        Scenario(
            "a cut in front of COMMIT rolls back",
            [
                .leave(.a, [.begin, .put(.items, [1, 10])]),
                .rows(.items, []),
            ]),
        Scenario(
            "a cut in front of the sync rolls back what no BEGIN began",
            [
                .leave(.a, [.put(.items, [1, 10])]),
                .rows(.items, []),
            ]),
        Scenario(
            "a session that is terminated while it waits",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .pipeline(.b, [.begin, .put(.log, [1, 1]), .put(.items, [1, 20])], "waits"),
                .terminate(.b),
                .wake(.b, "BEGIN, INSERT 0 1, FATAL 57P01"),
                .run(.a, .commit, "COMMIT I"),
                .rows(.log, []),
            ]),
        Scenario(
            "a session that is terminated in its transaction",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .run(.b, .ignore(.items, [1, 20]), "waits"),
                .terminate(.a),
                .wake(.b, "INSERT 0 1 [1] I"),
                // An answer to COMMIT that is none: the session had ended before.
                .run(.a, .commit, "FATAL 57P01"),
                .rows(.items, [[1, 20]]),
            ]),
        Scenario(
            "a session terminates another",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .run(.b, .terminate(SessionID(0)), "SELECT 1 [1] I"),
                .run(.b, .ignore(.items, [1, 20]), "INSERT 0 1 [1] I"),
                .run(.b, .terminate(SessionID(0)), "SELECT 1 [0] (warning) I"),
            ]),
        Scenario(
            "a statement that is cancelled while it waits",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .pipeline(
                    .b, [.begin, .put(.log, [1, 1]), .put(.items, [1, 20]), .commit], "waits"),
                .cancel(.b),
                .wake(.b, "BEGIN, INSERT 0 1, 57014, skipped E"),
                .run(.b, .commit, "ROLLBACK I"),
                .run(.a, .commit, "COMMIT I"),
                .rows(.log, []),
            ]),
        Scenario(
            "a cancel of nothing changes nothing",
            [
                .pipeline(.a, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .cancel(.a),
                .run(.a, .commit, "COMMIT I"),
                .rows(.items, [[1, 10]]),
            ]),
    ]

    /// A commit between durable and seen: where a synchronous standby holds it.
    static let standby: [Scenario] = [
        Scenario(
            "a commit that waits for the standby is not seen and holds its locks",
            [
                .pipeline(.s, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .run(.s, .commit, "waits"),
                .rows(.items, []),
                .run(.b, .ignore(.items, [1, 20]), "waits"),
                .run(.x, .put(.items, [1, 30]), "55P03 I"),
                .standbyAnswers,
                .wake(.s, "COMMIT I"),
                .wake(.b, "INSERT 0 0 I"),
                .rows(.items, [[1, 10]]),
            ]),
        Scenario(
            "a commit that is cancelled as it waits for the standby has committed",
            [
                .pipeline(.s, [.begin, .put(.items, [1, 10]), .commit], "waits"),
                .cancel(.s),
                .wake(.s, "BEGIN, INSERT 0 1, COMMIT (warning) I"),
                .rows(.items, [[1, 10]]),
            ]),
        Scenario(
            "a commit that is terminated as it waits for the standby has committed",
            [
                .pipeline(.s, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .run(.s, .commit, "waits"),
                .terminate(.s),
                .wake(.s, "closed"),
                .rows(.items, [[1, 10]]),
            ]),
        Scenario(
            "a transaction without a write waits for no standby",
            [
                .pipeline(.s, [.begin, .read(.items, 1), .commit], "BEGIN, SELECT 0, COMMIT I"),
                .run(.a, .put(.items, [1, 1]), "INSERT 0 1 I"),
                .pipeline(
                    .s, [.begin, .ignore(.items, [1, 2]), .commit], "BEGIN, INSERT 0 0, COMMIT I"),
            ]),
        Scenario(
            "a zombie waits for the standby too",
            [
                .pipeline(.s, [.begin, .put(.items, [1, 10]), .commit], "waits"),
                .hangUp(.s),
                .run(.b, .ignore(.items, [1, 20]), "waits"),
                .standbyAnswers,
                .wake(.b, "INSERT 0 0 I"),
            ]),
    ]

    static let crashes: [Scenario] = [
        Scenario(
            "a crash keeps what was answered and drops what was open",
            [
                .run(.a, .put(.items, [1, 10]), "INSERT 0 1 I"),
                .pipeline(.a, [.begin, .put(.items, [2, 10])], "BEGIN, INSERT 0 1 T"),
                .crash,
                .rows(.items, [[1, 10]]),
                .run(.b, .put(.items, [2, 20]), "INSERT 0 1 I"),
            ]),
        Scenario(
            "a crash keeps what was durable and not yet seen",
            [
                .pipeline(.s, [.begin, .put(.items, [1, 10])], "BEGIN, INSERT 0 1 T"),
                .run(.s, .commit, "waits"),
                .rows(.items, []),
                .crash,
                .rows(.items, [[1, 10]]),
            ]),
        Scenario(
            "a crash drops a change of the definition that was open",
            [
                .pipeline(.a, [.begin, .close(.items)], "BEGIN, ALTER TABLE T"),
                .crash,
                .run(.b, .put(.items, [1, 1]), "INSERT 0 1 I"),
            ]),
    ]
}
