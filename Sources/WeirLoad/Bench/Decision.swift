/// Which number of connections is recommended, and how certain that is.
package struct Decision: Sendable {
    /// Of the best throughput that the recommendation reaches.
    package static let share = 0.95
    /// From here on more connections are of no use at all.
    static let ceilingShare = 0.99

    /// The least number whose throughput is at least the share of the best, with 95 % certainty;
    /// `nil` where noise leaves none.
    package let connections: Int?
    /// What the least number that reaches the share may be: 90 % of the bootstrap distribution,
    /// with the numbers beside it that were not measured.
    package let interval: ClosedRange<Int>
    /// How often each number was the least one in the replicates.
    package let distribution: [(connections: Int, share: Double)]
    /// The least number at 99 % of the best.
    package let ceiling: Int
    /// The sweep ended before the curve bent: a limit of the server or of the plan is the
    /// recommendation, not a knee.
    package let isAtEnd: Bool

    package init(_ curve: Curve, most: Int) {
        let numbers = curve.connections
        let lower = curve.lowerShares
        let place = numbers.indices.first { lower[$0] >= Self.share }
        connections = place.map { numbers[$0] }
        let knees = curve.knees(share: Self.share)
        distribution = zip(numbers, knees).filter { $0.1 > 0.005 }.map { ($0, $1) }
        var sum = 0.0
        var ends: (low: Int, high: Int) = (0, numbers.count - 1)
        var isBelow = true
        for (index, share) in knees.enumerated() {
            sum += share
            if isBelow && sum >= 0.05 { (ends.low, isBelow) = (index, false) }
            if sum >= 0.95 {
                ends.high = index
                break
            }
        }
        if let place { ends = (min(ends.low, place), max(ends.high, place)) }
        // What lies between the last number below and this one was not looked at.
        let gap =
            ends.low == 0
            ? [] : Ladder.between(numbers[ends.low - 1], numbers[ends.low], upTo: most)
        interval = (gap.first ?? numbers[ends.low])...numbers[ends.high]
        ceiling = numbers[curve.knee(share: Self.ceilingShare)]
        let shares = curve.shares
        isAtEnd =
            numbers.count > 1 && place == numbers.count - 1 && numbers[numbers.count - 1] == most
            && shares[numbers.count - 2] < Self.share
    }
}
