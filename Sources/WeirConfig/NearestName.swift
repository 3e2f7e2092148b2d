/// Which known name somebody may have meant.
package func nearestName(to name: String, among known: some Sequence<String>) -> String? {
    let wanted = Array(name.lowercased().utf8.prefix(lengthMax))
    var best: (name: String, distance: Int)?
    for candidate in known {
        let distance = editDistance(wanted, Array(candidate.lowercased().utf8.prefix(lengthMax)))
        if distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.name
}

/// No known name is longer; what follows cannot bring one nearer.
private let lengthMax = 128

/// Insertions, deletions and replacements from one to the other (Wagner and Fischer, 1974), a swap
/// of neighbours counting as one.
private func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...right.count)
    for (row, leftByte) in left.enumerated() {
        var current = [row + 1]
        for (column, rightByte) in right.enumerated() {
            var cost = min(
                last[column] + (leftByte == rightByte ? 0 : 1), last[column + 1] + 1,
                current[column] + 1)
            if row > 0, column > 0, leftByte == right[column - 1], left[row - 1] == rightByte {
                cost = min(cost, beforeLast[column - 1] + 1)
            }
            current.append(cost)
        }
        (beforeLast, last) = (last, current)
    }
    return last[right.count]
}
