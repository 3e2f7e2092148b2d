import WeirCore
import WeirRecord

/// Which records of one call travel as one: neighbours of one caller and one table that nobody can
/// ask about or wait for one by one. What a record costs on its way (a ticket, a place in the
/// queue, an answer) is then paid once for all of them.
///
/// A pack comes apart as soon as one of its records is refused, so it changes no record's fate.
struct Packing: Sendable {
    /// Half a batch, so that two of them fill one; and a small part of the queue, which takes a
    /// pack whole or not at all.
    private let recordsMax: Int
    private let bytesMax: Int

    init(_ configuration: Machine.Configuration) {
        recordsMax = max(
            1,
            min(
                configuration.batch.recordsMax / 2, configuration.admission.recordsMax / 16,
                Coordinator.packRecordsMax))
        bytesMax = min(configuration.batch.bytesMax / 4, configuration.admission.bytesMax / 16)
    }

    /// Where the pack, the group or the single record ends that begins at `start`.
    func end(from start: Int, in submissions: [Coordinator.Submission]) -> Int {
        let group = submissions[start].group
        var end = start + 1
        if group != 0 {
            while end < submissions.count && submissions[end].group == group { end += 1 }
            return end
        }
        guard Self.isAnonymous(submissions[start].record) else { return end }
        var bytes = submissions[start].record.byteCount
        while end < submissions.count && end - start < recordsMax {
            bytes += submissions[end].record.byteCount
            guard bytes <= bytesMax,
                Self.follows(submissions[end], submissions[start], by: end - start)
            else { break }
            end += 1
        }
        return end
    }

    private static func follows(
        _ next: Coordinator.Submission, _ first: Coordinator.Submission, by distance: Int
    ) -> Bool {
        next.group == 0 && next.waiter === first.waiter && next.index == first.index + distance
            && next.deadline == first.deadline && next.record.table === first.record.table
            && isAnonymous(next.record)
    }

    private static func isAnonymous(_ record: Record) -> Bool {
        // One that is blocked by an earlier one would block its whole pack.
        record.messageID == nil && !record.options.isDryRun && record.table.policy.order != .strict
            && record.redriven == nil
    }
}
