/// A mistake that is built into the world's own part of a gateway, to show that some seed notices
/// it. Those in the core and the shell are patches of their sources: faults/mutants/simulation.
package enum Mutation: String, CaseIterable, Sendable {
    /// COMMIT that is answered `ROLLBACK` is taken for success.
    case rollbackIsSuccess
    /// A batch counts as committed once COMMIT is sent.
    case answerBeforeCommit
    /// The replay entries are written in a transaction of their own, behind the batch's.
    case entriesApart
    /// A batch whose COMMIT was not answered is written again at once.
    case blindRewrite
    /// A dead letter is written in one transaction and its replay entry in the next.
    case letterApart
    /// Only what is remembered in memory is a repetition.
    case memoryOnly
    /// What the database knows of a batch's messages is looked up before they are claimed.
    case oldLook
    /// A connection does not look whether the generation is the one that it knows.
    case staleGeneration
}
