/// One batch that a connection committed. Times are nanoseconds after the visit's start.
package struct Commit: Sendable, Equatable {
    package var begun: Int64
    package var ended: Int64
    package var rows: Int32

    package init(begun: Int64, ended: Int64, rows: Int32) {
        self.begun = begun
        self.ended = ended
        self.rows = rows
    }

    var seconds: Double { Double(ended - begun) / 1e9 }
}

/// What the connections of one visit committed, each in its own order.
package struct CommitLog: Sendable {
    package var connections: [[Commit]]

    package init(connections: [[Commit]]) {
        self.connections = connections
    }

    /// Rows committed in bins of equal width, a commit's rows spread evenly over its time.
    ///
    /// So what stands at an edge counts by its part, and the sum over connections has no edge
    /// error: for a renewal process the mean of this rate is exactly one batch per mean batch time,
    /// wherever the window begins (the time average of 1/S over intervals drawn by their length is
    /// 1/E[S]). Counting whole commits would be off by up to one for each connection, and
    /// (n-1)/(last-first) overstates a connection that was served early and then starved.
    ///
    /// - Parameters:
    ///   - start: of the first bin, in nanoseconds.
    ///   - width: of a bin, in nanoseconds.
    package func rows(inBinsFrom start: Int64, width: Int64, count: Int) -> [Double] {
        precondition(width > 0, "a bin has a width")
        var bins = Array(repeating: 0.0, count: max(count, 0))
        let end = start + width * Int64(bins.count)
        for commits in connections {
            for commit in commits where commit.ended > start && commit.begun < end {
                let span = max(commit.ended - commit.begun, 1)
                let rate = Double(commit.rows) / Double(span)
                var at = max(commit.begun, start)
                let last = min(max(commit.ended, commit.begun + 1), end)
                var bin = Int((at - start) / width)
                while at < last {
                    let next = min(start + Int64(bin + 1) * width, last)
                    bins[bin] += rate * Double(next - at)
                    at = next
                    bin += 1
                }
            }
        }
        return bins
    }

    /// When every connection had committed once, in nanoseconds; `nil` before that. They begin
    /// together, so that their first batches are no sample of the later ones.
    package var firstRound: Int64? {
        var latest: Int64 = 0
        for commits in connections {
            guard let first = commits.first else { return nil }
            latest = max(latest, first.ended)
        }
        return latest
    }

    /// Batch times of the commits that ended in this window, in seconds, ascending.
    package func times(from start: Int64, to end: Int64) -> [Double] {
        var times: [Double] = []
        for commits in connections {
            for commit in commits where commit.ended > start && commit.ended <= end {
                times.append(commit.seconds)
            }
        }
        return times.sorted()
    }

    /// The share of the connections' time in this window that they spent in a batch. By Little's
    /// law (J. Little, 1961) it is X·R/L: below 1 the harness, not the database, was waited for.
    package func busyShare(from start: Int64, to end: Int64) -> Double {
        guard end > start, !connections.isEmpty else { return 0 }
        var busy = 0.0
        for commits in connections {
            for commit in commits {
                busy += Double(max(0, min(commit.ended, end) - max(commit.begun, start)))
            }
        }
        return busy / (Double(end - start) * Double(connections.count))
    }
}
